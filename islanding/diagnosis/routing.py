"""Routes from an instance: local, gateway endpoint, peering, internet; and why there is none. Pure and total."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network

from islanding.aws.view import Endpoint, Instance, Interface, RouteTable, View, Vpc
from islanding.diagnosis.flow import ANYWHERE, Finding, address_of, best_route, network, peer_of
from islanding.diagnosis.hops import Blame, Status
from islanding.diagnosis.resolve import Resolution, gateway_for
from islanding.diagnosis.targets import Target


@dataclass(frozen=True)
class Start:
    """Where a path begins: an instance, its network interface, and the VPC and route table that serve it."""

    view: View
    machine: Instance
    source: Interface
    vpc: Vpc
    table: RouteTable | None


def gap(view: View, operation: str) -> bool:
    """Whether a read operation was denied or failed, so that absence proves nothing."""
    return any(operation in said for said in view.gaps)


def literal(start: Start, found: Resolution) -> Interface | None:
    """The interface of ours that an address as given belongs to, in this VPC or one that is peered with it."""
    view, vpc = start.view, start.vpc.id
    peers = [peer_of(view, p.id, vpc)[1] for p in view.peerings if vpc in (p.requester, p.accepter)]
    return view.interface_at(found.literal, (vpc, *peers)) if found.literal else None


def public_network(view: View, target: Target, found: Resolution) -> IPv4Network:
    """What stands for the target's addresses: the one given, AWS's published list, or anywhere."""
    if found.literal:
        return network(found.literal) or ANYWHERE
    named = f"com.amazonaws.{view.region}.{target.service}"
    blocks = [block for p in view.prefix_lists if p.name == named for c in p.cidrs if (block := network(c))]
    return blocks[0] if blocks else ANYWHERE


def routed(
    start: Start, target: Target, found: Resolution, far: Interface | None, to: IPv4Network
) -> tuple[Finding, Finding, Endpoint | None]:
    """Address and route, which explain each other, and the endpoint that the path goes through."""
    view, vpc, table = start.view, start.vpc, start.table
    if table is None:
        return found.address, Finding(Status.UNKNOWN, "the subnet's route table is not in the view"), found.endpoint
    gateways = [] if far else gateway_for(view, vpc.id, target)
    using = next((e for e in gateways if table.id in e.route_tables and e.state == "available"), None)
    if using is not None:
        return _settled(found.address), Finding(Status.OK, f"{table.id} leads to {using.id}"), using
    route = _route(start, table, far, to)
    if route.status is not Status.FAILS or far is not None:
        return _settled(found.address), route, found.endpoint
    if found.address.blame is not None:  # an endpoint is there, and does not answer for the name
        detail = f"{found.address.detail}; {route.detail}"
        return Finding(Status.FAILS, detail, found.address.blame), route, None
    if best_route(view, table, to) is not None:  # a way out is meant, and broken
        return found.address, route, None
    return found.address, _missing(start, table, target, gateways, route), None


def _settled(address: Finding) -> Finding:
    """A public address is no trouble where there is a way to it."""
    return Finding(Status.OK, address.detail) if address.blame is not None else address


def _missing(start: Start, table: RouteTable, target: Target, gateways: list[Endpoint], route: Finding) -> Finding:
    """Why there is no way to a public address: the endpoint that should carry it, or the missing way out itself."""
    for endpoint in gateways:
        what = (
            f"its state is {endpoint.state}"
            if endpoint.state != "available"
            else f"it is not associated with route table {table.id}"
        )
        return Finding(Status.FAILS, f"{endpoint.id}: {what}", Blame("VPC endpoint", endpoint.id, endpoint.name, what))
    if not target.is_aws:
        return route
    view = start.view
    if gap(view, "describe_vpc_endpoints"):
        return Finding(Status.UNKNOWN, f"{route.detail}; endpoints could not be listed")
    service = f"com.amazonaws.{view.region}.{target.service}"
    what = f"{service} in {start.vpc.id}"
    return Finding(Status.FAILS, f"{route.detail}, and no endpoint of {service}", Blame("VPC endpoint", what=what))


def _route(start: Start, table: RouteTable, far: Interface | None, to: IPv4Network) -> Finding:
    def broken(what: str) -> Finding:
        return Finding(Status.FAILS, f"{table.id}: {what}", Blame("route table", table.id, table.name, what))

    route = best_route(start.view, table, to)
    if route is None:
        return broken(f"no route to {'public addresses' if to == ANYWHERE else to}")
    if route.state == "blackhole":
        return broken(f"the route to {route.destination} by {route.target} is a blackhole")
    said = f"{table.id}: {route.destination} by {route.target}"
    behind: dict[str, Callable[[], Finding]] = {
        "local": lambda: Finding(Status.OK, said),
        "pcx": lambda: _peering(start, route.target, far, said),
        "igw": lambda: _internet(start, route.target, said),
        "nat": lambda: _nat(start.view, route.target, said),
    }
    unknown = Finding(Status.UNKNOWN, f"{said}: what lies behind it is not in the view")
    return behind.get(route.target.partition("-")[0], lambda: unknown)()


def _nat(view: View, gateway: str, said: str) -> Finding:
    nat = next((n for n in view.nat_gateways if n.id == gateway), None)
    if nat is None or nat.state != "available":
        what = f"its state is {nat.state}" if nat else "it does not exist"
        return Finding(Status.FAILS, f"{said}: {what}", Blame("NAT gateway", gateway, what=what))
    return Finding(Status.OK, said)


def _internet(start: Start, gateway: str, said: str) -> Finding:
    vpc, source = start.vpc, start.source
    if not any(g.id == gateway and g.vpc == vpc.id for g in start.view.internet_gateways):
        what = f"it is not attached to {vpc.id}"
        return Finding(Status.FAILS, f"{said}: {what}", Blame("internet gateway", gateway, what=what))
    if not source.public:
        what = "it has no public address, so the internet gateway does not carry its packets"
        return Finding(Status.FAILS, f"{said}: {source.id}: {what}", Blame("network interface", source.id, what=what))
    return Finding(Status.OK, said)


def _peering(start: Start, peering: str, far: Interface | None, said: str) -> Finding:
    view, vpc, source = start.view, start.vpc, start.source
    found, other = peer_of(view, peering, vpc.id)
    if found is None or found.status != "active":
        what = f"its status is {found.status}" if found else "it does not exist"
        return Finding(Status.FAILS, f"{said}: {what}", Blame("peering", peering, found.name if found else "", what))
    if far is None or far.vpc != other:
        what = f"it gives no way through {other}: peering is not transitive"
        return Finding(Status.FAILS, f"{said}: {what}", Blame("peering", peering, found.name, what))
    subnet = view.subnet(far.subnet)
    back = view.table_of(subnet) if subnet else None
    if back is None:
        return Finding(Status.UNKNOWN, f"{said}; the way back is not in the view")
    reply = best_route(view, back, address_of(source))
    if reply is None or reply.target != peering or reply.state == "blackhole":
        what = f"no route back to {address_of(source)} by {peering}"
        return Finding(Status.FAILS, f"{back.id}: {what}", Blame("route table", back.id, back.name, what))
    return Finding(Status.OK, f"{said}, and back by {back.id}")
