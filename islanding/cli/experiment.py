"""`islanding experiment`: run or check one Chaos Toolkit experiment."""

from __future__ import annotations

from pathlib import Path

import click

from islanding.errors import ExitCode, SetupError
from islanding.model import Site

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(short_help="Run or check one Chaos Toolkit experiment.")
def experiment_group() -> None:
    """Run or check one Chaos Toolkit experiment."""


@experiment_group.command("run")
@click.argument("file", type=_FILE)
@click.option("--site", "site_name", help="Name, id or site.json of the running site; default: the experiment's own.")
@click.option("--run", "folder", type=click.Path(path_type=Path), help="Folder of the run; default: runs/TIME.")
@click.option("--dry-run", is_flag=True, help="Print what each action would call, and its inverse; change nothing.")
def run_command(file: Path, site_name: str | None, folder: Path | None, *, dry_run: bool) -> ExitCode:
    """Run the experiment FILE on a running site; the verdict is in the journal and in the exit code."""
    import logging

    from islanding import sites
    from islanding.aws import recording
    from islanding.chaos.run import run_experiment
    from islanding.chaos.schema import load_experiment
    from islanding.journal import Journal
    from islanding.model import Verdict
    from islanding.runs import journal_path

    experiment = load_experiment(_there(file))
    site_file = sites.find(site_name or experiment.extension.site)
    site = sites.load(site_file)
    if dry_run:
        return _look(file, site)
    path = journal_path(folder)
    recording.begin(path.parent)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    outcome = run_experiment(file, site, Journal(path), site_file=site_file)
    click.echo(f"{outcome.verdict.value}: {experiment.title}")
    if outcome.reason:
        click.echo(f"  {outcome.reason}")
    click.echo(f"journal: {path}")
    codes = {Verdict.PASS: ExitCode.OK, Verdict.FAIL: ExitCode.FAILED}
    return codes.get(outcome.verdict, ExitCode.INCONCLUSIVE)


def _look(file: Path, site: Site) -> ExitCode:
    from islanding.chaos.dry import look
    from islanding.kube.current import refreshed

    said, passes = look(file, refreshed(site) if site.identities else site)
    for line in said:
        click.echo(line)
    return ExitCode.OK if passes else ExitCode.SETUP


@experiment_group.command("validate")
@click.argument("files", type=_FILE, nargs=-1, required=True)
def validate_command(files: tuple[Path, ...]) -> None:
    """Check experiments without running them; each mistake is named with its line."""
    from islanding.chaos.schema import load_experiment

    problems = []
    for file in files:
        try:
            load_experiment(_there(file))
        except SetupError as mistake:
            problems.append(str(mistake))
        else:
            click.echo(f"{file}: valid")
    if problems:
        raise SetupError("\n".join(problems))


def _there(file: Path) -> Path:
    if not file.is_file():
        raise SetupError(f"there is no experiment {file}", "experiments are YAML files, see experiments/")
    return file
