"""Healing what dead runs left, and finding the site to heal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from islanding import faults, sites
from islanding.errors import IslandingError
from islanding.faults.apply import apply_fault
from islanding.faults.heal import Outcome, heal
from islanding.undo import State, UndoLog
from tests.unit.test_faults.bench import KINDS, Bench


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_another_process_undoes_it_from_the_record_alone(bench: Bench, kind: str, params: dict[str, Any]) -> None:
    """Healing needs the undo log and the site's description, nothing else of the run that died."""
    fault = faults.make(kind, **params)
    applied = apply_fault(bench.site, fault, bench.journal)
    bench.orphan()

    assert [one.outcome for one in heal(dry_run=True)] == [Outcome.PENDING]
    assert not fault.is_healed(bench.site, applied.plan).ok
    assert [one.outcome for one in heal("lab-1")] == [Outcome.HEALED]
    assert fault.is_healed(bench.site, applied.plan).ok
    assert heal() == []


def test_heal_goes_on_when_one_fault_cannot_be_undone(bench: Bench) -> None:
    """The others are undone, the latest first; the one that failed stays in the log, in words."""
    apply_fault(bench.site, faults.NodesCutOff(nodes=("w1",)), bench.journal)
    apply_fault(bench.site, faults.NodesCutOff(nodes=("w2",)), bench.journal)
    bench.orphan()
    bench.touch("broken-w2")
    first = heal(timeout=0.3)
    (bench.folder / "broken-w2").unlink()
    second = heal(timeout=5)

    assert [(one.outcome, "w2" in one.text) for one in first] == [(Outcome.FAILED, True), (Outcome.HEALED, False)]
    assert "no route to w2" in first[0].text
    assert [one.outcome for one in second] == [Outcome.HEALED]


def test_a_live_runs_fault_is_let_alone(bench: Bench) -> None:
    """Healing beside a run does not spoil it, unless it is forced or the fault's time is up."""
    applied = apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal)
    [held] = heal()
    [forced] = heal(force=True)
    apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal, max_seconds=0.0)
    [overdue] = heal()

    assert (held.id, held.outcome) == (applied.id, Outcome.HELD)
    assert (forced.outcome, overdue.outcome) == (Outcome.HEALED, Outcome.HEALED)


@pytest.mark.parametrize("gone", ["site.json", "lab.json"])
def test_a_fault_goes_with_its_site(bench: Bench, gone: str) -> None:
    """When the lab is gone there is nothing to undo: the entry is closed with that reason."""
    apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal)
    bench.orphan()
    (Path(bench.site.folder) / gone).unlink()
    [one] = heal()
    [entry] = UndoLog.for_site("lab-1").read().entries

    assert one.outcome == Outcome.ABANDONED
    assert (entry.state, entry.reason) == (State.ABANDONED, "the site is gone, and the fault with it")


def test_a_damaged_record_is_reported(bench: Bench) -> None:
    """A fault that was applied and whose plan is lost is never passed over in silence."""
    log = UndoLog.for_site("lab-1")
    log.mark("lost", State.APPLIED)
    [one] = heal()

    assert (one.id, one.outcome) == ("lost", Outcome.FAILED)
    assert "damaged" in one.text


def test_the_only_running_lab_is_found(bench: Bench) -> None:
    """Without a name the one running lab is meant; by name, id or path it is found too; others are refused by list."""
    path = Path(bench.site.folder) / "site.json"

    assert {sites.find(), sites.find("mini"), sites.find("lab-1"), sites.find(path), sites.find(path.parent)} == {path}
    with pytest.raises(IslandingError, match=r"no running lab is called other\n  running labs: lab-1 \(mini\)"):
        sites.find("other")
    twin = path.parent.parent / "lab-2"
    twin.mkdir()
    bench.site.model_copy(update={"id": "lab-2"}).save(twin / "site.json")
    (twin / "lab.json").write_text((path.parent / "lab.json").read_text())
    with pytest.raises(IslandingError, match=r"2 running labs fit; which one\?\n.*lab-1 \(mini\), lab-2 \(mini\)"):
        sites.find()
    (twin / "lab.json").write_text('{"pid": 1, "started": -1}')

    assert sites.find() == path
