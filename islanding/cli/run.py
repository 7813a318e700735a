"""The `run` command: sites up, suites and experiments at each, sites down, one journal, one report, one exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from islanding import siteconf, stackconf
from islanding.aws import recording
from islanding.cli.around import Around
from islanding.cli.lab import SiteName
from islanding.cli.orchestrate import Run, SiteRun
from islanding.cli.rehearse import rehearse
from islanding.errors import ExitCode, SetupError
from islanding.evidence.bundle import write_reports
from islanding.evidence.terminal import LiveView, summary
from islanding.history.recording import remember
from islanding.runs import journal_path


@click.command("run")
@click.option(
    "--site",
    "sites",
    multiple=True,
    type=SiteName(),
    help="Only this site; repeatable. Default: all. With --target aws: the file of a site.",
)
@click.option(
    "--target",
    type=click.Choice(["lab", "aws"]),
    default="lab",
    show_default=True,
    help="Where the sites are: made in the lab, or on a real AWS account as their files say.",
)
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), default=None, help="Folder of the run. Default: runs/TIME."
)
@click.option("-k", "expression", default="", help="Only cases whose name matches, as for pytest.")
@click.option("--requirement", "rows", multiple=True, metavar="ID", help="Only cases that cover this row; repeatable.")
@click.option("--schedule", default="", metavar="NAME", help="Of this schedule: one run at a time, kept on record.")
@click.option("--calendar", "due", default="", metavar="FIELDS", help="When that schedule's runs are due.")
@click.option(
    "--notify", type=click.Path(path_type=Path, dir_okay=False), help="Whom to tell how it ended: a YAML file."
)
@click.option("--store", default="", metavar="PLACE", help="Where the bundle goes: s3://BUCKET/PREFIX, or a folder.")
@click.option(
    "--sign-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Make the bundle and sign it by this key; passphrase in $ISLANDING_KEY_PASSPHRASE.",
)
@click.option("--dry-run", is_flag=True, help="Print which cases would run, and what they change; nothing is run.")
def run_command(
    sites: tuple[str, ...],
    target: str,
    folder: Path | None,
    expression: str,
    rows: tuple[str, ...],
    *,
    dry_run: bool,
    **around: Any,
) -> ExitCode:
    """Bring sites up in the lab, run suites and experiments, write the report.

    \b
    Examples:
      islanding run
      islanding run --site outpost-local -k certificate
      islanding run --requirement O-07 --dry-run
      islanding run --target aws --site my-site.yaml --notify notify.yaml --store s3://BUCKET/runs

    \b
    Exit codes: 0 all passed, 1 a check failed, 2 inconclusive, 3 set-up, 4 another run of it is under way.
    """
    chosen = _adopting(sites) if target == "aws" else _in_the_lab(sites, dry_run=dry_run)
    runs = tuple(SiteRun(like, expression, rows) for like in chosen.likes)
    if dry_run:
        return rehearse(runs, target)
    surroundings = Around(target, chosen.names, **around)
    journal = journal_path(folder)
    home = journal.parent
    if journal.exists() and journal.stat().st_size:
        raise SetupError(f"{home} holds a run already", "name another folder, or none: a new one is made")
    with surroundings.turn(home):
        return _run(chosen.make(home, runs), surroundings)


def _run(run: Run, around: Around) -> ExitCode:
    """The run itself, from its first event to its report."""
    home, journal = run.folder, run.journal.path
    recording.begin(home)
    console = Console(stderr=True)
    with LiveView(journal, console):
        interrupted = run.execute()
    result = write_reports(home, closing=True).result
    code = ExitCode.INCONCLUSIVE if interrupted and result.exit_code == ExitCode.OK else ExitCode(result.exit_code)
    around.tell(result, code, run.journal)
    run.finish(int(code))
    reports = write_reports(home)
    if warning := remember(reports.result):
        click.echo(f"warning: {warning}", err=True)
    summary(reports.result, Console(), report=reports.html)
    code = around.ended(reports, code, home)
    if interrupted:
        raise KeyboardInterrupt
    return code


@dataclass(frozen=True)
class Chosen:
    """The sites of a run: which reference sites they are or are like, their own names, and what makes the run."""

    likes: tuple[str, ...]
    names: tuple[str, ...]
    make: Callable[[Path, Sequence[SiteRun]], Run]


def _in_the_lab(sites: tuple[str, ...], *, dry_run: bool) -> Chosen:
    """The sites of a run in the lab; raises IslandingError where machine or file is wrong."""
    from islanding.lab import launch

    if not dry_run:
        launch.require_root()
    names = sites or siteconf.names()
    for name in names:
        stackconf.load(siteconf.find(name))
    return Chosen(names, names, Run)


def _adopting(sites: tuple[str, ...]) -> Chosen:
    """The sites of a run on real accounts; raises SetupError for what is wrong with a file."""
    from islanding import accountconf
    from islanding.cli.adopted import AccountRun

    if not sites:
        raise SetupError("which site on AWS?", "name its file: islanding run --target aws --site my-site.yaml")
    confs = [accountconf.load(Path(site)) for site in sites]
    by_name = {conf.like: conf for conf in confs}
    files = {conf.like: Path(site) for conf, site in zip(confs, sites, strict=True)}
    if len(by_name) < len(confs):
        raise SetupError("a run takes one site of a kind", "run each of them by itself")

    def make(home: Path, runs: Sequence[SiteRun]) -> Run:
        return AccountRun(home, runs, by_name, files)

    return Chosen(tuple(by_name), tuple(conf.name for conf in confs), make)
