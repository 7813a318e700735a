"""What an outcome is made of: patterns, each with an example, the component that prints it and its source."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

KINDS = (
    "kubectl",
    "node",
    "http",
    "http-stream",
    "dns",
    "tcp",
    "bgp",
    "service-link",
    "image-pull",
    "node-join",
    "pod-start",
    "aws-call",
    "egress",
    "ssh",
    "flow-counters",
)
Exit = Literal["zero", "not zero", "killed"]


@dataclass(frozen=True)
class Pattern:
    """One way in which an outcome shows.

    `regex` is searched for in the final message of a probe of one of `kinds` that ended as `ended` says. `example` is
    such a message word for word; `component` prints it; `source` says where it was seen.
    """

    kinds: tuple[str, ...]
    regex: str
    example: str
    component: str
    source: str
    ended: Exit = "not zero"
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.regex, re.MULTILINE))

    def matches(self, kind: str, exit_code: int | None, message: str) -> bool:
        """Whether a probe's end and message show this pattern."""
        return kind in self.kinds and self.ended == exit_name(exit_code) and bool(self._compiled.search(message))


@dataclass(frozen=True)
class Outcome:
    """A named outcome; `ok`: what was probed worked; `meaning`: one sentence for the reader of a report."""

    name: str
    ok: bool
    meaning: str
    patterns: tuple[Pattern, ...] = ()

    def __str__(self) -> str:
        return self.name

    def matches(self, kind: str, exit_code: int | None, message: str) -> bool:
        """Whether any of the patterns matches."""
        return any(pattern.matches(kind, exit_code, message) for pattern in self.patterns)


def exit_name(exit_code: int | None) -> Exit:
    """The three ways in which a probe ends."""
    if exit_code is None:
        return "killed"
    return "zero" if exit_code == 0 else "not zero"
