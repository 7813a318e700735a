"""A bundle as it was handed over, folder or zip, read without trusting a byte of it and without unpacking anything."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from islanding.attest import archive
from islanding.attest.layout import MOST_BYTES_READ, MOST_FILES, unsafe
from islanding.errors import SetupError

Problem = tuple[str, str]  # the file, and what is wrong with it


class UnreadableError(Exception):
    """A file of a bundle cannot be read; the text says why."""


@dataclass(frozen=True)
class Opened:
    """The files of a bundle: their sizes in bytes by name, and what is wrong with folder or archive itself."""

    sizes: dict[str, int]
    problems: tuple[Problem, ...]
    opener: Callable[[str], IO[bytes]]

    def read(self, name: str) -> bytes:
        """A file, whole; raises UnreadableError when it cannot be read, or is too large to be what it should be."""
        if self.sizes[name] > MOST_BYTES_READ:
            raise UnreadableError(f"is larger than {MOST_BYTES_READ >> 20} MiB")
        with self._reading(name) as file:
            return file.read()

    def sha256(self, name: str) -> str:
        """The SHA-256 of a file, hexadecimal; raises UnreadableError when it cannot be read."""
        with self._reading(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # it asks for readinto only

    @contextmanager
    def _reading(self, name: str) -> Iterator[IO[bytes]]:
        try:
            with self.opener(name) as file:
                yield file
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
        except Exception as error:  # zipfile raises many kinds for what was made to break it
            raise UnreadableError(f"cannot be read: {error}") from error


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open the bundle at `path`, a folder or a zip; raises SetupError when there is no such thing to look at."""
    if path.is_dir():
        yield _folder(path)
    elif path.is_file():
        with path.open("rb") as file:
            yield _zip(path.name, file)
    else:
        raise SetupError(f"{path}: there is no such bundle", "Name its folder or its .zip.")


def _folder(root: Path) -> Opened:
    sizes: dict[str, int] = {}
    problems: list[Problem] = []
    folders = [root]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            name = path.relative_to(root).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                folders.append(path)
            elif not stat.S_ISREG(mode):
                problems.append((_shown(name), "is no plain file (a symbolic link, a pipe or a device)"))
            else:
                sizes[name] = path.lstat().st_size
            if len(sizes) > MOST_FILES:
                return Opened({}, ((root.name, f"holds more than {MOST_FILES} files"),), _none)
    return Opened(sizes, tuple(problems), lambda name: (root / name).open("rb"))


def _zip(called: str, file: BinaryIO) -> Opened:
    """The files of an archive; one that is not exactly as this project writes it has problems, perhaps no files."""
    try:
        entries = zipfile.ZipFile(file)
        found = entries.infolist()
        problems = [*_entry_problems(found, file.seek(0, 2))]
        if problems:
            return Opened({}, tuple(problems), _none)
        sizes = {entry.filename: entry.file_size for entry in found}
        at = archive.difference(file, sizes, entries.open)
    except Exception as error:  # zipfile raises many kinds for what was made to break it
        return Opened({}, ((called, f"is no whole zip archive: {' '.join(str(error).split())}"),), _none)
    other = [(called, f"is not the archive that its files make: byte {at} differs")] if at is not None else []
    return Opened(sizes, tuple(other), entries.open)


def _entry_problems(entries: list[zipfile.ZipInfo], size: int) -> Iterator[Problem]:
    """What makes an archive one that must not be read: paths that lead out, links, duplicates, bombs."""
    if len(entries) > MOST_FILES:
        yield "the archive", f"holds more than {MOST_FILES} files"
        return
    if sum(entry.file_size for entry in entries) > size:
        yield "the archive", "says that it holds more than its own size: a bomb"
        return
    for name, count in Counter(entry.filename for entry in entries).items():
        if count > 1:
            yield _shown(name), f"is in the archive {count} times"
    for entry in entries:
        if reason := unsafe(entry.orig_filename):
            yield _shown(entry.orig_filename), reason
        elif entry.compress_type != zipfile.ZIP_STORED:
            yield _shown(entry.filename), "is compressed: a bundle's files are stored as they are"
        elif stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):  # 0: whoever made it tells no kind
            yield _shown(entry.filename), "is no plain file (a symbolic link, a pipe or a device)"


def _none(name: str) -> IO[bytes]:
    raise FileNotFoundError(name)


def _shown(name: str) -> str:
    """A name fit for a terminal: what is not printable is written as Python escapes it."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in name)
