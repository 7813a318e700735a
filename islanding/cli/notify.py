"""`islanding notify`: tells the people and machines of a notify.yaml how a run ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from islanding.errors import ExitCode
from islanding.evidence.record import RunResult
from islanding.evidence.results import load_result
from islanding.journal import Journal
from islanding.notify import config, message, sending
from islanding.notify.sending import Told
from islanding.schedule.history import RecordedTurns
from islanding.schedule.turns import turns


@click.command("notify")
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default="notify.yaml",
    show_default=True,
    help="Whom to tell, and when.",
)
@click.option("--force", is_flag=True, help="Tell them, whatever `when` says.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
def notify_command(run: Path, file: Path, force: bool, dry_run: bool) -> ExitCode:
    """Tell how RUN (the folder of a run) ended: by webhook, mail or SNS, when its verdict has changed.

    \b
    Examples:
      islanding notify runs/2026-11-21T02-17-00Z-4711 --config notify.yaml
      islanding notify RUN --dry-run

    Exit code 1 when somebody could not be told, 0 otherwise.
    """
    conf = config.load(file)
    result = load_result(run)
    told, due = prepare(conf, result, sites_of(result), result.exit_code)
    if dry_run:
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
        return ExitCode.OK
    if not (due or force):
        click.echo(f"the verdict is {told['verdict']}, and `when: {conf.when}`: nobody is told")
        return ExitCode.OK
    done = sending.tell(conf, told)
    for one in done:
        click.echo(one)
    return ExitCode.FAILED if any(one.trouble for one in done) else ExitCode.OK


def prepare(
    conf: config.Notify, result: RunResult, sites: tuple[str, ...], exit_code: int
) -> tuple[dict[str, Any], bool]:
    """The message of a run, and whether it is to be sent."""
    began = result.started_wall or datetime.now(UTC).isoformat()
    run = str(result.folder.resolve()) if result.folder else result.run
    earlier = RecordedTurns(turns()).before(run, sites, result.target, began)
    told = message.message(result, sites, earlier, exit_code)
    return told, message.is_told(conf.when, result.verdict.value, earlier)


def sites_of(result: RunResult) -> tuple[str, ...]:
    """The names of a run's sites: as their own files say, where they were adopted."""
    names = [
        result.sites[name].facts.get("adopted_as", name) if name in result.sites else name for name in _all(result)
    ]
    return tuple(sorted(names))


def _all(result: RunResult) -> list[str]:
    return sorted({*result.site_names, *result.sites})


def tell_of(conf: config.Notify, result: RunResult, sites: tuple[str, ...], exit_code: int, journal: Journal) -> None:
    """Tell of a run that has just ended; what fails is a warning in its journal, and changes nothing else."""
    try:
        told, due = prepare(conf, result, sites, exit_code)
        done = sending.tell(conf, told) if due else []
    except Exception as error:  # a notification never changes what a run came to
        done = [Told("notification", 1, f"{type(error).__name__}: {error}")]
    for one in done:
        if one.trouble:
            journal.append("warning", text=f"could not tell how the run ended: {one}")
        click.echo(f"{one}", err=True)
