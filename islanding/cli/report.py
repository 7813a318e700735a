"""`islanding report`: makes the report of a run again from its journal."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from islanding.errors import ExitCode
from islanding.evidence.bundle import latest_run, write_reports
from islanding.evidence.terminal import summary

RUNS = Path("runs")


@click.command("report")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="Print the paths of the files only.")
def report_command(run: Path | None, quiet: bool) -> ExitCode:
    """Make report.html and junit.xml of RUN again from its journal.

    RUN is the folder of a run, its name below runs/, or a journal file; without it, the newest run below runs/.
    The exit code is the run's: 0 all passed, 1 failures, 2 inconclusive or skipped, 3 a site could not be set up, or
    there is no run to report on.
    """
    reports = write_reports(_folder(run))
    if quiet:
        click.echo(f"{reports.html}\n{reports.junit}")
    else:
        summary(reports.result, Console(), reports.html)
    return ExitCode(reports.result.exit_code)


def _folder(run: Path | None) -> Path:
    if run is None:
        return latest_run(RUNS)
    below = RUNS / run
    return below if not run.exists() and below.is_dir() else run
