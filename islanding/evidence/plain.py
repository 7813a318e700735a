"""Derived files as JSON: texts made harmless, numbers that JSON can hold, and the same bytes for the same result."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol

from islanding.evidence.clean import clean
from islanding.evidence.controls import load_controls
from islanding.evidence.record import Case

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_LAST = 253402300799000  # 9999-12-31, the last day that readers of a date can show; milliseconds since 1970


class ControlRef(Protocol):
    """A control of a framework that a requirement is mapped to."""

    @property
    def framework(self) -> str: ...
    @property
    def id(self) -> str: ...


class ControlMap(Protocol):
    """What a writer asks of the mapping of requirements to controls."""

    def of(self, row_id: str, /) -> tuple[ControlRef, ...]: ...


@cache
def project_controls() -> ControlMap:
    """The project's own mapping, read once; raises SetupError for a file that is not as it must be."""
    return load_controls()


def controls_of(controls: ControlMap, rows: tuple[str, ...] | list[str]) -> list[ControlRef]:
    """The controls that some of `rows` are mapped to, each once, in the order of the rows."""
    found = {(control.framework, control.id): control for row in rows for control in controls.of(row)}
    return list(found.values())


def plain(value: Any) -> Any:
    """`value` as JSON holds it: texts cleaned, endless and undefined numbers null, keys texts; nothing else changes."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else clean(str(value))


def _text(text: str) -> str:
    return text if text.isascii() and text.isprintable() else clean(text)  # most texts, and all keys, are harmless


def as_json(value: Any) -> str:
    """`value` as a JSON text of its own, in UTF-8 and with an end of line; its keys keep their order."""
    return json.dumps(plain(value), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def milliseconds(case: Case, t: float) -> int:
    """Milliseconds since 1970 of a moment `t` (CLOCK_MONOTONIC, seconds) of a case, by the wall clock of its start."""
    try:
        begun = datetime.fromisoformat(case.wall)
        seconds = (begun - _EPOCH) / timedelta(seconds=1) + (t - case.started)
    except (ValueError, TypeError):  # no time, or one without a zone
        return 0
    return max(0, min(_LAST, round(seconds * 1000))) if math.isfinite(seconds) else 0
