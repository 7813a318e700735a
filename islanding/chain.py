"""The chain of a journal's entries: each holds the hash of all before it, so that what was altered later is found.

An entry is one line. It ends with its number and its hash, `, "n": 17, "hash": "…"}`; the hash is SHA-256 over that of
the line before (64 hexadecimal digits; zeros before the first line) followed by the line itself up to `, "hash": "`.
A line that has no such end (cut off by a crash, or of version 1) is hashed whole, so that the entry after it vouches
for what is left of it. `n` is the line's number in the file, damaged lines included, counted from 1.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from islanding.errors import SetupError

GENESIS = "0" * 64
RESERVED = frozenset({"n", "hash"})
_END = re.compile(rb', "n": ([1-9][0-9]{0,15}), "hash": "([0-9a-f]{64})"\}$')
_HASH_LENGTH = len(', "hash": ""}') + 64
END_LENGTH = len(', "n": ') + 16 + _HASH_LENGTH + 1  # bytes at the end of a file that hold its last number and hash
_FIRST_CHAINED = 2  # the version of the journal whose lines are chained


class Link(NamedTuple):
    """Where a chain stands after an entry: the entry's number and its hash."""

    n: int = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Chain:
    """What a journal's chain says: how many lines, where it ends, and what is wrong, in the order of the lines.

    `chained` is False for a journal of version 1, which has no chain; `finished` whether a `run-finished` is there;
    `altered` whether something is wrong that no crash leaves behind.
    """

    lines: int
    head: Link
    chained: bool
    finished: bool
    problems: tuple[str, ...]
    altered: bool


def seal(body: bytes, before: Link) -> tuple[bytes, Link]:
    """The line (without its end of line) for the JSON object `body`, and the link that it makes."""
    n = before.n + 1
    kept = body[:-1] + b', "n": %d' % n
    digest = _digest(before.hash, kept)
    return kept + b', "hash": "' + digest.encode() + b'"}', Link(n, digest)


def sealed(lines: Sequence[bytes]) -> list[bytes]:
    """The same for the objects of a whole journal, one after the other."""
    made, before = [], Link()
    for body in lines:
        line, before = seal(body, before)
        made.append(line)
    return made


def stated(raw: bytes) -> Link | None:
    """The number and hash that a line itself states; None for a line that has none."""
    end = _end(raw)
    return Link(int(end[1]), end[2].decode()) if end else None


def follow(before: Link, raw: bytes) -> Link:
    """The link after the line `raw`, reckoned from its bytes, whatever it states."""
    return Link(before.n + 1, _digest(before.hash, raw[:-_HASH_LENGTH] if _end(raw) else raw))


def check(path: Path) -> list[str]:
    """What is wrong with the journal at `path`, one line of text each, the first wrong line first; empty when it holds.

    A journal without `run-finished` is one that was cut off. What a chain by itself cannot see (whole entries taken
    from the end together with a new `run-finished`, or everything written anew) is found by the bundle's manifest.
    Raises SetupError when the file cannot be read.
    """
    chain = inspect(read_lines(path))
    cut = [] if chain.finished else [f"the journal ends at line {chain.lines}, before the run did: no run-finished"]
    return [*chain.problems, *cut]


