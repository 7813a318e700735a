"""Small bundles to tamper with: of a run with a journal, inputs and a log, signed by a key made for it."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from islanding import chain
from islanding.attest import archive, pack
from islanding.attest.keys import PublicKey
from islanding.attest.layout import ARCHIVE, FOLDER
from islanding.evidence.bundle import write_reports

INPUT = b"name: edge\n"
ENTRIES: tuple[dict[str, object], ...] = (
    {
        "type": "run-started",
        "run": "r1",
        "target": "lab",
        "sites": ["edge"],
        "revision": "0" * 40,
        "clean": True,
        "parts": {"etcd": "3.7.3"},
        "hashes": {"etcd": "1" * 64},
        "host": {"kernel": "6.1"},
        "clock": {"keeper": "unknown"},
        "inputs": {"sites/edge/site.yaml": hashlib.sha256(INPUT).hexdigest()},
    },
    {"type": "case-started", "site": "edge", "case": "test_cut", "title": "It stands.", "requirements": ["O-01"]},
    {"type": "case-finished", "site": "edge", "case": "test_cut", "verdict": "pass", "reason": "", "seconds": 1.0},
    {"type": "case-started", "site": "edge", "case": "test_dns", "title": "It names.", "requirements": ["O-02"]},
    {"type": "case-finished", "site": "edge", "case": "test_dns", "verdict": "pass", "reason": "", "seconds": 1.0},
    {"type": "run-finished", "exit_code": 0},
)


class KeyInMemory:
    """Signs by an Ed25519 key that is made from a text, so that a bundle is the same each time."""

    def __init__(self, seed: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
        self.public = PublicKey(self._key.public_key())

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


@dataclass(frozen=True)
class Made:
    """A bundle in both forms: files by name, and the zip; and the key that verifies it."""

    folder: Path
    files: dict[str, bytes]
    zip: bytes
    key: PublicKey


def journal(entries: tuple[dict[str, object], ...] = ENTRIES, name: str = "r1") -> bytes:
    """A chained journal of these entries."""
    bodies = [
        json.dumps(
            {"v": 2, "type": entry["type"], "t": 100.0 + n, "wall": f"2026-11-21T09:00:{n:02}.000+00:00"} | entry
        )
        for n, entry in enumerate(({**each, **({"run": name} if "run" in each else {})} for each in entries), 1)
    ]
    return b"".join(line + b"\n" for line in chain.sealed([body.encode() for body in bodies]))


def run_folder(folder: Path, written: bytes | None = None, name: str = "r1") -> Path:
    """The folder of a run, as `islanding run` leaves it."""
    for path, data in {
        "journal.jsonl": journal(name=name) if written is None else written,
        "inputs/sites/edge/site.yaml": INPUT,
        "logs/edge/pytest.log": b"1 passed \xff\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def make(folder: Path, *, signed: bool = True, name: str = "r1", seed: str = "signer") -> Made:
    """A bundle made in `folder` by the code that `islanding report` uses."""
    run_folder(folder, name=name)
    reports = write_reports(folder)
    signer = KeyInMemory(seed)
    pack.pack(reports.result, folder, reports.files, signer=signer if signed else None)
    return read(folder, signer.public)


def read(folder: Path, key: PublicKey) -> Made:
    """The bundle that lies in the folder of a run."""
    home = folder / FOLDER
    files = {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    return Made(folder, files, (folder / ARCHIVE).read_bytes(), key)


def zipped(files: dict[str, bytes]) -> bytes:
    """These files as the zip of a bundle."""
    target = io.BytesIO()
    archive.write(target, {name: len(data) for name, data in files.items()}, lambda name: io.BytesIO(files[name]))
    return target.getvalue()
