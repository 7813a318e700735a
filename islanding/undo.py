"""The undo log: what was broken and how to mend it, on disk before anything is broken, readable by people.

One file a site below the state folder, one JSON object a line, only ever appended to, each line fsynced. An entry's
first line (`planned`) holds all that another process needs to undo the fault; later lines say how far it came:
planned -> applied -> undoing -> undone, or abandoned with a reason. The last whole line of an entry counts.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

from islanding.errors import IslandingError
from islanding.paths import state_dir
from islanding.undolines import CLOSED, Entry, Owner, Replay, State, encode, replay

__all__ = ["CLOSED", "Entry", "Owner", "Replay", "State", "UndoLog", "UndoLogError", "Who", "logs", "replay"]

Who = Literal["runner", "watchdog", "heal", "user"]


class UndoLogError(IslandingError):
    """The undo log cannot be written or understood; no fault may be applied without it."""


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

        Raises UndoLogError when it is not certain that the entry is on disk, when another live run has a fault open at
        the site, and when a newer islanding has written to the log: then the fault must not be applied.
        """
        now, me = datetime.now(UTC), Owner.me()
        deadline = now + timedelta(seconds=max_seconds)
        boottime = time.clock_gettime(time.CLOCK_BOOTTIME) + max_seconds
        file = str(site_file)
        entry = Entry(id, kind, params, plan, site_id, file, me, now, deadline, since=now, boottime=boottime)
        line = {
            "id": id, "state": State.PLANNED, "when": now.isoformat(), "kind": kind, "params": params, "plan": plan,
            "site_id": site_id, "site_file": file, "owner": asdict(me), "deadline": deadline.isoformat(),
            "boottime": boottime,
        }  # fmt: skip
        self._append(line, alone=me)
        return entry

    def mark(self, id: str, state: State, reason: str = "", who: Who = "runner") -> None:
        """Put on disk that `who` brought an entry into another state; raises UndoLogError when that fails."""
        by = {"who": who, "process": str(Owner.me())}
        line = {"id": id, "state": state, "when": datetime.now(UTC).isoformat(), "by": by}
        self._append(line | ({"reason": reason} if reason else {}))

    def read(self) -> Replay:
        """Read the log from disk; an absent log is an empty one. Raises UndoLogError when it cannot be read."""
        try:
            return replay(self.path.read_bytes())
        except FileNotFoundError:
            return Replay(())
        except OSError as error:
            raise UndoLogError(f"cannot read the undo log {self.path}: {error.strerror}") from error

    def entry(self, id: str) -> Entry | None:
        """The entry of that id as it stands now, None without one."""
        return next((entry for entry in self.read().entries if entry.id == id), None)

    @contextmanager
    def quiet(self) -> Iterator[Replay]:
        """What the log says, and nothing is added to it for as long as the block lasts."""
        try:
            with self._locked() as fd:
                yield replay(_content(fd))
        except OSError as error:
            raise UndoLogError(f"cannot read the undo log {self.path}: {error.strerror}") from error

    def _append(self, line: dict[str, Any], alone: Owner | None = None) -> None:
        content = encode(line)
        try:
            with self._locked() as fd:
                if alone:
                    self._refuse_beside_others(replay(_content(fd)), alone)
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

    def alone(self) -> None:
        """Raises UndoLogError, naming the other, when another live run holds a fault here; also for newer lines."""
        self._refuse_beside_others(self.read(), Owner.me())

    def _refuse_beside_others(self, record: Replay, me: Owner) -> None:
        if record.newer:
            raise UndoLogError(
                f"{self.path}: written by a newer islanding, of which this one cannot tell what is applied",
                "use that version for this site",
            )
        for entry in record.open:
            if entry.owner != me and entry.owner.is_alive():
                raise UndoLogError(
                    f"{entry.site_id} is in use: {entry.owner} holds {entry.kind} ({entry.target}) there since"
                    f" {entry.planned:%Y-%m-%d %H:%M:%S} UTC",
                    "wait until that run has ended; two runs at one site would spoil each other's results",
                )

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


def _content(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def logs(site_id: str | None = None) -> list[UndoLog]:
    """The undo logs of all sites, or that of one."""
    if site_id is not None:
        return [UndoLog.for_site(site_id)]
    return [UndoLog(path) for path in sorted((state_dir() / "undo").glob("*.jsonl"))]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
