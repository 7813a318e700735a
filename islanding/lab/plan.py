"""The wanted network of a lab as data, and the `iproute2` commands that make it: pure, tested without root."""

from __future__ import annotations

from dataclasses import dataclass, field

IFNAMSIZ = 15  # the kernel's limit for an interface name


@dataclass(frozen=True)
class Namespace:
    """A network namespace. `forward`: it routes; `silent`: it sends no ICMP errors, as nothing inside AWS does."""

    name: str
    forward: bool = False
    silent: bool = False


@dataclass(frozen=True)
class End:
    """One end of a link: namespace, interface, addresses in CIDR form, bridge that it is a port of, MAC."""

    netns: str
    interface: str
    addresses: tuple[str, ...] = ()
    bridge: str = ""
    mac: str = ""


@dataclass(frozen=True)
class Link:
    """A virtual Ethernet link between two namespaces."""

    a: End
    b: End


@dataclass(frozen=True)
class Bridge:
    """A switch inside a namespace; its addresses are the gateway's."""

    netns: str
    name: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tunnel:
    """One end of a VXLAN tunnel: how VPC traffic crosses the service link, whose underlay address BGP announces.

    1300 bytes is what Outposts leave to instances across the service link.
    """

    netns: str
    name: str
    vni: int
    local: str
    remote: str
    address: str
    mtu: int = 1300


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
    """A policy rule: packets that arrive on `interface` look in `table` first."""

    netns: str
    interface: str
    table: int


@dataclass(frozen=True)
class NetworkPlan:
    """Everything that the kernel is to hold for a lab, or for one machine of it."""

    namespaces: tuple[Namespace, ...] = ()
    bridges: tuple[Bridge, ...] = ()
    links: tuple[Link, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    addresses: tuple[tuple[str, str, str], ...] = ()  # namespace, interface, CIDR
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass
class Script:
    """What to feed to the tools: one batch that makes links, then one batch and some settings for each namespace."""

    create: list[str] = field(default_factory=list)
    inside: dict[str, list[str]] = field(default_factory=dict)
    sysctls: dict[str, list[str]] = field(default_factory=dict)
    nft: dict[str, str] = field(default_factory=dict)

    def within(self, netns: str, line: str) -> None:
        self.inside.setdefault(netns, []).append(line)


QUIET_SYSCTLS = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
ROUTER_SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
)
SILENCE = """\
table inet silence {
  chain errors {
    type filter hook output priority 0;
    icmp type destination-unreachable icmp code != frag-needed drop
    icmp type { time-exceeded, redirect } drop
  }
}
"""


def script(plan: NetworkPlan) -> Script:
    """Turn a plan into tool input; raises ValueError for a name that the kernel would refuse."""
    out = Script()
    for space in plan.namespaces:
        out.within(space.name, "link set lo up")
        out.sysctls[space.name] = [*QUIET_SYSCTLS, *(ROUTER_SYSCTLS if space.forward else ())]
        if space.silent:
            out.nft[space.name] = SILENCE
    for bridge in plan.bridges:
        _checked(bridge.name)
        out.within(bridge.netns, f"link add {bridge.name} type bridge forward_delay 0")
        out.within(bridge.netns, f"link set {bridge.name} up")
        for address in bridge.addresses:
            out.within(bridge.netns, f"addr add {address} dev {bridge.name}")
    for link in plan.links:
        out.create.append(_veth(link))
        for end in (link.a, link.b):
            _raise_end(out, end)
    for tunnel in plan.tunnels:
        _checked(tunnel.name)
        out.within(
            tunnel.netns,
            f"link add {tunnel.name} type vxlan id {tunnel.vni} local {tunnel.local} remote {tunnel.remote}"
            " dstport 4789",
        )
        out.within(tunnel.netns, f"link set {tunnel.name} mtu {tunnel.mtu} up")
        out.within(tunnel.netns, f"addr add {tunnel.address} dev {tunnel.name}")
    for netns, interface, address in plan.addresses:
        out.within(netns, f"addr add {address} dev {interface}")
    for route in plan.routes:
        out.within(route.netns, _route(route))
    for rule in plan.rules:
        out.within(rule.netns, f"rule add pref {rule.table} iif {rule.interface} lookup {rule.table}")
    return out


def _veth(link: Link) -> str:
    a, b = link.a, link.b
    mac_a = f" address {a.mac}" if a.mac else ""
    mac_b = f" address {b.mac}" if b.mac else ""
    return (
        f"link add {_checked(a.interface)} netns {a.netns}{mac_a} type veth "
        f"peer name {_checked(b.interface)} netns {b.netns}{mac_b}"
    )


def _raise_end(out: Script, end: End) -> None:
    if end.bridge:
        out.within(end.netns, f"link set {end.interface} master {end.bridge}")
    for address in end.addresses:
        out.within(end.netns, f"addr add {address} dev {end.interface}")
    out.within(end.netns, f"link set {end.interface} up")


def _route(route: Route) -> str:
    table = f" table {route.table}" if route.table else ""
    metric = f" metric {route.metric}" if route.metric else ""
    if route.via:
        device = f" dev {route.device} onlink" if route.device else ""
        return f"route add {route.destination} via {route.via}{device}{table}{metric}"
    if route.device:
        return f"route add {route.destination} dev {route.device}{table}{metric}"
    return f"route add blackhole {route.destination}{table}{metric}"


def _checked(interface: str) -> str:
    if not 0 < len(interface) <= IFNAMSIZ or interface in ("up", "down") or "/" in interface or " " in interface:
        raise ValueError(f"the kernel or iproute2 refuses an interface named {interface!r}")
    return interface
