"""Small answers that the report's templates ask for: places in the page, which messages are shown, facts as pairs."""

from __future__ import annotations

import re
from typing import Any

from islanding.evidence.record import Case, Message, RunResult
from islanding.model import Verdict

_MOST_MESSAGES = 12  # of one case: the report shows wordings, the journal keeps all


def pairs(value: Any) -> list[tuple[str, str]]:
    """What is told of parts or host, in whatever shape, as names and values to print."""
    if isinstance(value, dict):
        return [(str(key), _flat(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        named = [item for item in value if isinstance(item, dict) and "name" in item]
        rest = [("", _flat(item)) for item in value if item not in named]
        return [(str(i["name"]), _flat({k: v for k, v in i.items() if k != "name"})) for i in named] + rest
    return [("", str(value))] if value else []


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def slug(text: str) -> str:
    """`text` as the name of a place in the page."""
    return "".join(char if char.isalnum() else "-" for char in text)


def short_revision(revision: str) -> str:
    """A revision with its hash cut to 12 digits; what follows the hash (`+changes`) stays."""
    found = re.match(r"[0-9a-f]{40}", revision)
    return revision[:12] + revision[40:] if found else revision


def anchors(result: RunResult) -> dict[int, str]:
    """The place of each case in the page, by `id()` of the case; two runs of one case have two places."""
    return {
        id(case): f"{slug(f'{site.name}-{case.id}')}-{place}-{number}"
        for place, site in enumerate(result.sites.values())
        for number, case in enumerate(site.cases)
    }


def shown_messages(case: Case) -> tuple[list[Message], int]:
    """The messages to show, those of things that did not work first, and how many wordings are left out."""
    rank = {"unknown": 0, "bad": 0, "good": 1}
    ordered = sorted(case.messages, key=lambda m: (rank[m.state], m.first))
    return ordered[:_MOST_MESSAGES], max(0, len(ordered) - _MOST_MESSAGES)


def verdict_class(verdict: Verdict) -> str:
    """The verdict as a name for the style sheet."""
    return verdict.value.replace(" ", "-")
