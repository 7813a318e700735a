"""Receives the body of an HTTP request: small ones into memory, large ones into a file without a name."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from typing import IO

MAX_BODY = 1 << 30  # bytes; the largest a caller may send in one request
IN_MEMORY = 8 << 20  # bytes; what is larger goes to a file
PIECE = 1 << 20  # bytes that are moved at a time
_LONGEST_LINE = 8192
Source = IO[bytes] | io.BufferedIOBase


class Refused(Exception):
    """A body that is not taken, with the HTTP status that says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def receive(source: Source, declared: str, coding: str) -> tuple[bytes, IO[bytes] | None]:
    """A body as (bytes, None), or as (nothing, file at its start) when it is larger than IN_MEMORY.

    `declared` is the header Content-Length, `coding` Transfer-Encoding. Raises Refused for a length that is none or too
    large, and EOFError when the peer leaves before the end.
    """
    if "chunked" in coding.lower():
        return collect(_chunks(source))
    try:
        length = int(declared or 0)
    except ValueError:
        raise Refused(400) from None
    if length < 0:
        raise Refused(400)
    if length > MAX_BODY:
        raise Refused(413)
    if length <= IN_MEMORY:
        return exactly(source, length), None
    return collect(_pieces(source, length))


def collect(pieces: Iterator[bytes]) -> tuple[bytes, IO[bytes] | None]:
    """The pieces together, as `receive` returns them; raises Refused when they are more than MAX_BODY."""
    file: IO[bytes] | None = None
    held = bytearray()
    total = 0
    try:
        for piece in pieces:
            total += len(piece)
            if total > MAX_BODY:
                raise Refused(413)
            if file is None and total > IN_MEMORY:
                file = tempfile.TemporaryFile()  # noqa: SIM115 - handed on, or closed below
                file.write(held)
                held.clear()
            if file is None:
                held += piece
            else:
                file.write(piece)
    except BaseException:
        if file is not None:
            file.close()
        raise
    if file is None:
        return bytes(held), None
    file.seek(0)
    return b"", file


def exactly(source: Source, length: int) -> bytes:
    """So many bytes; raises EOFError when there are fewer."""
    data = source.read(length) if length else b""
    if len(data) < length:
        raise EOFError
    return data


def _pieces(source: Source, length: int) -> Iterator[bytes]:
    while length:
        piece = exactly(source, min(length, PIECE))
        length -= len(piece)
        yield piece


def _chunks(source: Source) -> Iterator[bytes]:
    """The content of a body in HTTP/1.1's chunked coding (RFC 9112, 7.1); its trailers are passed over."""
    while True:
        size = _size(_line(source))
        if size == 0:
            while _line(source):
                pass
            return
        yield from _pieces(source, size)
        if exactly(source, 2) != b"\r\n":
            raise Refused(400)


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        size = int(digits, 16)
    except ValueError:
        raise Refused(400) from None
    if size < 0 or size > MAX_BODY:
        raise Refused(400 if size < 0 else 413)
    return size


def _line(source: Source) -> bytes:
    line = source.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise EOFError
    return line.rstrip(b"\r\n")
