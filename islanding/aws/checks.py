"""What a VPC must have before a private cluster is built in it: rules over what AWS says, each lack by its name.

Sources: EKS user guide, "Amazon EKS networking requirements for VPC and subnets" (two subnets in two zones, six free
addresses each and sixteen advised, DNS hostnames and resolution) and "Private clusters"; VPC user guide, "DHCP option
sets" (AmazonProvidedDNS); EC2 user guide, "Find an instance type" (not every zone offers every type).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from typing import Any, Literal

from islanding.aws import calls
from islanding.model import Site

LEAST_ADDRESSES = 6
ADVISED_ADDRESSES = 16
LEAST_ZONES = 2
PROVIDED = "AmazonProvidedDNS"
Level = Literal["lack", "advice"]
Call = Callable[[str, str, dict[str, Any]], dict[str, Any]]  # service, operation, arguments


@dataclass(frozen=True)
class Lack:
    """Something that is missing: a short name for it, the AWS object, and what is wrong and how it is mended."""

    name: str
    object: str
    text: str
    level: Level = "lack"

    def __str__(self) -> str:
        return f"{self.name}: {self.object}: {self.text}"


@dataclass(frozen=True)
class Ground:
    """Where a cluster is to be built, as far as the rules need it: a VPC and the subnets that it would be given.

    `resolvers` are the DHCP options' domain-name-servers; `zones` and `free` are by subnet; `offered` has the zones in
    which the instance type can be had.
    """

    vpc: str
    cidrs: tuple[str, ...]
    dns_support: bool
    dns_hostnames: bool
    dhcp_options: str
    resolvers: tuple[str, ...]
    zones: Mapping[str, str]
    free: Mapping[str, int]
    instance_type: str = ""
    offered: frozenset[str] = frozenset()


def lacks(ground: Ground, *, addresses: int = LEAST_ADDRESSES) -> tuple[Lack, ...]:
    """Everything that is missing for a private cluster; empty when it can be built. Pure."""
    return (*_dns(ground), *_subnets(ground, addresses), *_types(ground))


def look(site: Site, vpc: str, subnets: Sequence[str], instance_type: str = "") -> Ground:
    """What AWS says of a VPC and subnets; raises IslandingError with AWS's own message."""
    return look_by(partial(calls.call, site), vpc, subnets, instance_type)


def look_by(call: Call, vpc: str, subnets: Sequence[str], instance_type: str = "") -> Ground:
    """The same by any way of calling AWS; raises what `call` raises."""
    raw = call("ec2", "describe_vpcs", {"VpcIds": [vpc]})["Vpcs"][0]
    found = call("ec2", "describe_subnets", {"SubnetIds": list(subnets)})["Subnets"] if subnets else []
    options = str(raw.get("DhcpOptionsId", ""))
    blocks = [one["CidrBlock"] for one in raw.get("CidrBlockAssociationSet") or ()]
    return Ground(
        vpc=vpc,
        cidrs=tuple(dict.fromkeys([raw["CidrBlock"], *blocks])),
        dns_support=_attribute(call, vpc, "enableDnsSupport"),
        dns_hostnames=_attribute(call, vpc, "enableDnsHostnames"),
        dhcp_options=options,
        resolvers=_resolvers(call, options),
        zones={one["SubnetId"]: str(one["AvailabilityZone"]) for one in found if one["VpcId"] == vpc},
        free={one["SubnetId"]: int(one["AvailableIpAddressCount"]) for one in found if one["VpcId"] == vpc},
        instance_type=instance_type,
        offered=_offered(call, instance_type) if instance_type else frozenset(),
    )


def check(site: Site, vpc: str, subnets: Sequence[str], instance_type: str = "") -> tuple[Lack, ...]:
    """Everything that is missing for a private cluster in these subnets; raises IslandingError with AWS's message."""
    return lacks(look(site, vpc, subnets, instance_type))


# -- rules -------------------------------------------------------------------------------------------------------------


