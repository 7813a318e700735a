"""The commands that turn one wanted network into another: pure, so that tests can read and play them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from islanding.lab.plan import IFNAMSIZ, End, Link, Namespace, NetworkPlan, Route, Rule, Table, Tunnel

QUIET_SYSCTLS = (
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv6.conf.default.disable_ipv6=1",
    "net.ipv4.conf.all.rp_filter=0",  # whatever the machine underneath has
    "net.ipv4.conf.default.rp_filter=0",
)
ROUTER_SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
)
PROXY_SYSCTLS = ("net.ipv4.conf.all.proxy_arp=1", "net.ipv4.conf.default.proxy_arp=1")
NO_SILENCE = """\
table inet silence
delete table inet silence
"""
SILENCE = (
    NO_SILENCE
    + """\
table inet silence {
  chain errors {
    type filter hook output priority 0;
    icmp type destination-unreachable icmp code != frag-needed drop
    icmp type { time-exceeded, redirect } drop
  }
}
"""
)


T = TypeVar("T")


@dataclass
class Script:
    """What to feed to the tools, in this order; each step is one process, or one for each namespace.

    `remove` takes things away inside namespaces, `delete` and `add` are whole namespaces, `create` makes links, `send`
    makes in one namespace what goes to another, and `inside` makes the rest; `nft` may go beside it.
    """

    remove: dict[str, list[str]] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    add: list[str] = field(default_factory=list)
    send: dict[str, list[str]] = field(default_factory=dict)
    sysctls: dict[str, list[str]] = field(default_factory=dict)
    create: list[str] = field(default_factory=list)
    inside: dict[str, list[str]] = field(default_factory=dict)
    nft: dict[str, str] = field(default_factory=dict)

    def within(self, netns: str, line: str) -> None:
        self.inside.setdefault(netns, []).append(line)

    def without(self, netns: str, line: str) -> None:
        self.remove.setdefault(netns, []).append(line)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return any((self.remove, self.delete, self.add, self.sysctls, self.create, self.send, self.inside, self.nft))


def script(plan: NetworkPlan) -> Script:
    """What makes a plan from nothing; raises ValueError for a name that the kernel would refuse."""
    return changes(plan, NetworkPlan())


def changes(new: NetworkPlan, old: NetworkPlan) -> Script:
    """What makes the kernel hold `new` when it holds `old`; raises ValueError for a name that it would refuse.

    What disappears with something else (routes of a link, links of a namespace) is not taken away by itself, and what
    is still wanted of it is made again.
    """
    out = Script()
    lost = _Lost(new, old)
    _namespaces(out, new, old)
    for netns, interface in lost.deletions:
        out.without(netns, f"link del {interface}")
    _interfaces(out, new, old, lost)
    _addresses(out, new, old, lost)
    _ways(out, new, old, lost)
    _tables(out, new, old, lost)
    return out


class _Lost:
    """What the kernel loses when links and namespaces of `old` that `new` has no more are taken away."""

    def __init__(self, new: NetworkPlan, old: NetworkPlan) -> None:
        before, after = {n.name: n for n in old.namespaces}, {n.name for n in new.namespaces}
        self.dead = before.keys() - after
        self.interfaces: set[tuple[str, str]] = set()
        self.touched: set[tuple[str, str]] = set()  # interfaces that lose an address: the kernel drops routes with it
        self.deletions: list[tuple[str, str]] = []
        kept_bridges = set(new.bridges)
        for bridge in old.bridges:
            if bridge not in kept_bridges:
                self._lose(bridge.netns, bridge.name)
        for sink in set(old.sinks) - set(new.sinks):
            self._lose(sink.netns, sink.name)
        for tunnel in old.tunnels:
            if tunnel not in new.tunnels or tunnel.netns in self.dead:
                self._lose(tunnel.netns, tunnel.name)
                if tunnel.home and tunnel.netns in self.dead:
                    # A namespace goes in the background, and its tunnel's number is taken at home until then.
                    self.deletions.append((tunnel.netns, tunnel.name))
        kept_links = set(new.links)
        for link in old.links:
            ends = (link.a, link.b)
            port = any((end.netns, end.bridge) in self.interfaces for end in ends if end.bridge)
            if link not in kept_links or port or any(end.netns in self.dead for end in ends):
                self._lose_link(link)

    def _lose(self, netns: str, name: str) -> None:
        self.interfaces.add((netns, name))
        if netns not in self.dead:
            self.deletions.append((netns, name))

    def _lose_link(self, link: Link) -> None:
        # By itself and first: a namespace goes in the background, long after its name.
        self.interfaces |= {(end.netns, end.interface) for end in (link.a, link.b)}
        alive = next((end for end in (link.a, link.b) if end.netns not in self.dead), link.a)
        self.deletions.append((alive.netns, alive.interface))

    def has_namespace(self, netns: str) -> bool:
        return netns not in self.dead

    def has(self, netns: str, interface: str) -> bool:
        """Whether what lay on that interface (of none, when it is empty) is there after the deletions."""
        return netns not in self.dead and not {(netns, interface)} & (self.interfaces | self.touched)

    def doubts(self, route: Route) -> bool:
        """Whether a route whose device the kernel chose may be gone with one."""
        chosen = route.via and not route.device
        return bool(chosen) and any(route.netns == netns for netns, _ in (*self.interfaces, *self.touched))


def _namespaces(out: Script, new: NetworkPlan, old: NetworkPlan) -> None:
    before: dict[str, Namespace] = {n.name: n for n in old.namespaces}
    after = {n.name: n for n in new.namespaces}
    out.delete = [name for name in before if name not in after]
    out.add = [name for name in after if name not in before]
    for name, space in after.items():
        if before.get(name) == space:
            continue
        out.within(name, "link set lo up")
        out.sysctls[name] = [*QUIET_SYSCTLS, *(ROUTER_SYSCTLS if space.forward else ())]
        out.sysctls[name] += PROXY_SYSCTLS if space.proxy else ()
        if space.silent:
            out.nft[name] = SILENCE
        elif name in before and before[name].silent:
            out.nft[name] = NO_SILENCE


def _interfaces(out: Script, new: NetworkPlan, old: NetworkPlan, lost: _Lost) -> None:
    for sink in _fresh(new.sinks, (d for d in old.sinks if (d.netns, d.name) not in lost.interfaces)):
        out.within(sink.netns, f"link add {_checked(sink.name)} type bridge")
        out.within(sink.netns, f"link set {sink.name} arp off up")
    for bridge in _fresh(new.bridges, (b for b in old.bridges if (b.netns, b.name) not in lost.interfaces)):
        _checked(bridge.name)
        out.within(bridge.netns, f"link add {bridge.name} type bridge forward_delay 0")
        out.within(bridge.netns, f"link set {bridge.name} up")
        for address in bridge.addresses:
            out.within(bridge.netns, f"addr add {address} dev {bridge.name}")
    proxies = {space.name for space in new.namespaces if space.proxy}
    for link in _fresh(new.links, (x for x in old.links if (x.a.netns, x.a.interface) not in lost.interfaces)):
        out.create.append(_veth(link))
        for end in (link.a, link.b):
            _raise_end(out, end, proxy=end.netns in proxies)
    for tunnel in _fresh(new.tunnels, (t for t in old.tunnels if (t.netns, t.name) not in lost.interfaces)):
        _tunnel(out, tunnel)


def _addresses(out: Script, new: NetworkPlan, old: NetworkPlan, lost: _Lost) -> None:
    kept = [a for a in old.addresses if lost.has(a[0], a[1])]
    for netns, interface, address in _gone(new.addresses, kept):
        out.without(netns, f"addr del {address} dev {interface}")
        lost.touched.add((netns, interface))
    for netns, interface, address in _fresh(new.addresses, kept):
        out.within(netns, f"addr add {address} dev {interface}")


def _ways(out: Script, new: NetworkPlan, old: NetworkPlan, lost: _Lost) -> None:
    neighbours = [n for n in old.neighbours if lost.has(n.netns, n.interface)]
    for neighbour in _gone(new.neighbours, neighbours):
        out.without(neighbour.netns, f"neigh del {neighbour.address} dev {neighbour.interface}")
    for neighbour in _fresh(new.neighbours, neighbours):
        line = f"neigh replace {neighbour.address} lladdr {neighbour.mac} nud permanent dev {neighbour.interface}"
        out.within(neighbour.netns, line)
    routes = [r for r in old.routes if lost.has(r.netns, r.device)]
    for route in _gone(new.routes, routes):
        out.without(route.netns, f"route del {_route(route)}")
    for route in _fresh(new.routes, (r for r in routes if not lost.doubts(r))):
        out.within(route.netns, f"route replace {_route(route)}")
    for rule in _gone(new.rules, (r for r in old.rules if lost.has_namespace(r.netns))):
        out.without(rule.netns, f"rule del {_rule(rule)}")
    for rule in _fresh(new.rules, (r for r in old.rules if lost.has_namespace(r.netns))):
        out.within(rule.netns, f"rule add {_rule(rule)}")


def _tables(out: Script, new: NetworkPlan, old: NetworkPlan, lost: _Lost) -> None:
    kept = [t for t in old.tables if lost.has_namespace(t.netns)]
    wanted = {(t.netns, t.name) for t in new.tables}
    for table in kept:
        if (table.netns, table.name) not in wanted:
            named = f"table inet {table.name}"
            out.nft[table.netns] = f"{out.nft.get(table.netns, '')}{named}\ndelete {named}\n"
    for table in _fresh(new.tables, kept):
        out.nft[table.netns] = out.nft.get(table.netns, "") + table_text(table)


def table_text(table: Table) -> str:
    """The transaction that puts a table in its place, whether it is there already or not."""
    named = f"table inet {table.name}"
    forget = "flush" if table.counting else "delete"
    return f"{named}\n{forget} {named}\n{named} {{\n{table.body}}}\n"


def _fresh(new: Iterable[T], kept: Iterable[T]) -> list[T]:
    """What is new, in its own order, each thing once."""
    there = set(kept)
    return [item for item in dict.fromkeys(new) if item not in there]


def _gone(new: Iterable[T], kept: Iterable[T]) -> list[T]:
    return _fresh(kept, new)


def _veth(link: Link) -> str:
    a, b = link.a, link.b
    return (
        f"link add {_checked(a.interface)}{_mtu(a)} netns {a.netns}{_mac(a)} type veth "
        f"peer name {_checked(b.interface)}{_mtu(b)} netns {b.netns}{_mac(b)}"
    )


def _mac(end: End) -> str:
    return f" address {end.mac}" if end.mac else ""


def _mtu(end: End) -> str:
    return f" mtu {end.mtu}" if end.mtu else ""


def _raise_end(out: Script, end: End, *, proxy: bool) -> None:
    if end.bridge:
        out.within(end.netns, f"link set {end.interface} master {end.bridge}")
    for address in end.addresses:
        out.within(end.netns, f"addr add {address} dev {end.interface}")
    for line in _up(end, proxy=proxy):
        out.within(end.netns, line)


def _up(end: End, *, proxy: bool) -> list[str]:
    # The kernel's own delay is up to 0.8 s, and no sysctl changes it outside the first namespace.
    delay = [f"ntable change name arp_cache dev {end.interface} proxy_delay 0"] if proxy else []
    return [*([] if end.down else [f"link set {end.interface} up"]), *delay]


def raising(plan: NetworkPlan) -> list[tuple[str, str]]:
    """The lines, with their namespaces, that raise all links of a plan: said twice they do no harm."""
    proxies = {space.name for space in plan.namespaces if space.proxy}
    ends = [end for link in plan.links for end in (link.a, link.b)]
    return [(end.netns, line) for end in ends for line in _up(end, proxy=end.netns in proxies)]


def _tunnel(out: Script, tunnel: Tunnel) -> None:
    kind = f"type vxlan id {tunnel.vni} local {tunnel.local} remote {tunnel.remote} dstport 4789"
    mac = f" address {tunnel.mac}" if tunnel.mac else ""
    if tunnel.home:
        line = f"link add {_checked(tunnel.name)} netns {tunnel.netns}{mac} {kind}"
        out.send.setdefault(tunnel.home, []).append(line)
    else:
        out.within(tunnel.netns, f"link add {_checked(tunnel.name)}{mac} {kind}")
    out.within(tunnel.netns, f"link set {tunnel.name} mtu {tunnel.mtu} up")
    if tunnel.address:
        out.within(tunnel.netns, f"addr add {tunnel.address} dev {tunnel.name}")


def _route(route: Route) -> str:
    table = f" table {route.table}" if route.table else ""
    metric = f" metric {route.metric}" if route.metric else ""
    if route.via:
        device = f" dev {route.device} onlink" if route.device else ""
        return f"{route.destination} via {route.via}{device}{table}{metric}"
    if route.device:
        return f"{route.destination} dev {route.device}{table}{metric}"
    return f"blackhole {route.destination}{table}{metric}"


def _rule(rule: Rule) -> str:
    interface = f" iif {rule.interface}" if rule.interface else ""
    source = f" from {rule.source}" if rule.source else ""
    return f"pref {rule.preference or rule.table}{source}{interface} lookup {rule.table}"


def _checked(interface: str) -> str:
    if not 0 < len(interface) <= IFNAMSIZ or interface in ("up", "down") or "/" in interface or " " in interface:
        raise ValueError(f"the kernel or iproute2 refuses an interface named {interface!r}")
    return interface
