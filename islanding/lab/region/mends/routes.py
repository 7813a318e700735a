"""Routes: those to what is gone are blackholes, and what AWS would not route is refused.

moto says `active` of every route. VPC guide, "Route tables": a route whose target is deleted or detached is a
blackhole; wording of errors from AWS (memory).
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.route_tables import Route, RouteBackend, RouteTable

from islanding.lab.region.mends.patching import ec2_error, locked, mend, mend_property


def leads_nowhere(backend: Any, route: Any) -> bool:
    """Whether the target of a route is gone, or does not forward."""
    if route.gateway is not None:
        return _gateway_gone(backend, route.gateway, route.route_table.vpc_id)
    if route.vpc_pcx is not None:
        return str(route.vpc_pcx.status["Code"]) != "active"
    if route.nat_gateway is not None:
        return str(route.nat_gateway.state) != "available"
    if route.interface is not None:
        return route.interface.id not in backend.enis or route.interface.instance is None
    return route.instance is not None and route.instance.state != "running"


def _gateway_gone(backend: Any, gateway: Any, vpc: str) -> bool:
    kind = str(gateway.id).split("-")[0]
    if kind == "igw":
        return gateway.id not in backend.internet_gateways or gateway.vpc is None or gateway.vpc.id != vpc
    if kind == "vgw":
        attachment = gateway.attachments.get(vpc)
        return gateway.id not in backend.vpn_gateways or attachment is None or attachment.state != "attached"
    return kind == "vpce" and gateway.id not in backend.vpc_end_points


@mend_property(Route, "state")
def _state(self: Any) -> str:
    return "blackhole" if leads_nowhere(self.route_table.ec2_backend, self) else "active"


@mend(RouteTable, "get_filter_value")
def _filter_value(theirs: Any, self: Any, filter_name: str, method_name: str | None = None) -> Any:
    if filter_name == "route.state":
        return [route.state for route in self.routes]
    if filter_name == "association.main":  # not of AWS's own making: the API takes true and false
        return str(self.main_association_id is not None).lower()
    return theirs(self, filter_name, method_name)


@mend(RouteBackend, "create_route")
@locked
def _create(theirs: Any, self: Any, route_table_id: str, destination: Any, *args: Any, **kwargs: Any) -> Any:
    gateway = str(kwargs.get("gateway_id") or "")
    if gateway.startswith("igw-"):
        igw, table = self.get_internet_gateway(gateway), self.get_route_table(route_table_id)
        if igw.vpc is None or igw.vpc.id != table.vpc_id:
            raise ec2_error(
                "InvalidParameterValue",
                f"route table {route_table_id} and network gateway {gateway} belong to different networks",
            )
    if (nat := kwargs.get("nat_gateway_id")) and nat not in self.nat_gateways:
        raise ec2_error("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat}' does not exist")
    return theirs(self, route_table_id, destination, *args, **kwargs)


@mend(RouteBackend, "associate_route_table")
@locked
def _associate(
    theirs: Any, self: Any, route_table_id: str, gateway_id: str | None = None, subnet_id: str | None = None
) -> Any:
    table = self.get_route_table(route_table_id)
    if subnet_id:
        if self.get_subnet(subnet_id).vpc_id != table.vpc_id:
            raise ec2_error(
                "InvalidParameterValue",
                f"route table {route_table_id} and subnet {subnet_id} belong to different networks",
            )
        for other in list(self.route_tables.values()):
            if other.id != route_table_id and subnet_id in other._associations.values():
                raise ec2_error(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {route_table_id} conflicts with an existing"
                    " association",
                )
    return theirs(self, route_table_id, gateway_id, subnet_id)
