"""`python -m tests.tamper`: tamper with a bundle again and again, and see whether each time both verifiers find it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from tests.tamper.bundles import make
from tests.tamper.sweep import every_byte, strikes, untouched


@click.command()
@click.option("--runs", default=10_000, show_default=True, help="How often to tamper.")
@click.option("--seed", default=lambda: int.from_bytes(os.urandom(3), "big"), help="For the same sweep again.")
@click.option("--every-byte", "exhaustive", is_flag=True, help="Change every byte of the zip in turn, too.")
def main(runs: int, seed: int, exhaustive: bool) -> None:
    """Tamper at random, in every way that is known; exit code 1 when one is not found by both verifiers."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tamper-") as folder:
        made = make(Path(folder))
        if wrong := untouched(made):
            raise click.ClickException(f"the bundle is not even found whole before anything is done to it: {wrong}")
        done: Counter[str] = Counter()
        missed: list[str] = []
        for kind, miss in strikes(made, seed, runs):
            done[kind] += 1
            missed += [miss] if miss else []
            if sum(done.values()) % 1000 == 0:
                click.echo(f"{sum(done.values())} of {runs}, {time.monotonic() - begun:.0f} s: {len(missed)} not found")
        for kind, count in sorted(done.items()):
            click.echo(f"  {count:6} {kind}")
        if exhaustive:
            missed += (each := list(every_byte(made)))
            click.echo(f"every one of {len(made.zip)} bytes of the zip changed in turn: {len(each)} not found")
    click.echo(f"{runs} tampered bundles (seed {seed}), {runs - len(missed)} found, {time.monotonic() - begun:.0f} s")
    for miss in missed:
        click.echo(f"NOT FOUND: {miss}")
    sys.exit(1 if missed else 0)


main()
