"""What a site made of stacks lacks, found before anything of it is built: its plan held against what the Region has.

Sources: EKS user guide, "Amazon EKS networking requirements for VPC and subnets" (zones without clusters); VPC user
guide, "VPC CIDR blocks"; VPC peering guide, "VPC peering limitations" (no ranges that overlap).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from islanding.aws import planned_vpc
from islanding.aws.checks import Lack, lacks, look_by
from islanding.aws.offer import (
    ASKED,
    EIP,
    INSTANCE,
    QUOTAS,
    SUBNET,
    VPC,
    Clients,
    Offer,
    instance_type,
    machines,
    read,
)
from islanding.aws.paging import whole
from islanding.cfn import UNKNOWN
from islanding.errors import IslandingError
from islanding.planning import Plan, plan
from islanding.stackconf import StacksConf

# Zones, by their ids, in which the subnets of a cluster may not be (EKS user guide, "Subnet requirements"; memory).
NO_CLUSTER = {"use1-az3", "usw1-az2", "cac1-az3"}
COUNTED = {VPC: "VPCs in this Region", EIP: "Elastic IP addresses in this Region"}
Around = Mapping[str, Mapping[str, str]]


def check(conf: StacksConf, folder: Path, clients: Clients, around: Around) -> tuple[Lack, ...]:
    """What a site lacks of what it needs, before anything of it is built; empty when it can be built.

    `folder` holds the templates, `around` is what references may name beside stacks and cluster. Subnets that are there
    already are looked up by their ids. Raises SetupError for a template that is none, IslandingError when AWS does not
    let an existing VPC be looked at.
    """
    wanted = plan(conf, folder, around)
    offer = read(wanted, clients)
    if offer.zones and any(UNKNOWN in subnet.text("AvailabilityZone") for subnet in wanted.of(SUBNET)):
        wanted = plan(conf, folder, around, tuple(sorted(offer.zones)))  # Fn::GetAZs
    there = [subnet for subnet in wanted.subnets if subnet.startswith("subnet-")]
    return (*missing(wanted, offer, conf), *(_existing(clients, there) if there else ()))


def missing(wanted: Plan, offer: Offer, conf: StacksConf) -> tuple[Lack, ...]:
    """Everything that a plan lacks in this Region, as far as that was read. Pure."""
    found = [lack for rule in _RULES for lack in rule(wanted, offer)]
    found += planned_vpc.missing(wanted, offer, conf.cluster.service_cidr)
    return tuple(dict.fromkeys(found))


def _zones(wanted: Plan, offer: Offer) -> Iterator[Lack]:
    if offer.zones is None:
        return
    for subnet in wanted.of(SUBNET):
        zone = subnet.text("AvailabilityZone")
        if zone and UNKNOWN not in zone and zone not in offer.zones:
            there = ", ".join(sorted(offer.zones))
            yield Lack("zone", str(subnet), f"there is no zone {zone} for this account; there are {there}")
        elif subnet.token in wanted.subnets and offer.zones.get(zone) in NO_CLUSTER:
            what = f"{zone} is {offer.zones[zone]} for this account, where EKS makes no cluster: take another zone"
            yield Lack("zone", str(subnet), what)


def _ranges(wanted: Plan, _offer: Offer) -> Iterator[Lack]:
    """A subnet lies in its VPC and beside its other subnets; peered VPCs lie beside each other."""
    vpcs, subnets = planned_vpc.networks(wanted, VPC), planned_vpc.networks(wanted, SUBNET)
    for token, network in subnets.items():
        subnet = wanted.resources[token]
        vpc = subnet.text("VpcId")
        if vpc in vpcs and not network.subnet_of(vpcs[vpc]):
            yield Lack("range", str(subnet), f"{network} lies outside {wanted.resources[vpc].id}, {vpcs[vpc]}")
    for a, b in combinations(subnets, 2):
        one, other = wanted.resources[a], wanted.resources[b]
        if one.text("VpcId") == other.text("VpcId") and subnets[a].overlaps(subnets[b]):
            yield Lack("range", str(other), f"{subnets[b]} overlaps {subnets[a]} of {one.id}")
    for peering in wanted.of("AWS::EC2::VPCPeeringConnection"):
        here, there = peering.text("VpcId"), peering.text("PeerVpcId")
        if here in vpcs and there in vpcs and vpcs[here].overlaps(vpcs[there]):
            what = f"{vpcs[here]} and {vpcs[there]} overlap: such VPCs cannot be peered"
            yield Lack("range", str(peering), what)


def _types(wanted: Plan, offer: Offer) -> Iterator[Lack]:
    for one in machines(wanted):
        type_ = instance_type(one)
        if type_ and offer.types is not None and type_ not in offer.types:
            yield Lack("instance-type", str(one), f"there is no instance type {type_} in this Region")
        elif type_ and offer.offered is not None:
            where = [one.text("SubnetId")] if one.type == INSTANCE else wanted.subnets
            for zone in _zones_of(wanted, offer, where) - offer.offered.get(type_, frozenset()):
                yield Lack("instance-type", str(one), f"{type_} is not offered in {zone}")


def _zones_of(wanted: Plan, offer: Offer, subnets: Iterable[str]) -> set[str]:
    """The zones of planned subnets, as far as they exist: those that do not are named once, by another rule."""
    found = {wanted.resources[one].text("AvailabilityZone") for one in subnets if one in wanted.resources}
    return found & set(offer.zones or ())


def _names(wanted: Plan, offer: Offer) -> Iterator[Lack]:
    """Key pairs and images: of a late stack, CloudFormation would say it after the cluster has been made."""
    for given in wanted.parameters:
        what = ASKED.get(given.type)
        if what and offer.names is not None and UNKNOWN not in given.value and given.value not in offer.names:
            yield Lack(what.replace(" ", "-"), str(given), f"there is no {what} {given.value!r} in this Region")


def _quotas(wanted: Plan, offer: Offer) -> Iterator[Lack]:
    for type_, (default, _, _) in QUOTAS.items():
        more, used = sum(1 for _ in wanted.of(type_)), (offer.used or {}).get(type_, 0)
        quota = (offer.quotas or {}).get(type_, default)
        if more and used + more > quota:
            what = f"{used} are used and {more} more are wanted, of {quota}: have the quota raised, or delete some"
            yield Lack("quota", COUNTED[type_], what)


def _unread(_wanted: Plan, offer: Offer) -> Iterator[Lack]:
    for what in offer.unread:
        yield Lack("not-checked", "this Region", what, "advice")


_RULES: tuple[Callable[[Plan, Offer], Iterator[Lack]], ...] = (
    _zones, _ranges, _types, _names, _quotas, _unread,
)  # fmt: skip


def _existing(clients: Clients, subnets: Sequence[str]) -> tuple[Lack, ...]:
    """What a VPC that is there already lacks; raises IslandingError with AWS's own message."""

    def call(service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return whole(clients(service), operation, arguments)
        except Exception as error:  # botocore's many kinds of refusal and failure
            raise IslandingError(f"the cluster's subnets cannot be looked at: {error}") from error

    vpc = call("ec2", "describe_subnets", {"SubnetIds": [subnets[0]]})["Subnets"][0]["VpcId"]
    return lacks(look_by(call, vpc, subnets))
