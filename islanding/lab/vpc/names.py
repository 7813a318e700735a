"""What the resolver of each VPC answers, from what EC2 and Route 53 hold. Pure and total: no state makes it raise.

An endpoint's private DNS and a cluster's endpoint are private zones like those of Route 53; whatever is in no private
zone is public. Sources: "Private DNS for interface endpoints" and "DNS attributes for your VPC", VPC guide;
"Considerations for private hosted zones", Route 53 guide.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from islanding.lab.vpc import service_names, zones
from islanding.lab.vpc.state import DhcpOptions, Ec2State, Endpoint, Vpc
from islanding.lab.vpc.zones import Answers

LINK_LOCAL = "169.254.169.253"
AMAZON = "AmazonProvidedDNS"
ANYBODY = "52.94.0.53"  # the public resolver


@dataclass(frozen=True)
class ClusterEndpoint:
    """The endpoint of an EKS cluster: its name, the cluster's VPC, and addresses; none where access is switched off."""

    name: str
    vpc: str
    private: tuple[str, ...] = ()
    public: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublicNames:
    """Names that everybody resolves: each with its addresses; `*.` in front stands for everything below."""

    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Resolver:
    """A resolver: the network namespace and addresses where it listens, and its answers."""

    netns: str
    addresses: tuple[str, ...]
    answers: Answers


def public_names(region: str, api: str, s3: str, internet: Mapping[str, str] | None = None) -> PublicNames:
    """The public names of AWS, led to the address of its API or of S3, and those of hosts on the internet."""
    names = [f"{service}.{region}.amazonaws.com" for service in service_names.REGIONAL]
    names += [f"{service}.amazonaws.com" for service in service_names.GLOBAL]
    registry = service_names.REGISTRIES.format(region=region)
    names += [registry, f"*.{registry}", f"eks-auth.{region}.api.aws", f"ecr.{region}.api.aws"]
    buckets = [name.format(region=region) for name in service_names.BUCKETS]
    known = dict.fromkeys(names, (api,))
    known |= {name: (s3,) for bucket in buckets for name in (bucket, f"*.{bucket}")}
    return PublicNames(known | {name: (address,) for name, address in (internet or {}).items()})


def resolvers(
    state: Ec2State,
    region: str,
    public: PublicNames,
    clusters: Sequence[ClusterEndpoint] = (),
    everybody: tuple[str, str] = ("aws", ANYBODY),
) -> tuple[Resolver, ...]:
    """The resolver of each VPC that has DNS support, and the public one (`everybody`: its namespace and address)."""
    made = [
        Resolver(vpc.id, vpc_resolvers(vpc), answers(state, region, public, clusters, vpc))
        for vpc in state.vpcs
        if vpc.dns_support and vpc_resolvers(vpc)
    ]
    netns, address = everybody
    return (*made, Resolver(netns, (address,), answers(state, region, public, clusters, None)))


def vpc_resolvers(vpc: Vpc) -> tuple[str, ...]:
    """Where the VPC's resolver is: the second address of its first range, and a link-local address."""
    for cidr in vpc.cidrs:
        try:
            return (str(ipaddress.IPv4Network(cidr, strict=False)[2]), LINK_LOCAL)
        except (ValueError, IndexError):
            continue
    return ()


def resolv_conf(vpc: Vpc, region: str) -> bytes:
    """What DHCP makes of an instance's /etc/resolv.conf; the default options search the instances' domain."""
    options = vpc.dhcp
    servers = [s for given in options.servers for s in (vpc_resolvers(vpc)[:1] if given == AMAZON else (given,))]
    domain = options.domain or (service_names.instance_domain(region) if options == DhcpOptions() else "")
    lines = [f"search {domain}"] if domain else []
    lines += [f"nameserver {server}" for server in servers]
    return "\n".join([*lines, "options timeout:2 attempts:5", ""]).encode()


