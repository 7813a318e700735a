"""The cache of finished parts: what is in it and whether it is whole; entries appear complete or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from islanding.errors import SetupError


@dataclass(frozen=True)
class Item:
    """A finished file: name, version, hash, size in bytes, modification time in ns, key of its pins, its provider."""

    name: str
    version: str
    sha256: str
    size: int
    mtime_ns: int
    key: str
    provider: str


class Shelf:
    """A folder of finished files with a manifest beside it (`manifest.json`)."""

    def __init__(self, folder: Path, sub: str = "bin") -> None:
        self.folder = folder
        self.files = folder / sub
        self._manifest = folder / "manifest.json"

    def items(self) -> dict[str, Item]:
        """What the manifest lists; empty when there is none or it cannot be read."""
        try:
            raw = json.loads(self._manifest.read_text())
            return {name: Item(**fields) for name, fields in raw["items"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def present(self, item: Item) -> bool:
        """The cheap check: the file is there with the size and time that were noted."""
        try:
            info = (self.files / item.name).stat()
        except OSError:
            return False
        return (info.st_size, info.st_mtime_ns) == (item.size, item.mtime_ns)

    def damaged(self) -> list[Item]:
        """The full check: items whose file is gone or whose hash differs."""
        items = list(self.items().values())
        # hashlib lets other threads run while it works, so that two cores halve the time.
        with ThreadPoolExecutor() as pool:
            hashes = pool.map(lambda item: file_hash(self.files / item.name), items)
            return [item for item, found in zip(items, hashes, strict=True) if found != item.sha256]

    def put(self, source: Path, name: str, *, version: str, key: str, provider: str, mode: int = 0o755) -> Item:
        """Copy `source` in under `name` and note it; a crash leaves the old state or the new one."""
        target = self.files / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        partial.chmod(mode)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        sha256 = file_hash(partial)
        if sha256 is None or sha256 != file_hash(source):
            partial.unlink(missing_ok=True)
            raise SetupError(f"{name} was not written whole to {self.files}", "Is the disk full or failing?")
        partial.replace(target)
        info = target.stat()
        item = Item(name, version, sha256, info.st_size, info.st_mtime_ns, key, provider)
        self._save({**self.items(), name: item})
        return item

    def drop(self, name: str) -> None:
        """Take one file out."""
        self._save({other: item for other, item in self.items().items() if other != name})
        (self.files / name).unlink(missing_ok=True)

    def _save(self, items: dict[str, Item]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self._manifest, {"version": 1, "items": {name: asdict(items[name]) for name in sorted(items)}})


def write_json(path: Path, value: object) -> None:
    """Write JSON so that `path` holds the old text or the new one, never a part."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)


def read_json(path: Path) -> dict[str, object]:
    """The JSON object in `path`; empty when it is not there or not whole."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def file_hash(path: Path) -> str | None:
    """SHA-256 of a file in hexadecimal; None when it cannot be read."""
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return None


@contextmanager
def lock(cache: Path) -> Iterator[None]:
    """Hold the cache for one set-up; raises SetupError that names the process which holds it already."""
    cache.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(cache / "setup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode().strip() or "unknown"
            raise SetupError(
                f"another set-up (process {holder}) is at work in {cache}", "Wait for it to end, then run this again."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
