"""A route is deleted from a route table: packets to its destination end in silence, or take a wider route."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, new_id
from islanding.faults._vpc import fact, route_destination, route_target, routes_of
from islanding.model import Site


@dataclass(frozen=True)
class RouteRemoved(Fault):
    """The route to `destination` (a CIDR or a prefix list's id) of `route_table_id` (default: the workers').

    `destination` may be left out where the table has one route that can be deleted. The local route cannot, and a
    gateway endpoint's only by its association (endpoint-route-table-removed).
    """

    destination: str = ""
    route_table_id: str = ""

    kind = "route-removed"

    def plan(self, site: Site) -> Plan:
        table = fact(site, "worker_route_table_id", self.route_table_id, "route_table_id")
        able = [
            (route_destination(route), route_target(route))
            for route in routes_of(site, table)
            if route.get("Origin", "CreateRoute") == "CreateRoute" and _can_be_made(route_target(route))
        ]
        fit = [one for one in able if self.destination in ("", *one[0].values())]
        if len(fit) != 1:
            listed = ", ".join(value for destination, _ in able for value in destination.values()) or "none"
            wanted = f" to {self.destination}" if self.destination else ""
            what = f"{table} has {len(fit) or 'no'} routes{wanted} that can be deleted"
            raise FaultError(what, f"destinations: {listed}")
        [(destination, target)] = fit
        arguments = {"RouteTableId": table, **destination}
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"{_shown(destination)} in {table}",
            summary=f"route removed: ec2.delete_route({table}, {_shown(destination)}), which went to {_shown(target)}",
            before={"table": table, "destination": destination, "target": target},
            apply=(
                AwsCall(
                    service="ec2", operation="delete_route", arguments=arguments, accept=("InvalidRoute.NotFound",)
                ),
            ),
            undo=(
                AwsCall(
                    service="ec2",
                    operation="create_route",
                    arguments={**arguments, **target},
                    accept=("RouteAlreadyExists",),
                ),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        now = _target(site, plan)
        return Health(now is None, f"{plan.target}: {'no route' if now is None else 'routed'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        now, target = _target(site, plan), plan.before["target"]
        seen = "no route" if now is None else f"routed to {_shown(now)}"
        return Health(now == target, f"{plan.target}: {seen}")


def _target(site: Site, plan: Plan) -> dict[str, str] | None:
    for route in routes_of(site, plan.before["table"]):
        if route_destination(route) == plan.before["destination"]:
            return route_target(route)
    return None


def _can_be_made(target: dict[str, str]) -> bool:
    return bool(target) and not target.get("GatewayId", "").startswith(("local", "vpce-"))


def _shown(argument: dict[str, str]) -> str:
    return next(iter(argument.values()), "nothing")
