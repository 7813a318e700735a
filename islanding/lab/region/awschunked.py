"""Takes a body apart that an SDK has sent in S3's own chunks (`aws-chunked`), and checks what they are signed with.

Source: "Authenticating requests: transferring payload in multiple chunks" and "… with trailing headers", S3 API.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from islanding.lab.region import bodies
from islanding.lab.region.bodies import MAX_BODY, PIECE
from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request
from islanding.lab.region.signature import ChunkSignatures

_LONGEST_LINE = 8192
_OWN = frozenset(
    {"x-amz-decoded-content-length", "x-amz-trailer", "x-amz-content-sha256", "content-encoding", "content-length"}
)


def decoded(request: Request, signatures: ChunkSignatures) -> Request:
    """The request with its body in one piece, and trailing headers among its headers; another request as it is.

    Raises AwsError for a body that is not what its headers say.
    """
    kind = request.headers.get("x-amz-content-sha256", "")
    if not kind.startswith("STREAMING-"):
        return request
    source = request.upload if request.upload is not None else io.BytesIO(request.body)
    source.seek(0)
    signed = signatures if kind.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") else None
    trailers: dict[str, str] = {}
    body, upload = bodies.collect(_chunks(source, signed, trailers))
    size = len(body)
    if upload is not None:
        size = upload.seek(0, io.SEEK_END)
        upload.seek(0)
    declared = request.headers.get("x-amz-decoded-content-length", "")
    if declared.isdigit() and int(declared) != size:
        raise _incomplete()
    headers = {name: value for name, value in request.headers.items() if name not in _OWN}
    coding = [c.strip() for c in request.headers.get("content-encoding", "").split(",")]
    if rest := ",".join(c for c in coding if c and c != "aws-chunked"):
        headers["content-encoding"] = rest
    if request.upload is not None:
        request.upload.close()
    return replace(request, headers={**headers, **trailers}, body=body, upload=upload)


def _chunks(source: IO[bytes], signed: ChunkSignatures | None, trailers: dict[str, str]) -> Iterator[bytes]:
    while True:
        line = source.readline(_LONGEST_LINE)
        digits, _, extension = line.partition(b";")
        try:
            size = int(digits.strip(), 16)
        except ValueError:
            raise _incomplete() from None
        if size < 0 or size > MAX_BODY:
            raise AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        digest = hashlib.sha256()
        left = size
        while left:
            piece = source.read(min(left, PIECE))
            if not piece:
                raise _incomplete()
            left -= len(piece)
            digest.update(piece)
            yield piece
        if signed is not None:
            name, _, value = extension.strip().partition(b"=")
            signed.check(digest.hexdigest(), value.decode("ascii", "replace") if name == b"chunk-signature" else "")
        if size == 0:
            _read_trailers(source, trailers)
            return
        if source.read(2) != b"\r\n":
            raise _incomplete()


def _read_trailers(source: IO[bytes], trailers: dict[str, str]) -> None:
    while line := source.readline(_LONGEST_LINE).strip():
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower().startswith("x-amz-checksum-"):
            trailers[name.lower()] = value.strip()


def _incomplete() -> AwsError:
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return AwsError("IncompleteBody", text)
