"""A VPC peering connection is deleted: two VPCs no longer reach each other, whatever their route tables say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from islanding.faults._aws import Find
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, found, new_id
from islanding.faults._vpc import by, ec2, fact, only, own_tags, route_destination, tagged
from islanding.model import Site


@dataclass(frozen=True)
class PeeringDeleted(Fault):
    """`peering_id` (default: the only active one of `vpc_id`, the site's own) is deleted.

    Undoing requests and accepts a new one between the same VPCs, with the same options and tags, and leads to it each
    route of either VPC that led to the old one. Both VPCs have to be of the site's account and Region.
    """

    peering_id: str = ""
    vpc_id: str = ""

    kind = "peering-deleted"
    slow_on_aws = 120.0

    def plan(self, site: Site) -> Plan:
        raw = self._peering(site)
        id, ends = raw["VpcPeeringConnectionId"], (raw["RequesterVpcInfo"], raw["AccepterVpcInfo"])
        for end in ends:
            mine = (end.get("OwnerId", site.aws.account), end.get("Region", site.aws.region))
            if mine != (site.aws.account, site.aws.region):
                what = f"{id} leads to {end['VpcId']} of account {mine[0]} in {mine[1]}"
                raise FaultError(what, "only a peering within one account and Region can be put back")
        requester, accepter = (str(end["VpcId"]) for end in ends)
        routes = _routes(site, (requester, accepter), id)
        between = _between(requester, accepter)
        active = Find(**between, select=f"{_PEERINGS}[?Status.Code=='active'].VpcPeeringConnectionId | [0]")
        pending = Find(
            **between, select=f"{_PEERINGS}[?Status.Code=='pending-acceptance'].VpcPeeringConnectionId | [0]"
        )
        any_state = " || ".join(f"Status.Code=='{state}'" for state in _COMING)
        options = {side: _options(end) for side, end in zip(_SIDES, ends, strict=True)}
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"{id} ({requester} - {accepter})",
            summary=f"peering deleted: ec2.delete_vpc_peering_connection({id}), {len(routes)} routes lead to it",
            before={
                "requester": requester,
                "accepter": accepter,
                "tags": own_tags(raw),
                "options": options,
                "routes": routes,
            },
            apply=(
                AwsCall(
                    service="ec2",
                    operation="delete_vpc_peering_connection",
                    arguments={"VpcPeeringConnectionId": id},
                    accept=("InvalidVpcPeeringConnectionID.NotFound", _DONE),
                ),
            ),
            undo=(
                AwsCall(
                    service="ec2",
                    operation="create_vpc_peering_connection",
                    arguments={
                        "VpcId": requester,
                        "PeerVpcId": accepter,
                        **tagged("vpc-peering-connection", own_tags(raw)),
                    },
                    unless=Find(**between, select=f"{_PEERINGS}[?{any_state}].VpcPeeringConnectionId | [0]"),
                    accept=("VpcPeeringConnectionAlreadyExists",),
                ),
                AwsCall(
                    service="ec2",
                    operation="accept_vpc_peering_connection",
                    arguments={"VpcPeeringConnectionId": found("pending")},
                    find={"pending": pending},
                    when_found=True,
                    accept=(_DONE,),
                ),
                *(
                    AwsCall(
                        service="ec2",
                        operation="modify_vpc_peering_connection_options",
                        arguments={"VpcPeeringConnectionId": found("peering"), f"{side}PeeringConnectionOptions": on},
                        find={"peering": active},
                    )
                    for side, on in options.items()
                    if any(on.values())
                ),
                *(step for route in routes for step in _put_back(route, active)),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        there = _active(site, plan.before)
        return Health(not there, f"active: {there['VpcPeeringConnectionId']}" if there else "no active peering")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        before = plan.before
        there = _active(site, before)
        if not there:
            return Health(False, f"no active peering between {before['requester']} and {before['accepter']}")
        id = there["VpcPeeringConnectionId"]
        now = _routes(site, (before["requester"], before["accepter"]), id)
        missing = [f"{next(iter(r['destination'].values()))} in {r['table']}" for r in before["routes"] if r not in now]
        lost = [side for side, on in before["options"].items() if _options(there[f"{side}VpcInfo"]) != on]
        seen = [*(f"no route {one}" for one in missing), *(f"other options of the {one.lower()}" for one in lost)]
        if own_tags(there) != before["tags"]:
            seen.append("other tags")
        return Health(not seen, f"{id} active" + "".join(f"; {one}" for one in seen))

    def _peering(self, site: Site) -> dict[str, Any]:
        reply = ec2(site, "describe_vpc_peering_connections")
        active = [one for one in reply["VpcPeeringConnections"] if one["Status"]["Code"] == "active"]
        if self.peering_id:
            fit = [one for one in active if one["VpcPeeringConnectionId"] == self.peering_id]
            return only(fit, f"active peering {self.peering_id}", "VpcPeeringConnectionId", "islanding heal")
        vpc = fact(site, "vpc_id", self.vpc_id, "vpc_id")
        fit = [one for one in active if vpc in (one["RequesterVpcInfo"]["VpcId"], one["AccepterVpcInfo"]["VpcId"])]
        return only(fit, f"active peering of {vpc}", "VpcPeeringConnectionId", "give the parameter peering_id")


_DONE = "InvalidStateTransition"  # it was deleted, or accepted, by a call whose reply was lost
_SIDES = ("Requester", "Accepter")
_PEERINGS = "VpcPeeringConnections"
_COMING = ("active", "pending-acceptance", "initiating-request", "provisioning")
_OPTION = "AllowDnsResolutionFromRemoteVpc"  # the others are those of EC2-Classic


def _between(requester: str, accepter: str) -> dict[str, Any]:
    filters = by(**{"requester-vpc-info.vpc-id": requester, "accepter-vpc-info.vpc-id": accepter})
    return {"operation": "describe_vpc_peering_connections", "arguments": {"Filters": filters}}


def _active(site: Site, before: dict[str, Any]) -> dict[str, Any] | None:
    arguments = _between(before["requester"], before["accepter"])["arguments"]
    peerings = ec2(site, "describe_vpc_peering_connections", **arguments)[_PEERINGS]
    return next((one for one in peerings if one["Status"]["Code"] == "active"), None)


def _options(end: dict[str, Any]) -> dict[str, bool]:
    return {_OPTION: bool((end.get("PeeringOptions") or {}).get(_OPTION))}


def _routes(site: Site, vpcs: tuple[str, str], peering: str) -> list[dict[str, Any]]:
    tables = ec2(site, "describe_route_tables", Filters=by(vpc_id=vpcs))["RouteTables"]
    routes = [
        {"table": table["RouteTableId"], "destination": route_destination(route)}
        for table in tables
        for route in table.get("Routes") or ()
        if route.get("VpcPeeringConnectionId") == peering
    ]
    return sorted(routes, key=lambda route: (route["table"], sorted(route["destination"].items())))


def _put_back(route: dict[str, Any], active: Find) -> tuple[AwsCall, AwsCall]:
    """A route to a deleted peering stays, as a blackhole: it is led to the new one, or made where it is gone."""
    arguments = {
        "RouteTableId": route["table"],
        **route["destination"],
        "VpcPeeringConnectionId": found("peering"),
    }
    create = AwsCall(
        service="ec2",
        operation="create_route",
        arguments=arguments,
        find={"peering": active},
        accept=("RouteAlreadyExists",),
    )
    return create, create.model_copy(update={"operation": "replace_route", "accept": ()})
