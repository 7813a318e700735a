"""The undo log: what was broken and how to mend it, on disk before anything is broken, readable by people.

One file a site below the state folder, one JSON object a line, only ever appended to, each line fsynced. An entry's
first line (`planned`) holds all that another process needs to undo the fault; later lines say how far it came:
planned -> applied -> undoing -> undone, or abandoned with a reason. The last whole line of an entry counts.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from islanding.errors import IslandingError
from islanding.paths import state_dir
from islanding.sites import process_is_alive, process_started

VERSION = 1


class UndoLogError(IslandingError):
    """The undo log cannot be written or understood; no fault may be applied without it."""


class State(StrEnum):
    """How far a fault has come."""

    PLANNED = "planned"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"
    ABANDONED = "abandoned"


CLOSED = frozenset({State.UNDONE, State.ABANDONED})


@dataclass(frozen=True)
class Owner:
    """The process that applied a fault: pid, start time (clock ticks since boot), boot id, user and host."""

    pid: int
    started: int
    boot: str
    user: str
    host: str

    @classmethod
    def me(cls) -> Self:
        """The process that asks."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # no such user in the password file
            user = str(os.getuid())
        return cls(os.getpid(), process_started(os.getpid()) or 0, _boot_id(), user, socket.gethostname())

    def is_alive(self) -> bool:
        """Whether that very process still runs; False after a reboot, whatever has its pid now."""
        return self.boot == _boot_id() and process_is_alive(self.pid, self.started)


@dataclass(frozen=True)
class Entry:
    """One fault in the log. `plan` is the fault's plan as data; `deadline` is when it has to be gone, come what may."""

    id: str
    kind: str
    params: dict[str, Any]
    plan: dict[str, Any]
    site_id: str
    site_file: str
    owner: Owner
    planned: datetime
    deadline: datetime
    state: State = State.PLANNED
    since: datetime | None = None  # when it came into its state
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.state not in CLOSED

    @property
    def target(self) -> str:
        return str(self.plan.get("target", ""))

    @property
    def summary(self) -> str:
        return str(self.plan.get("summary", ""))

    def is_overdue(self, now: datetime | None = None) -> bool:
        """Whether it should have been undone by now, whoever owns it."""
        return self.is_open and (now or datetime.now(UTC)) > self.deadline


@dataclass(frozen=True)
class Replay:
    """What a log says: entries in the order planned, and ids of faults whose first line is lost."""

    entries: tuple[Entry, ...]
    orphans: tuple[str, ...] = ()  # applied, but nobody can read any more how to undo them
    damaged: int = 0  # lines cut off or unreadable

    @property
    def open(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.is_open)


