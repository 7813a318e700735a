"""Questions to the history: which runs, which was the last good one, when a requirement last passed, figures so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from islanding.history.database import Database
from islanding.history.record import Series
from islanding.model import Verdict


@dataclass(frozen=True)
class Listed:
    """A run as it is listed; `counts` says how many cases came to each verdict, `started` is UTC in ISO 8601."""

    run: str
    journal_sha256: str
    started: str
    target: str
    sites: tuple[tuple[str, str], ...]  # (site, its verdict)
    verdict: str
    exit_code: int
    complete: bool
    counts: dict[str, int]
    seconds: float
    revision: str
    place: str


@dataclass(frozen=True)
class At:
    """When something was last seen: the run, and its start as UTC in ISO 8601."""

    run: str
    started: str


@dataclass(frozen=True)
class Standing:
    """A requirement row: its verdict in the newest run that covers it, and when it last passed."""

    row: str
    verdict: str
    last: At
    passed: At | None


@dataclass(frozen=True)
class SiteStanding:
    """A site: its newest run, its last good one (each case that ran there passed), and how many cases that had."""

    site: str
    last: At
    verdict: str
    good: At | None
    good_cases: int


def runs(database: Database, *, site: str = "", since: str = "", limit: int | None = 20) -> list[Listed]:
    """The runs, newest first: at most `limit` of those that had `site` and started at `since` (ISO 8601) or later."""
    wanted = (
        "SELECT * FROM runs WHERE started >= ? AND (? = '' OR id IN (SELECT run_id FROM sites WHERE site = ?))"
        " ORDER BY started DESC, id DESC LIMIT ?"
    )
    with database.reading() as connection:
        cursor = connection.execute(wanted, (since, site, site, -1 if limit is None else limit))
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
        return [
            Listed(
                run=row["run"],
                journal_sha256=row["journal_sha256"],
                started=row["started"],
                target=row["target"],
                sites=tuple(
                    connection.execute("SELECT site, verdict FROM sites WHERE run_id = ? ORDER BY site", (row["id"],))
                ),
                verdict=row["verdict"],
                exit_code=row["exit_code"],
                complete=bool(row["complete"]),
                counts=json.loads(row["counts"]),
                seconds=row["seconds"],
                revision=row["revision"],
                place=row["place"],
            )
            for row in found
        ]


def requirements(database: Database) -> list[Standing]:
    """Each requirement row that a run has covered, with its newest verdict and its last pass."""
    return [
        Standing(row, verdict, last, passed)
        for row, verdict, last, passed, _ in _standings(database, "requirements", "row")
    ]


def sites(database: Database) -> list[SiteStanding]:
    """Each site that a run had, with its newest run and its last good one."""
    return [
        SiteStanding(site, last, verdict, good, cases)
        for site, verdict, last, good, cases in _standings(database, "sites", "site")
    ]


def _standings(database: Database, table: str, key: str) -> list[tuple[str, str, At, At | None, int]]:
    """(name, newest verdict, newest run, newest run that passed, its cases), by name.

    Each answer is the end of a stretch of the table's primary key (name, verdict, started), so it takes as long for
    ten thousand runs as for ten.
    """
    cases = "t.cases" if table == "sites" else "0"
    newest = (
        f"SELECT t.started, runs.run, {cases} FROM {table} t JOIN runs ON runs.id = t.run_id"  # noqa: S608 - names of ours
        f" WHERE t.{key} = ? AND t.verdict = ? ORDER BY t.started DESC, t.run_id DESC LIMIT 1"
    )
    found = []
    with database.reading() as connection:
        names = [
            name
            for (name,) in connection.execute(
                # A loose scan of the index: from each name to the next, not through all rows.
                f"WITH RECURSIVE names(name) AS (SELECT min({key}) FROM {table} UNION ALL"  # noqa: S608 - names of ours
                f" SELECT (SELECT min({key}) FROM {table} WHERE {key} > name) FROM names WHERE name IS NOT NULL)"
                " SELECT name FROM names WHERE name IS NOT NULL"
            )
        ]
        for name in names:
            ends = {v.value: row for v in Verdict if (row := connection.execute(newest, (name, v.value)).fetchone())}
            verdict = max(ends, key=lambda v, ends=ends: ends[v][0])  # type: ignore[misc]  # its own ends, bound now
            started, run, _ = ends[verdict]
            good = ends.get(Verdict.PASS.value)
            found.append(
                (name, verdict, At(run, started), At(good[1], good[0]) if good else None, good[2] if good else 0)
            )
    return found


def past_figures(
    database: Database, wanted: Sequence[Series], *, target: str, without: tuple[str, str], most: int
) -> dict[Series, list[float]]:
    """The newest `most` values of each series, newest first, of runs against `target` other than `without` (hashes)."""
    found = {}
    with database.reading() as connection:
        query = (
            "SELECT f.value FROM figures f JOIN runs ON runs.id = f.run_id WHERE f.series_id = ("
            " SELECT id FROM series WHERE site = ? AND case_name = ? AND name = ? AND unit = ?)"
            " AND runs.target = ? AND runs.journal_sha256 NOT IN (?, ?) ORDER BY f.started DESC, f.run_id DESC LIMIT ?"
        )
        for series in wanted:
            key = (series.site, series.case, series.name, series.unit, target, *without, most)
            found[series] = [value for (value,) in connection.execute(query, key)]
    return found
