"""The commands `setup` and `doctor`: bring the parts together, and say what this machine lacks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from islanding import paths
from islanding.errors import ExitCode
from islanding.lab.parts import ensure
from islanding.lab.parts.assemble import prune
from islanding.lab.parts.found import layout
from islanding.lab.parts.progress import reporter

_SETUP_EPILOG = """\b
Examples:
  sudo islanding setup                       fetch or build whatever is missing
  sudo islanding setup --from /mnt/parts     use the binaries of this folder (with its SHA256SUMS)
  sudo islanding setup --no-download         build from Go modules, ask no release site
  sudo islanding setup --prune               then free the space of old parts and build caches

The first set-up takes some fifteen minutes on two cores; Ctrl-C keeps what is finished. A second one takes a second.
"""

_DOCTOR_EPILOG = """\b
Examples:
  sudo islanding doctor             a table of checks, and what mends each lack
  sudo islanding doctor --json      the same for a program

\b
Exit codes:
  0  all there (warnings allowed)
  3  something is missing
"""


@click.command("setup", epilog=_SETUP_EPILOG)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Folder with binaries and their SHA256SUMS, asked first. Default: $ISLANDING_PARTS.",
)
@click.option("--download/--no-download", default=True, help="Ask the projects' release sites, when they answer.")
@click.option("--prune", "pruning", is_flag=True, help="Afterwards remove old parts, old images and build caches.")
def setup_command(source: Path | None, download: bool, pruning: bool) -> None:
    """Fetch or build the parts and make the machine image; resumable, and needs no network when all is there."""
    try:
        with reporter(sys.stderr) as progress:
            found = ensure(progress, source=source, download=download)
    except KeyboardInterrupt:
        click.echo("stopped; what is finished is kept: run `islanding setup` again to go on", err=True)
        raise
    click.echo(f"binaries          {found.bin_dir}")
    click.echo(f"machine image     {found.image}")
    click.echo(f"container images  {found.oci_dir}")
    click.echo(f"manifests         {found.manifests}")
    if pruning:
        for path in prune(layout()):
            click.echo(f"removed           {path}")


@click.command("doctor", epilog=_DOCTOR_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def doctor_command(as_json: bool) -> ExitCode:
    """Check this machine: kernel, capabilities, cgroups, disk, memory, tools, parts; name each lack and its cure."""
    from islanding.lab.parts.doctor import LACK, OK, diagnose

    checks = diagnose(paths.cache_dir())
    lacking = [check for check in checks if check.status == LACK]
    if as_json:
        click.echo(json.dumps({"ok": not lacking, "checks": [vars(check) for check in checks]}, indent=1))
        return ExitCode.SETUP if lacking else ExitCode.OK
    console = Console()
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("", "check", "found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(_mark(check.status), check.name, check.found)
    console.print(table, highlight=False)
    for check in checks:
        if check.status != OK:
            console.print(
                f"\n{_mark(check.status)} [bold]{check.name}[/]: needed for {check.needed_for}", highlight=False
            )
            console.print(f"  {check.fix}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"\n{summary(len(checks), len(lacking))}", highlight=False)
    return ExitCode.SETUP if lacking else ExitCode.OK


def summary(checks: int, lacking: int) -> str:
    """The last line of `doctor`."""
    if lacking:
        return f"{lacking} of {checks} checks found something missing."
    return f"{checks} checks, nothing missing: this machine can run the lab."


def _mark(status: str) -> str:
    return {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "lack": "[red]missing[/]"}[status]