@dataclass
class UndoLog:
    """The undo log of one site."""

    path: Path
    _parents_synced: bool = field(default=False, repr=False)

    @classmethod
    def for_site(cls, site_id: str) -> Self:
        """The log of the site with that id; the file need not exist yet."""
        return cls(state_dir() / "undo" / f"{quote(site_id, safe='')}.jsonl")

    def planned(
        self,
        *,
        id: str,
        kind: str,
        params: dict[str, Any],
        plan: dict[str, Any],
        site_id: str,
        site_file: Path,
        max_seconds: float,
    ) -> Entry:
        """Put a planned fault on disk and return its entry; it has to be gone after `max_seconds`.

        Raises UndoLogError when it is not certain that the entry is on disk: then the fault must not be applied.
        """
        now = datetime.now(UTC)
        deadline = now + timedelta(seconds=max_seconds)
        entry = Entry(id, kind, params, plan, site_id, str(site_file), Owner.me(), now, deadline, since=now)
        line = {
            "id": id, "state": State.PLANNED, "when": now.isoformat(), "kind": kind, "params": params, "plan": plan,
            "site_id": site_id, "site_file": str(site_file), "owner": asdict(entry.owner),
            "deadline": deadline.isoformat(),
        }  # fmt: skip
        self._append(line)
        return entry

    def mark(self, id: str, state: State, reason: str = "") -> None:
        """Put on disk that an entry came into another state; raises UndoLogError when that fails."""
        line = {"id": id, "state": state, "when": datetime.now(UTC).isoformat(), "by": os.getpid()}
        self._append(line | ({"reason": reason} if reason else {}))

    def read(self) -> Replay:
        """Read the log from disk; an absent log is an empty one. Raises UndoLogError for a newer version's log."""
        try:
            return replay(self.path.read_bytes())
        except FileNotFoundError:
            return Replay(())
        except UndoLogError as newer:
            raise UndoLogError(f"{self.path}: {newer.what}", newer.fix) from newer
        except OSError as error:
            raise UndoLogError(f"cannot read the undo log {self.path}: {error.strerror}") from error

    def _append(self, line: dict[str, Any]) -> None:
        content = json.dumps({"v": VERSION, **line}).encode() + b"\n"
        try:
            with self._locked() as fd:
                size = os.fstat(fd).st_size
                if size and os.pread(fd, 1, size - 1) != b"\n":
                    content = b"\n" + content  # a crash cut the last line off: keep ours apart from it
                written = os.write(fd, content)
                if written != len(content):
                    raise OSError(28, f"only {written} of {len(content)} bytes were written")
                os.fsync(fd)
        except OSError as error:
            raise UndoLogError(
                f"cannot write the undo log {self.path}: {error.strerror}",
                "make room or make it writable (or set ISLANDING_STATE to another folder)",
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The open file, under a lock shared by all processes; a new file's name is made durable too."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not self._parents_synced:
                for folder in (self.path.parent, self.path.parent.parent, self.path.parent.parent.parent):
                    _sync_folder(folder)
                self._parents_synced = True
            yield fd
        finally:
            os.close(fd)


def logs(site_id: str | None = None) -> list[UndoLog]:
    """The undo logs of all sites, or that of one."""
    if site_id is not None:
        return [UndoLog.for_site(site_id)]
    return [UndoLog(path) for path in sorted((state_dir() / "undo").glob("*.jsonl"))]


def replay(content: bytes) -> Replay:
    """What the lines of a log come to; raises UndoLogError only for a line of a newer version.

    A line cut off by a crash is left out: the write before `apply` was then never confirmed, so nothing was applied.
    """
    entries: dict[str, Entry] = {}
    orphans: dict[str, State] = {}
    damaged = 0
    for raw in content.split(b"\n"):
        if not raw.strip():
            continue
        line = _parse(raw)
        if line is None:
            damaged += 1
            continue
        id, state = line["id"], State(line["state"])
        if state is State.PLANNED:
            try:
                entries[id] = _entry(line)
            except (KeyError, TypeError, ValueError):
                damaged += 1
        elif id in entries:
            since = _time(line.get("when"))
            entries[id] = replace(entries[id], state=state, since=since, reason=str(line.get("reason", "")))
        else:
            orphans[id] = state
    lost = tuple(id for id, state in orphans.items() if id not in entries and state not in CLOSED)
    return Replay(tuple(entries.values()), lost, damaged)


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
        version = line["v"]
        if isinstance(version, int) and version > VERSION:
            raise UndoLogError(
                f"written by a newer islanding (format {version}; this one knows up to {VERSION})",
                "run `islanding heal` of that version",
            )
        if isinstance(line["id"], str) and line["state"] in set(State) and version == VERSION:
            return dict(line)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _entry(line: dict[str, Any]) -> Entry:
    planned, deadline = _time(line["when"]), _time(line["deadline"])
    if planned is None or deadline is None:
        raise ValueError("no time")
    return Entry(
        id=line["id"],
        kind=str(line["kind"]),
        params=dict(line["params"]),
        plan=dict(line["plan"]),
        site_id=str(line["site_id"]),
        site_file=str(line["site_file"]),
        owner=Owner(**line["owner"]),
        planned=planned,
        deadline=deadline,
        since=planned,
    )


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
