"""`islanding history`: the runs so far, what flips and drifts in them, and what of them is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from islanding.cli import historyprint as show
from islanding.errors import ExitCode, IslandingError, SetupError
from islanding.evidence.requirements import load_requirements
from islanding.history import flakes as flaky
from islanding.history import queries, retention, sources, trend
from islanding.history.database import Database
from islanding.history.store import add, load
from islanding.history.when import moment

_SHAPE = click.option(
    "--format", "shape", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
_SITE = click.option("--site", default="", help="Only runs that had this site.")
_SINCE = click.option(
    "--since", default="", metavar="WHEN", help="Only runs from then on: a date, a time, or 30d, 12h."
)


@click.group("history", invoke_without_command=True)
@_SITE
@_SINCE
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many, the newest.")
@_SHAPE
@click.pass_context
def history_group(context: click.Context, site: str, since: str, limit: int, shape: str) -> None:
    """List the runs so far, newest first; see below for what else the history tells.

    A run records itself at its end. The file is $ISLANDING_HISTORY, else history.sqlite in the user's data folder.

    \b
    Examples:
      islanding history --site outpost-local --since 30d
      islanding history show 2026-11-20T02-00-00Z-811
      islanding history import runs/* bundle.zip
      islanding history flakes
      islanding history trend --html trend.html
      islanding history prune --keep-days 90 --dry-run
    """
    if context.invoked_subcommand is not None:
        return
    with Database() as database:
        found = queries.runs(database, site=site, since=moment(since, _now()), limit=limit)
    click.echo(show.listing(found, shape))


@history_group.command("show")
@click.argument("run")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show_command(run: str, shape: str) -> None:
    """Show what the history holds of RUN, by its id: sites, cases, requirement rows, components, figures.

    Example: islanding history show 2026-11-20T02-00-00Z-811
    """
    with Database() as database:
        record = load(database, run)
        standings = {standing.row: standing for standing in queries.requirements(database)}
    click.echo(show.whole(record, standings, shape))


@history_group.command("import")
@click.argument("sources_", metavar="RUN|BUNDLE.zip...", nargs=-1, required=True, type=click.Path(path_type=Path))
def import_command(sources_: tuple[Path, ...]) -> ExitCode:
    """Record runs by their folders, journals or bundles. What is known already changes nothing.

    Example: islanding history import runs/* archive/2026-10.zip

    Exit codes: 0 all are recorded, 3 one could not be read (the others are recorded).
    """
    failed = False
    with Database() as database:
        for source in sources_:
            try:
                with Console(stderr=True).status(f"reading {source}"), sources.opened(source) as (record, journal):
                    click.echo(f"{record.run}: {add(database, record, journal).value}")
            except IslandingError as error:
                failed = True
                click.echo(f"not recorded: {error}", err=True)
    return ExitCode.SETUP if failed else ExitCode.OK


@history_group.command("flakes")
@_SITE
@_SINCE
@_SHAPE
def flakes_command(site: str, since: str, shape: str) -> ExitCode:
    """List the cases whose verdict flips although nothing that they ran on was changed.

    \b
    Exit codes: 0 there is none, 1 there are some.
    """
    with Database() as database:
        found = flaky.flakes(database, site=site, since=moment(since, _now()))
    click.echo(show.flakes(found, shape))
    return ExitCode.FAILED if found else ExitCode.OK


@history_group.command("requirements")
@_SHAPE
def requirements_command(shape: str) -> None:
    """List the requirement rows: verdict in the newest run that covers the row, and when it last passed."""
    with Database() as database:
        found = queries.requirements(database)
    click.echo(show.requirements(found, load_requirements(), shape))


@history_group.command("trend")
@click.option("--html", "path", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@_SITE
@_SINCE
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many, the newest.")
def trend_command(path: Path, site: str, since: str, limit: int) -> None:
    """Write a page of how verdicts and figures went over the runs: one file, which asks nothing of any other address.

    Example: islanding history trend --html trend.html --site closed-vpc --since 90d
    """
    with Database() as database:
        runs = queries.runs(database, site=site, since=moment(since, _now()), limit=limit)
        if not runs:
            raise SetupError("the history holds no such run", "`islanding history` lists what it holds.")
        page = trend.render(trend.gather(database, runs, site))
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)
    click.echo(f"{path}: {len(runs)} runs")


@history_group.command("prune")
@click.option("--keep-days", type=click.IntRange(1), default=None, help="Keep runs that are younger.")
@click.option("--keep-last", type=click.IntRange(1), default=None, help="Keep the newest so many.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
def prune_command(keep_days: int | None, keep_last: int | None, dry_run: bool) -> None:
    """Take old runs out of the history; the runs' own folders and bundles are not touched.

    A run that either option keeps stays. The last good run of each site and the last pass of each requirement row stay
    in any case.

    Example: islanding history prune --keep-days 365 --keep-last 50
    """
    if keep_days is None and keep_last is None:
        raise SetupError("what is to be kept?", "Say --keep-days N, --keep-last N, or both.")
    with Database() as database:
        done = retention.prune(database, now=_now(), keep_days=keep_days, keep_last=keep_last, dry_run=dry_run)
    for run, reason in done.stays:
        click.echo(f"kept: {run.run} ({run.started}): {reason}")
    for run in done.goes:
        click.echo(f"{'would go' if dry_run else 'gone'}: {run.run} ({run.started})")
    click.echo(f"{len(done.goes)} runs {'would go' if dry_run else 'are gone'}")


def _now() -> datetime:
    return datetime.now(UTC)
