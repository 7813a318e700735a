"""FRR: its shell's configuration lines, and the Linux machine below it for interfaces and packet filters."""

from __future__ import annotations

import json
from typing import Any

from islanding.routers import nft
from islanding.routers.driver import Ask, Change, End, Hop, Lines, Neighbor, RouterError, Shell

_PUT_BACK_BY_OTHERS = {"kernel", "bgp", "zebra", "ra", "redirect"}  # the kernel's own, and routing daemons' routes


class Frr:
    """An FRR router on Linux; commands of `ask` that begin with `show` go to its shell, others to the machine."""

    kind = "frr"
    reverts = False

    def neighbor(self, ask: Ask, end: End) -> Neighbor:
        """From `show bgp neighbors X json`."""
        shown = _object(ask, f"show bgp neighbors {end.neighbor} json").get(end.neighbor)
        if not isinstance(shown, dict):
            return Neighbor("")
        families = shown.get("addressFamilyInfo") or {}
        listed = (families.get(f"{_family(end)}Unicast") or {}).get("incomingUpdatePrefixFilterList")
        return Neighbor(
            state=str(shown.get("bgpState", "")),
            shut=bool(shown.get("adminShutDown")),
            local=str(shown.get("hostLocal", "")),
            inbound=(str(listed),) if listed else (),
        )

    def hops(self, ask: Ask, *, ipv6: bool) -> list[Hop]:
        """From `show ip route bgp json`: the hops that the kernel has."""
        routes = _object(ask, f"show {'ipv6' if ipv6 else 'ip'} route bgp json")
        return [
            Hop(prefix, str(hop.get("ip", "")), str(hop.get("interfaceName", "")))
            for prefix, entries in routes.items()
            for entry in entries
            for hop in entry.get("nexthops", [])
            if hop.get("fib")
        ]

    def interface_is_up(self, ask: Ask, interface: str) -> bool:
        """By the link's flags."""
        return "UP" in _links(ask, "link", "show", "dev", interface)[0]["flags"]

    def is_dropping(self, ask: Ask, end: End, id: str) -> bool:
        """By the table's name; nft that cannot be asked is an error, no proof of absence."""
        return nft.table_name(id) in ask("nft list tables").split()

    def shut(self, ask: Ask, end: End, id: str, why: str) -> Change:
        """`neighbor X shutdown message ...`: at most 128 bytes of it reach the neighbor."""
        bgp, peer = f"router bgp {end.asn}", f"neighbor {end.neighbor}"
        return Change(
            said=f"`{peer} shutdown`",
            apply=(Lines(("configure terminal", bgp, f"{peer} shutdown message {why}")),),
            undo=(Lines(("configure terminal", bgp, f"no {peer} shutdown")),),
        )

    def withdraw(self, ask: Ask, end: End, id: str, prefixes: tuple[str, ...]) -> Change:
        """An inbound prefix list of our own, in place of the one that is there when all is withdrawn."""
        inbound = self.neighbor(ask, end).inbound
        if inbound and prefixes:
            raise has_filter(end, inbound[0])
        name, words = f"islanding-{id}", "ipv6" if end.is_ipv6 else "ip"
        denials = [f"{words} prefix-list {name} seq {5 + n} deny {p}" for n, p in enumerate(prefixes or ("any",))]
        permit = [f"{words} prefix-list {name} seq 100000 permit any"] if prefixes else []
        enter = ("configure terminal", f"router bgp {end.asn}", f"address-family {_family(end)} unicast")
        peer = f"neighbor {end.neighbor} prefix-list"
        back = f"{peer} {inbound[0]} in" if inbound else f"no {peer} {name} in"
        return Change(
            said=f"`{peer} {name} in`",
            apply=(Lines(("configure terminal", *denials, *permit)), Lines((*enter, f"{peer} {name} in"))),
            undo=(Lines((*enter, back)), Lines(("configure terminal", f"no {words} prefix-list {name}"))),
        )

    def interface_down(self, ask: Ask, end: End) -> Change:
        """`ip link set X down`; the inverse also puts back what the kernel forgets of a downed interface."""
        return Change(
            said=f"`ip link set {end.interface} down`",
            apply=(Shell(("ip", "link", "set", end.interface, "down")),),
            undo=(
                Shell(("ip", "link", "set", end.interface, "up")),
                *(Shell(argv) for argv in _lost_when_down(ask, end.interface)),
            ),
        )

    def drop(self, ask: Ask, end: End, id: str) -> Change:
        """An nftables table of our own."""
        table = nft.table_name(id)
        rules = {"incoming": [f'iifname "{end.interface}" drop'], "outgoing": [f'oifname "{end.interface}" drop']}
        return Change(
            said=f"all packets over {end.interface} dropped, carrier stays up",
            apply=(Shell(("nft", "-f", "-"), nft.drop_text(table, **rules)),),
            undo=(Shell(("nft", "-f", "-"), nft.remove_text(table)),),
        )


def has_filter(end: End, name: str) -> RouterError:
    """The error of a session whose inbound filter is not ours to extend."""
    return RouterError(
        f"the session with {end.neighbor} has an inbound prefix list already ({name}); none is put beside it",
        "leave `prefixes` out to withdraw all",
    )


def _family(end: End) -> str:
    return "ipv6" if end.is_ipv6 else "ipv4"


def _object(ask: Ask, command: str) -> dict[str, Any]:
    text = ask(command)
    try:
        shown = json.loads(text or "{}")
    except ValueError as error:
        raise RouterError(f"`{command}` printed no JSON: {text.strip()[:200]!r}") from error
    return shown if isinstance(shown, dict) else {}


def _links(ask: Ask, *words: str) -> list[dict[str, Any]]:
    command = " ".join(("ip", "-j", *words))
    try:
        return [one for one in json.loads(ask(command) or "[]") if one]
    except ValueError as error:
        raise RouterError(f"`{command}` printed no JSON") from error


def _lost_when_down(ask: Ask, interface: str) -> list[tuple[str, ...]]:
    """The commands that put back what the kernel forgets of a downed interface: IPv6 addresses, routes set by hand."""
    lost: list[tuple[str, ...]] = []
    for address in _links(ask, "-6", "addr", "show", "dev", interface, "scope", "global")[:1]:
        lost += [
            ("ip", "addr", "replace", f"{one['local']}/{one['prefixlen']}", "dev", interface, "nodad")
            for one in address.get("addr_info", [])
            if one.get("local")
        ]
    for family in ("-4", "-6"):
        lost += [
            ("ip", family, "route", "replace", *_route_words(route), "dev", interface)
            for route in _links(ask, family, "route", "show", "table", "all", "dev", interface)
            if route.get("protocol") not in _PUT_BACK_BY_OTHERS and route.get("type", "unicast") == "unicast"
        ]
    return lost


def _route_words(route: dict[str, Any]) -> list[str]:
    words = [str(route["dst"])]
    names = {"gateway": "via", "table": "table", "protocol": "proto", "metric": "metric", "prefsrc": "src"}
    for key, word in names.items():
        if key in route:
            words += [word, str(route[key])]
    return words + (["onlink"] if "onlink" in route.get("flags", []) else [])
