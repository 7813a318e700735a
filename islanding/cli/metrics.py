"""`islanding metrics`: the newest run and the heartbeat of each site, for node_exporter's textfile collector."""

from __future__ import annotations

from pathlib import Path

import click
from prometheus_client import CollectorRegistry

from islanding.cli.report import RUNS
from islanding.errors import SetupError
from islanding.evidence.bundle import latest_run
from islanding.evidence.openmetrics import add_run, text_of
from islanding.evidence.results import load_result
from islanding.history.database import Database
from islanding.history.heartbeat import add_heartbeat, write_textfile


@click.command("metrics")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--textfile",
    "folder",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Write DIR/islanding.prom at once, whole. Default: print.",
)
def metrics_command(run: Path | None, folder: Path | None) -> None:
    """Tell verdicts, durations and the last good run of each site as metrics (OpenMetrics text).

    RUN is the folder of a run or a journal; without it, the newest run below runs/, and where there is none, the
    history's metrics alone.

    \b
    Examples:
      islanding metrics
      islanding metrics runs/today --textfile /var/lib/prometheus/node-exporter
    """
    registry = CollectorRegistry()
    with Database() as database:
        add_heartbeat(registry, database)
    if run is not None or _has_run():
        add_run(registry, load_result(latest_run(RUNS) if run is None else run))
    text = text_of(registry)
    if folder is None:
        click.echo(text.decode(), nl=False)
    else:
        click.echo(str(write_textfile(folder, text)))


def _has_run() -> bool:
    try:
        return latest_run(RUNS).is_dir()
    except SetupError:
        return False
