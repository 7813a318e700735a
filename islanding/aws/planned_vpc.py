"""The VPC that a plan makes for its cluster: what it lacks, and whether its addresses suffice. Pure.

Sources: EKS user guide, "Amazon EKS networking requirements for VPC and subnets" (free addresses, service range); VPC
user guide, "Subnet CIDR blocks" (five addresses kept) and "DNS attributes" (defaults); amazon-vpc-cni-k8s, README
(each node takes all addresses of an interface at a time).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from math import ceil

from islanding.aws.checks import LEAST_ADDRESSES, PROVIDED, Ground, Lack, lacks
from islanding.aws.offer import ENDPOINT, SUBNET, VPC, Offer, instance_type
from islanding.cfn import text_of
from islanding.planning import Plan, Planned

KEPT = 5  # addresses of each subnet that AWS keeps


def missing(plan: Plan, offer: Offer, service_cidr: IPv4Network) -> Iterator[Lack]:
    """What the cluster's VPC lacks; nothing when its subnets are not the templates' own."""
    found = ground(plan)
    if found is None:
        return
    yield from lacks(found)
    for cidr in map(IPv4Network, found.cidrs):
        if cidr.overlaps(service_cidr):
            yield Lack("service-range", found.vpc, f"{cidr} overlaps the cluster's service range {service_cidr}")
    for token in plan.subnets:
        subnet = plan.resources.get(token)
        free = found.free.get(str(subnet))
        if subnet is not None and free is not None and free >= LEAST_ADDRESSES:
            yield from _room(plan, offer, subnet, free)


def ground(plan: Plan) -> Ground | None:
    """The cluster's VPC and subnets as the templates have them; None when they are not the templates' own."""
    subnets = [plan.resources[token] for token in plan.subnets if token in plan.resources]
    vpc = plan.resources.get(subnets[0].text("VpcId")) if subnets else None
    if vpc is None:
        return None
    own = [subnet for subnet in subnets if subnet.text("VpcId") == vpc.token]
    options, resolvers = _dhcp(plan, vpc)
    ranges, blocks = networks(plan, SUBNET), networks(plan, VPC)
    return Ground(
        vpc=str(vpc),
        cidrs=(str(blocks[vpc.token]),) if vpc.token in blocks else (),
        dns_support=text_of(vpc.properties.get("EnableDnsSupport", True)) != "false",
        dns_hostnames=text_of(vpc.properties.get("EnableDnsHostnames", False)) != "false",
        dhcp_options=options,
        resolvers=resolvers,
        zones={str(subnet): subnet.text("AvailabilityZone") or f"the zone of {subnet}" for subnet in own},
        free={str(s): ranges[s.token].num_addresses - KEPT for s in own if s.token in ranges},
    )


def networks(plan: Plan, type_: str) -> dict[str, IPv4Network]:
    """The ranges of all resources of a type, by their tokens, where they are known."""
    found = {}
    for one in plan.of(type_):
        try:
            found[one.token] = IPv4Network(one.text("CidrBlock"))
        except ValueError:  # not known yet, or EC2's own to refuse
            continue
    return found


def _room(plan: Plan, offer: Offer, subnet: Planned, free: int) -> Iterator[Lack]:
    """Addresses for the cluster's interfaces, endpoints, and nodes full of pods, when groups are at their greatest."""
    types, shared, alone = offer.types or {}, 0, 0
    endpoints = sum(1 for one in plan.of(ENDPOINT) if subnet.token in one.items("SubnetIds"))
    for group in plan.of("AWS::AutoScaling::AutoScalingGroup"):
        places, most, type_ = group.items("VPCZoneIdentifier"), group.text("MaxSize"), _type_of(plan, group)
        if subnet.token in places and most.isdigit() and type_ in types:
            interfaces, addresses = types[type_]
            shared += ceil(int(most) / len(places)) * interfaces * addresses
            alone += int(most) * interfaces * addresses
    base = LEAST_ADDRESSES + endpoints
    if free < base + shared:
        parts = f"{LEAST_ADDRESSES} for the cluster, {endpoints} for endpoints, {shared} for nodes and their pods"
        what = f"{free} addresses can be had, and {base + shared} are needed ({parts})"
        yield Lack("room", str(subnet), f"{what}: make its range larger, or the group's MaxSize smaller")
    elif free < base + alone:
        what = f"{free} addresses can be had, and {base + alone} are needed when all nodes are in this zone"
        yield Lack("room-for-all", str(subnet), what, "advice")


def _type_of(plan: Plan, group: Planned) -> str:
    """The instance type of a group's launch template or launch configuration; empty when it is not known."""
    used = group.properties.get("LaunchTemplate")
    token = text_of(used.get("LaunchTemplateId", "")) if isinstance(used, Mapping) else ""
    made = plan.resources.get(token or group.text("LaunchConfigurationName"))
    return instance_type(made) if made else ""


def _dhcp(plan: Plan, vpc: Planned) -> tuple[str, tuple[str, ...]]:
    """DHCP options of a VPC: those that the templates associate with it, else AWS's own."""
    for one in plan.of("AWS::EC2::VPCDHCPOptionsAssociation"):
        options = plan.resources.get(one.text("DhcpOptionsId"))
        if one.text("VpcId") == vpc.token and options is not None:
            return str(options), tuple(options.items("DomainNameServers"))
    return str(vpc), (PROVIDED,)
