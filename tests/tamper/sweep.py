"""Strikes at random, and at every byte in turn: what was done, and which verifier did not find it."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.tamper.bundles import Made
from tests.tamper.kinds import KINDS
from tests.tamper.verifiers import found_by_command, script_finds


def strikes(made: Made, seed: int, runs: int) -> Iterator[tuple[str, str]]:
    """The kind of each of so many strikes, the kinds in turn, and what was missed by whom; empty when found by both."""
    for number in range(runs):
        kind = KINDS[number % len(KINDS)]
        rng = random.Random(f"{seed}-{number}")
        given = kind(made, rng)
        while given in (made.files, made.zip):  # two files of the same bytes, swapped
            given = kind(made, rng)
        missing = [who for who, says in _verifiers(given, made) if not says]
        yield kind.__name__, f"{kind.__name__} (seed {seed}, number {number}): {', '.join(missing)}" if missing else ""


def every_byte(made: Made, step: int = 1) -> Iterator[str]:
    """Each byte of the zip changed in turn, one bit and all bits by turns: the ones that a verifier did not find."""
    for at in range(0, len(made.zip), step):
        change = 0xFF if at % 2 else 1 << (at // 2 % 8)
        given = made.zip[:at] + bytes([made.zip[at] ^ change]) + made.zip[at + 1 :]
        missing = [who for who, says in _verifiers(given, made) if not says]
        if missing:
            yield f"byte {at}: {', '.join(missing)}"


def untouched(made: Made) -> list[str]:
    """What the verifiers say is wrong with a bundle to which nothing was done, in both its forms."""
    return [says for given in (made.files, made.zip) for _, says in _verifiers(given, made) if says]


def _verifiers(given: dict[str, bytes] | bytes, made: Made) -> list[tuple[str, str]]:
    return [("islanding verify", found_by_command(given, made.key)), ("the script", script_finds(given, made.key))]
