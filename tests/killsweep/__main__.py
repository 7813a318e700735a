"""`python -m tests.killsweep`: bring a lab up, kill what runs on it again and again, and write what was left behind."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from islanding.errors import IslandingError
from islanding.lab import launch
from tests.killsweep.choices import choices
from tests.killsweep.kept import Kept
from tests.killsweep.report import report
from tests.killsweep.strikes import strikes
from tests.killsweep.sweep import Sweep, say


@click.command()
@click.option("--runs", default=1000, show_default=True, help="How often to kill, in all sittings together.")
@click.option("--seed", type=int, help="For the same sweep again. Default: drawn, or that of --keep's file.")
@click.option("--site", default="outpost-local", show_default=True, help="The site to bring up for it.")
@click.option("--keep", type=click.Path(dir_okay=False, path_type=Path), help="Keep results here; there, it goes on.")
@click.option("--report", "to", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here, too.")
def main(runs: int, seed: int | None, site: str, keep: Path | None, to: Path | None) -> None:
    """Kill runners and watchdogs at random instants; exit code 1 when they leave anything behind.

    \b
    Examples:
      python -m tests.killsweep --runs 50
      python -m tests.killsweep --keep sweep.jsonl --report docs/reliability.md   # goes on where it was broken off
    """
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        drawn = seed if seed is not None or (keep and keep.exists()) else int.from_bytes(os.urandom(3), "big")
        kept = Kept.open(keep or Path(folder) / "kept.jsonl", drawn, site)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the lab ends, too
        if len(kept.results) < runs:
            os.environ["ISLANDING_STATE"] = f"{folder}/state"
            say(f"bringing {site} up; seed {kept.seed}; {len(kept.results)} of {runs} are done")
            lab = launch.up(site)
            try:
                _sit(Sweep.over(lab, Path(folder)), kept, runs)
            finally:
                launch.down(lab)
        text = report(kept)
    click.echo(text, nl=False)
    if to:
        to.write_text(text)
    sys.exit(1 if any(result.differences for result in kept.results) else 0)


def _sit(sweep: Sweep, kept: Kept, runs: int) -> None:
    """The runs that are left, in one lab."""
    begun = time.monotonic()
    chosen = choices(sweep.site)
    for choice in chosen:
        left = sweep.unharmed(choice)
        say(f"{choice} takes {sweep.whole[str(choice)]:.1f} s unharmed{'; LEFT: ' if left else ''}{left or ''}")
        if left:
            raise IslandingError(f"{choice} leaves something behind even when nobody is killed: {left}")
    kept.sit(date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", revision=_revision(), machine=_machine())
    for strike in islice(strikes(kept.seed, runs, chosen), len(kept.results), None):
        result = sweep.strike(strike)
        kept.add(result)
        if result.differences or len(kept.results) % 20 == 0:
            bad = sum(bool(one.differences) for one in kept.results)
            say(f"{len(kept.results)} of {runs}, {time.monotonic() - begun:.0f} s: {bad} with differences"
                + (f"; {strike}: {result.differences}" if result.differences else ""))  # fmt: skip


def _machine() -> str:
    return f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _revision() -> str:
    said = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


try:
    main()
except IslandingError as error:
    sys.exit(f"killsweep: {error}")