def _dns(ground: Ground) -> Iterable[Lack]:
    if not ground.dns_support:
        yield Lack("dns-support", ground.vpc, "enableDnsSupport is false: nodes resolve nothing and cannot register")
    if not ground.dns_hostnames:
        what = "enableDnsHostnames is false: private DNS of endpoints is not answered, and nodes cannot register"
        yield Lack("dns-hostnames", ground.vpc, what)
    if not ground.resolvers:
        what = f"its DHCP options name no domain-name-servers, or are no more: set {PROVIDED}"
        yield Lack("dhcp-options", ground.dhcp_options or ground.vpc, what)
    elif not {PROVIDED, *_own_resolvers(ground.cidrs)} & set(ground.resolvers):
        listed = ", ".join(ground.resolvers)
        what = (
            f"domain-name-servers are {listed}, and not {PROVIDED}: names of endpoints and cluster are not known there"
        )
        yield Lack("dhcp-options", ground.dhcp_options, what)


def _subnets(ground: Ground, addresses: int) -> Iterable[Lack]:
    if len(ground.zones) < LEAST_ZONES:
        what = f"{len(ground.zones)} of the subnets are in this VPC, and {LEAST_ZONES} are needed"
        yield Lack("two-subnets", ground.vpc, what)
    zones = sorted(set(ground.zones.values()))
    if ground.zones and len(zones) < LEAST_ZONES:
        what = f"the subnets are all in {', '.join(zones)}, and {LEAST_ZONES} zones are needed"
        yield Lack("two-zones", ", ".join(sorted(ground.zones)), what)
    for subnet, free in sorted(ground.free.items()):
        if free < addresses:
            yield Lack("free-addresses", subnet, f"{free} addresses are free, and {addresses} are needed")
        elif free < ADVISED_ADDRESSES:
            what = f"{free} addresses are free, and {ADVISED_ADDRESSES} are advised"
            yield Lack("few-addresses", subnet, what, "advice")


def _types(ground: Ground) -> Iterable[Lack]:
    if not ground.instance_type:
        return
    for subnet, zone in sorted(ground.zones.items()):
        if zone not in ground.offered:
            yield Lack("instance-type", subnet, f"{ground.instance_type} is not offered in {zone}")


def _own_resolvers(cidrs: Iterable[str]) -> set[str]:
    """The addresses at which a VPC's own resolver answers (VPC user guide, "Amazon DNS server")."""
    return {"169.254.169.253", *(str(IPv4Network(cidr).network_address + 2) for cidr in cidrs)}


# -- reading -----------------------------------------------------------------------------------------------------------


def _attribute(call: Call, vpc: str, name: str) -> bool:
    reply = call("ec2", "describe_vpc_attribute", {"VpcId": vpc, "Attribute": name})
    return bool(reply[name[0].upper() + name[1:]]["Value"])


def _resolvers(call: Call, options: str) -> tuple[str, ...]:
    """A DHCP option set's domain-name-servers; `default` is AWS's own set of each Region.

    Asked for by a filter: where the VPC was read as it was before, the set may be gone, which would be an error by id.
    """
    if not options or options == "default":
        return (PROVIDED,)
    filters = [{"Name": "dhcp-options-id", "Values": [options]}]
    reply = call("ec2", "describe_dhcp_options", {"Filters": filters})["DhcpOptions"]
    lines: list[dict[str, Any]] = reply[0].get("DhcpConfigurations") or [] if reply else []
    return tuple(
        str(value["Value"] if isinstance(value, dict) else value)
        for line in lines
        if line.get("Key") == "domain-name-servers"
        for value in line.get("Values") or ()
    )


def _offered(call: Call, type_: str) -> frozenset[str]:
    filters = [{"Name": "instance-type", "Values": [type_]}]
    arguments = {"LocationType": "availability-zone", "Filters": filters}
    reply = call("ec2", "describe_instance_type_offerings", arguments)
    return frozenset(str(one["Location"]) for one in reply["InstanceTypeOfferings"])
