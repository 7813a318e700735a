"""The watchdog: a process that undoes a fault at its deadline, or when its run dies, whatever killed it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from islanding import faults
from islanding.faults.apply import EndedEarly, apply_fault, cut, undo_fault
from islanding.faults.heal import Outcome, heal
from islanding.undo import State, UndoLog
from islanding.wait import wait_until
from islanding.watchdog import __main__ as watchdog
from islanding.watchdog import keeping, spawn
from tests.unit.test_faults.bench import Bench

LOG = "lab-1"
RUNNER = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and children inherit that
from islanding import faults
from islanding.faults.apply import apply_fault
from islanding.journal import Journal
from islanding.model import Site
if sys.argv[4]:
    import os
    from types import SimpleNamespace
    from islanding.watchdog import spawn
    spawn.select = SimpleNamespace(select=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
site = Site.load(Path(sys.argv[1]))
apply_fault(site, faults.SilentDrop(), Journal(Path(sys.argv[2])), max_seconds=float(sys.argv[3]))
print("applied", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_watchdog_stays(bench: Bench) -> Iterator[None]:
    """A watchdog that a test leaves is ended, by its own pid."""
    yield
    pid = spawn.standing(UndoLog.for_site(LOG).path)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def log() -> UndoLog:
    """The undo log of the bench's site."""
    return UndoLog.for_site(LOG)


def words() -> str:
    """What the watchdog has written."""
    return spawn.words_path(log().path).read_text()


@contextmanager
def runner(bench: Bench, seconds: float = 600.0, dies: str = "") -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own that holds a fault; `dies`: before it does, while its watchdog starts."""
    argv = [sys.executable, "-c", RUNNER, f"{bench.site.folder}/site.json", str(bench.journal.path)]
    process = subprocess.Popen(
        [*argv, str(seconds), dies], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "applied\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def closed() -> State:
    """The state of the only entry, once it is closed."""
    return wait_until("the entry to be closed", lambda: [e.state for e in log().read().entries if not e.is_open],
                      timeout=30)[0]  # fmt: skip


@pytest.mark.watched
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_it_heals_what_a_killed_run_left(bench: Bench, number: signal.Signals) -> None:
    """SIGKILL to the whole process group, or the terminal gone: the fault is undone by who is not of that group."""
    with runner(bench) as process:
        held = (bench.folder / "tables").glob("*/*")
        there = len(list(held))
        os.killpg(process.pid, number)
        state = closed()
    [entry] = log().read().entries

    assert (there, state) == (1, State.UNDONE)
    assert list((bench.folder / "tables").glob("*/*")) == []
    assert entry.by.startswith("watchdog, process ")
    assert f"its run is dead (process {process.pid} of" in words()


@pytest.mark.watched
def test_it_stays_when_its_run_dies_while_it_starts(bench: Bench) -> None:
    """Nobody is left to be told that it stands; the fault on record is closed all the same."""
    with pytest.raises(AssertionError), runner(bench, dies="while its watchdog starts"):
        pass
    state = closed()
    [entry] = log().read().entries

    assert State.UNDONE is state
    assert entry.by.startswith("watchdog, process ")
    assert "Traceback" not in words()


@pytest.mark.watched
def test_it_ends_a_fault_at_its_deadline_and_the_run_learns_it(bench: Bench) -> None:
    """What was seen after that was not seen under the fault: the run's verdict cannot be a pass."""
    applied = apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal, max_seconds=6)
    state = closed()
    with pytest.raises(EndedEarly, match=r"was ended while its run still held it, by watchdog, process \d+"):
        undo_fault(applied, bench.journal)

    assert state is State.UNDONE
    assert not (bench.folder / "shut").exists()
    assert "its time is up" in words()


@pytest.mark.watched
def test_there_is_one_a_site_apart_from_the_runs_terminal(bench: Bench) -> None:
    """Several faults have one watchdog, in a session of its own; killed, the next fault has another, and heals too."""
    nodes = faults.NodesCutOff(nodes=("w1",))
    with cut(bench.site, nodes, bench.journal), cut(bench.site, faults.ServiceLinkDown(), bench.journal):
        pid = spawn.standing(log().path)
        assert pid is not None
        first = words().count("watching lab-1")
        session = os.getsid(pid)
        os.kill(pid, signal.SIGKILL)
        wait_until("it to be gone", lambda: spawn.standing(log().path) is None, timeout=10)
    with cut(bench.site, faults.SilentDrop(), bench.journal):
        other = spawn.standing(log().path)

    assert (first, words().count("watching lab-1")) == (1, 2)
    assert session != os.getsid(0)
    assert other not in {None, pid}


