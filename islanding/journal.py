"""The run's one record: an append-only file of typed events, one JSON object a line, flushed as it happens.

Several processes append to one journal (runner, samplers): each event is one `write` to a file opened with O_APPEND,
so that lines never mix, and each carries CLOCK_MONOTONIC, which all processes of a machine share. Each line holds the
hash of those before it (islanding.chain), so one process at a time appends: a lock on the file says whose turn it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from islanding.chain import END_LENGTH, RESERVED, Link, follow, seal, stated
from islanding.redact import redact_data
from islanding.wait import WaitTimeout, wait_until

VERSION = 2
LOCK_SECONDS = 5.0  # how long an event waits for its turn: who has it needs microseconds, unless it was stopped

_CHUNK = 1 << 16
_FRAME = RESERVED | {"v"}

EVENT_TYPES = frozenset(
    {
        "run-started",  # run, target, sites, revision, clean, parts, hashes, host, clock, inputs
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
        "capture",  # site, case, place, interface, expression, keep, start, end, reason; or of its file, what it holds
        "finding",  # site, rule, object, text, level: what a look at the configuration found before anything was made
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
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._process = os.getpid()
        self._turn = threading.Lock()

    def append(self, type: str, **data: Any) -> Event:
        """Write one event, without the secrets in it, and return it as it was written.

        Raises ValueError for a type that EVENT_TYPES does not know, and for a name that is the chain's.
        """
        if type not in EVENT_TYPES:
            raise ValueError(f"unknown event type {type!r}")
        if taken := RESERVED & data.keys():
            raise ValueError(f"reserved for the chain: {', '.join(sorted(taken))}")
        t, wall = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds")
        event = Event(type, t, wall, redact_data({**self._context, **data}))
        body = json.dumps({"v": VERSION, "type": type, "t": t, "wall": wall, **event.data}).encode()
        if self._process != os.getpid():  # a lock is the open file's, which a forked child shares
            self._open()
        with self._turn, self._locked():
            before, torn = self._end()
            line = (b"\n" if torn else b"") + seal(body, before)[0] + b"\n"
            while line:  # one write, unless the disk is full or the file has a limit
                line = line[os.write(self._fd, line) :]
        return event

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Have the file's lock; an event is written without it when a stopped process keeps it, rather than lost."""
        try:
            if not self._try_lock():
                with contextlib.suppress(WaitTimeout):
                    wait_until("the journal's lock", self._try_lock, timeout=LOCK_SECONDS, interval=0.0005)
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _end(self) -> tuple[Link, bool]:
        """The link of the last line, and whether that line was cut off, so that it still lacks its end."""
        size = os.fstat(self._fd).st_size
        if not size:
            return Link(), False
        tail = os.pread(self._fd, END_LENGTH, max(0, size - END_LENGTH))
        last = stated(tail[:-1]) if tail.endswith(b"\n") else None
        return (last, False) if last else self._end_after_damage(size)

    def _end_after_damage(self, size: int) -> tuple[Link, bool]:
        """The same where the last line is not whole: from the last one that is, onwards."""
        length, lines, whole = 0, [b""], None
        while length < size and whole is None:
            length = min(size, max(_CHUNK, 2 * length))
            lines = os.pread(self._fd, length, size - length).split(b"\n")[0 if length == size else 1 :]
            whole = next((i for i in range(len(lines) - 1, -1, -1) if stated(lines[i])), None)
        link = Link() if whole is None else stated(lines[whole]) or Link()
        torn = bool(lines[-1])
        for raw in lines[0 if whole is None else whole + 1 : None if torn else -1]:
            link = follow(link, raw)
        return link, torn

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
    """Parse one line; None for a line cut off in the middle (a crash), of no known shape, or of a newer version."""
    try:
        raw = json.loads(line)
        if _is_newer(raw):
            return None
        return Event(raw.pop("type"), raw.pop("t"), raw.pop("wall"), {k: v for k, v in raw.items() if k not in _FRAME})
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def version_of(line: str) -> int:
    """The version of the journal that a line says it is of; 0 when it says none."""
    try:
        version = json.loads(line)["v"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return version if isinstance(version, int) and not isinstance(version, bool) else 0


def _is_newer(raw: dict[str, Any]) -> bool:
    version: object = raw.get("v", 1)
    return isinstance(version, int) and version > VERSION


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a journal in the order written; lines that cannot be parsed are left out."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            event = parse(line)
            if event:
                yield event
