"""`python -m tests.killsweep`: bring a lab up, kill what runs on it again and again, and write what was left behind."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from islanding.errors import IslandingError
from islanding.lab import launch
from tests.killsweep.choices import choices
from tests.killsweep.report import report
from tests.killsweep.strikes import strikes
from tests.killsweep.sweep import Result, Sweep, say


@click.command()
@click.option("--runs", default=1000, show_default=True, help="How often to kill.")
@click.option("--seed", default=lambda: int.from_bytes(os.urandom(3), "big"), help="For the same sweep again.")
@click.option("--site", default="outpost-local", show_default=True, help="The site to bring up for it.")
@click.option("--report", "to", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here, too.")
def main(runs: int, seed: int, site: str, to: Path | None) -> None:
    """Kill runners and watchdogs at random instants; exit code 1 when they leave anything behind."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        os.environ["ISLANDING_STATE"] = f"{folder}/state"
        say(f"bringing {site} up; seed {seed}")
        lab = launch.up(site)
        try:
            sweep = Sweep.over(lab, Path(folder))
            chosen = choices(sweep.site)
            for choice in chosen:
                left = sweep.unharmed(choice)
                say(f"{choice} takes {sweep.whole[str(choice)]:.1f} s unharmed{'; LEFT: ' if left else ''}{left or ''}")
                if left:
                    raise IslandingError(f"{choice} leaves something behind even when nobody is killed: {left}")
            results: list[Result] = []
            for strike in strikes(seed, runs, chosen):
                results.append(sweep.strike(strike))
                last = results[-1]
                if last.differences or len(results) % 20 == 0:
                    bad = sum(bool(one.differences) for one in results)
                    say(f"{len(results)} of {runs}, {time.monotonic() - begun:.0f} s: {bad} with differences"
                        + (f"; {strike}: {last.differences}" if last.differences else ""))  # fmt: skip
        finally:
            launch.down(lab)
    text = report(results, seed=seed, site=site, seconds=time.monotonic() - begun, machine=_machine(),
                  revision=_revision())  # fmt: skip
    click.echo(text, nl=False)
    if to:
        to.write_text(text)
    sys.exit(1 if any(result.differences for result in results) else 0)


def _machine() -> str:
    return f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _revision() -> str:
    said = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


main()
