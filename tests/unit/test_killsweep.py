"""The kill sweep's own file: a sweep that was broken off goes on, and what is another sweep is refused."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from islanding.errors import SetupError
from tests.killsweep.kept import Kept, Result
from tests.killsweep.report import report
from tests.killsweep.strikes import Choice, Strike, Victim, strikes

CHOICES = (Choice("cut_service_link", {}), Choice("close_subnets", {"subnet_ids": ["subnet-1"]}))


def result(strike: Strike, *differences: str) -> Result:
    """The result of a strike that left these differences."""
    return Result.of(strike, ended="with 0", was_open=True, healed=0.5, differences=list(differences))


def test_a_sweep_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    """Seed, sittings and results are read again; a lab's ids are not in a fault's name."""
    file = tmp_path / "sweep.jsonl"
    first = Kept.open(file, 7, "outpost-local")
    first.sit(date="2026-11-21 10:00 UTC", revision="abc", machine="a machine")
    for strike in strikes(7, 3, CHOICES):
        first.add(result(strike))
    again = Kept.open(file, None, "outpost-local")

    assert again == first
    assert ["cut_service_link()", "close_subnets()", "cut_service_link()"] == [one.action for one in again.results]


def test_another_sweeps_file_is_refused(tmp_path: Path) -> None:
    """Another site, another seed, and what is no sweep at all."""
    file = tmp_path / "sweep.jsonl"
    Kept.open(file, 7, "outpost-local")
    with pytest.raises(SetupError, match="another sweep: site outpost-local, seed 7"):
        Kept.open(file, 7, "outpost-extended")
    with pytest.raises(SetupError, match="another sweep"):
        Kept.open(file, 8, "outpost-local")
    file.write_text('{"result": {"number": 1}}\n')
    with pytest.raises(SetupError, match="holds no results of a sweep"):
        Kept.open(file, 7, "outpost-local")


def test_the_report_counts_and_names_each_difference(tmp_path: Path) -> None:
    """Totals, the sitting, and what was otherwise, word for word."""
    kept = Kept.open(tmp_path / "sweep.jsonl", 7, "outpost-local")
    kept.sit(date="2026-11-21 10:00 UTC", revision="abc", machine="a machine")
    kept.add(result(Strike(0, CHOICES[0], Victim.RUNNER, signal.SIGKILL, 0.5)))
    kept.add(result(Strike(1, CHOICES[1], Victim.BOTH, signal.SIGTERM, 0.25), "+ table inet forgotten"))
    text = report(kept)

    assert "**Runs after which something was otherwise than before: 1**" in text
    assert "- Sitting: 2026-11-21 10:00 UTC, revision abc, a machine" in text
    assert (
        "Run 1, close_subnets(): both SIGTERM at 0.25; the runner ended with 0:\n\n```\n+ table inet forgotten\n```"
        in text
    )


def test_the_report_tells_who_died_before_there_was_a_watchdog(tmp_path: Path) -> None:
    """They left a fault on record that nobody healed by itself; where the watchdog was killed too, nobody could."""
    kept = Kept.open(tmp_path / "sweep.jsonl", 7, "outpost-local")
    for number, victim in enumerate((Victim.RUNNER, Victim.BOTH)):
        strike = Strike(number, CHOICES[0], victim, signal.SIGKILL, 0.1)
        kept.add(Result.of(strike, ended="by SIGKILL", was_open=True, healed=None, differences=[]))

    assert "before they had a watchdog and so before they changed anything: 1" in report(kept)
