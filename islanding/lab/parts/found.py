"""What the lab runs on, once it is set up: the folder of binaries, the machine image, the container images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from islanding import paths
from islanding.errors import SetupError
from islanding.lab import images
from islanding.lab.parts import oci, pins
from islanding.lab.parts.cache import Shelf, read_json
from islanding.lab.parts.recipe import SUITE, Recipe

# Debian packages in the machine image whose versions matter to a verdict, so that the report names them.
REPORTED_PACKAGES = ("systemd", "cloud-init", "openssh-server", "runc", "haproxy", "nftables", "iptables")


@dataclass(frozen=True)
class Parts:
    """The parts as found: where they are, and versions and SHA-256 hashes by name for the report."""

    bin_dir: Path
    image: Path
    oci_dir: Path
    versions: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """Where each thing of the present pins and recipe is, or will be, below the cache folder."""

    cache: Path
    sets: tuple[pins.PartSet, ...]
    recipe: Recipe

    @property
    def binaries(self) -> Shelf:
        return Shelf(self.cache / "parts" / pins.parts_key(self.sets))

    @property
    def image(self) -> Path:
        """The folder of the machine image: `root` and `manifest.json`."""
        return self.cache / "images" / self.recipe.key

    @property
    def oci_key(self) -> str:
        """Changes with the pause program, the packages, or anything else that our code puts into the images."""
        ours = images.digest(images.nginx(oci.CACHED, ()))
        pause = next(part.key for part in self.sets if part.name == "pause")
        made_of = [pause, ours, images.digest(images.pause(b"")), oci.CACHED, oci.UNCACHED, *oci.NGINX_PACKAGES, SUITE]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]

    @property
    def archives(self) -> Shelf:
        return Shelf(self.cache / "oci" / self.oci_key, "images")

    def missing_binaries(self) -> dict[str, list[str]]:
        """Names of the binaries that are not there, by part set; only sets that lack any."""
        items = self.binaries.items()
        lacks: dict[str, list[str]] = {}
        for part in self.sets:
            names = [n for n in part.binaries if n not in items or not self.binaries.present(items[n])]
            if names:
                lacks[part.name] = names
        return lacks

    def image_ready(self) -> bool:
        """Whether the machine image was finished and is still there (cheap)."""
        return bool(read_json(self.image / "manifest.json").get("tree")) and (self.image / "root/usr/bin").is_dir()

    def missing_archives(self) -> list[str]:
        """Names of the container image archives that are not there."""
        items = self.archives.items()
        return [n for n in oci.archive_names() if n not in items or not self.archives.present(items[n])]

    def lacks(self) -> list[str]:
        """Everything that is missing, in words."""
        names = [name for names in self.missing_binaries().values() for name in names]
        names += [] if self.image_ready() else ["machine image"]
        return names + [f"container image {name}" for name in self.missing_archives()]


def layout(cache: Path | None = None) -> Layout:
    """The layout of the present pins below `cache` (default: the user's cache folder)."""
    return Layout(cache or paths.cache_dir(), pins.load(), Recipe())


def find(cache: Path | None = None) -> Parts:
    """The parts in the cache, after a check that costs milliseconds (sizes and times; `islanding setup` checks hashes).

    Raises SetupError that names what is missing.
    """
    place = layout(cache)
    lacks = place.lacks()
    if lacks:
        raise SetupError(f"parts are missing: {shorten(lacks)}", "Run: sudo islanding setup")
    return collect(place)


def collect(place: Layout) -> Parts:
    """Parts with versions and hashes out of the manifests of a complete layout."""
    image = read_json(place.image / "manifest.json")
    packages = image.get("packages")
    packages = packages if isinstance(packages, dict) else {}
    versions = {part.name: part.version for part in place.sets if part.name != "pause"}
    versions |= {f"{name} (instance)": str(packages[name]) for name in REPORTED_PACKAGES if name in packages}
    archives = place.archives.items()
    versions |= {name: item.version for name, item in archives.items() if item.version}
    items = {**place.binaries.items(), **archives}
    hashes = {name: item.sha256 for name, item in items.items()} | {"machine image": str(image.get("tree"))}
    return Parts(place.binaries.files, place.image / "root", place.archives.files, versions, hashes)


def shorten(names: Sequence[str], most: int = 6) -> str:
    """A list for a message: the first names and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
