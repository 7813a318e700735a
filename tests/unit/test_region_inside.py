"""Clients of the Region's own: replies in one piece and in many are the same to them."""

from __future__ import annotations

from collections.abc import Iterator

from islanding.lab.region.http import Response
from islanding.lab.region.inside import body_of


class Pieces:
    """A body in pieces that knows whether it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    def close(self) -> None:
        self.closed = True


def test_a_body_in_pieces_is_put_together_and_closed() -> None:
    """What S3 sends piece by piece is read whole, and its file is let go."""
    pieces = Pieces()

    assert (body_of(Response(200, stream=pieces)), pieces.closed) == (b"one two", True)


def test_a_body_in_one_piece() -> None:
    """Most replies have their body at hand."""
    assert body_of(Response(200, body=b"whole")) == b"whole"