def answers(
    state: Ec2State, region: str, public: PublicNames, clusters: Iterable[ClusterEndpoint], vpc: Vpc | None
) -> Answers:
    """What somebody inside `vpc` is told, or somebody on the internet (None)."""
    views: dict[str, zones.Records] = {"": _public(state, region, public, clusters, vpc)}
    if vpc is not None and vpc.dns_support and vpc.dns_hostnames:
        for name, records in (
            *_hosted_zones(state, vpc),
            *_endpoint_zones(state, region, vpc),
            *_cluster_zones(clusters, vpc),
        ):
            merged = views.setdefault(name, {})
            for key, values in records.items():
                merged.setdefault(key, []).extend(values)
    return zones.visible(views)


def _public(
    state: Ec2State, region: str, public: PublicNames, clusters: Iterable[ClusterEndpoint], vpc: Vpc | None
) -> zones.Records:
    records: zones.Records = {}
    named = {v.id for v in state.vpcs if v.dns_support and v.dns_hostnames}
    own = vpc.id if vpc is not None and vpc.id in named else ""
    for interface in state.interfaces:
        if interface.vpc and interface.vpc == own:
            for address in interface.addresses:
                zones.add(records, service_names.private_name(address, region), "A", address)
    for interface in state.interfaces:
        if interface.vpc in named:
            for private, outside in interface.public:
                inside = interface.vpc == own
                zones.add(records, service_names.public_name(outside, region), "A", private if inside else outside)
    for cluster in clusters:  # an endpoint without public access resolves to its private addresses, for everybody
        for address in cluster.public or cluster.private:
            zones.add(records, cluster.name, "A", address)
    _endpoints_own_names(records, state, region)
    for name, addresses in public.addresses.items():
        for address in addresses:
            zones.add(records, name, "A", address)
    return records


def _endpoints_own_names(records: zones.Records, state: Ec2State, region: str) -> None:
    interfaces = {interface.id: interface for interface in state.interfaces}
    placed = {subnet.id: subnet.zone for subnet in state.subnets}
    for endpoint in state.endpoints:
        if endpoint.kind != "interface" or _gone(endpoint):
            continue
        cards = [interfaces[i] for i in endpoint.interfaces if i in interfaces and interfaces[i].addresses]
        for card in cards:
            zone = placed.get(card.subnet, "")
            names = service_names.endpoint_names(endpoint.id, endpoint.service, region, (zone,) if zone else ())
            for name in names:
                zones.add(records, name, "A", card.addresses[0])
                if service_names.short(endpoint.service) == "s3":
                    zones.add(records, f"*.{name}", "A", card.addresses[0])


def _gone(endpoint: Endpoint) -> bool:
    return endpoint.state.lower() in ("deleting", "deleted", "failed", "rejected")


def _hosted_zones(state: Ec2State, vpc: Vpc) -> Iterable[tuple[str, zones.Records]]:
    for zone in state.zones:
        if vpc.id in zone.vpcs and (name := zones.plain(zone.name)) and not name.startswith("*"):
            records: zones.Records = {}
            for record in sorted(zone.records, key=lambda r: (r.name, r.type, r.values)):
                for value in record.values:
                    zones.add(records, record.name, record.type, value)
            yield name, records


def _endpoint_zones(state: Ec2State, region: str, vpc: Vpc) -> Iterable[tuple[str, zones.Records]]:
    interfaces = {interface.id: interface for interface in state.interfaces}
    for endpoint in state.endpoints:
        if (endpoint.vpc, endpoint.kind) != (vpc.id, "interface") or not endpoint.private_dns or _gone(endpoint):
            continue
        names = service_names.private_names(endpoint.service, region)
        records: zones.Records = {}
        for card in (interfaces[i] for i in endpoint.interfaces if i in interfaces):
            for name in names:
                for address in card.addresses[:1]:
                    zones.add(records, name, "A", address)
        if names and (zone := zones.plain(names[0])):
            yield zone, records


def _cluster_zones(clusters: Iterable[ClusterEndpoint], vpc: Vpc) -> Iterable[tuple[str, zones.Records]]:
    for cluster in clusters:
        if cluster.vpc == vpc.id and cluster.private and (name := zones.plain(cluster.name)):
            yield name, {(name, "A"): list(cluster.private)}
