"""Figures of the history: each question that its commands ask, put to 10,000 runs of 32 cases."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import process_time

from benchmarks.figure import Figure, Say, load, milliseconds, spread
from islanding.history import queries
from islanding.history.database import Database
from islanding.history.flakes import flakes
from islanding.history.record import CaseRecord, Component, RunRecord, Series, SiteSummary
from islanding.history.store import insert, pack
from islanding.history.store import load as load_run
from islanding.history.trend import gather
from islanding.model import Verdict

RUNS = 10_000
LIMIT_MS = 100.0
SITES = {"outpost-local": 14, "outpost-extended": 12, "outpost-extended-upstream": 6}  # cases, as in a real run
MEASURED = 24  # cases with a figure besides their duration
COMPONENTS = 64
ROWS = [f"O-{number:02}" for number in range(1, 14)] + [f"C-{number:02}" for number in range(1, 18)]
PER_REVISION = 50  # runs until something is changed
ONE_IN = 1000  # cases that fail without a cause: in one run of some thirty
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


def history_figures(rounds: int, folder: Path, say: Say) -> list[Figure]:
    """Fill a history below `folder`, then ask each question some rounds."""
    path = folder / "history.sqlite"
    with Database(path) as database:
        say(f"{RUNS} runs recorded in {milliseconds(lambda: fill(database)) / 1000:.1f} s")
        say(f"history: {path.stat().st_size / 2**20:.0f} MiB")
        half = (EPOCH + timedelta(hours=RUNS / 2)).isoformat(timespec="milliseconds")
        last = load_run(database, f"run-{RUNS - 1}")
        wanted = [series for series, _ in last.figures]
        ends = (last.journal_sha256, "")
        newest = queries.runs(database, limit=100)
        questions: dict[str, Callable[[], object]] = {
            "the newest 20 runs": lambda: queries.runs(database),
            "the newest 20 of a site, in a time": lambda: queries.runs(database, site="outpost-local", since=half),
            "runs of a site that is not there": lambda: queries.runs(database, site="closed-vpc"),
            "one run, whole": lambda: load_run(database, f"run-{RUNS // 2}"),
            "each row's last pass": lambda: queries.requirements(database),
            "each site's last good run": lambda: queries.sites(database),
            "earlier figures for a diff": lambda: queries.past_figures(
                database, wanted, target="lab", without=ends, most=50
            ),
            "flakes": lambda: flakes(database),
            "trend over 100 runs": lambda: gather(database, newest),
        }
        figures = []
        for name, question in questions.items():
            busy = f"load average {load():.1f} before it"
            begun = process_time()
            seen = [milliseconds(question) for _ in range(max(rounds, 9))]
            busy = f"{(process_time() - begun) * 1000 / len(seen):.1f} ms of the processor's time; {busy}"
            say(f"{name}: {spread(seen)}; {busy}")
            what = f"history of {RUNS:,} runs: {name}"
            figures.append(Figure(what, median(seen), "ms", LIMIT_MS, "limit", 1.0, f"{spread(seen)}; {busy}"))
        return figures


def fill(database: Database) -> None:
    """Record RUNS runs, a thousand to a transaction: a run that records itself has one of its own."""
    chance = random.Random(6)
    for begin in range(0, RUNS, 1000):
        with database.writing() as connection:
            for number in range(begin, min(begin + 1000, RUNS)):
                record = run(number, chance)
                insert(connection, record, pack(record))


def run(number: int, chance: random.Random) -> RunRecord:
    """A run like the real ones: three sites, 32 cases, of which now and then one fails."""
    started = (EPOCH + timedelta(hours=number)).isoformat(timespec="milliseconds")
    change = number // PER_REVISION
    cases: list[CaseRecord] = []
    figures = [(Series("", "", "duration", "s"), 600 * chance.uniform(0.9, 1.1))]
    for site, count in SITES.items():
        figures.append((Series(site, "", "ready", "s"), chance.uniform(20, 30)))
        for case in range(count):
            bad = chance.randrange(ONE_IN) == 0
            row = ROWS[(case * 7 + len(cases)) % len(ROWS)]
            seconds = chance.uniform(10, 20)
            record = CaseRecord(site, f"test_case_{case:02}[{site}]", 1, "It holds.", Verdict.PASS, "", seconds, (row,))
            cases.append(replace(record, verdict=Verdict.FAIL, reason="it did not hold") if bad else record)
            figures.append((Series(site, record.case, "duration", "s"), seconds))
            if len(cases) <= MEASURED:
                figures.append((Series(site, record.case, "cut to NotReady", "s"), chance.uniform(5, 20)))
    failed = {case.site for case in cases if case.verdict is Verdict.FAIL}
    verdict = Verdict.FAIL if failed else Verdict.PASS
    return RunRecord(
        run=f"run-{number}",
        journal_sha256=f"{number:064x}",
        journal_bytes=2_000_000,
        place=f"runs/run-{number}",
        target="lab",
        revision=f"{change:040x}",
        started=started,
        ended=started,
        seconds=figures[0][1],
        verdict=verdict,
        exit_code=int(bool(failed)),
        complete=True,
        problems=(),
        components=tuple(Component("part", f"part-{n}", f"1.{change}", f"{n:064x}") for n in range(COMPONENTS)),
        sites=tuple(
            SiteSummary(site, Verdict.FAIL if site in failed else Verdict.PASS, "", {"pass": count}, 25.0)
            for site, count in SITES.items()
        ),
        cases=tuple(cases),
        requirements={
            row: (
                Verdict.FAIL
                if any(c.verdict is Verdict.FAIL for c in cases if row in c.requirements)
                else Verdict.PASS,
                "",
            )
            for row in ROWS
        },
        figures=tuple(figures),
    )
