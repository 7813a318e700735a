"""What is recorded of a run, and that each run is recorded once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.history import queries
from islanding.history.record import Component, Series
from islanding.history.store import Added, load
from islanding.model import Verdict


def test_what_is_recorded_comes_back(runs, case) -> None:
    """The record read from the journal and the one kept in the history are the same."""
    cases = (
        case("kubectl works", measured={"cut to NotReady": 18.5}),
        case("IAM", "fail", rows=("O-06",), reason="was let in", samples=(("UNAUTHORIZED", False, "no\x1b[2J"),)),
    )
    record = runs.recorded("a", 0.0, *cases)

    assert record == load(runs.database, "a")
    assert {"pass": 1, "fail": 1} == record.counts
    assert {"O-07": Verdict.PASS, "O-06": Verdict.FAIL} == {row: v for row, (v, _) in record.requirements.items()}
    assert 18.5 == dict(record.figures)[Series("outpost-local", "kubectl works", "cut to NotReady", "s")]
    assert 20.0 == dict(record.figures)[Series("outpost-local", "", "ready", "s")]


def test_components_are_parts_hashes_revision_host_and_settings(runs) -> None:
    """Everything that a verdict may hang on has a name; ids made anew in each run are none."""
    record = runs.recorded("a")

    assert Component("part", "etcd", "3.7.3", "e7" * 32) in record.components
    assert Component("part", "kubelet", "", "a1" * 32) in record.components
    assert Component("code", "islanding", "3f9c2d1") in record.components
    assert Component("host", "kernel", "6.18.2") in record.components
    assert (Component("site", "outpost-local: metric_period", "1"),) == record.sites[0].settings


@pytest.mark.parametrize(
    ("finished", "verdict", "expected"),
    [
        pytest.param(True, "pass", Verdict.PASS, id="good"),
        pytest.param(True, "fail", Verdict.FAIL, id="failed"),
        pytest.param(True, "skipped", Verdict.INCONCLUSIVE, id="skipped"),
        pytest.param(False, "pass", Verdict.INCONCLUSIVE, id="incomplete"),
        pytest.param(False, "fail", Verdict.FAIL, id="failed and incomplete"),
    ],
)
def test_site_is_good_only_when_all_passed_in_a_complete_run(
    runs, case, finished: bool, verdict: str, expected: Verdict
) -> None:
    """The last good run is one that proves something."""
    record = runs.recorded("a", 0.0, case("a case", verdict, reason="so"), case("another"), finished=finished)

    assert [expected] == [site.verdict for site in record.sites]


def test_same_run_is_recorded_once(runs) -> None:
    """Recording again what is known changes nothing."""
    runs.recorded("a")

    assert Added.KNOWN == runs.record(runs.folder / "a")
    assert ["a"] == [run.run for run in queries.runs(runs.database)]


def test_journal_that_went_on_takes_the_place_of_its_beginning(runs, tmp_path: Path) -> None:
    """A fault that is healed later lengthens the journal: it is the same run, and its old copy adds nothing."""
    home = runs.write("a", finished=False)
    assert runs.record(home) is Added.ADDED
    copy = tmp_path / "copy" / "journal.jsonl"
    copy.parent.mkdir()
    copy.write_bytes((home / "journal.jsonl").read_bytes())
    with (home / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"v": 1, "type": "run-finished", "t": 200.0, "wall": "", "exit_code": 0}) + "\n")

    assert Added.CONTINUED == runs.record(home)
    assert Added.KNOWN == runs.record(copy.parent)
    assert [True] == [run.complete for run in queries.runs(runs.database)]


def test_other_journal_of_the_same_id_stands_beside_it(runs, tmp_path: Path) -> None:
    """Two machines may give one id: neither replaces the other, and the id alone no longer names one."""
    runs.recorded("a")
    other = runs.write("a", 3.0)
    assert Added.ANOTHER == runs.record(other)
    digest = runs.read(other).journal_sha256

    with pytest.raises(SetupError, match="2 journals of that run"):
        load(runs.database, "a")
    assert digest == load(runs.database, f"a@{digest[:12]}").journal_sha256


def test_unknown_run_is_said(runs) -> None:
    """An id that is not there names the command that lists them."""
    with pytest.raises(SetupError, match="holds no such run"):
        load(runs.database, "nothing")


def test_damaged_record_is_said(runs) -> None:
    """A record whose bytes were changed in the file is damage, not a traceback."""
    runs.recorded("a")
    with runs.database.writing() as connection:
        connection.execute("UPDATE records SET body = x'00'")

    with pytest.raises(SetupError, match="the history is damaged"):
        load(runs.database, "a")