@pytest.mark.watched
def test_runner_and_watchdog_killed_together_leave_it_to_heal(bench: Bench) -> None:
    """The record is on disk: `islanding heal`, or the next run, undoes it."""
    with runner(bench) as process:
        pid = spawn.standing(log().path)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
    [done] = heal(LOG)

    assert done.outcome is Outcome.HEALED
    assert list((bench.folder / "tables").glob("*/*")) == []


@pytest.mark.watched
def test_it_ends_when_nothing_is_open(bench: Bench) -> None:
    """With its last fault undone and the run gone it leaves nothing but its log."""
    with runner(bench) as process:
        pid = spawn.standing(log().path)
        process.kill()
        process.wait()
        closed()
    wait_until("it to end", lambda: spawn.standing(log().path) is None, timeout=20)

    assert pid is not None
    assert words().rstrip().endswith("nothing is open any more")


@pytest.mark.watched
def test_told_to_end_it_says_what_is_open_and_keeps_the_record(bench: Bench) -> None:
    """SIGTERM ends it at once; the fault stays in the log."""
    with runner(bench):
        pid = spawn.standing(log().path)
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        wait_until("it to end", lambda: spawn.standing(log().path) is None, timeout=20)
        [entry] = log().read().open

    assert f"told to end; still open: silent-drop {entry.id}" in words()


@pytest.mark.watched
def test_no_fault_without_a_watchdog(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it cannot be started, the reason is told and nothing is broken."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(spawn.NoWatchdog, match=r"the watchdog of lab-1 did not start: .*/nowhere/python: not found"):
        apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal)

    assert not (bench.folder / "shut").exists()
    assert bench.states() == [State.UNDONE]


def test_it_goes_on_trying(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be undone now is tried again, said once, and undone when it can be."""
    monkeypatch.setattr(keeping, "_ATTEMPT", 0.1)
    monkeypatch.setattr(keeping, "_BACKOFF", (0.2, 0.2))
    monkeypatch.setattr(keeping, "LINGERS", 0.0)
    apply_fault(bench.site, faults.NodesCutOff(nodes=("w2",)), bench.journal)
    bench.orphan()
    broken = bench.touch("broken-w2")
    said: list[str] = []
    keeper = keeping.Keeper(LOG, log(), said.append)
    thread = threading.Thread(target=keeper.keep)
    thread.start()
    try:
        wait_until("it to fail", lambda: any("no route to w2" in text for text in said), timeout=20)
        tries = len(bench.calls())
        wait_until("another try", lambda: len(bench.calls()) > tries, timeout=20)
    finally:
        broken.unlink()
    thread.join(20)

    assert not thread.is_alive()
    assert bench.states() == [State.UNDONE]
    assert sum("no route to w2" in text for text in said) == 1


def test_a_fault_that_comes_due_does_not_wait_for_one_that_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause after a failure is that fault's own."""
    monkeypatch.setattr(keeping, "_ATTEMPT", 0.1)
    monkeypatch.setattr(keeping, "_BACKOFF", (3600.0, 3600.0))
    apply_fault(bench.site, faults.NodesCutOff(nodes=("w2",)), bench.journal, max_seconds=0.0)
    bench.touch("broken-w2")
    keeper = keeping.Keeper(LOG, log(), lambda _: None)
    keeper._undo(keeper._due())
    waits = keeper._due()
    assert keeper._again > keeping.now() + 3000  # the pause is the one above, however long the next lines take
    later = apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal, max_seconds=0.0)
    due = keeper._due()

    assert (waits, [entry.id for entry in due]) == ([], [later.id])


def test_its_log_holds_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    """What AWS or a command said may hold one."""
    watchdog.say("failed: aws_session_token=IQoJb3JpZ2luX2VjEJr//////////w")

    assert capsys.readouterr().out.endswith("failed: aws_session_token=[redacted]\n")


def test_a_folder_that_vanished_ends_it(bench: Bench, tmp_path: Path) -> None:
    """Nothing can be kept there any more, and it must not run for ever."""
    keeper = keeping.Keeper(LOG, UndoLog(tmp_path / "gone" / "x.jsonl"), lambda _: None)
    keeper.keep()

    assert not (tmp_path / "gone").exists()
