"""Junos: statements and their inverse, committed at once, and what its `show` commands say, as text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from islanding.routers.driver import Ask, Change, End, Hop, Lines, Neighbor, RouterError

_ENTRY = re.compile(r"^(?P<prefix>[0-9a-fA-F.:]+/\d+)?\s*(?P<active>[*+-]?)\[(?P<protocol>\w+)/\d+")
_TO = re.compile(r"^\s+>?\s*to (?P<via>[0-9a-fA-F.:]+) via (?P<interface>\S+)")
_PREFIX = re.compile(r"^[0-9a-fA-F.:]+/\d+\s*$")
_NAME = re.compile(r"[\w.-]+")


class Junos:
    """A router with Junos; sessions of the default routing instance."""

    kind = "junos"
    reverts = True

    def neighbor(self, ask: Ask, end: End) -> Neighbor:
        """From `show bgp neighbor X`; Junos says nothing of a neighbor whose configuration is inactive."""
        seen = neighbor(ask(f"show bgp neighbor {end.neighbor}"), end.neighbor)
        if seen.state:
            return seen
        group = inactive_in(ask(f"show configuration protocols bgp | display set | match {end.neighbor}"), end.neighbor)
        return Neighbor("Idle", shut=True, group=group) if group else seen

    def hops(self, ask: Ask, *, ipv6: bool) -> list[Hop]:
        """From `show route protocol bgp active-path`."""
        return hops(ask(f"show route protocol bgp active-path table {'inet6.0' if ipv6 else 'inet.0'}"))

    def interface_is_up(self, ask: Ask, interface: str) -> bool:
        """By the column Admin of `show interfaces X terse`."""
        text = ask(f"show interfaces {interface} terse")
        row = re.search(rf"^{re.escape(interface)}\s+(up|down)\s", text, re.MULTILINE)
        if not row:
            raise RouterError(f"there is no interface {interface}: {text.strip()[:200]!r}")
        return row[1] == "up"

    def is_dropping(self, ask: Ask, end: End, id: str) -> bool:
        """By the filters of the logical interface."""
        return filters(self._of_unit(ask, end), _family(end)).get("input") == _name(id)

    def shut(self, ask: Ask, end: End, id: str, why: str) -> Change:
        """The neighbor's configuration becomes inactive: the session ends, its statements stay as they are."""
        peer = self._path(ask, end)
        return Change(
            said=f"`deactivate {peer}`",
            apply=(Lines((f"deactivate {peer}",)),),
            undo=(Lines((f"activate {peer}",)),),
        )

    def withdraw(self, ask: Ask, end: End, id: str, prefixes: tuple[str, ...]) -> Change:
        """An import policy of our own before those in force; a neighbor's own list hides its group's, so all stand."""
        seen, peer, name = self.neighbor(ask, end), self._path(ask, end), _name(id)
        strange = [one for one in seen.inbound if not _NAME.fullmatch(one)]
        if strange:
            raise RouterError(
                f"the session with {end.neighbor} has the import policy {' '.join(strange)}, no plain name"
            )
        own = imports(ask(f"show configuration {peer} | display set"), peer)
        policy = f"set policy-options policy-statement {name} term withdrawn"
        matches = [f"{policy} from route-filter {prefix} exact" for prefix in prefixes]
        cleared = (f"delete {peer} import",)
        return Change(
            said=f"import policy {name} of {end.neighbor}",
            apply=(
                Lines(
                    (
                        *matches,
                        f"{policy} then reject",
                        *(cleared if own else ()),
                        *_import(peer, (name, *seen.inbound)),
                    )
                ),
            ),
            undo=(Lines((*cleared, *_import(peer, own), f"delete policy-options policy-statement {name}")),),
        )

    def interface_down(self, ask: Ask, end: End) -> Change:
        """`disable` of the interface: of the unit where the site names one, of the whole port otherwise."""
        path = _interface(end.interface)
        return Change(
            said=f"`set {path} disable`",
            apply=(Lines((f"set {path} disable",)),),
            undo=(Lines((f"delete {path} disable",)),),
        )

    def drop(self, ask: Ask, end: End, id: str) -> Change:
        """A firewall filter that discards all, both ways."""
        family, name, unit = _family(end), _name(id), f"{_unit(end)} family {_family(end)} filter"
        configured = self._of_unit(ask, end)
        if re.search(rf"family {family} filter (?:input|output)-list ", configured):
            raise RouterError(f"{end.interface} has a list of filters already; none is put in its place")
        before = filters(configured, family)
        back = [
            f"set {unit} {way} {before[way]}" if way in before else f"delete {unit} {way}"
            for way in ("input", "output")
        ]
        return Change(
            said=f"all {family} packets over {end.interface} discarded by a filter, link stays up",
            apply=(
                Lines(
                    (
                        f"set firewall family {family} filter {name} term all then discard",
                        f"set {unit} input {name}",
                        f"set {unit} output {name}",
                    )
                ),
            ),
            undo=(Lines((*back, f"delete firewall family {family} filter {name}")),),
        )

    def _path(self, ask: Ask, end: End) -> str:
        seen = self.neighbor(ask, end)
        if not seen.group:
            raise RouterError(f"the router has no neighbor {end.neighbor} in a group of the default routing instance")
        return f"protocols bgp group {seen.group} neighbor {end.neighbor}"

    @staticmethod
    def _of_unit(ask: Ask, end: End) -> str:
        return ask(f"show configuration {_unit(end)} | display set")


