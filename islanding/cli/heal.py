"""`islanding heal` undoes what dead runs left behind; `islanding faults` says what is applied now."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from islanding import sites
from islanding.errors import ExitCode, IslandingError
from islanding.faults.heal import Healed, Outcome, heal
from islanding.undo import Entry, State, UndoLog, logs
from islanding.wait import WaitTimeout, wait_until
from islanding.watchdog import spawn

_AGAIN = 10.0  # seconds until it is tried again when AWS's API did not answer

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
@click.option(
    "--abandon", metavar="ID", help="Give up this fault, which nobody can undo: you have put it right by hand."
)
def heal_command(site: str | None, dry_run: bool, force: bool, timeout: float, abandon: str | None) -> ExitCode:
    """Undo the faults that killed or crashed runs left behind. Exit code 1 when one could not be healed.

    While AWS's API does not answer it goes on trying; Ctrl-C ends that, and the record is kept.
    """
    site_id = site_id_of(site)
    if abandon:
        _abandon(site_id, abandon)
        return ExitCode.OK
    console = Console(highlight=False, soft_wrap=True)
    done: list[Healed] = []
    try:
        while True:
            done = heal(site_id, dry_run, force=force, timeout=timeout)
            for one in done:
                console.print(_line(one), markup=True)
            if not any(one.unreachable for one in done):
                break
            console.print(f"AWS's API does not answer; trying again in {_AGAIN:g} s (Ctrl-C ends it)")
            with suppress(WaitTimeout):
                wait_until("the next try", lambda: False, timeout=_AGAIN, interval=_AGAIN)
    except KeyboardInterrupt:
        console.print("Told to end. What is not healed is kept in the undo log: run `islanding heal` again.")
        return ExitCode.FAILED
    if not done:
        console.print("Nothing to heal.")
    return ExitCode.FAILED if any(one.outcome is Outcome.FAILED for one in done) else ExitCode.OK


@click.command("faults")
@click.option("--site", help="Show this site only: id or name of a lab, or path of a site.json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def faults_command(site: str | None, as_json: bool) -> None:
    """Show which faults are applied now, by whom, since when and until when."""
    found = [(log, log.read()) for log in logs(site_id_of(site))]
    entries = [(log, entry) for log, record in found for entry in record.open]
    if as_json:
        click.echo(json.dumps([_as_data(log, entry) for log, entry in entries], default=str))
        return
    unclear = [(log, id, id in record.newer) for log, record in found for id in (*record.orphans, *record.newer)]
    for log, id, newer in unclear:
        why = "a newer islanding wrote of it" if newer else "its record is damaged"
        click.echo(f"{log.path}: {id} may be applied: {why}")
    if not entries:
        click.echo("No other fault is known of." if unclear else "No fault is applied.")
        return
    table = Table("id", "fault", "site", "target", "state", "since", "until", "by")
    for log, entry in entries:
        dead = "" if entry.owner.is_alive() else " (dead)"
        row = (entry.id, entry.kind, entry.site_id, entry.target, entry.state, f"{entry.planned:%H:%M:%S}")
        table.add_row(*row, _until(log, entry), f"{entry.owner}{dead}")
    Console().print(table)


def _until(log: UndoLog, entry: Entry) -> str:
    left = entry.seconds_left()
    when = f"{entry.deadline:%H:%M:%S} UTC " + (f"(in {left:.0f} s)" if left >= 0 else f"({-left:.0f} s ago)")
    return when if spawn.standing(log.path) else f"{when}; no watchdog, run `islanding heal`"


def _as_data(log: UndoLog, entry: Entry) -> dict[str, object]:
    more = {"owner_is_alive": entry.owner.is_alive(), "seconds_left": entry.seconds_left()}
    return asdict(entry) | more | {"watchdog": spawn.standing(log.path)}


def _abandon(site_id: str | None, id: str) -> None:
    """Close an entry, or what is left of a damaged one; raises IslandingError when no log knows it."""
    for log in logs(site_id):
        record = log.read()
        if id in {*record.orphans, *(entry.id for entry in record.open)}:
            log.mark(id, State.ABANDONED, "given up by its user", "user")
            click.echo(f"{id} is given up")
            return
    raise IslandingError(f"no open fault is called {id}", "islanding faults lists them")


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
