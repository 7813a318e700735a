"""Small models of router configurations: what lines do to one, as far as the drivers' lines go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from islanding.routers.driver import Change, Lines

_CONTEXTS = ("router bgp ", "address-family ", "interface ", "ip access-list extended ")
_SLOTS = re.compile(r"^(neighbor \S+ prefix-list|ip access-group) (\S+) (in|out)$")


@dataclass
class CiscoLike:
    """IOS and FRR: lines within contexts; one list a direction; `no` takes away what is there as it was said."""

    lines: set[tuple[str, str]] = field(default_factory=set)  # context, line

    def enter(self, lines: Iterable[str]) -> None:
        context = ""
        for line in lines:
            if line in {"configure terminal", "end"} or line.startswith("do "):
                context = "" if line != "do" and not line.startswith("do ") else context
            elif line.startswith("address-family "):
                context = f"{context.split(' / ')[0]} / {line.removesuffix(' unicast')}"
            elif line.startswith(_CONTEXTS):
                context = line
                if line.startswith("ip access-list"):
                    self.lines.add(("", line))
            else:
                self._enter("" if re.match(r"(no )?(ip|ipv6) (prefix-list|access-list)", line) else context, line)

    def _enter(self, context: str, line: str) -> None:
        if line.startswith("no "):
            said = line.removeprefix("no ")
            whole = said.startswith(("ip prefix-list ", "ipv6 prefix-list ", "ip access-list ", "neighbor "))
            self.lines -= {
                (where, there)
                for where, there in self.lines
                if (where == context and (there == said or (whole and there.startswith(f"{said} ")))) or where == said
            }
            return
        if slot := _SLOTS.match(line):
            self.lines -= {
                (where, there)
                for where, there in self.lines
                if where == context and (old := _SLOTS.match(there)) and (old[1], old[3]) == (slot[1], slot[3])
            }
        self.lines.add((context, line))


@dataclass(eq=False)
class JunosLike:
    """Statements; `import` is a list, whose order counts, other leaves have one value."""

    statements: list[str] = field(default_factory=list)
    inactive: set[str] = field(default_factory=set)

    def enter(self, lines: Iterable[str]) -> None:
        for line in lines:
            word, _, path = line.partition(" ")
            if word == "deactivate":
                self.inactive.add(path)
            elif word == "activate":
                self.inactive.discard(path)
            elif word == "delete":
                self.statements = [one for one in self.statements if one != path and not one.startswith(f"{path} ")]
            else:
                leaf = path.rpartition(" ")[0]
                if leaf.endswith((" input", " output")):
                    self.statements = [one for one in self.statements if not one.startswith(f"{leaf} ")]
                if path not in self.statements:
                    self.statements.append(path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JunosLike) and self._meaning() == other._meaning()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _meaning(self) -> tuple[list[str], list[str], set[str]]:
        listed = [one for one in self.statements if " import " in one]
        return listed, sorted(set(self.statements) - set(listed)), self.inactive

    def display_set(self, path: str) -> str:
        """`show configuration PATH | display set`."""
        return "".join(f"set {one}\n" for one in self.statements if one.startswith(f"{path} "))


def applied(change: Change) -> list[str]:
    """All configuration lines that a change enters."""
    return [line for work in change.apply if isinstance(work, Lines) for line in work.commands]


def undone(change: Change) -> list[str]:
    """All configuration lines of its inverse."""
    return [line for work in change.undo if isinstance(work, Lines) for line in work.commands]
