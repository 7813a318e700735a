"""What the catalogue of error texts is made of: texts by which an entry is known, its causes, and what to check."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from islanding.outcomes import OUTCOMES

# What an error text may hold that tells causes apart: the kind of address that was dialled.
Hint = Literal["", "private address", "public address"]


@dataclass(frozen=True)
class Text:
    """A text by which an entry is known; `example` is such a text, `component` prints it, `source` says where seen."""

    regex: str
    example: str
    component: str
    source: str

    def search(self, text: str) -> re.Match[str] | None:
        """Where `text` shows it, if it does."""
        return re.compile(self.regex, re.MULTILINE).search(text)


@dataclass(frozen=True)
class Cause:
    """A missing piece that gives the text; `tell` says how to know it from the others, `hint` what in the text does."""

    missing: str
    tell: str
    hint: Hint = ""


@dataclass(frozen=True)
class Entry:
    """One thing that goes wrong: the step at which, what it means, its causes and what to check, both in order.

    `outcomes` lends the patterns of named outcomes; `rank`: of several entries in one text, the higher is told first.
    REGION, HOST and ADDRESS in `checks` are filled in from the text where it has them.
    """

    name: str
    step: str
    meaning: str
    causes: tuple[Cause, ...]
    checks: tuple[str, ...]
    outcomes: tuple[str, ...] = ()
    texts: tuple[Text, ...] = ()
    rank: int = 5

    def all_texts(self) -> tuple[Text, ...]:
        """Its own texts and those of its outcomes."""
        lent = [
            # A pasted text has more before the message than a probe's: a line's start is not asked for.
            Text(re.sub(r"^\^(?!\()", "", p.regex), p.example, p.component, p.source)
            for name in self.outcomes
            for p in OUTCOMES[name].patterns
            if p.ended == "not zero"
        ]
        return (*self.texts, *lent)
