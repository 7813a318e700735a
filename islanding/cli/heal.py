"""`islanding heal` undoes what dead runs left behind; `islanding faults` says what is applied now."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from islanding import sites
from islanding.errors import ExitCode, IslandingError
from islanding.faults.heal import Healed, Outcome, heal
from islanding.undo import logs

_STYLES = {
    Outcome.HEALED: "green",
    Outcome.ABANDONED: "yellow",
    Outcome.HELD: "yellow",
    Outcome.PENDING: "cyan",
    Outcome.FAILED: "red",
}


@click.command("heal")
@click.option("--site", help="Heal this site only: id or name of a lab, or path of a site.json.")
@click.option("--dry-run", is_flag=True, help="Say what would be undone, and undo nothing.")
@click.option("--force", is_flag=True, help="Undo the faults of runs that are still alive, too.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait until a site has healed.")
def heal_command(site: str | None, dry_run: bool, force: bool, timeout: float) -> ExitCode:
    """Undo the faults that killed or crashed runs left behind. Exit code 1 when one could not be healed."""
    done = heal(site_id_of(site), dry_run, force=force, timeout=timeout)
    console = Console(highlight=False, soft_wrap=True)
    if not done:
        console.print("Nothing to heal.")
    for one in done:
        console.print(_line(one), markup=True)
    return ExitCode.FAILED if any(one.outcome is Outcome.FAILED for one in done) else ExitCode.OK


@click.command("faults")
@click.option("--site", help="Show this site only: id or name of a lab, or path of a site.json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def faults_command(site: str | None, as_json: bool) -> None:
    """Show which faults are applied now, and by whom."""
    entries = [entry for log in logs(site_id_of(site)) for entry in log.read().open]
    if as_json:
        click.echo(json.dumps([asdict(e) | {"owner_is_alive": e.owner.is_alive()} for e in entries], default=str))
        return
    if not entries:
        click.echo("No fault is applied.")
        return
    table = Table("id", "fault", "site", "target", "state", "since", "by")
    for entry in entries:
        since = f"{(datetime.now(UTC) - (entry.since or entry.planned)).total_seconds():.0f} s"
        owner = f"{entry.owner.user}, process {entry.owner.pid}{'' if entry.owner.is_alive() else ' (dead)'}"
        table.add_row(entry.id, entry.kind, entry.site_id, entry.target, entry.state, since, owner)
    Console().print(table)


def site_id_of(wanted: str | None) -> str | None:
    """The id under which a site's undo log is kept: of a running lab, a description, or a lab that is gone already."""
    if wanted is None:
        return None
    try:
        return sites.load(sites.find(wanted)).id
    except IslandingError:
        known = {entry.site_id for log in logs() for entry in log.read().entries}
        if wanted in known and not Path(wanted).exists():
            return wanted
        raise


def _line(one: Healed) -> str:
    from rich.markup import escape

    style = _STYLES[one.outcome]
    return f"[{style}]{one.outcome:>15}[/{style}]  {escape(one.site_id)}  {escape(one.id)}  {escape(one.text)}"
