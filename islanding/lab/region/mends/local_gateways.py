"""Routes to an Outpost's local gateway, which moto takes for routes to nothing ("Local gateway route tables")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moto.ec2.responses.route_tables import RouteTables

from islanding.lab.region.mends.patching import mend


@dataclass(frozen=True)
class _LocalGateway:
    """A local gateway is known by its id alone: it is the Outpost's, and not a thing of the account's."""

    id: str


def _lead(self: Any, gateway: str) -> None:
    table = self.ec2_backend.get_route_table(self._get_param("RouteTableId"))
    wanted = self._get_param("DestinationCidrBlock")
    for route in list(table.routes):
        if route.destination_cidr_block == wanted:
            route.gateway = _LocalGateway(gateway)


@mend(RouteTables, "create_route")
def create_route(theirs: Any, self: Any) -> Any:
    """As moto does, and then by the local gateway."""
    answer = theirs(self)
    if gateway := self._get_param("LocalGatewayId"):
        _lead(self, str(gateway))
    return answer