def read_lines(path: Path) -> list[bytes]:
    """The lines of a journal as they are, without their ends; raises SetupError when it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]  # the last line, too, has its end, unless it was cut off


def inspect(lines: Sequence[bytes]) -> Chain:
    """What the lines of a journal say of themselves; nothing is raised, however damaged they are."""
    problems: list[str] = []
    links = [Link()]
    chained = False
    for number, raw in enumerate(lines, 1):
        link, says = follow(links[-1], raw), stated(raw)
        if says is None and (chained or not _is_older(raw)):
            text, go_on = _unsealed(lines, number, links[-1])
        else:
            go_on = says in (None, link)
            text = "" if go_on else _altered(lines, number, links, chained)
        problems += [text] if text else []
        if not go_on:
            break
        chained = chained or says is not None
        links.append(link)
    finished = any(b'"type": "run-finished"' in raw and _type(raw) == "run-finished" for raw in reversed(lines))
    altered = len(links) <= len(lines)  # it does not go on to the end
    return Chain(len(lines), links[-1], chained, finished, tuple(problems), altered)


def _end(raw: bytes) -> re.Match[bytes] | None:
    return _END.search(raw, max(0, len(raw) - END_LENGTH))  # not from the beginning, which takes five times as long


def _digest(before: str, kept: bytes) -> str:
    return hashlib.sha256(before.encode() + kept).hexdigest()


def _holds(before: Link, raw: bytes) -> bool:
    return stated(raw) == follow(before, raw)


def _is_older(raw: bytes) -> bool:
    """Whether the line is an entry of version 1, which was not chained, or an empty line among such."""
    try:
        return not raw.strip() or int(json.loads(raw).get("v", 1)) < _FIRST_CHAINED
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False


def _type(raw: bytes) -> object:
    try:
        return json.loads(raw).get("type")
    except (ValueError, AttributeError, RecursionError):
        return None


def _unsealed(lines: Sequence[bytes], number: int, before: Link) -> tuple[str, bool]:
    """What to say of a line without an end of its own, and whether the chain may go on behind it.

    It is what a crash left if the next whole line follows from what is left of it; else it was altered or added.
    """
    if not lines[number - 1]:
        return f"line {number} was added: it is empty", False
    if number == len(lines):
        return f"line {number}, the last, was cut off as it was written", True
    link, position = follow(before, lines[number - 1]), number
    while position < len(lines) and stated(lines[position]) is None:
        link, position = follow(link, lines[position]), position + 1
    if position == len(lines) or _holds(link, lines[position]):
        return f"line {number} was cut off as it was written; what follows is chained to what is left of it", True
    if _holds(before, lines[position]):
        return f"{_lines(number, position)} added", False
    return f"line {number} was changed: it has no hash, and line {position + 1} does not follow from it", False


def _altered(lines: Sequence[bytes], number: int, links: Sequence[Link], chained: bool) -> str:
    """What was done at line `number`, the first that does not follow from the lines before it."""
    raw, before = lines[number - 1], links[-1]
    n = (stated(raw) or before).n
    true_next = next((k for k in range(number + 1, len(lines) + 1) if _holds(before, lines[k - 1])), None)
    if true_next is not None:
        between = lines[number - 1 : true_next - 1]
        if any((stated(each) or before).n > number for each in between):
            return f"lines were reordered: line {number} is entry {n}, and entry {number} is line {true_next}"
        return f"{_lines(number, true_next - 1)} added"
    if n > number and _goes_on(lines, number):
        gone = f"entry {number} was" if n == number + 1 else f"entries {number} to {n - 1} were"
        return f"{gone} removed before line {number}"
    return _repeated(lines, number, n, links) or _changed(number, chained)


def _repeated(lines: Sequence[bytes], number: int, n: int, links: Sequence[Link]) -> str:
    """That something was added, when the line's own number `n` says that it stood further up; "" else."""
    raw = lines[number - 1]
    if n < number and raw in lines[: number - 1]:
        return f"line {number} was added: it is a copy of line {lines.index(raw) + 1}"
    if n < number and _holds(links[n - 1], raw):
        return f"{_lines(n, number - 1)} added: line {number} follows from what was before"
    return ""


def _changed(number: int, chained: bool) -> str:
    if not chained and number > 1:
        return f"one of the lines 1 to {number} was changed"
    others = f", or line {number - 1} was and its hash made anew" if number > 1 else ""
    return f"line {number} was changed{others}"


def _goes_on(lines: Sequence[bytes], number: int) -> bool:
    """Whether the line after `number` follows from what that line states of itself."""
    says = stated(lines[number - 1])
    return number == len(lines) or (says is not None and _holds(says, lines[number]))


def _lines(first: int, last: int) -> str:
    return f"line {first} was" if first == last else f"lines {first} to {last} were"
