"""Reads image archives, keeps the list of them, and makes images from them that nobody has ever seen."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from islanding.errors import SetupError
from islanding.lab.images import LAYER, Entry, layer_tar, layout_files, write_files

INDEX = "index.json"


@dataclass(frozen=True)
class StoredImage:
    """An image in an archive: repository and tag without a registry, the manifest's digest, the archive's path."""

    repository: str
    tag: str
    digest: str
    archive: Path

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Blob:
    """A blob of an image: its digest (`sha256:...`), media type and size in bytes."""

    digest: str
    media_type: str
    size: int


class Archive:
    """An open archive: the manifest, and the blobs that a registry must hold for it."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._named = json.loads(self._read("index.json"))["manifests"][0]
        self.manifest_blob = _blob(self._named)
        self.manifest = self.read(self.manifest_blob)

    @property
    def name(self) -> str:
        """The image's full name, as it was written."""
        return str(self._named["annotations"]["io.containerd.image.name"])

    @property
    def blobs(self) -> list[Blob]:
        """The config, then the layers from the lowest up."""
        manifest = json.loads(self.manifest)
        return [_blob(manifest["config"]), *(_blob(layer) for layer in manifest["layers"])]

    def read(self, blob: Blob) -> bytes:
        """The bytes of a blob."""
        return self._read("blobs/" + blob.digest.replace(":", "/"))

    def _read(self, name: str) -> bytes:
        content = self._tar.extractfile(name)
        if content is None:
            raise KeyError(name)
        return content.read()


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an image archive for reading; raises SetupError when it is none."""
    try:
        tar = tarfile.open(path)  # noqa: SIM115 - closed below
    except (OSError, tarfile.TarError) as error:
        raise SetupError(f"{path} is no image archive: {error}", "Run: sudo islanding setup") from None
    with tar:
        try:
            archive = Archive(tar)
        except (KeyError, ValueError, IndexError) as error:
            raise SetupError(f"{path} is no image archive: {error!r}", "Run: sudo islanding setup") from None
        yield archive


def stored(path: Path, name: str | None = None) -> StoredImage:
    """What is in an archive; `name` (`repository:tag`) replaces the name that it was written with."""
    with opened(path) as archive:
        repository, tag = (name or archive.name).rsplit(":", 1)
        return StoredImage(repository, tag, archive.manifest_blob.digest, path)


def index_text(images: Iterable[StoredImage]) -> str:
    """The list of images as JSON; archives by their names alone, since the list lies beside them."""
    rows = [{**asdict(image), "archive": image.archive.name} for image in images]
    return json.dumps(rows, indent=1, sort_keys=True) + "\n"


def read_index(folder: Path) -> dict[str, StoredImage]:
    """The images of a folder by name (`repository:tag`); raises SetupError when its list cannot be read."""
    try:
        rows = json.loads((folder / INDEX).read_text())
        found = [StoredImage(**{**row, "archive": folder / row["archive"]}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{folder / INDEX} cannot be read: {error}", "Run: sudo islanding setup") from None
    return {image.name: image for image in found}


def unseen(base: Path, name: str, megabytes: int, target: Path) -> StoredImage:
    """Write to `target` an image that no node can have: `base` with a new layer of so many random megabytes on top.

    `name` is `repository:tag`. Containers of it run as those of `base` do. A pull of it must fetch the new layer, which
    is why a probe of the pull path uses one: layers that a node has are not fetched again (containerd).
    """
    layer = layer_tar([Entry("var/unseen", os.urandom(max(1, megabytes * 1_000_000)), mode=0o644)])
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    with opened(base) as archive:
        manifest: dict[str, Any] = json.loads(archive.manifest)
        blobs = {blob.digest: archive.read(blob) for blob in archive.blobs}
    config = json.loads(blobs.pop(manifest["config"]["digest"]))
    config["rootfs"]["diff_ids"].append(digest)
    manifest["layers"].append({"mediaType": LAYER, "digest": digest, "size": len(layer)})
    write_files(layout_files(name, manifest, config, {**blobs, digest: layer}), target)
    return stored(target)


def _blob(descriptor: dict[str, Any]) -> Blob:
    return Blob(descriptor["digest"], descriptor["mediaType"], int(descriptor["size"]))
