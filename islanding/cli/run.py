"""The `run` command: sites up, suites and experiments at each, sites down, one journal, one report, one exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from islanding import siteconf, stackconf
from islanding.aws import recording
from islanding.cli.lab import SiteName
from islanding.cli.orchestrate import Run, SiteRun
from islanding.errors import ExitCode, SetupError
from islanding.evidence.bundle import write_reports
from islanding.evidence.terminal import LiveView, summary
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
def run_command(
    sites: tuple[str, ...], target: str, folder: Path | None, expression: str, rows: tuple[str, ...]
) -> ExitCode:
    """Bring sites up in the lab, run suites and experiments, write the report.

    \b
    Examples:
      islanding run
      islanding run --site outpost-local -k certificate
      islanding run --requirement O-07
      islanding run --target aws --site my-site.yaml

    \b
    Exit codes: 0 all passed, 1 a check failed, 2 inconclusive, 3 set-up.
    """
    make = _adopting(sites) if target == "aws" else _in_the_lab(sites)
    journal = journal_path(folder)
    home = journal.parent
    if journal.exists() and journal.stat().st_size:
        raise SetupError(f"{home} holds a run already", "name another folder, or none: a new one is made")
    recording.begin(home)
    console = Console(stderr=True)
    run = make(home, expression, rows)
    with LiveView(journal, console):
        interrupted = run.execute()
    result = write_reports(home, closing=True).result
    code = ExitCode.INCONCLUSIVE if interrupted and result.exit_code == ExitCode.OK else ExitCode(result.exit_code)
    run.finish(int(code))
    reports = write_reports(home)
    summary(reports.result, Console(), report=reports.html)
    if interrupted:
        raise KeyboardInterrupt
    return code


Maker = Callable[[Path, str, tuple[str, ...]], Run]


def _in_the_lab(sites: tuple[str, ...]) -> Maker:
    """Makes a run in the lab; raises IslandingError for what is wrong with this machine or a site's file."""
    from islanding.lab import launch

    launch.require_root()
    names = sites or siteconf.names()
    for name in names:
        stackconf.load(siteconf.find(name))
    return lambda home, expression, rows: Run(home, tuple(SiteRun(name, expression, rows) for name in names))


def _adopting(sites: tuple[str, ...]) -> Maker:
    """Makes a run at sites of real accounts; raises SetupError for what is wrong with their files."""
    from islanding import accountconf
    from islanding.cli.adopted import AccountRun

    if not sites:
        raise SetupError("which site on AWS?", "name its file: islanding run --target aws --site my-site.yaml")
    confs = [accountconf.load(Path(site)) for site in sites]
    by_name = {conf.like: conf for conf in confs}
    if len(by_name) < len(confs):
        raise SetupError("a run takes one site of a kind", "run each of them by itself")
    return lambda home, expression, rows: AccountRun(
        home, tuple(SiteRun(name, expression, rows) for name in by_name), by_name
    )
