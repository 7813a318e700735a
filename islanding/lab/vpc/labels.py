"""Names and numbers in the kernel for AWS's ids: the same in every plan, so that plans can be compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

_AWS_ID = re.compile(r"[a-z]+-[0-9a-f]{17}")
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_KINDS = {"e": "eni-", "p": "pcx-", "v": "vgw-", "g": "vpce-", "x": "vpc-"}
_TABLES = (1000, 1 << 28)  # numbers of route tables: first, how many


def usable(name: str) -> bool:
    """Whether a network namespace can have that name."""
    return _NAMESPACE.fullmatch(name) is not None


def _digits(identity: str) -> str:
    if _AWS_ID.fullmatch(identity):
        return identity[-14:]
    return _hashed(identity)


def _hashed(identity: str) -> str:
    return hashlib.sha256(identity.encode(errors="replace")).hexdigest()[:14]


def interface(letter: str, identity: str) -> str:
    """An interface's name: a letter for its kind, and 14 of the id's 17 digits, which is all that fits."""
    usual = identity.startswith(_KINDS.get(letter, "-"))
    return letter + (_digits(identity) if usual else _hashed(identity))


def word(prefix: str, *identities: str) -> str:
    """A name of a set, chain or counter in nftables for one id, or for several together."""
    if len(identities) == 1 and _AWS_ID.fullmatch(identities[0]):
        return f"{prefix}_{identities[0].replace('-', '_')}"
    return f"{prefix}_{_digits('/'.join(identities))}"


def mac(*names: str) -> str:
    """A locally administered MAC address for the end of a cable."""
    digits = hashlib.sha256("/".join(names).encode(errors="replace")).hexdigest()
    return ":".join(("02", *(digits[n : n + 2] for n in range(0, 10, 2))))


def table_numbers(identities: Iterable[str]) -> dict[str, int]:
    """A number for each route table of a VPC; two ids that would have the same one are told apart."""
    first, many = _TABLES
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for identity in sorted(set(identities)):
        number = first + int(_digits(identity), 16) % many
        while number in taken or number + 1 in taken:
            number += 2
        taken |= {number, number + 1}  # the next one is for routes that are more specific than the local ones
        numbers[identity] = number
    return numbers


def network(text: str) -> IPv4Network | None:
    """The IPv4 network that a text says, host bits cleared; None for anything else."""
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        return None


def address(text: str) -> IPv4Address | None:
    """The IPv4 address that a text says; None for anything else."""
    try:
        return IPv4Address(text)
    except ValueError:
        return None
