"""Where a binary may come from: a folder of the user, the cache; and what each further provider must do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from islanding.errors import SetupError
from islanding.lab.parts.cache import Shelf, file_hash
from islanding.lab.parts.pins import PartSet
from islanding.lab.parts.progress import Reporter
from islanding.process import run

SUMS = "SHA256SUMS"


class Unavailable(Exception):
    """A provider does not have the binaries; says why. The next one is asked."""


class Provider(Protocol):
    """Puts binaries of a part set into a folder."""

    @property
    def name(self) -> str:
        """What the manifest and the report say about where a binary came from."""

    def fetch(self, part: PartSet, wanted: Sequence[str], work: Path, progress: Reporter) -> dict[str, Path]:
        """Put what it has of `wanted` below `work` (or name where it is) and return the checked files by name.

        Raises Unavailable when it has none of them, SetupError when what it has is wrong.
        """


@dataclass(frozen=True)
class FolderProvider:
    """A folder that the user names, with a SHA256SUMS file that each binary is checked against."""

    folder: Path

    @property
    def name(self) -> str:
        return "folder given by the user"

    def fetch(self, part: PartSet, wanted: Sequence[str], work: Path, progress: Reporter) -> dict[str, Path]:
        found = {name: self.folder / name for name in wanted if (self.folder / name).is_file()}
        if not found:
            raise Unavailable(f"none of {part.name}'s binaries is in {self.folder}")
        try:
            sums = parse_sums((self.folder / SUMS).read_text())
        except OSError:
            raise SetupError(
                f"{self.folder} has no {SUMS}, so its binaries cannot be checked",
                f"Make one where you trust them: cd {self.folder} && sha256sum * > {SUMS}",
            ) from None
        for name, path in found.items():
            if sums.get(name) is None:
                raise SetupError(f"{self.folder / SUMS} does not list {name}", "Add its line, as sha256sum prints it.")
            if file_hash(path) != sums[name]:
                raise SetupError(
                    f"{path} differs from its hash in {SUMS}", "Replace the file: it is damaged or another."
                )
            check_version(path, part)
        return found


@dataclass(frozen=True)
class CacheProvider:
    """Binaries of the same pins that an earlier set of parts left in the cache."""

    parts: Path
    present: Path

    @property
    def name(self) -> str:
        return "cache"

    def fetch(self, part: PartSet, wanted: Sequence[str], work: Path, progress: Reporter) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in sorted(self.parts.iterdir()) if self.parts.is_dir() else ():
            if folder == self.present:
                continue
            shelf = Shelf(folder)
            for name, item in shelf.items().items():
                if name in wanted and item.key == part.key and file_hash(shelf.files / name) == item.sha256:
                    found[name] = shelf.files / name
        if not found:
            raise Unavailable("no earlier build of the same pins")
        return found


def user_folder(given: Path | None) -> Path | None:
    """The folder with binaries that the user names (option or $ISLANDING_PARTS); raises SetupError when it is none."""
    named = given or (Path(os.environ["ISLANDING_PARTS"]) if os.environ.get("ISLANDING_PARTS") else None)
    if named is not None and not named.is_dir():
        raise SetupError(f"{named} is not a folder", "Name the folder with the binaries (--from or $ISLANDING_PARTS).")
    return named.absolute() if named else None


def parse_sums(text: str) -> dict[str, str]:
    """Hashes by file name from the output of sha256sum; a lone hash has the empty name."""
    sums: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        if words and len(words[0]) == 64 and all(c in "0123456789abcdefABCDEF" for c in words[0]):
            name = words[1].lstrip("*").strip() if len(words) > 1 else ""
            sums[name.removeprefix("./")] = words[0].lower()
    return sums


# How a program says its version; those that are left out say nothing that can be compared.
_VERSION_ARGUMENTS = {
    **dict.fromkeys(
        ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"), "--version"
    ),
    **dict.fromkeys(("etcd", "containerd", "ctr", "containerd-shim-runc-v2"), "--version"),
    "kubectl": "version --client",
    "etcdctl": "version",
    "registry": "--version",
    "coredns": "-version",
}


def check_version(path: Path, part: PartSet) -> None:
    """Ask a program for its version; raises SetupError when it does not run or its version is not the one pinned."""
    arguments = _VERSION_ARGUMENTS.get(path.name)
    if arguments is None:
        return
    said = run([str(path), *arguments.split()], check=False, timeout=20)
    text = said.stdout + said.stderr
    if part.version not in text:
        first = text.strip().splitlines()[0] if text.strip() else f"exit code {said.exit_code}"
        raise SetupError(
            f"{path} is not {path.name} {part.version}: it says {first!r}", "Give the pinned version, or leave it out."
        )
