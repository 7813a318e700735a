"""`islanding diff`: what changed from one run to another."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import groupby

import click

from islanding.errors import ExitCode, IslandingError
from islanding.evidence.clean import clean
from islanding.history import noise, queries
from islanding.history.database import Database
from islanding.history.diff import AREAS, Area, Change, compare, judged_figures
from islanding.history.record import RunRecord, Series
from islanding.history.sources import find
from islanding.paths import history_file

_HEADS = {
    "verdicts": "Verdicts",
    "requirements": "Requirement rows",
    "components": "Components",
    "messages": "Messages and outcomes",
    "figures": "Figures beyond noise",
}
_NOT_THERE = "(not there)"


@click.command("diff")
@click.argument("before")
@click.argument("after")
@click.option(
    "--only", "areas", multiple=True, type=click.Choice(AREAS), help="Compare this alone; repeatable. Default: all."
)
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
def diff_command(before: str, after: str, areas: tuple[Area, ...], shape: str) -> ExitCode:
    """Say what changed from the run BEFORE to the run AFTER.

    A run is the folder of a run, its name below runs/, a journal, a bundle (zip), or an id of `islanding history`.
    Compared are verdicts, requirement rows, components (parts, hashes, revision, host, settings of sites), what users
    saw (outcomes, and messages by their wording), and figures by a test against noise that is said below them.

    \b
    Examples:
      islanding diff runs/monday runs/tuesday
      islanding diff 2026-11-20T02-00-00Z-811 runs/today --only verdicts --only components
      islanding diff before.zip after.zip --format json

    \b
    Exit codes: 0 nothing differs, 1 something does, 3 a run cannot be read.
    """
    database, trouble = _history()
    try:
        one, other = (find(name, database) for name in (before, after))
        earlier: dict[Series, list[float]] = {}
        if database is not None:
            without = (one.journal_sha256, other.journal_sha256)
            wanted = [series for series, _ in one.figures]
            earlier = queries.past_figures(database, wanted, target=one.target, without=without, most=noise.MOST)
    finally:
        if database is not None:
            database.connection.close()
    changes = [change for change in compare(one, other, earlier) if not areas or change.area in areas]
    methods = Counter(judged.method for _, judged in judged_figures(one, other, earlier))
    if trouble:
        click.echo(f"warning: the history is left out: {trouble}", err=True)
    if shape == "json":
        told = {"before": _head(one), "after": _head(other), "rule": noise.RULE, "noise": dict(methods)}
        click.echo(
            json.dumps({**told, "changes": [asdict(change) for change in changes]}, indent=2, ensure_ascii=False)
        )
    else:
        click.echo(clean("\n".join(_text(one, other, changes, methods if not areas or "figures" in areas else {}))))
    return ExitCode.FAILED if changes else ExitCode.OK


def _history() -> tuple[Database | None, str]:
    """The history if there is one, and what is wrong with it: two folders can be compared without it."""
    if not history_file().exists():
        return None, ""
    try:
        return Database(), ""
    except IslandingError as error:
        return None, str(error)


def _head(run: RunRecord) -> dict[str, str]:
    return {"run": run.run, "started": run.started, "place": run.place, "journal_sha256": run.journal_sha256}


def _text(one: RunRecord, other: RunRecord, changes: list[Change], methods: dict[str, int]) -> list[str]:
    lines = [f"{word:7} {run.run}, {run.started}, {run.place}" for word, run in (("before", one), ("after", other))]
    for area, group in groupby(changes, key=lambda change: change.area):
        told = list(group)
        lines += ["", f"{_HEADS[area]} ({len(told)})"]
        for change in told:
            lines += _lines(change)
    if not changes:
        lines += ["", "Nothing differs."]
    if methods:
        lines += ["", noise.RULE, *(f"  {method}: {count} of the figures" for method, count in sorted(methods.items()))]
    return lines


def _lines(change: Change) -> list[str]:
    was, now = change.before or _NOT_THERE, change.after or _NOT_THERE
    note = f" ({change.note})" if change.note else ""
    if len(was) + len(now) < 100 and "\n" not in was + now + note:
        return [f"  {change.what}: {was} → {now}{note}"]
    pieces = [("-", was), ("+", now), *([("note:", change.note)] if change.note else [])]
    return [f"  {change.what}:", *(f"    {sign} " + text.replace("\n", "\n      ") for sign, text in pieces)]
