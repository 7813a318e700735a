"""The lines of an undo log: what an entry holds, how a line shows that it is whole, what a damaged log still says.

Each line ends with a checksum, since a flipped bit in an address would undo the wrong thing without a word. What cannot
be read is never guessed at and never passed over: it is an orphan, or a line of a newer version, and both are told.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import time
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Self

from islanding.sites import process_is_alive, process_started

VERSION = 2
_UNSUMMED = 1  # the version whose lines had no checksum
_SUM = re.compile(rb', "crc": "([0-9a-f]{8})"}$')
_END = re.compile(rb'"crc": "[0-9a-f]{8}"}')
_BEGINS = b'{"v": '
_ID = re.compile(rb'"id": "([^"\\]{1,64})"')
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?')


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
    """The process that applied a fault: pid, start (clock ticks since boot), boot id, user, host, pid namespace."""

    pid: int
    started: int
    boot: str
    user: str
    host: str
    space: int = 0  # inode of its pid namespace: in another one its pid means another process

    @classmethod
    def me(cls) -> Self:
        """The process that asks."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # no such user in the password file
            user = str(os.getuid())
        pid = os.getpid()
        return cls(pid, process_started(pid) or 0, boot_id(), user, socket.gethostname(), _pid_space())

    def is_alive(self) -> bool:
        """Whether that very process still runs; False after a reboot, whatever has its pid now.

        Who shares the state folder from another host or container cannot be asked, and is taken to live: the fault's
        deadline decides.
        """
        if self.boot != boot_id():
            return self.host != socket.gethostname()
        if self.space not in (0, _pid_space()):
            return True
        return process_is_alive(self.pid, self.started)

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} at {self.host}"


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
    by: str = ""  # who brought it into its state: "runner", "watchdog" or "heal", with process, user and host
    boottime: float | None = None  # the deadline in seconds since its owner's boot, which no clock set back can move

    @property
    def is_open(self) -> bool:
        return self.state not in CLOSED

    @property
    def is_ended_by_others(self) -> bool:
        """Whether somebody other than its own run has closed it."""
        return not self.is_open and bool(self.by) and not self.by.startswith("runner")

    @property
    def target(self) -> str:
        return str(self.plan.get("target", ""))

    @property
    def summary(self) -> str:
        return str(self.plan.get("summary", ""))

    def seconds_left(self) -> float:
        """Seconds until its deadline; negative when that has passed."""
        if self.boottime is not None and self.owner.boot == boot_id():
            return self.boottime - time.clock_gettime(time.CLOCK_BOOTTIME)
        return (self.deadline - datetime.now(UTC)).total_seconds()

    def is_overdue(self) -> bool:
        """Whether it should have been undone by now, whoever owns it."""
        return self.is_open and self.seconds_left() < 0


@dataclass(frozen=True)
class Replay:
    """What a log says: entries in the order planned, and what of it cannot be acted on.

    `orphans` are faults whose record is lost although they may be applied, and damaged lines that name no fault (as
    `line-` and a checksum); `newer` are those of which a newer islanding has written; `torn` counts lines that a crash
    cut off, whose writing nobody has relied on.
    """

    entries: tuple[Entry, ...]
    orphans: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    torn: int = 0

    @property
    def open(self) -> tuple[Entry, ...]:
        """The faults that are to be undone, as far as this version knows how to."""
        return tuple(entry for entry in self.entries if entry.is_open and entry.id not in self.newer)


def encode(line: dict[str, Any]) -> bytes:
    """A line as it is written, with version, checksum and end."""
    body = json.dumps({"v": VERSION, **line}).encode()
    return body[:-1] + f', "crc": "{zlib.crc32(body):08x}"}}\n'.encode()


def replay(content: bytes) -> Replay:
    """What the lines of a log come to, however damaged it is; nothing is raised.

    A line cut off by a crash is left out: the write before `apply` was then never confirmed, so nothing was applied.
    """
    entries: dict[str, Entry] = {}
    lost: dict[str, State] = {}
    newer: set[str] = set()
    torn = 0
    *whole, last = content.split(b"\n")
    for raw in (*whole, last):
        if not raw.strip():
            continue
        line = _parse(raw)
        if line is None and _is_torn(raw, last=raw is last):
            torn += 1
        elif line is None:
            name = _named(raw)
            if name not in entries:  # a damaged mark of a fault whose plan is whole: it stays open, to be undone
                lost[name] = State.APPLIED
        elif line["v"] > VERSION:
            newer.add(str(line.get("id", "?")))
        elif line["state"] == State.PLANNED and (entry := _entry(line)):
            entries[entry.id] = entry
        elif line["state"] == State.PLANNED:
            lost[line["id"]] = State.APPLIED
        elif line["id"] in entries:
            entries[line["id"]] = _moved(entries[line["id"]], line)
        else:
            lost[line["id"]] = State(line["state"])
    orphans = tuple(id for id, state in lost.items() if id not in entries and state not in CLOSED)
    return Replay(tuple(entries.values()), orphans, tuple(sorted(newer)), torn)


def _parse(raw: bytes) -> dict[str, Any] | None:
    """A whole line of this version or an older one, or of a newer one; None for anything else."""
    try:
        line = json.loads(raw)
        version = line["v"]
        if not isinstance(version, int) or isinstance(version, bool):
            return None
        if version > VERSION:
            return dict(line)
        whole = version == _UNSUMMED or (version == VERSION and _sum_is_right(raw))
        if whole and isinstance(line["id"], str) and line["state"] in set(State):
            return dict(line)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _sum_is_right(raw: bytes) -> bool:
    found = _SUM.search(raw)
    return found is not None and zlib.crc32(raw[: found.start()] + b"}") == int(found[1], 16)


def _is_torn(raw: bytes, *, last: bool) -> bool:
    """Whether a line begins as ours do and stops in the middle: cut off as it was written, and never relied on.

    One that holds the end of a line, or a second beginning, is two lines whose border was damaged.
    """
    if _END.search(raw) or raw.count(_BEGINS) > 1:
        return False
    outside = _STRING.sub(b"", raw)
    return last or (raw.startswith(_BEGINS[: len(raw)]) and outside.count(b"{") > outside.count(b"}"))


def _named(raw: bytes) -> str:
    """The fault that a damaged line is of, as far as that can be read; else a name for the line itself."""
    id = _ID.search(raw)
    return id[1].decode(errors="replace") if id else f"line-{zlib.crc32(raw):08x}"


def _moved(entry: Entry, line: dict[str, Any]) -> Entry:
    by = line.get("by")
    who = f"{by.get('who')}, {by.get('process')}" if isinstance(by, dict) else ""
    since, reason = _time(line.get("when")), str(line.get("reason", ""))
    return replace(entry, state=State(line["state"]), since=since, reason=reason, by=who)


def _entry(line: dict[str, Any]) -> Entry | None:
    planned, deadline = _time(line.get("when")), _time(line.get("deadline"))
    boottime = line.get("boottime")
    if planned is None or deadline is None:
        return None
    try:
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
            boottime=float(boottime) if boottime is not None else None,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@cache
def boot_id() -> str:
    """What names this boot of the machine (random(4)); a machine that boots again has another."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _pid_space() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # a /proc that hides it
        return 0
