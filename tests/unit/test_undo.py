"""The undo log: on disk before a fault, never forgetting one that was applied, whatever happened to the file."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.sites import process_is_alive, process_started
from islanding.undo import CLOSED, Entry, Owner, Replay, State, UndoLog, UndoLogError, logs, replay


def planned(log: UndoLog, id: str = "a1", **changes: Any) -> Entry:
    """Write a planned entry."""
    values: dict[str, Any] = {
        "kind": "service-link-down",
        "params": {},
        "plan": {"target": "sl", "summary": "shut"},
        "site_id": "lab-1",
        "site_file": Path("/labs/1/site.json"),
        "max_seconds": 60.0,
    }
    return log.planned(id=id, **(values | changes))


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow: what a full disk does, for the length of the block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_entry_is_read_back_as_it_was_written() -> None:
    """Another process finds all that it needs to undo the fault."""
    log = UndoLog.for_site("lab-1")
    entry = planned(log)

    assert UndoLog.for_site("lab-1").read() == Replay((entry,))
    assert entry.is_open
    assert entry.target == "sl"
    assert entry.owner == Owner.me()


@pytest.mark.parametrize("last", [State.APPLIED, State.UNDOING, State.UNDONE, State.ABANDONED])
def test_the_last_state_counts(last: State) -> None:
    """An entry is open until it is undone or abandoned."""
    log = UndoLog.for_site("lab-1")
    planned(log)
    log.mark("a1", State.APPLIED)
    log.mark("a1", last, "because")
    [entry] = log.read().entries

    assert entry.state == last
    assert entry.reason == "because"
    assert entry.is_open == (last not in (State.UNDONE, State.ABANDONED))


def test_applied_after_undone_is_open_again() -> None:
    """A runner that applies what somebody has just healed is not forgotten."""
    log = UndoLog.for_site("lab-1")
    planned(log)
    log.mark("a1", State.UNDONE)
    log.mark("a1", State.APPLIED)

    assert [entry.id for entry in log.read().open] == ["a1"]


def test_a_line_cut_off_by_a_crash_does_not_spoil_the_next() -> None:
    """The next line starts on a line of its own, and the torn one is left out."""
    log = UndoLog.for_site("lab-1")
    planned(log)
    with log.path.open("ab") as file:
        file.write(b'{"v": 2, "id": "a1", "sta')
    log.mark("a1", State.APPLIED)
    record = log.read()

    assert [entry.state for entry in record.entries] == [State.APPLIED]
    assert (record.torn, record.orphans) == (1, ())


def test_each_line_is_synced_after_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced when it holds the line, and once the folder, which makes the file's name durable."""
    synced: list[tuple[str, int]] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        synced.append((Path(f"/proc/self/fd/{fd}").readlink().name, os.fstat(fd).st_size))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    log = UndoLog.for_site("lab-1")
    planned(log)
    log.mark("a1", State.APPLIED)
    lines = log.path.read_bytes().splitlines(keepends=True)

    sizes = [len(lines[0]), len(lines[0]) + len(lines[1])]
    assert [size for name, size in synced if name == "lab-1.jsonl"] == sizes
    assert [name for name, _ in synced].count("undo") == 1


def test_a_full_disk_is_an_error_that_says_so() -> None:
    """Nobody may believe that an entry is on disk when it is not."""
    log = UndoLog.for_site("lab-1")
    planned(log, "a0")
    with full_disk(), pytest.raises(UndoLogError, match="cannot write the undo log") as raised:
        planned(log)

    assert "make room" in raised.value.fix
    assert [entry.id for entry in log.read().entries] == ["a0"]


def test_a_newer_log_is_read_as_far_as_it_is_known_and_not_written_to_for_a_fault() -> None:
    """What this version does not understand it does not guess at; what it does understand it can still undo."""
    log = UndoLog.for_site("lab-1")
    planned(log, "a1")
    planned(log, "a2")
    with log.path.open("a") as file:
        file.write(json.dumps({"v": 9, "id": "b2", "state": "planned"}) + "\n")
        file.write(json.dumps({"v": 9, "id": "a2", "state": "half-undone"}) + "\n")
    record = log.read()

    assert [entry.id for entry in record.open] == ["a1"]
    assert record.newer == ("a2", "b2")
    with pytest.raises(UndoLogError, match=r"lab-1\.jsonl: written by a newer islanding"):
        planned(log, "a3")


def test_a_line_of_an_older_version_is_read() -> None:
    """An upgrade in the middle of a fault does not lose it."""
    [entry] = replay(line("a1", State.PLANNED) + b"\n").open

    assert (entry.id, entry.boottime, entry.owner.space) == ("a1", None, 0)


def test_a_flipped_bit_is_seen() -> None:
    """An inverse with one wrong digit would be carried out without a word: the entry is an orphan instead."""
    log = UndoLog.for_site("lab-1")
    planned(log, plan={"target": "10.0.0.1"})
    log.path.write_bytes(log.path.read_bytes().replace(b"10.0.0.1", b"10.0.0.3"))
    record = log.read()

    assert (record.entries, record.orphans) == ((), ("a1",))


def test_a_damaged_mark_leaves_the_fault_open() -> None:
    """Whether it was undone cannot be told any more: undoing it again does no harm."""
    log = UndoLog.for_site("lab-1")
    planned(log)
    log.mark("a1", State.UNDONE)
    log.path.write_bytes(log.path.read_bytes().replace(b'"undone"', b'"undane"'))

    assert [entry.id for entry in log.read().open] == ["a1"]


