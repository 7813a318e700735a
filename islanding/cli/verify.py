"""`islanding verify`: whether a bundle of evidence is whole, unchanged and signed by the key given; offline."""

from __future__ import annotations

from pathlib import Path

import click

from islanding.attest import keys, stamp
from islanding.attest.opened import opened
from islanding.attest.verify import Trust, Verified, verify
from islanding.errors import ExitCode, SetupError

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", type=FILE, metavar="FILE", help="The signer's public key, or certificate, in PEM.")
@click.option("--timestamp-cert", type=FILE, metavar="FILE", help="Certificates of the time stamp authority, in PEM.")
@click.option("--ignore-timestamp", is_flag=True, help="A time stamp that is there need not be checked.")
@click.option("--unsigned-ok", is_flag=True, help="A bundle that nobody signed will do: only damage is looked for.")
@click.option("--all", "every", is_flag=True, help="Say all that is wrong, not the first only.")
def verify_command(
    bundle: Path,
    *,
    key: Path | None,
    timestamp_cert: Path | None,
    ignore_timestamp: bool,
    unsigned_ok: bool,
    every: bool,
) -> ExitCode:
    """Check the BUNDLE of a run, a folder or a .zip: signature, manifest, every file, the journal's chain, time stamp.

    Needs the bundle and the signer's public key, and no network. It says whether the evidence is what was signed, not
    whether the run passed: that stands in the line it prints, and in the reports.

    \b
    Examples:
      islanding verify bundle.zip --key signer.pem
      islanding verify bundle/ --key signer-certificate.pem --timestamp-cert tsa.pem
      islanding verify bundle.zip --unsigned-ok

    \b
    Exit codes: 0 it holds, 1 something is wrong with it, 2 something could not be checked (nobody signed it, or the
    authority of its time stamp is not given), 3 there is no such bundle, key or certificate.
    """
    if key is None and not unsigned_ok:
        raise SetupError(
            "whose signature? a bundle is checked against a key that you trust", "Give --key, or --unsigned-ok."
        )
    trust = Trust(keys.load(key) if key else None, stamp.certificates(timestamp_cert) if timestamp_cert else ())
    with opened(bundle) as found:
        done = verify(found, trust)
    unchecked = done.unchecked_but(stamp=ignore_timestamp, signature=unsigned_ok and key is None)
    if done.problems:
        _say_problems(bundle, done, every=every)
        return ExitCode.FAILED
    click.echo(f"{'?' if unchecked else '✓'} {bundle}: {_account(done)}")
    for text in unchecked:
        click.echo(f"  {text}")
    for text in done.notes:
        click.echo(f"  note: {text}")
    return ExitCode.INCONCLUSIVE if unchecked else ExitCode.OK


def _say_problems(bundle: Path, done: Verified, *, every: bool) -> None:
    shown = done.problems if every else done.problems[:1]
    more = len(done.problems) - len(shown)
    for name, what in shown:
        click.echo(f"✕ {bundle}: {name}: {what}" + (f" (and {more} more; --all names them)" if more else ""))


def _account(done: Verified) -> str:
    by = f"signed by the key {done.keyid[:16]}…" if done.keyid else "not shown to be signed by anybody"
    at = f", stamped {done.stamped:%Y-%m-%d %H:%M:%S} UTC" if done.stamped else ""
    came = f"{done.result}, verdict {done.run.get('verdict')}" if done.result else f"verdict {done.run.get('verdict')}"
    return f"{done.files} files unchanged, {by}{at}; run {done.run.get('name')}: {came}"
