"""What the lab runs on, once it is set up: binaries, machine image, container images, other projects' manifests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from islanding import paths
from islanding.errors import SetupError
from islanding.lab import archives, images
from islanding.lab.parts import instance_types, oci, pins, upstream
from islanding.lab.parts.cache import Shelf, read_json
from islanding.lab.parts.recipe import SUITE, Recipe
from islanding.lab.system_images import programs

# Debian packages in the machine image whose versions matter to a verdict, so that the report names them.
REPORTED_PACKAGES = ("systemd", "cloud-init", "openssh-server", "runc", "haproxy", "nftables", "iptables")


LIMITS = "instance-types.json"  # derived from upstream's files, and kept beside them


@dataclass(frozen=True)
class Parts:
    """The parts as found: where they are, and versions and SHA-256 hashes by name for the report.

    `manifests` is the folder of other projects' files (names: islanding.lab.parts.upstream).
    """

    bin_dir: Path
    image: Path
    oci_dir: Path
    manifests: Path
    versions: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> dict[str, archives.StoredImage]:
        """The images of AWS's own registry by `repository:tag` (names: islanding.lab.system_images)."""
        return archives.read_index(self.oci_dir / oci.SYSTEM)

    @property
    def limits(self) -> dict[str, instance_types.TypeLimits]:
        """Network limits and most pods by instance type."""
        return instance_types.load(self.manifests / LIMITS)

    @property
    def workload(self) -> Path:
        """The archive of the nginx image that users' workloads run; `archives.unseen` makes new ones from it."""
        return self.oci_dir / "nginx-1.tar"


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
        """Changes with the built programs, the packages, or anything else that our code puts into the images."""
        held = set(programs())
        built = [part.key for part in self.sets if held & set(part.binaries)]
        ours = [images.digest(image) for image in oci.all_images(oci.Contents()).values()]
        made_of = [built, ours, upstream_key(self.file_sets), *oci.PACKAGES, SUITE]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]

    @cached_property
    def file_sets(self) -> tuple[pins.PartSet, ...]:
        """Other projects' files, as part sets."""
        return upstream.file_sets(self.sets)

    @property
    def upstream(self) -> Shelf:
        return Shelf(self.cache / "manifests" / upstream_key(self.file_sets), "files")

    @property
    def archives(self) -> Shelf:
        """The shelf of container images."""
        return Shelf(self.cache / "oci" / self.oci_key, "images")

    def missing_binaries(self) -> dict[str, list[str]]:
        """Names of the binaries that are not there, by part set; only sets that lack any."""
        return _missing(self.sets, self.binaries)

    def missing_files(self) -> dict[str, list[str]]:
        """Names of other projects' files that are not there, by set."""
        return _missing(self.file_sets, self.upstream)

    def limits_ready(self) -> bool:
        """Whether the table of instance types is there."""
        item = self.upstream.items().get(LIMITS)
        return item is not None and self.upstream.present(item)

    def image_ready(self) -> bool:
        """Whether the machine image was finished and is still there (cheap)."""
        return bool(read_json(self.image / "manifest.json").get("tree")) and (self.image / "root/usr/bin").is_dir()

    def missing_archives(self) -> list[str]:
        """Names of the container image archives that are not there."""
        items = self.archives.items()
        return [n for n in oci.archive_names() if n not in items or not self.archives.present(items[n])]

    def lacks(self) -> list[str]:
        """Everything that is missing, in words."""
        names = [name for missing in self.missing_binaries().values() for name in missing]
        names += [name for missing in self.missing_files().values() for name in missing]
        names += [] if self.limits_ready() else [LIMITS]
        names += [] if self.image_ready() else ["machine image"]
        return names + [f"container image {name}" for name in self.missing_archives()]


def _missing(sets: Sequence[pins.PartSet], shelf: Shelf) -> dict[str, list[str]]:
    items = shelf.items()
    lacks = {part.name: [n for n in part.binaries if n not in items or not shelf.present(items[n])] for part in sets}
    return {name: names for name, names in lacks.items() if names}


def upstream_key(file_sets: Sequence[pins.PartSet]) -> str:
    """The key of other projects' files together: it names their folder in the cache."""
    return pins.parts_key(tuple(file_sets))


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
    held = place.archives.items()
    versions |= {name: item.version for name, item in held.items() if item.version}
    items = {**place.binaries.items(), **place.upstream.items(), **held}
    hashes = {name: item.sha256 for name, item in items.items()} | {"machine image": str(image.get("tree"))}
    return Parts(
        place.binaries.files, place.image / "root", place.archives.files, place.upstream.files, versions, hashes
    )


def shorten(names: Sequence[str], most: int = 6) -> str:
    """A list for a message: the first names and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