def test_a_second_run_is_refused_with_the_first_ones_name() -> None:
    """Two runs at one site would spoil each other: the other's process, user, host and since when are told."""
    log = UndoLog.for_site("lab-1")
    code = (
        "import sys; from pathlib import Path; from islanding.undo import UndoLog;"
        "UndoLog.for_site('lab-1').planned(id='b1', kind='silent-drop', params={}, plan={'target': 'sl'},"
        " site_id='lab-1', site_file=Path('/x'), max_seconds=60); print('ready', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    first.stdout.readline()
    me = Owner.me()
    try:
        with pytest.raises(UndoLogError) as refused:
            planned(log)
    finally:
        first.communicate()
    planned(log, "a2")

    assert f"lab-1 is in use: process {first.pid} of {me.user} at {me.host}" in str(refused.value)
    assert "silent-drop (sl) there since 2" in str(refused.value)


def test_the_deadline_does_not_move_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back an hour must not keep a fault for an hour more; seconds since boot decide."""
    entry = planned(UndoLog.for_site("lab-1"), max_seconds=60.0)

    class SetBack(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(hours=1)

    monkeypatch.setattr("islanding.undolines.datetime", SetBack)
    before = entry.seconds_left()
    boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr("islanding.undolines.time.clock_gettime", lambda _: boottime + 61)

    assert 50 < before <= 60
    assert entry.is_overdue()


def test_logs_of_all_sites_are_found() -> None:
    """A site's id may hold a slash; its log is one file all the same."""
    for site_id in ("lab-1", "123456789012/cluster"):
        planned(UndoLog.for_site(site_id), site_id=site_id)

    found = [entry.site_id for log in logs() for entry in log.read().open]

    assert found == ["123456789012/cluster", "lab-1"]


def test_an_entry_is_overdue_after_its_deadline() -> None:
    """A fault whose time is up is healed although its run lives."""
    entry = planned(UndoLog.for_site("lab-1"), max_seconds=60.0)

    past = replace(entry, boottime=time.clock_gettime(time.CLOCK_BOOTTIME) - 1)
    rebooted = replace(past, owner=replace(entry.owner, boot="another"), deadline=entry.planned)

    assert not entry.is_overdue()
    assert (past.is_overdue(), rebooted.is_overdue()) == (True, True)
    assert not replace(past, state=State.UNDONE).is_overdue()


def test_a_process_is_known_by_pid_and_start_time() -> None:
    """A pid that is used again, a zombie and another boot are not the process that applied the fault."""
    me = Owner.me()
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    started = process_started(child.pid) or 0

    assert me.is_alive()
    assert process_is_alive(child.pid, started)
    assert not replace(me, started=me.started + 1).is_alive()
    assert not replace(me, boot="another").is_alive()

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet waited for
    zombie = process_is_alive(child.pid, started)
    child.communicate()

    assert not zombie


ids = st.sampled_from(["a", "b", "c"])
moves = st.lists(st.tuples(ids, st.sampled_from(list(State))), max_size=12)


def line(id: str, state: State) -> bytes:
    """A line as the log writes it."""
    now = datetime.now(UTC).isoformat()
    more = {
        "kind": "k", "params": {}, "plan": {}, "site_id": "s", "site_file": "f", "deadline": now,
        "owner": {"pid": 1, "started": 2, "boot": "b", "user": "u", "host": "h"},
    }  # fmt: skip
    return json.dumps(
        {"v": 1, "id": id, "state": state, "when": now} | (more if state == State.PLANNED else {})
    ).encode()


@given(moves, st.integers(min_value=0, max_value=9999))
def test_no_truncation_forgets_an_applied_fault(moves: list[tuple[str, State]], cut: int) -> None:
    """Whatever was written and wherever it was cut off, a fault whose last whole line is not its end is known."""
    whole = b"".join(line(id, state) + b"\n" for id, state in moves)
    content = whole[: cut % (len(whole) + 1)]
    survived = set(content.split(b"\n")) & set(whole.split(b"\n")) - {b""}
    last = {
        entry["id"]: entry["state"] for text in content.split(b"\n") if text in survived for entry in [json.loads(text)]
    }
    record = replay(content)

    known = {entry.id for entry in record.open} | set(record.orphans)
    assert known == {id for id, state in last.items() if state not in set(CLOSED)}


@given(moves, st.lists(st.tuples(st.integers(0, 9999), st.binary(max_size=8)), max_size=4))
def test_replay_never_raises_on_damage(moves: list[tuple[str, State]], damage: list[tuple[int, bytes]]) -> None:
    """A log with bytes overwritten at random is read as far as it goes."""
    content = bytearray(b"".join(line(id, state) + b"\n" for id, state in moves))
    for at, what in damage:
        start = at % (len(content) + 1)
        content[start : start + len(what)] = what
    record = replay(bytes(content))

    assert all(isinstance(entry, Entry) for entry in record.entries)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda v: st.lists(v) | st.dictionaries(st.sampled_from(["v", "id", "state", "when", "owner", "plan"]), v),
        max_leaves=8,
    )
)
def test_replay_never_raises_on_other_json(value: object) -> None:
    """Any JSON at all is either understood or counted as damage."""
    for text in (value, {"v": 1, "id": "a", "state": "planned", "when": value, "owner": value, "params": value}):
        record = replay(json.dumps(text).encode())

        assert record.entries == ()
