"""Whose turn it is: overlapping runs are refused by name, and a run that should have been is missed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from islanding.cli.schedule import schedule_group
from islanding.errors import ExitCode, SetupError
from islanding.schedule import turns
from islanding.schedule.history import RecordedTurns
from islanding.schedule.turns import Turn

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = Turn("/runs/a", ("mine",), "aws", "2026-11-21T02:17:05+00:00", "", "", -1, "nightly", "17 2 * * *")
HOLDER = """
import sys
from pathlib import Path
from islanding.schedule import turns
with turns.held(("site mine",), Path("runs/first")):
    print("held", flush=True)
    sys.stdin.read()
"""


def ended(turn: Turn, verdict: str = "pass", exit_code: int = 0) -> Turn:
    """That run, ended."""
    return replace(turn, ended="2026-11-21T02:40:00+00:00", verdict=verdict, exit_code=exit_code)


def test_a_second_run_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    """Another process holds the site: the refusal names its run; when it dies, by SIGKILL even, the turn is free."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert "held\n" == holder.stdout.readline()
        with pytest.raises(turns.Busy, match="runs/first") as refused, turns.held(("site mine",), tmp_path):
            pass
        with turns.held(("site other",), tmp_path):
            pass
        holder.kill()
    assert ExitCode.BUSY == refused.value.exit_code
    with turns.held(("site mine", "schedule nightly"), tmp_path):
        pass


def test_of_two_keys_none_stays_held(tmp_path: Path) -> None:
    """Where the second turn is not to be had, the first is given back."""
    with turns.held(("b",), tmp_path):
        with pytest.raises(turns.Busy), turns.held(("a", "b"), tmp_path):
            pass
        with turns.held(("a",), tmp_path):
            pass


def test_the_record_survives_a_torn_line() -> None:
    """A line cut off by a crash costs itself alone; a run stands as its last line says."""
    turns.note(FIRST)
    with turns.record_path().open("ab") as file:
        file.write(b'{"run": "/runs/torn", "si')
    turns.note(ended(FIRST))
    turns.note(replace(FIRST, run="/runs/b", began="2026-11-20T02:17:00+00:00"))

    assert [("/runs/b", ""), ("/runs/a", "pass")] == [(turn.run, turn.verdict) for turn in turns.turns()]


@pytest.mark.parametrize(
    ("began", "now", "overdue"),
    [
        ("2026-11-21T02:17:00+00:00", "2026-11-21T12:00", False),
        ("2026-11-20T02:17:00+00:00", "2026-11-21T03:16", False),  # within the hour of grace
        ("2026-11-20T02:17:00+00:00", "2026-11-21T03:17", True),
        ("2026-11-20T23:00:00+00:00", "2026-11-21T12:00", True),  # by hand, before it was due
        ("2026-11-21T11:00:00+00:00", "2026-11-21T12:00", False),  # late, but it was
    ],
)
def test_a_run_that_should_have_been_is_missed(began: str, now: str, overdue: bool) -> None:
    """A run answers for the due times before it; one is missed once its grace is over."""
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)

    found = turns.standing("nightly", "", HOUR, moment, [replace(FIRST, began=began)])

    assert overdue == found.overdue


def test_the_last_good_run_is_known() -> None:
    """The last that passed, whatever came after it."""
    good, bad = ended(FIRST), ended(replace(FIRST, run="/runs/b", began="2026-11-21T03:00:00+00:00"), "fail", 1)

    found = turns.standing("nightly", "", HOUR, NOW, [good, bad])

    assert (good, bad) == (found.good, found.last)


def test_nothing_is_known_of_what_never_ran() -> None:
    """Without a run on record the calendar has to be given, and then it is overdue."""
    with pytest.raises(SetupError, match="--calendar"):
        turns.standing("nightly", "", HOUR, NOW, [])

    assert turns.standing("nightly", "17 2 * * *", HOUR, NOW, []).overdue


def test_status_ends_with_its_own_code() -> None:
    """`schedule status` ends with 5 when a run is overdue, and with 0 after one that failed but was."""
    turns.note(ended(replace(FIRST, began="2020-01-01T02:17:00+00:00"), "fail", 1))
    late = CliRunner().invoke(schedule_group, ["status"], standalone_mode=False)
    turns.note(ended(replace(FIRST, run="/runs/z", began=datetime.now(UTC).isoformat()), "fail", 1))
    done = CliRunner().invoke(schedule_group, ["status", "nightly"], standalone_mode=False)

    assert (ExitCode.OVERDUE, ExitCode.OK) == (late.return_value, done.return_value)
    assert ("OVERDUE" in late.output, "OVERDUE" in done.output) == (True, False)


def test_the_verdict_before_is_of_the_same_sites() -> None:
    """Neither another site's, nor another target's, nor the run's own, nor one that never ended."""
    own = ended(FIRST, "fail", 1)
    before = ended(replace(FIRST, run="/runs/x", began="2026-11-19T02:17:00+00:00"))
    others = [
        ended(replace(FIRST, run="/runs/y", began="2026-11-20T02:17:00+00:00", sites=("other",))),
        ended(replace(FIRST, run="/runs/z", began="2026-11-20T02:17:00+00:00", target="lab")),
        replace(FIRST, run="/runs/dead", began="2026-11-20T02:17:00+00:00"),
    ]

    found = RecordedTurns([before, *others, own]).before("/runs/a", ("mine",), "aws", FIRST.began)

    assert found is not None
    assert ("/runs/x", "pass") == (found.run, found.verdict)
