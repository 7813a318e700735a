"""From a pasted error text to what it means: candidates from the catalogue, ranked; an unknown text gives none.

A pasted text may have colours, wrapped lines, quotation marks and escapes: it is tried as it is and with its lines
joined in the ways in which programs break them. Secrets are taken out first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from islanding.diagnosis.catalogue import CATALOGUE
from islanding.diagnosis.entries import Cause, Entry, Hint, Text
from islanding.redact import redact

GENERAL = 5  # entries up to this rank know a text only by its general form
LONGEST = 20_000  # characters of a pasted text that are read, the last ones: some patterns take a square of time
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_QUOTED = re.compile(r"^[ \t]*(?:[>|│┃][ \t]?)+", re.MULTILINE)
_RUN = re.compile(r"(?<!sha256:)\b[A-Za-z0-9+=%]{40,}")  # the rest of a secret that was cut by a line's end
_DIALLED = re.compile(r"dial tcp (\d{1,3}(?:\.\d{1,3}){3}):\d+")
_AWS_HOST = re.compile(r"\b([\w-]+(?:\.[\w-]+)*\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:amazonaws\.com(?:\.cn)?|api\.aws))\b")
_ANY_HOST = re.compile(r"https://([\w-]+(?:\.[\w-]+)+)")
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))


@dataclass(frozen=True)
class Explanation:
    """One candidate: the entry, with its causes in the order that the text suggests, and the words that showed it."""

    entry: Entry
    text: Text
    matched: str
    causes: tuple[Cause, ...]
    checks: tuple[str, ...]
    hint: Hint = ""

    def speaks_against(self, cause: Cause) -> bool:
        """Whether the address in the text rules a cause out."""
        return bool(self.hint and cause.hint and cause.hint != self.hint)


def explain_text(pasted: str) -> tuple[Explanation, ...]:
    """What a pasted error text may mean, likeliest first; empty when the catalogue does not know it."""
    readings = list(_readings(pasted))
    found: list[Explanation] = []
    for entry in CATALOGUE:
        hit = _hit(entry, readings)
        if hit is not None:
            found.append(_filled(entry, *hit, readings[2]))
    found.sort(key=lambda one: -one.entry.rank)
    return tuple(one for n, one in enumerate(found) if not _covered(one, found[:n]))


def _covered(one: Explanation, better: list[Explanation]) -> bool:
    """Whether a general entry only repeats what a more specific one has said of the same line."""
    return one.entry.rank <= GENERAL and any(one.matched in other.matched for other in better)


def _readings(pasted: str) -> Iterator[str]:
    """The text as it may have been before it was pasted."""
    text = _CONTROL.sub("", _ANSI.sub("", pasted[-LONGEST:].replace("\r\n", "\n").replace("\r", "\n")))
    text = _QUOTED.sub("", text).replace('\\"', '"').replace("\\n", "\n")
    lines = text.split("\n")
    words = [line.strip() for line in lines if line.strip()]
    for reading in (
        text,
        " ".join(words),
        "".join(lines),  # cut by a terminal, in the middle of words
        re.sub(r"([-/]) ", r"\1", " ".join(words)),  # folded by a program that also breaks at hyphens
        "".join(words),
    ):
        yield _RUN.sub("[redacted]", redact(reading))


def _hit(entry: Entry, readings: list[str]) -> tuple[Text, str] | None:
    for reading in readings:
        for text in entry.all_texts():
            match = text.search(reading)
            if match is not None:
                return text, _around(reading, match)
    return None


def _around(reading: str, match: re.Match[str]) -> str:
    """The line that was recognised, cut to what can be read."""
    start = reading.rfind("\n", 0, match.end()) + 1
    end = reading.find("\n", match.end())
    line = reading[start : end if end >= 0 else len(reading)].strip()
    return line if len(line) <= 400 else f"{line[:397]}..."


def _filled(entry: Entry, text: Text, matched: str, joined: str) -> Explanation:
    hint = _hint(matched) or _hint(joined)
    causes = sorted(entry.causes, key=lambda cause: _suits(cause, hint))
    host = _AWS_HOST.search(matched) or _AWS_HOST.search(joined)
    words = {"REGION": host[2], "HOST": host[1]} if host else {}
    if not host and (other := _ANY_HOST.search(matched)):
        words = {"HOST": other[1]}
    if dialled := _DIALLED.search(matched):
        words["ADDRESS"] = dialled[1]

    def fill(said: str) -> str:
        for word, value in words.items():
            said = said.replace(word, value)
        return said

    return Explanation(
        entry,
        text,
        matched,
        tuple(replace(cause, missing=fill(cause.missing), tell=fill(cause.tell)) for cause in causes),
        tuple(map(fill, entry.checks)),
        hint,
    )


def _suits(cause: Cause, hint: Hint) -> int:
    """Causes that the address in the text speaks for come first, those that it speaks against last."""
    if not cause.hint or not hint:
        return 1
    return 0 if cause.hint == hint else 2


def _hint(text: str) -> Hint:
    match = _DIALLED.search(text)
    if match is None:
        return ""
    try:
        private = any(IPv4Address(match[1]) in block for block in _PRIVATE)
    except ValueError:
        return ""
    return "private address" if private else "public address"
