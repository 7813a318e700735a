"""To which addresses a name leads inside a VPC, by the view alone: of an endpoint, of the cluster, or public.

Sources: AWS PrivateLink guide, "Private DNS" (needs enableDnsSupport and enableDnsHostnames); EKS user guide, "Cluster
API server endpoint" (a private endpoint's name resolves to private addresses); VPC user guide, "DHCP option sets".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from islanding.aws.view import Endpoint, Interface, View, Vpc
from islanding.diagnosis.flow import Finding, network
from islanding.diagnosis.hops import Blame, Status
from islanding.diagnosis.targets import Target


@dataclass(frozen=True)
class Resolution:
    """What a name leads to: interfaces in VPCs of ours, an address as given, or (both empty) public addresses."""

    name: Finding
    address: Finding
    interfaces: tuple[Interface, ...] = ()
    literal: str = ""
    endpoint: Endpoint | None = None  # the interface endpoint that answers for the name


def resolve(view: View, vpc: Vpc, target: Target) -> Resolution:
    """How `target`'s name is answered in `vpc`; never raises."""
    if network(target.host) is not None and "/" not in target.host:
        address = Finding(Status.OK, target.host)
        return Resolution(Finding(Status.NOT_NEEDED, "an address was asked for"), address, literal=target.host)
    name = _asked(vpc, target)
    if target.cluster:
        return _cluster(view, vpc, target, name)
    found = [e for e in view.endpoints if e.vpc == vpc.id and e.kind == "Interface" and _serves(e, target)]
    answering = next((e for e in found if e.private_dns and e.state == "available"), None)
    if answering is not None and vpc.dns_hostnames:
        interfaces = tuple(
            replace(i, groups=answering.groups or i.groups) for i in view.interfaces if i.id in answering.interfaces
        )
        listed = ", ".join(i.addresses[0] for i in interfaces if i.addresses) or "addresses not in the view"
        return Resolution(name, Finding(Status.OK, f"private: {listed}"), interfaces, endpoint=answering)
    return Resolution(name, _public(vpc, found))


def _asked(vpc: Vpc, target: Target) -> Finding:
    if not vpc.dns_support:
        what = "enableDnsSupport is false: the VPC has no resolver"
        return Finding(Status.FAILS, f"{target.host} cannot be resolved: {what}", Blame("VPC", vpc.id, vpc.name, what))
    if not set(vpc.dhcp_servers) & {"AmazonProvidedDNS", "169.254.169.253", _plus_two(vpc)}:
        listed = ", ".join(vpc.dhcp_servers)
        return Finding(Status.UNKNOWN, f"asked of {listed} ({vpc.dhcp_options}), which is not the VPC's own resolver")
    return Finding(Status.OK, f"{target.host} is answered by the VPC's resolver")


def _plus_two(vpc: Vpc) -> str:
    block = network(vpc.cidrs[0]) if vpc.cidrs else None
    return str(block.network_address + 2) if block else ""


def _serves(endpoint: Endpoint, target: Target) -> bool:
    return bool(target.service) and endpoint.service.split(".", 3)[3:] == [target.service]


def _public(vpc: Vpc, found: list[Endpoint]) -> Finding:
    """The public address, with what kept the VPC's interface endpoint from answering for the name."""
    for endpoint in found:
        who = (endpoint.id, endpoint.name)
        if endpoint.state != "available":
            what = f"its state is {endpoint.state}"
        elif not endpoint.private_dns:
            what = "PrivateDnsEnabled is false"
        else:
            what = "enableDnsHostnames is false, so private DNS of endpoints is not answered"
            return Finding(Status.UNKNOWN, f"public: {what}", Blame("VPC", vpc.id, vpc.name, what))
        return Finding(
            Status.UNKNOWN, f"public, although {endpoint.id} serves it: {what}", Blame("VPC endpoint", *who, what)
        )
    return Finding(Status.OK, "public")


def _cluster(view: View, vpc: Vpc, target: Target, name: Finding) -> Resolution:
    cluster = next((c for c in view.clusters if c.name == target.cluster), None)
    if cluster is None or not cluster.endpoint:
        what = "no cluster of that name with an endpoint is in the view"
        blame = Blame("cluster", what=what)
        return Resolution(Finding(Status.UNKNOWN, what, blame), Finding(Status.UNKNOWN, "not known"))
    if not cluster.private or (vpc.id != cluster.vpc and cluster.public):
        return Resolution(name, Finding(Status.OK, "public"))
    wanted = f"Amazon EKS {cluster.name}"
    interfaces = tuple(i for i in view.interfaces if i.vpc == cluster.vpc and i.description == wanted)
    listed = ", ".join(i.addresses[0] for i in interfaces if i.addresses)
    if not interfaces:
        return Resolution(name, Finding(Status.UNKNOWN, "private, but its network interfaces are not in the view"))
    return Resolution(name, Finding(Status.OK, f"private: {listed}"), interfaces)


def gateway_for(view: View, vpc: str, target: Target) -> list[Endpoint]:
    """The gateway endpoints of a VPC that serve the target."""
    return [e for e in view.endpoints if e.vpc == vpc and e.kind == "Gateway" and _serves(e, target)]