def neighbor(text: str, address: str) -> Neighbor:
    """What `show bgp neighbor X` says of a neighbor; no state when it says nothing of it."""
    peer = re.search(
        rf"^Peer: {re.escape(address)}(?:\+\d+)? AS \d+\s+Local: ([0-9a-fA-F.:]+?|unspecified)(?:\+\d+)? AS \d+",
        text,
        re.MULTILINE,
    )
    if not peer:
        return Neighbor("")
    state = re.search(r"^\s*Type: \w+\s+State: (\w+)", text, re.MULTILINE)
    if not state:
        raise RouterError(f"the router's answer about {address} has no state: {text.strip()[:200]!r}")
    group = re.search(r"^\s*Group: (\S+)\s+Routing-Instance: (\S+)", text, re.MULTILINE)
    policies = re.search(r"\bImport: \[ (.*?) \]", text)
    return Neighbor(
        state=state[1],
        local="" if peer[1] == "unspecified" else peer[1],
        inbound=tuple(policies[1].split()) if policies else (),
        group=group[1] if group and group[2] == "master" else "",
    )


def inactive_in(text: str, address: str) -> str:
    """The group in which this neighbor's configuration is inactive, from `display set`; "" when in none."""
    line = re.search(rf"^deactivate protocols bgp group (\S+) neighbor {re.escape(address)}\s*$", text, re.MULTILINE)
    return line[1] if line else ""


def hops(text: str) -> list[Hop]:
    """The next hops of active routes in `show route protocol bgp`."""
    found: list[Hop] = []
    prefix, active = "", False
    for line in text.splitlines():
        if _PREFIX.match(line):  # too long for its column: the rest is on the next line
            prefix, active = line.strip(), False
        elif entry := _ENTRY.match(line):
            prefix = entry["prefix"] or prefix
            active = entry["active"] in {"*", "+"} and entry["protocol"] == "BGP"
        elif active and prefix and (to := _TO.match(line)):
            found.append(Hop(prefix, to["via"], to["interface"]))
    return found


def imports(text: str, path: str) -> tuple[str, ...]:
    """The neighbor's own import policies in order, from `display set`; empty where it has its group's."""
    return tuple(re.findall(rf"^set {re.escape(path)} import (\S+)\s*$", text, re.MULTILINE))


def filters(text: str, family: str) -> dict[str, str]:
    """The filters of a logical interface by direction (`input`, `output`), from `display set`."""
    return dict(re.findall(rf"^set \S.* family {family} filter (input|output) (\S+)\s*$", text, re.MULTILINE))


def _import(path: str, policies: Iterable[str]) -> Iterable[str]:
    return (f"set {path} import {policy}" for policy in policies)


def _interface(name: str) -> str:
    port, dot, unit = name.partition(".")
    return f"interfaces {port} unit {unit}" if dot else f"interfaces {port}"


def _unit(end: End) -> str:
    return _interface(end.interface if "." in end.interface else f"{end.interface}.0")


def _family(end: End) -> str:
    return "inet6" if end.is_ipv6 else "inet"


def _name(id: str) -> str:
    return f"islanding-{id}"
