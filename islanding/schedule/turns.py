"""Whose turn it is: one run at a time for a schedule or a site, and the record of the runs that were.

The lock is on an open file (flock), so that it ends with its process however that ends. The record is one file of JSON
lines, only ever appended to: a line when a run begins and one when it has ended.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from islanding.errors import ExitCode, IslandingError, SetupError
from islanding.paths import state_dir
from islanding.schedule import calendar


class Busy(IslandingError):
    """Another run is under way; this one was not begun."""

    exit_code = ExitCode.BUSY


@dataclass(frozen=True)
class Turn:
    """A run as it is recorded: when it `began` and `ended` (ISO 8601; empty while it is under way), what it came to."""

    run: str  # its folder
    sites: tuple[str, ...]
    target: str
    began: str
    ended: str = ""
    verdict: str = ""
    exit_code: int = -1
    schedule: str = ""
    calendar: str = ""

    @property
    def since(self) -> datetime:
        """When it began."""
        return datetime.fromisoformat(self.began)


def record_path() -> Path:
    """The file of the record."""
    return state_dir() / "turns" / "runs.jsonl"


@contextmanager
def held(keys: tuple[str, ...], run: Path) -> Iterator[None]:
    """Hold the turns of `keys` (a schedule, sites) for a run; raises Busy with the name of the run that has one."""
    with ExitStack() as stack:
        for key in sorted(set(keys)):
            stack.enter_context(_held(key, run))
        yield


@contextmanager
def _held(key: str, run: Path) -> Iterator[None]:
    path = state_dir() / "turns" / f"{quote(key, safe='')}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}", "is ISLANDING_STATE yours?") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            first = os.pread(fd, 4096, 0).decode(errors="replace").strip() or "a run that is just beginning"
            raise Busy(f"{key}: {first} is under way", "this run was not begun; it is the next one's turn") from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{run} (process {os.getpid()}, since {now()})".encode(), 0)
        yield
    finally:
        os.close(fd)


def note(turn: Turn) -> None:
    """Append a line for a run; raises SetupError when it cannot be written."""
    path = record_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            size = os.fstat(fd).st_size
            cut_off = size and os.pread(fd, 1, size - 1) != b"\n"
            os.write(fd, (b"\n" if cut_off else b"") + json.dumps(asdict(turn)).encode() + b"\n")
        finally:
            os.close(fd)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error


def turns() -> list[Turn]:
    """The runs of the record in the order in which they began, each as it stands now; lines of no known shape apart."""
    found: dict[tuple[str, str], Turn] = {}
    try:
        lines = record_path().read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SetupError(f"{record_path()}: cannot be read: {error.strerror}") from error
    for line in lines:
        turn = _turn(line)
        if turn:
            found[turn.run, turn.began] = turn
    return sorted(found.values(), key=lambda turn: turn.since)


def _turn(line: bytes) -> Turn | None:
    try:
        raw: dict[str, Any] = json.loads(line)
        turn = Turn(**{**raw, "sites": tuple(raw["sites"])})
        return turn if turn.since.tzinfo else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True)
class Standing:
    """How a schedule stands: its last run, the last that passed, when one was due last, and whether that is overdue."""

    schedule: str
    last: Turn | None
    good: Turn | None
    due: datetime
    overdue: bool
    next: datetime


def standing(name: str, text: str, grace: timedelta, now: datetime, known: list[Turn]) -> Standing:
    """How schedule `name` stands at `now`; `text` is its calendar, empty for that of its last run. Raises SetupError.

    A run answers for a due time when it began no earlier; it is missed once `grace` has gone by without one.
    """
    own = [turn for turn in known if turn.schedule == name]
    text = text or (own[-1].calendar if own else "")
    if not text:
        raise SetupError(f"no run of schedule {name} is recorded", "say when it is due: --calendar '17 2 * * *'")
    when = calendar.parse(text)
    due = when.latest(now - grace)
    last = own[-1] if own else None
    good = next((turn for turn in reversed(own) if turn.exit_code == ExitCode.OK), None)
    missed = last is None or last.since < due
    return Standing(name, last, good, when.latest(now), missed, when.next(now))


def now() -> str:
    """The time as it is recorded."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
