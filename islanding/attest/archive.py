"""The zip of a bundle: written in one way only, so that whoever has the files can say what each byte of it must be.

Files are stored, not compressed: a compressed stream can be changed without changing what it holds, and it can be a
bomb. Names are sorted, times and modes fixed, and nothing stands between, before or behind the entries.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, BinaryIO

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that the format knows
_MODE = 0o100644 << 16
_UNIX = 3
_CHUNK = 1 << 20
_IN_MEMORY = 1 << 25

Opener = Callable[[str], IO[bytes]]


def write(target: IO[bytes], sizes: Mapping[str, int], opened: Opener) -> None:
    """Write the archive of files to `target`: `sizes` are theirs in bytes by name, `opened` opens one for reading."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(sizes):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr, info.file_size = _UNIX, _MODE, sizes[name]
            with opened(name) as source, archive.open(info, "w") as entry:
                shutil.copyfileobj(source, entry, _CHUNK)


def difference(given: BinaryIO, sizes: Mapping[str, int], opened: Opener) -> int | None:
    """Where the archive `given` first differs from the one that its files give, in bytes; None when it is the same."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as made:
        write(made, sizes, opened)
        made.seek(0)
        given.seek(0)
        at = 0
        while True:
            ours, theirs = made.read(_CHUNK), given.read(_CHUNK)
            if ours != theirs:
                same = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), None)
                return at + (min(len(ours), len(theirs)) if same is None else same)
            if not ours:
                return None
            at += len(ours)
