"""The wanted network of a lab as data; script.py says which commands make it out of another one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

IFNAMSIZ = 15  # the kernel's limit for an interface name


@dataclass(frozen=True)
class Namespace:
    """A network namespace. `forward`: it routes; `silent`: it sends no ICMP errors, as nothing inside AWS does.

    `proxy`: it answers ARP at once for everything that it can route.
    """

    name: str
    forward: bool = False
    silent: bool = False
    proxy: bool = False


@dataclass(frozen=True)
class End:
    """One end of a link: namespace, interface, addresses in CIDR form, bridge that it is a port of, MAC, MTU (bytes).

    `down`: left for the machine to raise, as a hot-plugged card is.
    """

    netns: str
    interface: str
    addresses: tuple[str, ...] = ()
    bridge: str = ""
    mac: str = ""
    mtu: int = 0
    down: bool = False


@dataclass(frozen=True)
class Link:
    """A virtual Ethernet link between two namespaces."""

    a: End
    b: End


@dataclass(frozen=True)
class Sink:
    """An interface that swallows what is sent by it (a switch without ports).

    Unlike with a blackhole, a router with `proxy` answers ARP for what lies behind it.
    """

    netns: str
    name: str


@dataclass(frozen=True)
class Bridge:
    """A switch inside a namespace; its addresses are the gateway's."""

    netns: str
    name: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tunnel:
    """One end of a VXLAN tunnel: how VPC traffic crosses the service link, whose underlay address BGP announces.

    1300 bytes is what Outposts leave to instances across the service link. `home` is the namespace whose routes the
    underlay takes, when it is not the one where the end is.
    """

    netns: str
    name: str
    vni: int
    local: str
    remote: str
    address: str = ""
    mtu: int = 1300
    home: str = ""
    mac: str = ""


@dataclass(frozen=True)
class Route:
    """A static route; neither `via` nor `device` means blackhole: dropped without an answer."""

    netns: str
    destination: str
    via: str = ""
    device: str = ""
    table: int = 0
    metric: int = 0


@dataclass(frozen=True)
class Rule:
    """A policy rule: packets that arrive on `interface`, or come from `source`, look in `table`; neither means all.

    Rules are asked in the order of their `preference`; 0 means the table's number.
    """

    netns: str
    interface: str
    table: int
    source: str = ""
    preference: int = 0


@dataclass(frozen=True)
class Neighbour:
    """An address whose MAC is known for good, so that nobody asks for it by ARP."""

    netns: str
    interface: str
    address: str
    mac: str


@dataclass(frozen=True)
class Table:
    """One nftables table (family inet) by what stands inside it; a changed one is replaced in one transaction.

    `counting`: its named counters outlive the change, so its body must hold no set or map.
    """

    netns: str
    name: str
    body: str
    counting: bool = False


@dataclass(frozen=True)
class NetworkPlan:
    """Everything that the kernel is to hold for a lab, for its VPCs, or for one machine of it."""

    namespaces: tuple[Namespace, ...] = ()
    bridges: tuple[Bridge, ...] = ()
    links: tuple[Link, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    addresses: tuple[tuple[str, str, str], ...] = ()  # namespace, interface, CIDR
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    sinks: tuple[Sink, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    tables: tuple[Table, ...] = ()

    def __add__(self, other: NetworkPlan) -> NetworkPlan:
        """Both plans in one."""
        return NetworkPlan(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def joined(parts: Iterable[NetworkPlan]) -> NetworkPlan:
    """All parts in one plan, each thing once; of two routes to one destination in one table the first counts."""
    parts = list(parts)
    routes: dict[tuple[str, int, str, int], Route] = {}
    for part in parts:
        for route in part.routes:
            routes.setdefault((route.netns, route.table, route.destination, route.metric), route)
    every = {
        f.name: tuple(dict.fromkeys(x for part in parts for x in getattr(part, f.name))) for f in fields(NetworkPlan)
    }
    return NetworkPlan(**{**every, "routes": tuple(routes.values())})


def without(plan: NetworkPlan, name: str) -> NetworkPlan:
    """The plan without one namespace, its links, and what lies on their far ends."""
    ends = [end for link in plan.links if name in (link.a.netns, link.b.netns) for end in (link.a, link.b)]
    lost = {(end.netns, end.interface) for end in ends}
    return NetworkPlan(
        namespaces=tuple(n for n in plan.namespaces if n.name != name),
        bridges=tuple(b for b in plan.bridges if b.netns != name),
        links=tuple(x for x in plan.links if name not in (x.a.netns, x.b.netns)),
        tunnels=tuple(t for t in plan.tunnels if t.netns != name),
        addresses=tuple(a for a in plan.addresses if a[0] != name and a[:2] not in lost),
        routes=tuple(r for r in plan.routes if r.netns != name and (r.netns, r.device) not in lost),
        rules=tuple(r for r in plan.rules if r.netns != name),
        sinks=tuple(d for d in plan.sinks if d.netns != name),
        neighbours=tuple(n for n in plan.neighbours if n.netns != name and (n.netns, n.interface) not in lost),
        tables=tuple(t for t in plan.tables if t.netns != name),
    )
