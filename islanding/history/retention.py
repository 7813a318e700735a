"""Which runs a retention takes out of the history: by age and number, never one that was the last good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from islanding.history import queries
from islanding.history.database import Database
from islanding.history.queries import Listed


@dataclass(frozen=True)
class Plan:
    """What a retention would do: the runs that go, and those kept although age and number say otherwise, with why."""

    goes: tuple[Listed, ...]
    stays: tuple[tuple[Listed, str], ...]


def plan(
    runs: Sequence[Listed],
    needed: Mapping[tuple[str, str], str],
    *,
    now: datetime,
    keep_days: int | None = None,
    keep_last: int | None = None,
) -> Plan:
    """Plan it for `runs`, newest first: a run is kept if it is young enough or among the newest; each rule may be None.

    `needed` names runs (by id and start) that are kept in any case, with the reason.
    """
    oldest = (now - timedelta(days=keep_days)).astimezone(UTC).isoformat(timespec="milliseconds") if keep_days else ""
    goes, stays = [], []
    for number, run in enumerate(runs):
        young = keep_days is not None and run.started >= oldest
        if young or (keep_last is not None and number < keep_last):
            continue
        reason = needed.get((run.run, run.started))
        if reason:
            stays.append((run, reason))
        else:
            goes.append(run)
    return Plan(tuple(goes), tuple(stays))


def needed(database: Database) -> dict[tuple[str, str], str]:
    """The runs that must stay: the last good one of each site, and the last in which a requirement row passed."""
    found: dict[tuple[str, str], list[str]] = {}
    for site in queries.sites(database):
        if site.good:
            found.setdefault((site.good.run, site.good.started), []).append(f"last good run of {site.site}")
    for row in queries.requirements(database):
        if row.passed:
            found.setdefault((row.passed.run, row.passed.started), []).append(f"last pass of {row.row}")
    return {run: ", ".join(reasons) for run, reasons in found.items()}


def prune(
    database: Database, *, now: datetime, keep_days: int | None, keep_last: int | None, dry_run: bool = False
) -> Plan:
    """Take the runs out that the rules do not keep, unless `dry_run`; their folders are not touched."""
    planned = plan(
        queries.runs(database, limit=None), needed(database), now=now, keep_days=keep_days, keep_last=keep_last
    )
    if planned.goes and not dry_run:
        with database.writing() as connection:
            connection.executemany(
                "DELETE FROM runs WHERE run = ? AND journal_sha256 = ?",
                [(run.run, run.journal_sha256) for run in planned.goes],
            )
            connection.execute("DELETE FROM setups WHERE id NOT IN (SELECT setup_id FROM cases)")
            connection.execute("DELETE FROM subjects WHERE id NOT IN (SELECT subject_id FROM cases)")
            connection.execute("DELETE FROM series WHERE id NOT IN (SELECT series_id FROM figures)")
    return planned
