"""What the faults on AWS networks share: reading EC2's state, and what the site's description says about its VPC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from islanding.aws import calls
from islanding.faults._aws import Find
from islanding.faults._plan import FaultError
from islanding.model import Site

TAG = "islanding:fault"  # on what a fault itself makes: its id, by which another process finds it again


def ec2(site: Site, operation: str, **arguments: Any) -> dict[str, Any]:
    """The reply of an EC2 call that reads; raises IslandingError with AWS's message."""
    return calls.call(site, "ec2", operation, arguments)


def by(**filters: str | Iterable[str]) -> list[dict[str, Any]]:
    """EC2's filters by name: `vpc_id="vpc-1"` becomes {"Name": "vpc-id", "Values": ["vpc-1"]}."""
    return [
        {"Name": name.replace("_", "-"), "Values": [values] if isinstance(values, str) else list(values)}
        for name, values in filters.items()
    ]


def by_tag(key: str, value: str) -> list[dict[str, Any]]:
    """EC2's filter on a tag's value."""
    return [{"Name": f"tag:{key}", "Values": [value]}]


def fact(site: Site, name: str, given: str, parameter: str) -> str:
    """What was `given`, else the site's fact of that name; raises FaultError naming the parameter to give."""
    if given:
        return given
    if name not in site.facts and name not in site.lacking:
        raise FaultError(f"the description of {site.name} has no {name}", f"give the parameter {parameter}")
    return site.facts[name]


def facts(site: Site, name: str, given: tuple[str, ...], parameter: str) -> tuple[str, ...]:
    """The same for several: a fact holds them with commas between."""
    return given or tuple(one.strip() for one in fact(site, name, "", parameter).split(",") if one.strip())


def only(things: list[dict[str, Any]], what: str, id_key: str, fix: str) -> dict[str, Any]:
    """The one thing there is; raises FaultError when there is none, or several, by their ids."""
    if len(things) == 1:
        return things[0]
    listed = ", ".join(str(thing[id_key]) for thing in things)
    raise FaultError(f"there are {len(things)} {what}: {listed}" if things else f"there is no {what}", fix)


def own_tags(thing: dict[str, Any]) -> list[dict[str, str]]:
    """Its tags in order, but for those that AWS alone may set (`aws:...`), and those of a fault in force."""
    tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in thing.get("Tags") or ()]
    own = (tag for tag in tags if not tag["Key"].startswith(("aws:", "islanding:fault-")))
    return sorted(own, key=lambda tag: tag["Key"])


def tagged(kind: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    """The argument by which a thing of that kind is made with these tags; nothing for no tags."""
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def once(fault: str) -> dict[str, str]:
    """The argument by which EC2 makes a thing once for the fault of that id, however often it is asked to."""
    return {"ClientToken": f"islanding-{fault}"}


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The names of what is not as before, in order, with what it is now; empty when all is."""
    return ", ".join(f"{key} is {now.get(key)!r}" for key in sorted(before) if before[key] != now.get(key))


def route_target(route: dict[str, Any]) -> dict[str, str]:
    """Where a route goes, as the argument of create_route: {"GatewayId": "igw-1"}; empty for none that can be set."""
    return next(({key: str(route[key])} for key in TARGETS if route.get(key)), {})


def route_destination(route: dict[str, Any]) -> dict[str, str]:
    """What a route is for, as the argument of create_route: {"DestinationCidrBlock": "0.0.0.0/0"}."""
    return next(({key: str(route[key])} for key in DESTINATIONS if route.get(key)), {})


def route_find(table: str, destination: dict[str, str]) -> Find:
    """Whether a table has a route to that destination, whatever its target."""
    [(key, value)] = destination.items()
    return Find(
        operation="describe_route_tables",
        arguments={"RouteTableIds": [table]},
        select=f"RouteTables[0].Routes[?{key}=='{value}']",
    )


def routes_of(site: Site, table: str) -> list[dict[str, Any]]:
    """The routes of a table; raises FaultError when there is no such table."""
    tables = ec2(site, "describe_route_tables", RouteTableIds=[table])["RouteTables"]
    return list(only(tables, f"route table {table}", "RouteTableId", "").get("Routes") or ())


# In the order in which they say more: an instance's route names its interface too.
TARGETS = (
    "VpcPeeringConnectionId",
    "NatGatewayId",
    "TransitGatewayId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "GatewayId",
)
DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
