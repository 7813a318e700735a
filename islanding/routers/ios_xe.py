"""Cisco IOS-XE: configuration lines and their inverse, and what its `show` commands say, as text."""

from __future__ import annotations

import re

from islanding.routers.driver import Ask, Change, End, Hop, Lines, Neighbor, RouterError
from islanding.routers.frr import has_filter

_ROUTE = re.compile(r"^B[* ]{1,9}(?P<network>\d+(?:\.\d+){3})(?:/(?P<length>\d+))?(?P<rest>.*)$")
_VIA = re.compile(r"\[\d+/\d+\] via (?P<via>\d+(?:\.\d+){3})(?:, [\w:.]+)?(?:, (?P<interface>[A-Z][\w/.-]*))?")
_SUBNETTED = re.compile(r"^\s+\d+(?:\.\d+){3}/(\d+) is subnetted")


class IosXe:
    """A router with IOS-XE; IPv4 sessions of the global routing table."""

    kind = "ios-xe"
    reverts = True

    def neighbor(self, ask: Ask, end: End) -> Neighbor:
        """From `show bgp ipv4 unicast neighbors X`."""
        _ipv4(end)
        return neighbor(ask(f"show bgp ipv4 unicast neighbors {end.neighbor}"), end.neighbor)

    def hops(self, ask: Ask, *, ipv6: bool) -> list[Hop]:
        """From `show ip route bgp`."""
        return [] if ipv6 else hops(ask("show ip route bgp"))

    def interface_is_up(self, ask: Ask, interface: str) -> bool:
        """By the first line of `show interfaces X`."""
        text = ask(f"show interfaces {interface}")
        if "line protocol is" not in text:
            raise RouterError(f"there is no interface {interface}: {text.strip()[:200]!r}")
        return "administratively down" not in text

    def is_dropping(self, ask: Ask, end: End, id: str) -> bool:
        """By the access lists of the interface."""
        return access_groups(self._of_interface(ask, end)).get("in") == _name(id)

    def shut(self, ask: Ask, end: End, id: str, why: str) -> Change:
        """`neighbor X shutdown`."""
        _ipv4(end)
        bgp, peer = f"router bgp {end.asn}", f"neighbor {end.neighbor}"
        return Change(
            said=f"`{peer} shutdown`",
            apply=(Lines((bgp, f"{peer} shutdown")),),
            undo=(Lines((bgp, f"no {peer} shutdown")),),
        )

    def withdraw(self, ask: Ask, end: End, id: str, prefixes: tuple[str, ...]) -> Change:
        """An inbound prefix list of our own; routes are judged anew by a soft clear, which IOS does not do itself."""
        inbound = self.neighbor(ask, end).inbound
        if inbound and prefixes:
            raise has_filter(end, inbound[0])
        # Where the configuration has no address families, entering one would rewrite it.
        families = "address-family ipv4" in ask("show running-config | section ^router bgp")
        enter = (f"router bgp {end.asn}", *(("address-family ipv4",) if families else ()))
        peer, name = f"neighbor {end.neighbor} prefix-list", _name(id)
        anew = f"do clear ip bgp {end.neighbor} soft in"
        denials = [f"ip prefix-list {name} seq {5 + n} deny {p}" for n, p in enumerate(prefixes)]
        rest = f"ip prefix-list {name} seq 100000 {'permit' if prefixes else 'deny'} 0.0.0.0/0 le 32"
        back = f"{peer} {inbound[0]} in" if inbound else f"no {peer} {name} in"
        return Change(
            said=f"`{peer} {name} in`",
            apply=(Lines((*denials, rest, *enter, f"{peer} {name} in", anew)),),
            undo=(Lines((*enter, back, anew, f"no ip prefix-list {name}")),),
        )

    def interface_down(self, ask: Ask, end: End) -> Change:
        """`shutdown` of the interface."""
        enter = f"interface {end.interface}"
        return Change(
            said=f"`shutdown` of {end.interface}",
            apply=(Lines((enter, "shutdown")),),
            undo=(Lines((enter, "no shutdown")),),
        )

    def drop(self, ask: Ask, end: End, id: str) -> Change:
        """An access list that denies all, both ways; what the router itself sends passes, its answers do not."""
        _ipv4(end)
        enter, name = f"interface {end.interface}", _name(id)
        before = access_groups(self._of_interface(ask, end))
        put = [f"ip access-group {name} {way}" for way in ("in", "out")]
        back = [
            f"ip access-group {before[way]} {way}" if way in before else f"no ip access-group {name} {way}"
            for way in ("in", "out")
        ]
        return Change(
            said=f"all IPv4 packets over {end.interface} denied by an access list, carrier stays up",
            apply=(Lines((f"ip access-list extended {name}", "deny ip any any", enter, *put)),),
            undo=(Lines((enter, *back, f"no ip access-list extended {name}")),),
        )

    @staticmethod
    def _of_interface(ask: Ask, end: End) -> str:
        return ask(f"show running-config interface {end.interface}")


def neighbor(text: str, address: str) -> Neighbor:
    """What `show bgp ipv4 unicast neighbors X` says of a neighbor; no state when it says nothing of it."""
    if not re.search(rf"^BGP neighbor is {re.escape(address)},", text, re.MULTILINE):
        return Neighbor("")
    state = re.search(r"^\s*BGP state = (\w+)", text, re.MULTILINE)
    if not state:
        raise RouterError(f"the router's answer about {address} has no BGP state: {text.strip()[:200]!r}")
    local = re.search(r"^Local host: ([\d.]+),", text, re.MULTILINE)
    listed = re.search(r"^\s*Incoming update prefix filter list is \*?(\S+)", text, re.MULTILINE)
    return Neighbor(
        state=state[1],
        shut=bool(re.search(r"^\s*Administratively shut down", text, re.MULTILINE)),
        local=local[1] if local else "",
        inbound=(listed[1],) if listed else (),
    )


def hops(text: str) -> list[Hop]:
    """The next hops in `show ip route bgp`; a subnet without a length has that of the heading above it."""
    found: list[Hop] = []
    length, prefix = "", ""
    for line in text.splitlines():
        if heading := _SUBNETTED.match(line):
            length = heading[1]
        elif route := _ROUTE.match(line):
            prefix = f"{route['network']}/{route['length'] or length}"
        elif line[:1].strip():  # another protocol's route, or a legend: what follows is not of BGP's
            prefix = ""
        if prefix and (via := _VIA.search(line)):
            found.append(Hop(prefix, via["via"], via["interface"] or ""))
    return found


def access_groups(text: str) -> dict[str, str]:
    """The IPv4 access lists of an interface's configuration by direction (`in`, `out`)."""
    return {way: name for name, way in re.findall(r"^ ip access-group (\S+) (in|out)\s*$", text, re.MULTILINE)}


def _name(id: str) -> str:
    return f"islanding-{id}"


def _ipv4(end: End) -> None:
    if end.is_ipv6:
        raise RouterError(f"the session with {end.neighbor} is IPv6: on IOS-XE only IPv4 sessions can be cut")
