"""How a bundle is laid out: the names with a meaning, which names are allowed at all, and what never leaves a run."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

FOLDER = "bundle"
ARCHIVE = "bundle.zip"

MANIFEST = "manifest.json"
ATTESTATION = "attestation.intoto.json"
TIMESTAMP = "timestamp.tsr"
JOURNAL = "journal.jsonl"
SCRIPT = "verify_bundle.py"
README = "README.txt"
INPUTS = "inputs"

# Not in the manifest: it cannot hold its own hash, and the two others are made from it.
OUTSIDE = frozenset({MANIFEST, ATTESTATION, TIMESTAMP})

FORMAT = "islanding-bundle"
VERSION = 1

MOST_FILES = 100_000
MOST_BYTES_READ = 1 << 30  # of a file that is read whole: manifest, attestation, journal
LONGEST_NAME = 1024

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def unsafe(name: str) -> str:
    """Why `name` must not be a file of a bundle (it could be written elsewhere when unpacked); empty when it may be."""
    if not name or len(name) > LONGEST_NAME:
        return "its name is empty or too long"
    if _CONTROL.search(name):
        return "its name has control characters"
    if "\\" in name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "its name is an absolute path or one of Windows"
    if ".." in name.split("/"):
        return "its name leads out of the bundle"
    if PurePosixPath(name).as_posix() != name:
        return "its name is written in a way that hides what it is"
    return ""
