"""Fields of an event as what they should be: whatever a line of a journal holds, reading it raises nothing."""

from __future__ import annotations

from typing import Any

from islanding.journal import Event
from islanding.model import Verdict
from islanding.redact import redact


def text_of(event: Event, key: str) -> str:
    """A field as text, empty where there is none; secrets are still in it."""
    found = event.get(key)
    return "" if found is None else str(found)


def number_of(event: Event, key: str) -> float | None:
    """A field as a number; None where it is none."""
    found = event.get(key)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def whole_of(event: Event, key: str) -> int | None:
    """A field as a whole number; None where it is none."""
    found = event.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def value_of(found: Any) -> str:
    """A measured value as people read it, without secrets."""
    if isinstance(found, float):
        return f"{found:.3f}".rstrip("0").rstrip(".")
    return "" if found is None else redact(str(found))


def verdict_of(event: Event) -> Verdict | None:
    """The verdict of an event; None where it has none. One that is not known here is no verdict: inconclusive."""
    found = event.get("verdict")
    try:
        return None if found is None else Verdict(str(found))
    except ValueError:
        return Verdict.INCONCLUSIVE
