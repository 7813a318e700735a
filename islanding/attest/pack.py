"""Makes a run's bundle: gathers the files, writes the manifest, has it signed and time-stamped, and packs all of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from islanding.attest import archive, dsse, statement, writing
from islanding.attest.contents import gather
from islanding.attest.layout import ARCHIVE, ATTESTATION, FOLDER, MANIFEST, TIMESTAMP
from islanding.attest.manifest import Entry
from islanding.attest.signer import Signer
from islanding.errors import SetupError
from islanding.evidence.record import RunResult

Stamp = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Packed:
    """A bundle that was made: its folder, its zip, whose key signed it ("" for nobody) and what a user should know."""

    folder: Path
    archive: Path
    keyid: str
    stamped: bool
    notes: tuple[str, ...]


def pack(
    result: RunResult,
    run: Path,
    reports: Sequence[Path],
    *,
    signer: Signer | None = None,
    stamp: Stamp | None = None,
    captures: bool = False,
) -> Packed:
    """Make `run`/bundle and `run`/bundle.zip anew; `stamp` returns an authority's time stamp over the bytes given.

    Without a signer, a signature that lies there already is kept as long as it is over the same manifest. Raises
    SetupError when the folder cannot be written to, and whatever signer and authority raise.
    """
    try:
        return _pack(result, run, reports, signer, stamp, captures=captures)
    except OSError as error:
        raise SetupError(
            f"{run}: the bundle cannot be made: {error.strerror}",
            f"The journal is kept; mend that, then run `islanding report {run}`.",
        ) from error


def _pack(
    result: RunResult, run: Path, reports: Sequence[Path], signer: Signer | None, stamp: Stamp | None, *, captures: bool
) -> Packed:
    contents = gather(run, reports, captures=captures)
    entries = {name: _entry(source) for name, source in contents.files.items()}
    told = writing.manifest(result, entries, contents.left_out)
    files = {**contents.files, MANIFEST: told}
    digest = hashlib.sha256(told).hexdigest()
    notes: list[str] = []
    keyid = ""
    if signer is not None:
        names = tuple(path.relative_to(run).as_posix() for path in reports)
        payload = writing.statement(result, digest, entries, names)
        keyid = signer.public.id
        files[ATTESTATION] = _signed(payload, signer)
    else:
        kept, keyid = _kept(run / FOLDER, digest)
        files |= kept
        if not keyid and (run / FOLDER / ATTESTATION).is_file():
            notes.append("the bundle was signed before, but is no longer the same: sign it again")
    if stamp is not None:
        files[TIMESTAMP] = stamp(_read(files.get(ATTESTATION, told)))
    folder = _write_folder(run / FOLDER, files)
    return Packed(folder, _write_archive(run / ARCHIVE, files), keyid, TIMESTAMP in files, tuple(notes))


def _signed(payload: bytes, signer: Signer) -> bytes:
    """The envelope of what is signed, once the signature was seen to hold: a token or a service may be set up wrong."""
    text = dsse.pae(dsse.PAYLOAD_TYPE, payload)
    signature = signer.sign(text)
    if not signer.public.verifies(signature, text):
        raise SetupError("the signature that was made does not hold by the same key's public half", "Look at the key.")
    return dsse.Envelope(payload, signer.public.id, signature).encode()


def _kept(folder: Path, digest: str) -> tuple[dict[str, bytes | Path], str]:
    """Signature and time stamp of the bundle that lies there, when they are over the manifest of this digest."""
    try:
        signed = (folder / ATTESTATION).read_bytes()
        envelope = dsse.decode(signed)
        if statement.subjects(envelope.payload).get(MANIFEST) != digest:
            return {}, ""
    except (OSError, ValueError):
        return {}, ""
    kept: dict[str, bytes | Path] = {ATTESTATION: signed}
    with contextlib.suppress(OSError):
        kept[TIMESTAMP] = (folder / TIMESTAMP).read_bytes()
    return kept, envelope.keyid


def _write_folder(folder: Path, files: Mapping[str, bytes | Path]) -> Path:
    new = folder.with_name(folder.name + ".part")
    shutil.rmtree(new, ignore_errors=True)
    for name, source in files.items():
        target = new / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copyfile(source, target)
        else:
            target.write_bytes(source)
    shutil.rmtree(folder, ignore_errors=True)
    return new.rename(folder)


def _write_archive(path: Path, files: Mapping[str, bytes | Path]) -> Path:
    new = path.with_name(path.name + ".part")
    with new.open("wb") as target:
        archive.write(target, {name: _size(source) for name, source in files.items()}, lambda name: _open(files[name]))
    return new.replace(path)


def _open(source: bytes | Path) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _size(source: bytes | Path) -> int:
    return source.stat().st_size if isinstance(source, Path) else len(source)


def _read(source: bytes | Path) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source


def _entry(source: bytes | Path) -> Entry:
    if isinstance(source, bytes):
        return Entry(len(source), hashlib.sha256(source).hexdigest())
    with source.open("rb") as file:
        return Entry(source.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
