"""The manifest of a bundle, read strictly: what the run was, and size and SHA-256 of every file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from islanding.attest.layout import FORMAT, VERSION


class MalformedError(ValueError):
    """The bytes are no manifest; the text says in what."""


@dataclass(frozen=True)
class Entry:
    """A file of the bundle: its size in bytes and its SHA-256, hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A manifest as it was read: the files by name, and what it says of the run."""

    files: Mapping[str, Entry]
    run: Mapping[str, Any]


def read(data: bytes) -> Manifest:
    """Read a manifest; raises MalformedError for anything else, and for one of a newer version."""
    try:
        body = json.loads(data)
        kind, version = body["format"], body["version"]
        if kind != FORMAT:
            raise MalformedError("is not the manifest of a bundle of islanding")
        if not isinstance(version, int) or version > VERSION:
            raise MalformedError(f"is of version {version}; this islanding knows up to {VERSION}: take a newer one")
        files = {name: Entry(int(entry["size"]), str(entry["sha256"])) for name, entry in body["files"].items()}
        run = body["run"]
        if not isinstance(run, dict):
            raise MalformedError("does not say what the run was")
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError("is no manifest") from error
    except ValueError as error:
        raise error if isinstance(error, MalformedError) else MalformedError("is no JSON") from error
    return Manifest(files, run)
