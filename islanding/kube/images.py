"""Bringing images into a closed network by its operator: pushed to the account's registry, as a user would do it."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path

from islanding.model import Place

SECONDS = 180.0  # for a copy or a push; an image of 50 MB takes less than one


def registry(account: str, region: str) -> str:
    """The host name of an account's private registry."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com"


def push(place: Place, archive: Path, reference: str, *, region: str, timeout: float = SECONDS) -> None:
    """Push an image (an OCI archive on this machine) from a place as `reference` (REGISTRY/REPOSITORY:TAG).

    Needs `aws` and `skopeo` there, and a role that may push. Raises CommandFailed with the tool's own words.
    """
    host = reference.split("/", 1)[0]
    there = f"bringing-{secrets.token_hex(8)}"  # in the user's home there
    try:
        # Unpacked by tar: skopeo wants to give the files to root, whose they are in the archive.
        unpack = f"mkdir {there} && tar -x --no-same-owner -C {there}"
        place.run(["sh", "-c", unpack], stdin=archive, timeout=timeout)
        # The password goes from one command to the other and is seen nowhere.
        login = (
            f"aws ecr get-login-password --region {shlex.quote(region)}"
            f" | skopeo login --username AWS --password-stdin {shlex.quote(host)}"
        )
        place.run(["bash", "-o", "pipefail", "-c", login], timeout=timeout)
        place.run(["skopeo", "copy", "--quiet", f"oci:{there}", f"docker://{reference}"], timeout=timeout)
    finally:
        place.run(["rm", "-rf", there], timeout=timeout, check=False)
