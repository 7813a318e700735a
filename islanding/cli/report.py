"""`islanding report`: the reports of a run made again from its journal, and its evidence as a bundle, signed or not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
from rich.console import Console

from islanding.attest import pack, stamp
from islanding.attest.signer import FileSigner, Signer, passphrase
from islanding.cli import readable
from islanding.cli.allure import write_page
from islanding.errors import ExitCode, SetupError
from islanding.evidence.bundle import latest_run, write_reports
from islanding.evidence.terminal import summary

RUNS = Path("runs")
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("report")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@readable.options
@click.option(
    "--allure", is_flag=True, help="Make allure.html too, by Allure 3 (Node.js and npm; see docs/exports.md)."
)
@click.option("--sign-key", type=FILE, metavar="FILE", help="Sign by this private key (PEM: Ed25519 or ECDSA P-256).")
@click.option(
    "--passphrase-file",
    type=FILE,
    metavar="FILE",
    help="Its first line opens that key. Default: $ISLANDING_KEY_PASSPHRASE.",
)
@click.option("--sign-pkcs11", metavar="URI", help="Sign by this key of a PKCS#11 token; PIN in $ISLANDING_PKCS11_PIN.")
@click.option("--sign-kms", metavar="KEY-ID", help="Sign by this key of AWS KMS (ECC_NIST_P256): id, ARN or alias.")
@click.option("--timestamp-url", metavar="URL", help="Have it time-stamped by this authority (RFC 3161).")
@click.option("--with-captures", is_flag=True, help="Packet captures go into the bundle, not their names alone.")
@click.option("--no-bundle", is_flag=True, help="Make the reports only.")
@click.option("--quiet", is_flag=True, help="Print the paths of the files only.")
def report_command(
    run: Path | None,
    *,
    lang: str,
    pdf: bool,
    since: Path | None,
    allure: bool,
    sign_key: Path | None,
    passphrase_file: Path | None,
    sign_pkcs11: str | None,
    sign_kms: str | None,
    timestamp_url: str | None,
    with_captures: bool,
    no_bundle: bool,
    quiet: bool,
) -> ExitCode:
    """Make the reports of RUN again from its journal, and the bundle of its evidence: bundle/ and bundle.zip.

    RUN is the folder of a run, its name below runs/, or a journal file; without it, the newest run below runs/.

    \b
    Examples:
      islanding report
      islanding report runs/2026-11-21T09-00-00Z-4711 --lang both --pdf
      islanding report NEW --since OLD         what changed stands on the first page
      islanding report runs/2026-11-21T09-00-00Z-4711 --sign-key audit.pem
      islanding report --sign-kms alias/evidence --timestamp-url http://tsa.example.org/
      islanding report --sign-pkcs11 'pkcs11:token=audit;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so'

    The exit code is the run's: 0 all passed, 1 failures, 2 inconclusive or skipped, 3 a site could not be set up, or
    there is no run to report on, or it could not be signed.
    """
    signer = _signer(sign_key, passphrase_file, sign_pkcs11, sign_kms)
    if no_bundle and (signer or timestamp_url or with_captures):
        raise SetupError("--no-bundle leaves nothing to sign, to stamp or to add to", "Leave it out.")
    reports = write_reports(_folder(run))
    wanted = readable.Wanted(lang, pdf, None if since is None else _folder(since))
    more = readable.write(reports.result, reports.html.parent, wanted)
    files = tuple(dict.fromkeys([*reports.files, *more]))
    made = None
    if not no_bundle:
        made = pack.pack(
            reports.result,
            reports.html.parent,
            files,
            signer=signer,
            stamp=(lambda data: stamp.ask(timestamp_url, data)) if timestamp_url else None,
            captures=with_captures,
        )
    page = write_page(reports.result, reports.html.parent, partial(click.echo, err=True)) if allure else None
    if quiet:
        click.echo("\n".join(map(str, [*files, *([made.archive] if made else [])])))
    else:
        summary(reports.result, Console(), reports.html)
        for path in more:
            click.echo(f"also: {path}")
        if made:
            _say(made)
        if page:
            click.echo(str(page))
    return ExitCode(reports.result.exit_code)


def _say(made: pack.Packed) -> None:
    size = made.archive.stat().st_size / 1e6
    by = f"signed by the key {made.keyid[:16]}…" if made.keyid else "not signed (--sign-key, --sign-pkcs11, --sign-kms)"
    click.echo(f"evidence: {made.archive} ({size:.1f} MB), {by}{', time-stamped' if made.stamped else ''}")
    for note in made.notes:
        click.echo(f"  {note}")


def _signer(key: Path | None, passphrase_file: Path | None, token: str | None, kms: str | None) -> Signer | None:
    if sum(each is not None for each in (key, token, kms)) > 1:
        raise SetupError("a bundle has one signature", "Give one of --sign-key, --sign-pkcs11 and --sign-kms.")
    if passphrase_file is not None and key is None:
        raise SetupError("--passphrase-file is for the key of --sign-key", "Name that, too.")
    if key is not None:
        return FileSigner(key, passphrase(passphrase_file))
    if token is not None:
        from islanding.attest.pkcs11 import TokenSigner

        return TokenSigner(token)
    if kms is not None:
        from islanding.attest.kms import KmsSigner

        return KmsSigner(kms)
    return None


def _folder(run: Path | None) -> Path:
    if run is None:
        return latest_run(RUNS)
    below = RUNS / run
    return below if not run.exists() and below.is_dir() else run
