"""What of a plan the kernel really holds: asked after a change that failed half way, so that nothing is purged."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from islanding.lab import kernel
from islanding.lab.namespaces import NETNS
from islanding.lab.plan import End, Link, NetworkPlan, Route, Rule, Sink, Table
from islanding.lab.script import Script, changes, raising

_MAIN = "main"


@dataclass
class _Seen:
    """One namespace as iproute2 shows it."""

    links: dict[str, dict[str, Any]] = field(default_factory=dict)
    addresses: set[tuple[str, str]] = field(default_factory=set)
    routes: set[tuple[str, str, str, str, int]] = field(default_factory=set)
    rules: set[tuple[int, str, str, str]] = field(default_factory=set)
    neighbours: set[tuple[str, str, str]] = field(default_factory=set)


def repair(wanted: NetworkPlan, before: NetworkPlan) -> Script:
    """What makes the kernel hold `wanted` when it may hold anything between that and `before`.

    Filters are always put in place again. Raises CommandFailed when a namespace cannot be looked into.
    """
    known = wanted + before
    seen = _look_at(known)
    todo = changes(wanted, _observed(known, seen))
    for netns, line in raising(wanted):
        words = line.split()
        link = seen[netns].links.get(words[2] if words[0] == "link" else words[5])
        if link is not None and ("UP" not in link.get("flags", ()) or words[0] != "link"):
            todo.inside.setdefault(netns, []).insert(0, line)
    return todo


def observed(known: NetworkPlan) -> NetworkPlan:
    """What is there of everything in `known`; half a link is shown as an interface that nobody wants.

    Filters are shown as there but different, so that whoever compares puts them in place again.
    """
    return _observed(known, _look_at(known))


def _look_at(known: NetworkPlan) -> dict[str, _Seen]:
    there = {path.name for path in NETNS.iterdir()} if NETNS.exists() else set()
    names = list(dict.fromkeys(n.name for n in known.namespaces if n.name in there))
    with ThreadPoolExecutor(max_workers=4) as pool:
        return defaultdict(_Seen, zip(names, pool.map(_look, names), strict=True))


def _observed(known: NetworkPlan, seen: dict[str, _Seen]) -> NetworkPlan:
    there = {name for name, found in seen.items() if found.links}
    links = tuple(link for link in known.links if _whole(link, seen))
    whole = {(end.netns, end.interface) for link in links for end in (link.a, link.b)}
    half = {(end.netns, end.interface) for link in known.links for end in (link.a, link.b)} - whole
    strays = tuple(Sink(netns, name) for netns, name in sorted(half) if name in seen[netns].links)
    return NetworkPlan(
        namespaces=tuple(replace(n, forward=not n.forward) for n in known.namespaces if n.name in there),
        bridges=tuple(b for b in known.bridges if b.name in seen[b.netns].links),
        links=links,
        tunnels=tuple(t for t in known.tunnels if t.name in seen[t.netns].links),
        addresses=tuple((n, i, a) for n, i, a in known.addresses if (i, a) in seen[n].addresses),
        routes=tuple(r for r in known.routes if _route(r) in seen[r.netns].routes),
        rules=tuple(r for r in known.rules if _rule(r) in seen[r.netns].rules),
        sinks=(*(d for d in known.sinks if d.name in seen[d.netns].links), *strays),
        neighbours=tuple(n for n in known.neighbours if (n.interface, n.address, n.mac) in seen[n.netns].neighbours),
        tables=tuple(Table(t.netns, t.name, "", t.counting) for t in known.tables if t.netns in there),
    )


def _look(netns: str) -> _Seen:
    seen = _Seen()
    for link in kernel.show(netns, "addr"):
        name = link["ifname"]
        seen.links[name] = link
        seen.addresses |= {(name, f"{a['local']}/{a['prefixlen']}") for a in link.get("addr_info", ()) if "local" in a}
    for route in kernel.show(netns, "route", "show", "table", "all"):
        table = str(route.get("table", _MAIN))
        gateway, device = route.get("gateway", ""), route.get("dev", "")
        if route.get("type") == "blackhole":
            gateway, device = "", ""
        seen.routes.add((route["dst"], gateway, device, table, int(route.get("metric", 0))))
    for rule in kernel.show(netns, "rule"):
        source = rule.get("src", "all")
        if "srclen" in rule:
            source = f"{source}/{rule['srclen']}"
        seen.rules.add((int(rule["priority"]), source, rule.get("iif", ""), str(rule.get("table", ""))))
    for neighbour in kernel.show(netns, "neigh", "show", "nud", "permanent"):
        seen.neighbours.add((neighbour["dev"], neighbour["dst"], neighbour.get("lladdr", "")))
    return seen


def _whole(link: Link, seen: dict[str, _Seen]) -> bool:
    a, b = (seen[end.netns].links.get(end.interface) for end in (link.a, link.b))
    if a is None or b is None or not _as_wanted(link.a, a) or not _as_wanted(link.b, b):
        return False
    return a.get("link_index") == b.get("ifindex") and b.get("link_index") == a.get("ifindex")


def _as_wanted(end: End, there: dict[str, Any]) -> bool:
    return end.mac in ("", there.get("address"))


def _route(route: Route) -> tuple[str, str, str, str, int]:
    destination = "default" if route.destination == "0.0.0.0/0" else route.destination.removesuffix("/32")
    table = str(route.table) if route.table else _MAIN
    return (destination, route.via, route.device, table, route.metric)


def _rule(rule: Rule) -> tuple[int, str, str, str]:
    return (rule.preference or rule.table, rule.source or "all", rule.interface, str(rule.table))
