"""Puts image archives into a registry's storage as if they had been pushed; the blobs stay where they are, on disk.

Source of the layout: distribution 3, registry/storage/paths.go.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path

from moto.s3.models import s3_backends

from islanding.lab import archives
from islanding.lab.archives import StoredImage
from islanding.lab.region.ecr import Ecr
from islanding.lab.region.s3 import Window, give
from islanding.lab.system_images import ACCOUNT

ROOT = "docker/registry/v2"


def publish(ecr: Ecr, account: str, bucket: str, images: Iterable[StoredImage]) -> None:
    """Make repositories and images in `account`, and their blobs in the registry's bucket.

    Raises SetupError for an archive that is none.
    """
    for image in images:
        ecr.create(account, image.repository)
        _publish(ecr, account, bucket, image)


def _publish(ecr: Ecr, account: str, bucket: str, image: StoredImage) -> None:
    with archives.opened(image.archive) as archive:
        manifest, described, blobs = archive.manifest, archive.manifest_blob, archive.blobs
    repository = f"{ROOT}/repositories/{account}/{image.repository}"
    with tarfile.open(image.archive, "r:") as tar:
        for blob in (described, *blobs):
            member = tar.getmember("blobs/" + blob.digest.replace(":", "/"))
            _put_file(bucket, data_path(blob.digest), image.archive, member.offset_data, member.size)
    for blob in blobs:
        _put(bucket, f"{repository}/_layers/{_split(blob.digest)}/link", blob.digest.encode())
    manifests, digest = f"{repository}/_manifests", described.digest
    tag = f"{manifests}/tags/{image.tag}"
    for link in (f"{manifests}/revisions/{_split(digest)}", f"{tag}/current", f"{tag}/index/{_split(digest)}"):
        _put(bucket, f"{link}/link", digest.encode())
    ecr.put(account, image.repository, image.tag, manifest, described.media_type)


def data_path(digest: str) -> str:
    """The key of a blob's bytes."""
    algorithm, _, value = digest.partition(":")
    return f"{ROOT}/blobs/{algorithm}/{value[:2]}/{value}/data"


def _split(digest: str) -> str:
    return digest.replace(":", "/")


def _put(bucket: str, key: str, content: bytes) -> None:
    s3_backends[ACCOUNT]["aws"].put_object(bucket, key, content)


def _put_file(bucket: str, key: str, path: Path, offset: int, size: int) -> None:
    """An object whose content is a part of a file."""
    made = s3_backends[ACCOUNT]["aws"].put_object(bucket, key, b"")
    # of no content that is known here without reading it all; an ETag need not be a hash ("Common response headers")
    etag = key.split("/")[-2][:32] + "-1"
    give(made, Window(str(path), offset, size), size, etag)
