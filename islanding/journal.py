"""The run's one record: an append-only file of typed events, one JSON object a line, flushed as it happens.

Several processes append to one journal (runner, samplers): each event is one `write` to a file opened with O_APPEND,
so that lines never mix, and each carries CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

VERSION = 1

EVENT_TYPES = frozenset(
    {
        "run-started",  # run, target, sites, revision, parts, host
        "run-finished",  # exit_code
        "site-starting",  # site
        "site-step",  # site, step, seconds: a step of the bring-up that has ended
        "site-ready",  # site, seconds, topology, facts
        "site-down",  # site, seconds
        "site-failed",  # site, reason
        "site-troubled",  # site, reason, lasting: the site itself went wrong, what is seen meanwhile proves nothing
        "site-sound",  # site: what lasted is over
        "case-started",  # site, case, title, requirements
        "case-finished",  # site, case, verdict, reason, seconds, detail
        "watch-started",  # site, case, watch, probe, place, interval, command
        "watch-stopped",  # site, case, watch, ticks, missed
        "sample",  # site, case, watch, probe, start, end, outcome, text
        "fault-refused",  # site, case, fault, id, target, guardrails, reason
        "fault-stopped",  # site, case, reason: a stop condition came true, what was applied is healed
        "fault-planned",  # site, case, fault, id, target, summary
        "fault-applied",  # site, case, fault, id, start, end
        "fault-undone",  # site, case, fault, id, start, end
        "fault-healed",  # site, case, fault, id, seconds
        "expectation",  # site, case, watch, claim, start, end, verdict, reason
        "measurement",  # site, case, name, value, unit, limit, verdict
        "wait",  # site, case, what, seconds, physics: true when the time is the system's own (hold timer, dial, grace)
        "evidence",  # site, case, title, text: something seen once and kept word for word
        "diagnosis",  # site, case, source, target, step, hops, failing, blame, message, agreement, conclusive, notes
        "warning",  # site, case, text
    }
)


@dataclass(frozen=True)
class Event:
    """One event: type, monotonic seconds, wall-clock time (ISO 8601, UTC) and its data."""

    type: str
    t: float
    wall: str
    data: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str, default: Any = None) -> Any:
        return self.data.get(key, default)

    def __getitem__(self, key: str) -> Any:
        return self.data[key]


class Journal:
    """An open journal to which events are appended; may be shared by threads and by processes."""

    def __init__(self, path: Path, **context: Any) -> None:
        """Open `path` for appending; `context` (site, case, ...) is added to each event written through this object."""
        self.path = path
        self._context = context
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def append(self, type: str, **data: Any) -> Event:
        """Write one event and return it; raises ValueError for a type that EVENT_TYPES does not know."""
        if type not in EVENT_TYPES:
            raise ValueError(f"unknown event type {type!r}")
        event = Event(
            type, time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds"), {**self._context, **data}
        )
        line = json.dumps(
            {"v": VERSION, "type": event.type, "t": event.t, "wall": event.wall, **event.data}, default=str
        )
        os.write(self._fd, line.encode() + b"\n")
        return event

    @property
    def context(self) -> dict[str, Any]:
        """What is added to each event written through this object."""
        return dict(self._context)

    def bind(self, **context: Any) -> Journal:
        """Another writer of the same file, with more context."""
        return Journal(self.path, **{**self._context, **context})

    def close(self) -> None:
        os.close(self._fd)


def parse(line: str) -> Event | None:
    """Parse one line; None for a line cut off in the middle (a crash) or of no known shape."""
    try:
        raw = json.loads(line)
        return Event(raw.pop("type"), raw.pop("t"), raw.pop("wall"), {k: v for k, v in raw.items() if k != "v"})
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a journal in the order written; lines that cannot be parsed are left out."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            event = parse(line)
            if event:
                yield event
