"""Running an experiment by Chaos Toolkit's own library; the verdict is ours, from the journal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from islanding.chaos import controls
from islanding.chaos.schema import load_experiment
from islanding.chaos.verdict import Outcome
from islanding.journal import Journal
from islanding.model import Site, Verdict
from islanding.runs import VARIABLE
from islanding.yamldoc import read

# `runtime:` of the file counts for the chaos command only (docs/measurements.md 9); the schema allows no other strategy
SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}


def case_id(path: Path) -> str:
    """An experiment's id as a case: the stem of its file's name."""
    return path.stem


def run_experiment(
    path: Path, site: Site, journal: Journal, *, site_file: Path | None = None, writes_case: bool = True
) -> Outcome:
    """Run the experiment at `path` on a running site and return its verdict; main thread only (Chaos Toolkit).

    `site_file` is the site's description (default: in the site's folder). With `writes_case` the case's start and
    verdict are written, too. Raises SetupError for a mistake in the file, KeyboardInterrupt when it was interrupted:
    by then its rollbacks have run and its verdict is written.
    """
    from chaoslib.experiment import run_experiment as run_by_chaos_toolkit

    from islanding.chaos.default_session import calling  # boto3 takes half a second

    load_experiment(path)
    raw: dict[str, Any] = read(path).data
    given = controls.Conduct(site, journal.bind(site=site.name, case=case_id(path)), writes_case=writes_case)
    target = site_file or Path(site.folder) / "site.json"
    controls.conduct(given)
    try:
        ours = {VARIABLE: str(journal.path), controls.SITE: str(target), controls.CASE: case_id(path)}
        with _environment(ours), calling(site):
            chaos = run_by_chaos_toolkit(raw, settings=SETTINGS)
    finally:
        controls.conduct(None)
        if given.watch is not None:
            given.watch.stop()
    outcome = given.outcome or Outcome(Verdict.INCONCLUSIVE, "its controls were not called")
    if chaos and chaos.get("status") == "interrupted" and not given.trouble:
        raise KeyboardInterrupt(f"experiment {case_id(path)} was interrupted")
    return outcome


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for the length of a block; the actions find site and journal by them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
