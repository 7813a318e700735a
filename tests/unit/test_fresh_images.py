"""Images that no node has seen: the script that the operator runs makes them of a real OCI layout."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from islanding.kube import fresh

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def _blob(folder: Path, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def _layout(folder: Path) -> None:
    """An OCI layout with one image of one layer, as `skopeo copy docker://... oci:DIR:base` leaves it."""
    (folder / "blobs/sha256").mkdir(parents=True)
    layer = gzip.compress(b"layer")
    config = {
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(b'layer').hexdigest()}"]},
        "config": {},
    }
    manifest = {
        "schemaVersion": 2,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            **_blob(folder, json.dumps(config).encode()),
        },
        "layers": [{"mediaType": LAYER, **_blob(folder, layer)}],
    }
    described = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        **_blob(folder, json.dumps(manifest).encode()),
        "annotations": {"org.opencontainers.image.ref.name": "base"},
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))


def _grow(folder: Path, *tags: str) -> dict[str, dict[str, Any]]:
    subprocess.run([sys.executable, "-", str(folder), "0.01", *tags], input=fresh._GROW.encode(), check=True)
    index = json.loads((folder / "index.json").read_text())
    return {one["annotations"]["org.opencontainers.image.ref.name"]: one for one in index["manifests"]}


def _read(folder: Path, descriptor: dict[str, Any]) -> bytes:
    data: bytes = (folder / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    assert (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) == (descriptor["digest"], descriptor["size"])
    return data


def test_each_tag_has_a_layer_that_nobody_else_has(tmp_path: Path) -> None:
    """Each image is the base with one layer more, another for each; every digest and size is right."""
    _layout(tmp_path)
    images = _grow(tmp_path, "one", "two")
    assert sorted(images) == ["base", "one", "two"]
    manifests = {tag: json.loads(_read(tmp_path, image)) for tag, image in images.items()}
    assert manifests["one"]["layers"][:1] == manifests["base"]["layers"]
    assert manifests["one"]["layers"][1] != manifests["two"]["layers"][1]
    layer = gzip.decompress(_read(tmp_path, manifests["one"]["layers"][1]))
    config = json.loads(_read(tmp_path, manifests["one"]["config"]))
    assert config["rootfs"]["diff_ids"][1] == f"sha256:{hashlib.sha256(layer).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert [(entry.name, entry.size) for entry in tar] == [("var/unseen-one", 10_000)]


def test_password_and_names_are_quoted() -> None:
    """The registry's password is never an argument, and what is pushed has the repository of the base."""
    text = fresh.script("registry.test/closed/web:1", ["t1", "t2"], region="ap-northeast-1", megabytes=1)
    assert "--password-stdin registry.test" in text
    assert "docker://registry.test/closed/web:t1" in text
    assert "docker://registry.test/closed/web:t2" in text
    assert "docker://registry.test/closed/web:1 oci:$d:base" in text
