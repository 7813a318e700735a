"""The heartbeat of scheduled runs: when each site last ran, and when it last ran well."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from prometheus_client import CollectorRegistry

from islanding.errors import SetupError
from islanding.evidence.clean import clean
from islanding.evidence.openmetrics import gauge, timestamp
from islanding.history import queries
from islanding.history.database import Database

FILE = "islanding.prom"  # one file: two that hold the same metric would be refused by the collector


def add_heartbeat(registry: CollectorRegistry, database: Database) -> None:
    """Put the last run and the last good run of each site into `registry`, as the history knows them.

    A site that was never good has no time of a last good run: alert on its absence too.
    """
    last = gauge(registry, "islanding_last_run_timestamp_seconds", "Start of a site's newest run, Unix time.", "site")
    good = gauge(
        registry,
        "islanding_last_good_run_timestamp_seconds",
        "Start of a site's newest run in which each case there passed, Unix time.",
        "site",
    )
    cases = gauge(registry, "islanding_last_good_run_cases", "How many cases that run had at the site.", "site")
    for site in queries.sites(database):
        seen = timestamp(site.last.started)
        if seen is not None:
            last.labels(clean(site.site)).set(seen)
        well = timestamp(site.good.started) if site.good else None
        if well is not None:
            good.labels(clean(site.site)).set(well)
            cases.labels(clean(site.site)).set(site.good_cases)


def write_textfile(folder: Path, text: bytes) -> Path:
    """Write the file for node_exporter in `folder`, whole or not at all, readable by all; returns its path.

    The collector reads `*.prom` at any moment, so the file gets that name when it is complete. Raises SetupError when
    the folder is missing or cannot be written to.
    """
    path = folder / FILE
    try:
        handle, name = tempfile.mkstemp(prefix=".islanding-", suffix=".part", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text)
                os.fchmod(handle, 0o644)  # node_exporter runs as a user of its own
                file.flush()
                os.fsync(handle)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SetupError(
            f"{path}: cannot be written: {error.strerror}",
            "Name the folder of node_exporter's --collector.textfile.directory; it must exist.",
        ) from error
    return path
