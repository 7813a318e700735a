"""What the faults on VPC endpoints share: finding an endpoint by what it serves, and its attributes as data.

An endpoint that is put back has another id. So after planning it is known by its VPC, its service and its type.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from islanding.faults._aws import Find
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import FaultError
from islanding.faults._vpc import by, differences, ec2, fact, only, own_tags, tagged
from islanding.model import Site

# States in which an endpoint is there, or will be (EC2 API, DescribeVpcEndpoints; replies write them small).
_LIVE = ("available", "pending", "pendingacceptance", "Available", "Pending", "PendingAcceptance", "pendingAcceptance")


@dataclass(frozen=True)
class OnEndpoint(Fault):
    """A fault on one endpoint: by `service` (`ecr.dkr`, `s3`, or a whole service name), or by `endpoint_id`.

    `vpc_id` is the site's own unless given; `type` is needed only where a VPC has both kinds for one service.
    """

    service: str = ""
    endpoint_id: str = ""
    vpc_id: str = ""
    type: Literal["", "Interface", "Gateway"] = ""

    def endpoint(self, site: Site) -> dict[str, Any]:
        """The endpoint as EC2 describes it; raises FaultError when there is none or several that fit."""
        if self.endpoint_id:
            there = ec2(site, "describe_vpc_endpoints", VpcEndpointIds=[self.endpoint_id])["VpcEndpoints"]
            what = f"endpoint {self.endpoint_id}"
        elif self.service:
            vpc = fact(site, "vpc_id", self.vpc_id, "vpc_id")
            there = ec2(site, "describe_vpc_endpoints", Filters=by(vpc_id=vpc))["VpcEndpoints"]
            ends = self.service if self.service.startswith(("com.", "cn.com.", "aws.")) else f".{self.service}"
            there = [one for one in there if one["ServiceName"] in (ends, *_names(site, ends))]
            what = f"endpoint for {self.service} in {vpc}"
        else:
            raise FaultError(f"{self.kind} needs the parameter 'service' or 'endpoint_id'", "for example service: s3")
        live = [one for one in there if one["State"] in _LIVE and self.type in ("", _type(one))]
        fix = "give `endpoint_id` or `type`" if live else "if an earlier run removed it: islanding heal"
        return only(live, what, "VpcEndpointId", fix)


def attributes(raw: dict[str, Any]) -> dict[str, Any]:
    """All of an endpoint that has to come back, comparable: lists in order, the policy as data."""
    dns = raw.get("DnsOptions") or {}
    return {
        "vpc": raw["VpcId"],
        "service": raw["ServiceName"],
        "type": _type(raw),
        "subnets": sorted(raw.get("SubnetIds") or ()),
        "groups": sorted(group["GroupId"] for group in raw.get("Groups") or ()),
        "route_tables": sorted(raw.get("RouteTableIds") or ()),
        "private_dns": bool(raw.get("PrivateDnsEnabled")),
        "policy": policy_of(raw),
        "address_type": raw.get("IpAddressType") or "",
        "dns_options": {key: dns[key] for key in _DNS_OPTIONS if key in dns},
        "tags": own_tags(raw),
    }


def creation(before: dict[str, Any]) -> dict[str, Any]:
    """The arguments of create_vpc_endpoint which make an endpoint with these attributes."""
    arguments: dict[str, Any] = {
        "VpcId": before["vpc"],
        "ServiceName": before["service"],
        "VpcEndpointType": before["type"],
        **tagged("vpc-endpoint", before["tags"]),
    }
    if before["policy"]:
        arguments["PolicyDocument"] = json.dumps(before["policy"])
    if before["address_type"]:
        arguments["IpAddressType"] = before["address_type"]
    if before["dns_options"]:
        arguments["DnsOptions"] = before["dns_options"]
    if before["type"] == "Gateway":
        if before["route_tables"]:
            arguments["RouteTableIds"] = before["route_tables"]
        return arguments
    if before["groups"]:
        arguments["SecurityGroupIds"] = before["groups"]
    return {**arguments, "SubnetIds": before["subnets"], "PrivateDnsEnabled": before["private_dns"]}


def find_live(before: dict[str, Any], condition: str = "") -> Find:
    """The id of the endpoint that now does what the one with these attributes did; `condition` is JMESPath."""
    states = ", ".join(f"'{state}'" for state in _LIVE)
    tests = [
        f"ServiceName=='{before['service']}'",
        f"(VpcEndpointType || 'Gateway')=='{before['type']}'",
        f"contains([{states}], State)",
        *([condition] if condition else []),
    ]
    return Find(
        operation="describe_vpc_endpoints",
        arguments={"Filters": by(vpc_id=before["vpc"])},
        select=f"VpcEndpoints[?{' && '.join(tests)}].VpcEndpointId | [0]",
    )


def live(site: Site, before: dict[str, Any]) -> dict[str, Any] | None:
    """The endpoint that now does what the one with these attributes did, as EC2 describes it; None when there is none.

    One that is available comes before one that is not yet.
    """
    there = ec2(site, "describe_vpc_endpoints", Filters=by(vpc_id=before["vpc"]))["VpcEndpoints"]
    fit = [
        one
        for one in there
        if (one["ServiceName"], _type(one)) == (before["service"], before["type"]) and one["State"] in _LIVE
    ]
    return next(iter(sorted(fit, key=lambda one: one["State"].lower() != "available")), None)


def as_before(site: Site, before: dict[str, Any]) -> Health:
    """Whether the endpoint is available with the same attributes, and routes lead to it where they did."""
    now = live(site, before)
    if now is None:
        return Health(False, f"no endpoint for {before['service']} in {before['vpc']}")
    name = f"{now['VpcEndpointId']} ({before['service']})"
    if now["State"].lower() != "available":
        return Health(False, f"{name} is {now['State']}")
    other = differences({key: before[key] for key in attributes(now)}, attributes(now))
    if other:
        return Health(False, f"{name}: {other}")
    missing = sorted(set(before.get("routed", ())) - set(routed(site, now)))
    if missing:
        return Health(False, f"{name}: no route to it in {', '.join(missing)}")
    return Health(True, f"{name} is available as before")


def routed(site: Site, raw: dict[str, Any]) -> list[str]:
    """The route tables of this gateway endpoint that have a route to it; none for an interface endpoint."""
    associated = list(raw.get("RouteTableIds") or ())
    if _type(raw) != "Gateway" or not associated:
        return []
    tables = ec2(site, "describe_route_tables", RouteTableIds=associated)["RouteTables"]
    id = raw["VpcEndpointId"]
    return sorted(t["RouteTableId"] for t in tables if any(r.get("GatewayId") == id for r in t.get("Routes") or ()))


def policy_of(raw: dict[str, Any]) -> Any:
    """An endpoint's policy as data; "" for none."""
    policy = raw.get("PolicyDocument") or ""
    return json.loads(policy) if policy and isinstance(policy, str) else policy


def _type(raw: dict[str, Any]) -> str:
    return str(raw.get("VpcEndpointType") or "Gateway")


def _names(site: Site, ends: str) -> tuple[str, str]:
    """The service names of the site's Region that end so; China's begin otherwise."""
    return f"com.amazonaws.{site.aws.region}{ends}", f"cn.com.amazonaws.{site.aws.region}{ends}"


_DNS_OPTIONS = ("DnsRecordIpType", "PrivateDnsOnlyForInboundResolverEndpoint")
