"""What a Region has of what a plan asks for: zones, instance types, names, and room in quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from islanding.aws.paging import pages
from islanding.cfn import UNKNOWN, text_of
from islanding.planning import Plan, Planned

Clients = Callable[[str], Any]
LAUNCH = "AWS::EC2::LaunchTemplate"
INSTANCE = "AWS::EC2::Instance"
ASKED = {"AWS::EC2::KeyPair::KeyName": "key pair", "AWS::EC2::Image::Id": "image"}
VPC, EIP = "AWS::EC2::VPC", "AWS::EC2::EIP"
SUBNET, ENDPOINT = "AWS::EC2::Subnet", "AWS::EC2::VPCEndpoint"
# Default quotas and their codes (VPC user guide, "Amazon VPC quotas"; EC2 user guide, "Elastic IP address quota").
QUOTAS = {VPC: (5, "vpc", "L-F678F1CE"), EIP: (5, "ec2", "L-0263D0A3")}


@dataclass(frozen=True)
class Offer:
    """What the Region has, as far as a plan asks for it; None: it could not be read, and `unread` says why.

    `zones` has zone ids by zone names; `types` the number of network interfaces and of addresses on each, and `offered`
    the zones, by instance type; `names` the key pairs and images that exist; `used` and `quotas` count by
    resource type.
    """

    zones: Mapping[str, str] | None = None
    types: Mapping[str, tuple[int, int]] | None = None
    offered: Mapping[str, frozenset[str]] | None = None
    names: frozenset[str] | None = None
    used: Mapping[str, int] | None = None
    quotas: Mapping[str, int] | None = None
    unread: tuple[str, ...] = ()


def instance_type(one: Planned) -> str:
    """The instance type that a resource asks for; empty when it asks for none, or that is not known yet."""
    holder = one.properties.get("LaunchTemplateData") if one.type == LAUNCH else one.properties
    text = text_of(holder.get("InstanceType", "")) if isinstance(holder, Mapping) else ""
    return "" if UNKNOWN in text else text


def machines(plan: Plan) -> Iterator[Planned]:
    """The resources that say what instances are made of."""
    yield from (*plan.of(INSTANCE), *plan.of(LAUNCH), *plan.of("AWS::AutoScaling::LaunchConfiguration"))


def read(plan: Plan, clients: Clients) -> Offer:
    """Ask the Region for what `plan` needs to know; never raises: what is refused is named in `unread`."""
    types = sorted({found for one in machines(plan) if (found := instance_type(one))})
    ec2 = clients("ec2")
    unread: list[str] = []

    def tried(what: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # whatever hinders reading is told, and hinders nothing else
            unread.append(f"{what}: {error}")
            return None

    got: dict[str, Any] = {
        "zones": tried("zones", lambda: _zones(ec2)),
        "types": tried("instance types", lambda: _types(ec2, types)),
        "offered": tried("instance type offerings", lambda: _offered(ec2, types)),
        "names": tried("key pairs and images", lambda: _names(ec2, plan)),
        "used": tried("VPCs and addresses", lambda: _used(ec2)),
    }
    tight = [t for t, (default, _, _) in QUOTAS.items() if _wanted(plan, t) + (got["used"] or {}).get(t, 0) > default]
    quotas = tried("quotas", lambda: _quotas(clients("service-quotas"), tight)) if tight else {}
    return Offer(**got, quotas=quotas, unread=tuple(sorted(unread)))


def _wanted(plan: Plan, type_: str) -> int:
    return sum(1 for _ in plan.of(type_))


def _by(name: str, values: Iterable[str]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def _zones(ec2: Any) -> dict[str, str]:
    return {zone["ZoneName"]: zone["ZoneId"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}


def _types(ec2: Any, types: list[str]) -> dict[str, tuple[int, int]]:
    if not types:
        return {}
    return {
        one["InstanceType"]: (
            int(one["NetworkInfo"]["MaximumNetworkInterfaces"]),
            int(one["NetworkInfo"]["Ipv4AddressesPerInterface"]),
        )
        for one in pages(ec2, "describe_instance_types", "InstanceTypes", Filters=_by("instance-type", types))
    }


def _offered(ec2: Any, types: list[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {type_: set() for type_ in types}
    arguments = {"LocationType": "availability-zone", "Filters": _by("instance-type", types)}
    if types:
        for one in pages(ec2, "describe_instance_type_offerings", "InstanceTypeOfferings", **arguments):
            found.setdefault(one["InstanceType"], set()).add(one["Location"])
    return {type_: frozenset(zones) for type_, zones in found.items()}


def _names(ec2: Any, plan: Plan) -> frozenset[str]:
    """Of the key pairs and images that the plan names, those that exist."""
    wanted: dict[str, set[str]] = {what: set() for what in ASKED.values()}
    for given in plan.parameters:
        if given.type in ASKED and UNKNOWN not in given.value:
            wanted[ASKED[given.type]].add(given.value)
    keys = ec2.describe_key_pairs(Filters=_by("key-name", sorted(wanted["key pair"])))["KeyPairs"]
    ids = _by("image-id", sorted(wanted["image"]))
    images = pages(ec2, "describe_images", "Images", Filters=ids) if wanted["image"] else ()
    return frozenset([*(key["KeyName"] for key in keys), *(image["ImageId"] for image in images)])


def _used(ec2: Any) -> dict[str, int]:
    return {
        VPC: sum(1 for _ in pages(ec2, "describe_vpcs", "Vpcs")),
        EIP: sum(1 for one in pages(ec2, "describe_addresses", "Addresses") if one.get("Domain") == "vpc"),
    }


def _quotas(client: Any, types: list[str]) -> dict[str, int]:
    found = {}
    for type_ in types:
        _, service, code = QUOTAS[type_]
        found[type_] = int(client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
    return found
