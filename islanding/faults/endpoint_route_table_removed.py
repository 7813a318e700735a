"""A gateway endpoint loses route tables: the endpoint is there, and the subnets' packets no longer go to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from islanding.faults._endpoint import OnEndpoint, as_before, attributes, find_live, live, routed
from islanding.faults._fault import Health
from islanding.faults._plan import AwsCall, FaultError, Plan, found, new_id
from islanding.model import Site


@dataclass(frozen=True)
class EndpointRouteTableRemoved(OnEndpoint):
    """The association of `route_table_ids` (default: all that it has) with a gateway endpoint (default: S3's) ends."""

    service: str = "s3"
    type: Literal["Gateway"] = "Gateway"  # it has no other
    route_table_ids: tuple[str, ...] = ()

    kind = "endpoint-route-table-removed"
    slow_on_aws = 60.0

    def plan(self, site: Site) -> Plan:
        raw = self.endpoint(site)
        id, before = raw["VpcEndpointId"], attributes(raw)
        tables = list(self.route_table_ids or before["route_tables"])
        strange = sorted(set(tables) - set(before["route_tables"]))
        if strange or not tables:
            has = ", ".join(before["route_tables"]) or "no route tables"
            what = f"{id} ({before['service']}) is not associated with {', '.join(strange) or 'any route table'}"
            raise FaultError(what, f"it has {has}")
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"gateway endpoint {id} ({before['service']}) in {', '.join(tables)}",
            summary=f"route tables removed: ec2.modify_vpc_endpoint({id}, RemoveRouteTableIds={tables})",
            before={**before, "routed": routed(site, raw), "removed": tables},
            apply=(
                AwsCall(
                    service="ec2",
                    operation="modify_vpc_endpoint",
                    arguments={"VpcEndpointId": id, "RemoveRouteTableIds": tables},
                ),
            ),
            undo=tuple(
                AwsCall(
                    service="ec2",
                    operation="modify_vpc_endpoint",
                    arguments={"VpcEndpointId": found("endpoint"), "AddRouteTableIds": [table]},
                    find={"endpoint": find_live(before)},
                    unless=find_live(before, f"contains(RouteTableIds, '{table}')"),
                )
                for table in tables
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        there = live(site, plan.before)
        tables = set(there.get("RouteTableIds") or () if there else ()) & set(plan.before["removed"])
        return Health(not tables, f"{len(tables)} of {len(plan.before['removed'])} route tables are associated")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return as_before(site, {key: value for key, value in plan.before.items() if key != "removed"})
