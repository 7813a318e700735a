"""How many network interfaces, addresses and pods an instance type has, as the VPC CNI's own tables say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from islanding.errors import SetupError


@dataclass(frozen=True)
class TypeLimits:
    """Limits of an instance type: interfaces, IPv4 addresses an interface, pods that a node of it may run."""

    interfaces: int
    addresses: int
    pods: int


_TYPE = re.compile(r'^\t"([^"]+)":\s*\{$.*?^\t\},$', re.MULTILINE | re.DOTALL)
_NUMBER = {name: re.compile(rf"^\t\t{name}:\s*(\d+),", re.MULTILINE) for name in ("ENILimit", "IPv4Limit")}


def parse(source: str, max_pods: str) -> dict[str, TypeLimits]:
    """Read `pkg/vpc/vpc_ip_resource_limit.go` and `misc/eni-max-pods.txt` of the VPC CNI's module.

    A type that the second does not list gets what it would list by its own rule: each interface but its first address,
    and two pods on the host's network. Raises SetupError when the source has no type in the form that is known.
    """
    listed = dict(line.split() for line in max_pods.splitlines() if line.strip() and not line.startswith("#"))
    limits: dict[str, TypeLimits] = {}
    for block in _TYPE.finditer(source):
        numbers = [pattern.search(block[0]) for pattern in _NUMBER.values()]
        if not all(numbers):
            continue
        interfaces, addresses = (int(number[1]) for number in numbers if number)
        pods = int(listed.get(block[1], interfaces * (addresses - 1) + 2))
        limits[block[1]] = TypeLimits(interfaces, addresses, pods)
    if not limits:
        raise SetupError("the VPC CNI's table of instance types has another form than the known one")
    return limits


def to_json(limits: Mapping[str, TypeLimits]) -> str:
    """The table as JSON: `{type: [interfaces, addresses an interface, pods]}`."""
    rows = {name: [t.interfaces, t.addresses, t.pods] for name, t in sorted(limits.items())}
    return json.dumps(rows, separators=(",", ":")).replace("],", "],\n") + "\n"


def from_json(text: str) -> dict[str, TypeLimits]:
    """The table that `to_json` wrote."""
    return {name: TypeLimits(*row) for name, row in json.loads(text).items()}


def load(path: Path) -> dict[str, TypeLimits]:
    """The table in a file."""
    return from_json(path.read_text())
