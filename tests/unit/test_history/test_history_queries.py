"""Questions to the history: lists, last good runs, last passes, earlier figures, what flips, what is kept."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.errors import SetupError
from islanding.history import queries, retention
from islanding.history.flakes import flakes, wilson
from islanding.history.record import Series
from islanding.history.when import moment
from tests.unit.test_history.conftest import EPOCH


def test_runs_are_listed_newest_first_and_by_filters(runs) -> None:
    """Site, time and number narrow the list."""
    for day in range(5):
        runs.recorded(f"run-{day}", day, site="closed-vpc" if day % 2 else "outpost-local")

    listed = queries.runs(runs.database)
    assert ["run-4", "run-3", "run-2", "run-1", "run-0"] == [run.run for run in listed]
    assert ["run-3", "run-1"] == [run.run for run in queries.runs(runs.database, site="closed-vpc")]
    since = moment("2026-11-04", EPOCH)
    assert ["run-4", "run-3"] == [run.run for run in queries.runs(runs.database, since=since)]
    assert ["run-4"] == [run.run for run in queries.runs(runs.database, limit=1)]
    assert ((("outpost-local", "pass"),), {"pass": 1}) == (listed[0].sites, listed[0].counts)


def test_last_good_run_and_last_pass_are_told(runs, case) -> None:
    """The newest verdict is one thing, the newest good one another."""
    runs.recorded("good", 0, case("a", rows=("O-07",)), case("b", rows=("O-06",)))
    runs.recorded("bad", 1, case("a", "fail", rows=("O-07",)))

    (site,) = queries.sites(runs.database)
    assert ("fail", "bad", "good", 2) == (site.verdict, site.last.run, site.good and site.good.run, site.good_cases)
    rows = {
        row.row: (row.verdict, row.last.run, row.passed and row.passed.run)
        for row in queries.requirements(runs.database)
    }
    assert {"O-07": ("fail", "bad", "good"), "O-06": ("pass", "good", "good")} == rows


def test_what_was_never_good_has_no_such_run(runs, case) -> None:
    """A row and a site that never passed say so."""
    runs.recorded("bad", 1, case("a", "fail"))

    assert [None] == [site.good for site in queries.sites(runs.database)]
    assert [None] == [row.passed for row in queries.requirements(runs.database)]


def test_earlier_figures_are_those_of_other_runs_at_the_target(runs, case) -> None:
    """The runs that are compared are no noise of their own, nor are those on another target."""
    hashes = [runs.recorded(f"r{day}", day, case("a", seconds=10.0 + day)).journal_sha256 for day in range(4)]
    runs.recorded("aws", 9, case("a", seconds=99.0), target="aws")
    series = Series("outpost-local", "a", "duration", "s")
    found = queries.past_figures(runs.database, [series], target="lab", without=(hashes[0], hashes[2]), most=50)

    assert {series: [13.0, 11.0]} == found


def test_flip_without_a_change_is_a_flake(runs, case) -> None:
    """Pass, fail, pass, pass on one set-up: two flips, one of four did not pass."""
    for day, verdict in enumerate(["pass", "fail", "pass", "pass", "skipped"]):
        runs.recorded(f"r{day}", day, case("a", verdict), case("steady"))

    (flake,) = flakes(runs.database)
    assert ("a", 4, 1, 0, 2) == (flake.case, flake.runs, flake.failed, flake.inconclusive, flake.flips)
    assert (0.25, 0.0456, 0.6994) == (flake.share, round(flake.low, 4), round(flake.high, 4))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"parts": {"kubernetes": "1.36.4", "etcd": "3.7.3"}}, id="version"),
        pytest.param({"hashes": {"etcd": "e8" * 32}}, id="hash"),
        pytest.param({"revision": "other"}, id="revision"),
        pytest.param({"site": "closed-vpc"}, id="site"),
        pytest.param({"facts": {"metric_period": "60"}}, id="setting of the site"),
        pytest.param({"target": "aws"}, id="target"),
        pytest.param({"inputs": {"sites/outpost-local/site.yaml": "c" * 64}}, id="file that the run was given"),
    ],
)
def test_flip_with_a_change_is_none(runs, case, changed: dict[str, object]) -> None:
    """What was changed may be the cause: no flake."""
    runs.recorded("r0", 0, case("a"))
    runs.recorded("r1", 1, case("a", "fail"), **changed)

    assert [] == flakes(runs.database)


def test_changed_code_is_like_no_other(runs, case) -> None:
    """Two runs of a revision with changes may be of different code."""
    runs.recorded("r0", 0, case("a"), revision="3f9c2d1+changes")
    runs.recorded("r1", 1, case("a", "fail"), revision="3f9c2d1+changes")

    assert [] == flakes(runs.database)


def test_changed_code_of_known_hash_can_flip(runs, case) -> None:
    """Where the journal holds the hash of the code, changed code is as good as a revision."""
    for day, (verdict, code) in enumerate([("pass", "a"), ("fail", "a"), ("fail", "b")]):
        runs.recorded(f"r{day}", day, case("a", verdict), revision="3f9c2d1+changes", inputs={"code.sha256": code * 64})

    assert [(2, 1)] == [(flake.runs, flake.failed) for flake in flakes(runs.database)]


def test_flakes_are_narrowed_by_site_and_time(runs, case) -> None:
    """A flake of long ago, or elsewhere, can be left out."""
    for day, verdict in enumerate(["fail", "pass", "pass"]):
        runs.recorded(f"r{day}", day, case("a", verdict))

    assert 1 == len(flakes(runs.database, site="outpost-local"))
    assert [] == flakes(runs.database, site="closed-vpc")
    assert [] == flakes(runs.database, since=moment("2026-11-02", EPOCH))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_share(seen: tuple[int, int]) -> None:
    """The interval is within 0 and 1, holds the share, and is the mirror of that of the other outcome."""
    hits, count = seen
    low, high = wilson(hits, count)
    mirror = wilson(count - hits, count)

    assert 0 <= low <= hits / count + 1e-12
    assert hits / count - 1e-12 <= high <= 1
    assert (round(1 - high, 9), round(1 - low, 9)) == (round(mirror[0], 9), round(mirror[1], 9))


def test_wilson_interval_of_a_known_example() -> None:
    """15 of 50 at 95 %: 0.1910 to 0.4375 (Newcombe 1998 gives the formula; the numbers are worked by hand)."""
    assert (0.191, 0.4375) == tuple(round(end, 4) for end in wilson(15, 50))
    assert (0.0, 1.0) == wilson(0, 0)


def test_retention_keeps_the_young_and_the_newest(runs) -> None:
    """A run that either rule keeps stays; a dry run changes nothing."""
    for day in range(10):
        runs.recorded(f"r{day}", day)
    now = EPOCH + timedelta(days=10)
    dry = retention.prune(runs.database, now=now, keep_days=3, keep_last=2, dry_run=True)
    assert 10 == len(queries.runs(runs.database))

    done = retention.prune(runs.database, now=now, keep_days=3, keep_last=5)
    assert [f"r{n}" for n in range(6, -1, -1)] == [run.run for run in dry.goes]
    assert ["r4", "r3", "r2", "r1", "r0"] == [run.run for run in done.goes]
    assert ["r9", "r8", "r7", "r6", "r5"] == [run.run for run in queries.runs(runs.database)]


def test_retention_never_takes_the_last_good_run(runs, case) -> None:
    """The only good run of a site and the last pass of a row stay, however old."""
    runs.recorded("older", 0, case("a"))
    runs.recorded("good", 1, case("a"))
    runs.recorded("row", 2, case("b", rows=("O-09",)), case("a", "fail"))
    for day in range(3, 6):
        runs.recorded(f"bad{day}", day, case("a", "fail"))

    done = retention.prune(runs.database, now=EPOCH + timedelta(days=400), keep_days=None, keep_last=1)

    assert {"good": "last good run of outpost-local, last pass of O-07", "row": "last pass of O-09"} == {
        run.run: reason for run, reason in done.stays
    }
    assert ["bad5", "row", "good"] == [run.run for run in queries.runs(runs.database)]
    assert [("good")] == [site.good.run for site in queries.sites(runs.database) if site.good]


def test_what_is_pruned_leaves_no_rows_behind(runs, case) -> None:
    """Cases, figures and records go with their run, and so do names that nothing uses."""
    runs.recorded("old", 0, case("gone", "fail", rows=()), site="elsewhere")
    runs.recorded("new", 1, case("a"))
    retention.prune(runs.database, now=EPOCH + timedelta(days=2), keep_days=None, keep_last=1)

    count = {
        table: runs.database.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - fixed names
        for table in ("runs", "records", "sites", "cases", "requirements", "setups", "subjects")
    }
    assert {"runs": 1, "records": 1, "sites": 1, "cases": 1, "requirements": 1, "setups": 1, "subjects": 1} == count
    assert [] == runs.database.connection.execute("SELECT * FROM series WHERE site = 'elsewhere'").fetchall()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", ""),
        ("2026-11-20", "2026-11-20T00:00:00.000+00:00"),
        ("2026-11-20T02:00+09:00", "2026-11-19T17:00:00.000+00:00"),
        ("2d", "2026-10-30T02:00:00.000+00:00"),
        ("12h", "2026-10-31T14:00:00.000+00:00"),
    ],
)
def test_moments(said: str, meant: str) -> None:
    """A date, a time with a zone, or so long ago, all as UTC."""
    assert meant == moment(said, EPOCH)


def test_moment_without_a_zone_is_utc_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The history's times are UTC, whatever zone the machine is in."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert "2026-11-20T02:00:00.000+00:00" == moment("2026-11-20T02:00", EPOCH)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("said", ["yesterday", "12", "2026-13-01", "99999999d"])
def test_no_moment(said: str) -> None:
    """What is no time is refused with what would be one."""
    with pytest.raises(SetupError, match="is no time"):
        moment(said, EPOCH)
