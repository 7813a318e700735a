"""Which zone answers for a name: the most specific one hides all others. Pure and total."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST_CHAIN = 8  # of CNAMEs
Records = dict[tuple[str, str], list[str]]  # values by name and type


@dataclass(frozen=True)
class Answers:
    """Everything that one resolver knows; a name that is not here does not exist.

    `hosts`: address and name; the first name of an address is what a question for the address gets. `below`: pattern
    `*.name`, for everything below a name, and address. `zones` hide what else could answer inside them.
    """

    hosts: tuple[tuple[str, str], ...] = ()
    below: tuple[tuple[str, str], ...] = ()
    zones: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    pointers: tuple[tuple[str, str], ...] = ()


def add(records: Records, name: str, kind: str, value: str) -> None:
    """Add a value to a name's records, once."""
    values = records.setdefault((plain(name), kind.upper()), [])
    if value not in values:
        values.append(value)


def plain(name: str) -> str:
    """A name as it is compared: lower case, without the last dot; empty when it is none that a resolver could have."""
    text = name.strip().lower().rstrip(".").replace("\\052", "*")
    return text if len(text) <= 253 and _NAME.fullmatch(text) else ""


def _zone_of(name: str, zones: Iterable[str]) -> str:
    fitting = [zone for zone in zones if not zone or name == zone or name.endswith(f".{zone}")]
    return max(fitting, key=len, default="")


def visible(zones: Mapping[str, Records]) -> Answers:
    """Keep of each zone what no more specific zone hides, in the forms that a resolver takes."""
    seen = {
        key: values
        for zone, records in zones.items()
        for key, values in records.items()
        if key[0] and _zone_of(key[0], zones) == zone
    }
    hosts: list[tuple[str, str]] = []
    below: list[tuple[str, str]] = []
    aliases: list[tuple[str, str]] = []
    texts: list[tuple[str, str]] = []
    pointers: list[tuple[str, str]] = []
    for (name, kind), values in seen.items():
        if kind in ("A", "AAAA"):
            (below if name.startswith("*.") else hosts).extend(_located(name, kind, values))
        elif kind == "CNAME" and values and not {(name, "A"), (name, "AAAA")} & seen.keys():
            found = [(f, a) for f in ("A", "AAAA") for a in _follow(plain(values[0]), f, seen)]
            target = plain(values[0])
            if not name.startswith("*.") and any((target, f) in seen for f in ("A", "AAAA", "CNAME")) and found:
                aliases.append((name, target))
            else:  # the resolver follows an alias only to a name that is listed
                for family, address in found:
                    (below if name.startswith("*.") else hosts).extend(_located(name, family, [address]))
        elif kind == "TXT" and not name.startswith("*."):
            texts += [(name, _unquoted(value)) for value in values]
        elif kind == "PTR" and not name.startswith("*."):
            pointers += [(name, target) for value in values if (target := plain(value))]
    return Answers(
        tuple(dict.fromkeys(hosts)),
        tuple(dict.fromkeys(below)),
        tuple(sorted(zone for zone in zones if zone)),
        tuple(aliases),
        tuple(texts),
        tuple(pointers),
    )


def _located(name: str, kind: str, values: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs for a name with an address, or for a pattern; a value that is no address of that family is left out."""
    made = []
    for value in values:
        try:
            address = ipaddress.ip_address(value.strip())
        except ValueError:
            continue
        if address.version == (4 if kind == "A" else 6) and "%" not in str(address):
            made.append((name, str(address)) if name.startswith("*.") else (str(address), name))
    return made


def _follow(name: str, family: str, seen: Mapping[tuple[str, str], list[str]]) -> list[str]:
    """The addresses at the end of a chain of aliases; empty when it leads nowhere or in a circle."""
    for _ in range(_LONGEST_CHAIN):
        labels = name.split(".")
        candidates = [name, *(f"*.{'.'.join(labels[n:])}" for n in range(1, len(labels)))]
        for candidate in candidates:
            if values := seen.get((candidate, family)):
                return values
            if target := seen.get((candidate, "CNAME")):
                name = plain(target[0])
                break
        else:
            return []
    return []


def _unquoted(value: str) -> str:
    """The text of a TXT value as Route 53 writes it, `"part" "part"`, in printable ASCII, at most 255 bytes."""
    parts = re.findall(r'"((?:[^"\\]|\\.)*)"', value) if '"' in value else [value]
    text = re.sub(r"\\(.)", r"\1", "".join(parts))
    return "".join(c for c in text if " " <= c <= "~")[:255]
