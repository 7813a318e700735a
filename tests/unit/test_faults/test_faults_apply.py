"""Applying and undoing: nothing is broken before its undo is on disk, nothing is left broken."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from typing import Any

import pytest

from islanding import faults
from islanding.errors import IslandingError
from islanding.faults._shield import shielded
from islanding.faults.apply import Applied, apply_fault, cut, undo_fault
from islanding.model import Site
from islanding.process import run
from islanding.undo import State, UndoLogError
from tests.unit.test_faults.bench import KINDS, Bench


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_a_fault_is_applied_undone_and_healed(bench: Bench, kind: str, params: dict[str, Any]) -> None:
    """Within the block the fault is there, after it nothing is left, and journal and undo log say so."""
    fault = faults.make(kind, **params)
    with cut(bench.site, fault, bench.journal) as applied:
        held, early = fault.is_applied(bench.site, applied.plan), fault.is_healed(bench.site, applied.plan)

    assert (held.ok, early.ok) == (True, False)
    assert fault.is_healed(bench.site, applied.plan).ok
    assert bench.events() == ["fault-planned", "fault-applied", "fault-undone", "fault-healed"]
    assert bench.states() == [State.UNDONE]


def test_no_undo_on_disk_no_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the undo log cannot be written, nothing is touched."""

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UndoLogError, match="No space left"), cut(bench.site, faults.ServiceLinkDown(), bench.journal):
        pytest.fail("the block must not be entered")

    assert bench.calls() == []
    assert bench.events() == []


def test_the_record_is_on_disk_before_the_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment of `apply` the undo log holds the planned entry."""
    seen: list[list[State]] = []
    monkeypatch.setattr(faults.ServiceLinkDown, "apply", lambda *_: seen.append(bench.states()))
    monkeypatch.setattr("islanding.faults.apply.TAKES_HOLD", 0.0)
    with pytest.raises(faults.FaultError, match="to take hold; last seen: session Established, not shut"):
        apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal)

    assert seen == [[State.PLANNED]]
    assert bench.states() == [State.UNDONE]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_undone_however_the_block_ends(bench: Bench, error: type[BaseException]) -> None:
    """An exception, Ctrl-C and SIGTERM (turned into SystemExit) come through, and the fault is gone."""
    with pytest.raises(error), cut(bench.site, faults.ServiceLinkDown(), bench.journal):
        raise error

    assert not (bench.folder / "shut").exists()
    assert bench.states() == [State.UNDONE]


def test_ctrl_c_during_the_undo_waits_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second Ctrl-C does not leave the fault half undone; it counts when the undo is through."""
    undo = faults.ServiceLinkDown.undo

    def interrupted(fault: faults.ServiceLinkDown, site: Site, plan: faults.Plan) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        undo(fault, site, plan)

    monkeypatch.setattr(faults.ServiceLinkDown, "undo", interrupted)
    with pytest.raises(KeyboardInterrupt), cut(bench.site, faults.ServiceLinkDown(), bench.journal):
        pass

    assert not (bench.folder / "shut").exists()
    assert bench.events()[-1] == "fault-undone"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_shield_holds_beside_other_threads() -> None:
    """A signal that another thread takes does not reach the undo either."""
    ended, through = threading.Event(), []

    def undo() -> None:
        with shielded("undoing"):
            os.kill(os.getpid(), signal.SIGINT)
            through.append(not ended.wait(0.2))  # time enough for the other thread to take it

    other = threading.Thread(target=ended.wait)
    other.start()  # before the shield: its mask is open, as a sampler's or a progress display's is
    try:
        with pytest.raises(KeyboardInterrupt):
            undo()
    finally:
        ended.set()
        other.join()

    assert through == [True]


def test_the_shield_covers_the_commands_inside() -> None:
    """Ctrl-C at a terminal reaches the whole process group: vtysh, nft and ssh must not die of it either."""
    with shielded("undoing"):
        inside = run(["sh", "-c", "kill -INT $$; kill -TERM $$; echo alive"], check=False)
    outside = run(["sh", "-c", "kill -TERM $$; echo alive"], check=False)

    assert (inside.stdout, outside.stdout) == ("alive\n", "")


def test_each_step_of_an_undo_is_tried(bench: Bench) -> None:
    """When the first step at a place fails, the second is taken all the same."""
    fault = faults.PrefixWithdrawn()
    plan = fault.plan(bench.site)
    bench.touch("refuses")
    with pytest.raises(faults.FaultError):
        fault.undo(bench.site, plan)

    assert [f"no ip prefix-list islanding-{plan.id}" in call for call in bench.calls()] == [False, True]


def test_a_fault_half_applied_is_undone(bench: Bench) -> None:
    """When one of three nodes refuses, the other two get their control plane back, and the error names the one."""
    bench.touch("broken-w2")
    fault = faults.NodesCutOff()
    with pytest.raises(IslandingError, match="no route to w2") as raised:
        apply_fault(bench.site, fault, bench.journal, heal_timeout=0.3)

    assert not list((bench.folder / "tables").glob("*/*"))
    assert any("could not be undone" in note for note in raised.value.__notes__)
    assert bench.states() == [State.UNDOING]


def test_a_fault_that_does_not_heal_is_an_error_and_stays_in_the_log(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To have called undo is not to have healed."""
    monkeypatch.setattr(faults.ServiceLinkDown, "undo", lambda *_: None)
    with (
        pytest.raises(faults.NotHealed, match=r"last seen: service-link session Idle\n.*islanding heal"),
        cut(bench.site, faults.ServiceLinkDown(), bench.journal, heal_timeout=0.1),
    ):
        pass

    assert bench.states() == [State.UNDOING]
    assert "fault-healed" not in bench.events()


def test_vtysh_errors_on_stdout_are_seen(bench: Bench) -> None:
    """FRR's shell prints what it refuses to stdout and may exit with 0."""
    bench.touch("refuses")
    with pytest.raises(faults.FaultError, match="% Unknown command") as raised:
        apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal, heal_timeout=0.1)

    assert "command failed on cnd" in str(raised.value)


def test_undo_by_record_needs_the_fault_to_have_healed(bench: Bench) -> None:
    """`undo_fault` returns the seconds to healing, and closes the entry."""
    applied: Applied = apply_fault(bench.site, faults.SilentDrop(), bench.journal)
    seconds = undo_fault(replace(applied, start=0.0), bench.journal)

    assert 0 <= seconds < 5
    assert bench.states() == [State.UNDONE]
