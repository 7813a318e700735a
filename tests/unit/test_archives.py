"""Image archives: what is read back is what was written, and an unseen image is new each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.lab.archives import index_text, opened, read_index, stored, unseen
from islanding.lab.images import Entry, digest, nginx, write_archive
from islanding.lab.parts import oci

IMAGE = nginx("lab.local/nginx:1", [Entry("usr/sbin/nginx", b"program")])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An archive of a small nginx image."""
    path = tmp_path / "nginx-1.tar"
    write_archive(IMAGE, path)
    return path


def test_archive_gives_the_manifest_and_all_that_it_names(base: Path) -> None:
    """Config and layers are there with the digest and size that the manifest says; the digest is the image's."""
    with opened(base) as archive:
        contents = {blob: archive.read(blob) for blob in (archive.manifest_blob, *archive.blobs)}
        assert (archive.name, archive.manifest_blob.digest) == ("lab.local/nginx:1", digest(IMAGE))
    assert [b.digest for b in contents] == [f"sha256:{hashlib.sha256(d).hexdigest()}" for d in contents.values()]
    assert [b.size for b in contents] == [len(data) for data in contents.values()]
    assert len(contents) == 4


def test_unseen_image_has_one_new_layer_of_the_size_wanted(base: Path, tmp_path: Path) -> None:
    """It shares the lower layers, runs as the base does, and its own layer is new each time."""
    made = [unseen(base, f"app:{n}", 2, tmp_path / f"{n}.tar") for n in (1, 2)]
    layers = []
    for image in made:
        with opened(image.archive) as archive, opened(base) as lower:
            assert archive.blobs[1:-1] == lower.blobs[1:]
            config, old = (json.loads(a.read(a.blobs[0])) for a in (archive, lower))
            assert (config["config"], config["rootfs"]["diff_ids"][:-1]) == (old["config"], old["rootfs"]["diff_ids"])
            assert config["rootfs"]["diff_ids"][-1] == archive.blobs[-1].digest
            layers.append(archive.blobs[-1])
    assert [(image.repository, image.tag) for image in made] == [("app", "1"), ("app", "2")]
    assert all(2_000_000 < layer.size < 2_100_000 for layer in layers)
    assert layers[0].digest != layers[1].digest


def test_index_names_each_image_by_repository_and_tag(base: Path) -> None:
    """What is written is read back, with the archives beside the list wherever that lies."""
    image = stored(base, "eks/web:v1")
    (base.parent / "index.json").write_text(index_text([image]))
    assert read_index(base.parent) == {"eks/web:v1": image}
    assert str(base.parent) not in index_text([image])


@pytest.mark.parametrize("text", [None, "", "[{}]", '{"a": 1}'])
def test_unreadable_index_says_what_to_do(tmp_path: Path, text: str | None) -> None:
    """A missing or broken list is an error with its cure, not a traceback."""
    if text is not None:
        (tmp_path / "index.json").write_text(text)
    with pytest.raises(SetupError, match="cannot be read") as broken:
        read_index(tmp_path)
    assert broken.value.fix == "Run: sudo islanding setup"


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A file of something else, a tar without an image, and no file at all."""
    (tmp_path / "text").write_text("no tar")
    for name in ("text", "none"):
        with pytest.raises(SetupError, match="is no image archive"), opened(tmp_path / name):
            pass


def test_system_images_are_listed_and_kept_from_the_nodes(tmp_path: Path) -> None:
    """Nodes import what lies at the top; AWS's own images lie below, with their list, to be pulled."""
    written = oci.write_images(tmp_path, oci.Contents())
    assert set(oci.archive_names()) == set(written)
    names = set(read_index(tmp_path / oci.SYSTEM))
    assert names == {
        "amazon-k8s-cni:v1.23.2",
        "amazon-k8s-cni-init:v1.23.2",
        "eks/kube-proxy:v1.36.3",
        "eks/coredns:v1.15.0",
        "eks/pause:1",
    }
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == ["nginx-1.tar", "pause-1.tar"]
