"""What of a run's folder goes into its bundle, what stays out, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from islanding.attest.layout import INPUTS, JOURNAL, README, SCRIPT, unsafe
from islanding.paths import CAPTURES
from islanding.redact import redact

LOGS = "logs"
RECORDS = ("calls.jsonl",)  # which operations of AWS the run called
SUFFIXES = frozenset({".pcap", ".pcapng", ".cap"})
MACHINE_JOURNALS = frozenset({".journal", ".journal~"})

_HERE = Path(__file__).resolve().parent
_HOW_TO = """\
Evidence of a run of islanding
==============================

manifest.json            what the run was, and the SHA-256 of every file here
attestation.intoto.json  the signature over it: an in-toto statement in a DSSE envelope (not there: nobody signed)
timestamp.tsr            when it was signed, said by a time stamp authority, RFC 3161 (optional)
journal.jsonl            the record itself; every report is made from it
inputs/                  what the run was given: sites, templates, requirements, options, hashes of the code
logs/                    what the parts wrote, secrets taken out

To check it, with the signer's public key from a source that you trust (not from here):

    islanding verify . --key signer.pem
    python verify_bundle.py . signer.pem        (needs Python 3.11 and its package cryptography, nothing else)

Take verify_bundle.py from a source that you trust, too: one who alters a bundle can alter the script in it.
"""


@dataclass(frozen=True)
class LeftOut:
    """A file that is named in the manifest and not in the bundle: its size in bytes, its SHA-256, and why."""

    size: int
    sha256: str
    why: str


@dataclass
class Contents:
    """Files by their names in the bundle, as bytes or as the file to copy, and what was left out."""

    files: dict[str, bytes | Path] = field(default_factory=dict)
    left_out: dict[str, LeftOut] = field(default_factory=dict)


def gather(run: Path, reports: Sequence[Path], *, captures: bool = False) -> Contents:
    """The contents of the bundle of the run in folder `run`; `reports` lie there; `captures`: with packets, too.

    Logs are texts that other programs wrote: secrets are taken out of them here. The journal is as it is, for it went
    through the same when it was written, and its chain holds for these bytes only. Symbolic links are not followed.
    """
    found = Contents()
    found.files[JOURNAL] = (run / JOURNAL).read_bytes()
    for report in reports:
        found.files[report.relative_to(run).as_posix()] = report.read_bytes()
    found.files[SCRIPT] = (_HERE / SCRIPT).read_bytes()
    found.files[README] = _HOW_TO.encode()
    for path in _files(run / INPUTS):
        found.files[_name(run, path)] = path.read_bytes()
    for name in RECORDS:
        if (run / name).is_file():
            found.files[name] = _redacted(run / name)
    for path in _files(run / LOGS):
        _log(found, run, path, captures=captures)
    here = (path for path in run.iterdir() if path.is_file() and not path.is_symlink())
    for path in sorted(path for path in (*here, *_files(run / CAPTURES)) if path.suffix in SUFFIXES):
        _capture(found, run, path, captures=captures)
    return found


def _log(found: Contents, run: Path, path: Path, *, captures: bool) -> None:
    name = _name(run, path)
    if path.suffix in SUFFIXES:
        _capture(found, run, path, captures=captures)
    elif path.suffix in MACHINE_JOURNALS:
        found.left_out[name] = _kept(path, "a machine's binary journal: secrets cannot be taken out of it")
    elif reason := unsafe(name):
        found.left_out[name.encode("ascii", "backslashreplace").decode()] = _kept(path, reason)
    else:
        found.files[name] = _redacted(path)


def _capture(found: Contents, run: Path, path: Path, *, captures: bool) -> None:
    if captures:
        found.files[_name(run, path)] = path
    else:
        found.left_out[_name(run, path)] = _kept(path, "packets: taken in by --with-captures")


def _files(folder: Path) -> Iterator[Path]:
    """The plain files below a folder, in one order on every machine."""
    if folder.is_dir() and not folder.is_symlink():
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield from _files(path)
            elif path.is_file() and not path.is_symlink():
                yield path


def _name(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix()


def _redacted(path: Path) -> bytes:
    """The text of a file without its secrets; bytes that are no UTF-8 stay as they are."""
    return redact(path.read_bytes().decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _kept(path: Path, why: str) -> LeftOut:
    with path.open("rb") as file:
        return LeftOut(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest(), why)
