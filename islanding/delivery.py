"""Puts a run's evidence where it outlives the machine: into a bucket of S3, or a folder such as a mounted volume."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from islanding.errors import SetupError

_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")


def check(destination: str) -> None:
    """Raises SetupError for a destination that cannot be one."""
    if "://" in destination and not _S3.fullmatch(destination):
        raise SetupError(f"{destination} is no place for evidence", "s3://BUCKET/PREFIX, or a folder")


def deliver(bundle: Path, name: str, destination: str) -> str:
    """Put a run's bundle at `destination` as `name`.zip and return where it is now; raises SetupError."""
    check(destination)
    found = _S3.fullmatch(destination)
    if found:
        return _upload(bundle, found[1], f"{(found[2] or '').strip('/')}/{name}.zip".lstrip("/"))
    return _copy(bundle, Path(destination), f"{name}.zip")


def _copy(source: Path, folder: Path, name: str) -> str:
    partial = folder / f".{name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        partial.replace(folder / name)
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written: {error.strerror}", "the run's own folder is kept") from error
    return str(folder / name)


def _upload(source: Path, bucket: str, key: str) -> str:
    import boto3
    import boto3.exceptions
    import botocore.exceptions

    try:
        client: Any = boto3.client("s3")
        client.upload_file(str(source), bucket, key, ExtraArgs={"ContentType": "application/zip"})
    except (boto3.exceptions.Boto3Error, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise SetupError(
            f"s3://{bucket}/{key}: not stored: {error}",
            "the run's own folder is kept; the caller needs s3:PutObject there",
        ) from error
    return f"s3://{bucket}/{key}"
