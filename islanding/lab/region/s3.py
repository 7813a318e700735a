"""S3 before moto: buckets in host names, bodies in chunks, and objects that are read and written without copies in RAM.

moto keeps the state and makes the headers; what it does to bodies (whole in memory, several times) is done here.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any
from urllib.parse import quote, unquote

from moto.s3.models import FakeKey, S3Backend, s3_backends

from islanding.lab.region import awschunked
from islanding.lab.region.bodies import PIECE
from islanding.lab.region.errors import AwsError
from islanding.lab.region.forward import Forwarder
from islanding.lab.region.hostnames import Target
from islanding.lab.region.http import Request, Response
from islanding.lab.region.principals import Principal
from islanding.lab.region.signature import ChunkSignatures, Claim, parameters

ANONYMOUS = frozenset({"GetObject", "HeadObject"})  # what nobody in particular may ask for: moto looks at the ACL
_INLINE = 1 << 20  # bytes; larger objects are sent piece by piece
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


class S3:
    """S3 of one account's Region."""

    def __init__(self, account: str, region: str, forward: Forwarder) -> None:
        self._account = account
        self._region = region
        self._forward = forward

    def by_path(self, request: Request, target: Target) -> Request:
        """The same request with its bucket in the path, which is the one form that all else has to know."""
        host = f"s3.{self._region}.amazonaws.com"
        path = f"/{quote(target.bucket)}{request.path}" if target.bucket else request.path
        return replace(request, path=path, headers={**request.headers, "host": host})

    def whole(self, request: Request, claim: Claim, secret: str) -> Request:
        """The request with its body as it was before the SDK cut it into chunks, whose signatures are checked.

        Raises AwsError for a body that is not what its headers say.
        """
        return awschunked.decoded(request, ChunkSignatures(claim, secret))

    def answer(self, request: Request, operation: str, claim: Claim | None, principal: Principal | None) -> Response:
        """The reply to one request in path form."""
        if operation == "GetObject":
            return self._get(request, claim, principal)
        if request.upload is not None:
            if operation not in ("PutObject", "UploadPart"):
                raise AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
            return self._put(request, operation, claim, principal)
        return self._forward(request, claim, principal)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _get(self, request: Request, claim: Claim | None, principal: Principal | None) -> Response:
        query = dict(parameters(request.query))
        if "partNumber" in query:
            return self._forward(request, claim, principal)
        headers = {name: value for name, value in request.headers.items() if name != "range"}
        head = self._forward(replace(request, method="HEAD", headers=headers), claim, principal)
        key = self._key(request, query.get("versionId"), principal) if head.status == 200 else None
        if key is None:
            return self._forward(request, claim, principal)
        size = int(key.contentsize)
        kept = tuple(h for h in head.headers if h[0].lower() not in ("content-length", "content-range"))
        wanted = _range(request.headers.get("range", ""), size)
        if wanted is None:
            return _of(Response(200, kept), key, 0, size)
        first, length = wanted
        if length <= 0:
            raise AwsError("InvalidRange", "The requested range is not satisfiable", 416)
        kept = tuple(h for h in kept if not h[0].lower().startswith("x-amz-checksum-"))  # they are of the whole
        said = ("Content-Range", f"bytes {first}-{first + length - 1}/{size}")
        return _of(Response(206, (*kept, said)), key, first, length)

    def _key(self, request: Request, version: str | None, principal: Principal | None) -> FakeKey | None:
        bucket, _, name = unquote(request.path.lstrip("/")).partition("/")
        return self._backend(principal).get_object(bucket, name, version_id=version)

    def _backend(self, principal: Principal | None) -> S3Backend:
        return s3_backends[principal.account if principal else self._account]["aws"]

    # -- writing ---------------------------------------------------------------------------------------------------

    def _put(self, request: Request, operation: str, claim: Claim | None, principal: Principal | None) -> Response:
        """Have moto store an empty object, and then give that the body that lies in a file."""
        upload = request.upload
        if upload is None:
            return self._forward(request, claim, principal)
        digest = _md5(upload)
        headers = {n: v for n, v in request.headers.items() if n not in ("content-md5", "x-amz-sdk-checksum-algorithm")}
        response = self._forward(replace(request, headers=headers, body=b"", upload=None), claim, principal)
        if response.status != 200:
            return response
        key = self._key(request, response.header("x-amz-version-id") or None, principal)
        if operation == "UploadPart":
            query = dict(parameters(request.query))
            bucket, _, _ = unquote(request.path.lstrip("/")).partition("/")
            uploads = self._backend(principal).get_bucket(bucket).multiparts
            key = uploads[query["uploadId"]].parts[int(query["partNumber"])]
        if key is None:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404)
        give(key, os.fdopen(os.dup(upload.fileno()), "rb"), os.fstat(upload.fileno()).st_size, digest)
        kept = tuple(h for h in response.headers if h[0].lower() != "etag")
        return replace(response, headers=(*kept, ("ETag", f'"{digest}"')))


def give(key: FakeKey, content: IO[bytes] | io.RawIOBase, size: int, etag: str) -> None:
    """Let a file that can be read and sought be an object's content, in place of what it had."""
    with key.lock:
        vars(key)["_value_buffer"].close()
        vars(key).update(_value_buffer=content, contentsize=size, _etag=etag)


class Window(io.RawIOBase):
    """A part of a file, as a file: so many bytes from an offset."""

    def __init__(self, path: str, offset: int, size: int) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._offset = offset
        self._size = size
        self._at = 0
        self._close_lock = threading.Lock()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        left = max(0, self._size - self._at)
        data = os.pread(self._fd, min(len(buffer), left), self._offset + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        with self._close_lock:
            if not self.closed:
                os.close(self._fd)
            super().close()


def _of(response: Response, key: FakeKey, first: int, length: int) -> Response:
    if length <= _INLINE:
        return replace(response, body=b"".join(_pieces(key, first, length)))
    return replace(response, stream=_pieces(key, first, length), length=length)


def _pieces(key: FakeKey, first: int, length: int) -> Iterator[bytes]:
    content: IO[bytes] = vars(key)["_value_buffer"]  # of this moment: an object that is written anew gets another one
    while length:
        with key.lock:
            content.seek(first)
            piece = content.read(min(length, PIECE))
        if not piece:
            raise EOFError(f"the object {key.name} is shorter than it says")
        first, length = first + len(piece), length - len(piece)
        yield piece


def _range(header: str, size: int) -> tuple[int, int] | None:
    """(first byte, how many) of a Range header; None for the whole. A range that is none is passed over (RFC 9110)."""
    match = _RANGE.match(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) if last else size - 1, size - 1) - int(first) + 1


def _md5(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.md5(usedforsecurity=False)
    while piece := file.read(PIECE):
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest()
