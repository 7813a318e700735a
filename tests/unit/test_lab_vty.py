"""Asking an FRR daemon at its vty socket: answers whole, in pieces, refused, broken off and not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.errors import LabError
from islanding.lab.vty import ask


@contextmanager
def daemon(folder: Path, *pieces: bytes, stays: bool = False) -> Iterator[tuple[Path, list[bytes]]]:
    """A daemon that takes one command and sends these pieces; then it hangs up, unless it `stays` and is silent."""
    path = folder / "bgpd.vty"
    path.unlink(missing_ok=True)
    heard: list[bytes] = []
    over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                heard.append(connection.recv(100))
                for piece in filter(None, pieces):
                    connection.sendall(piece)
                over.wait(10 if stays else 0)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield path, heard
        finally:
            over.set()
            thread.join(5)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for sockets, whose paths may have 107 characters."""
    return tmp_path_factory.mktemp("vty")


@given(text=st.text(st.characters(min_codepoint=1, codec="utf-8")), cut=st.integers(0, 40))
def test_an_answer_is_read_whole(short: Path, text: str, cut: int) -> None:
    """Wherever the stream is cut, the text before the end's mark is what is returned."""
    whole = text.encode() + b"\0\0\0\0"
    with daemon(short, whole[:cut], whole[cut:]) as (path, heard):
        assert text == ask(path, "show bgp summary json")
    assert [b"show bgp summary json\0"] == heard


def test_a_refused_command_is_an_error_with_what_the_daemon_said(short: Path) -> None:
    """FRR says 2 for a command that it does not know."""
    with daemon(short, b"% Unknown command\n\0\0\0\x02") as (path, _), pytest.raises(LabError, match="Unknown command"):
        ask(path, "show nothing")


def test_an_answer_broken_off_is_an_error(short: Path) -> None:
    """Half an answer is none."""
    with daemon(short, b'{"peers":') as (path, _), pytest.raises(LabError, match="middle of the answer"):
        ask(path, "show bgp summary json")


def test_a_daemon_that_never_ends_its_answer_is_an_error(short: Path) -> None:
    """The wait is bounded, and says what was asked."""
    with (
        daemon(short, b"{", stays=True) as (path, _),
        pytest.raises(LabError, match=r"'show bgp summary json'.*timed out"),
    ):
        ask(path, "show bgp summary json", timeout=0.05)


def test_a_daemon_that_is_gone_is_an_error(short: Path) -> None:
    """Its socket's path is named."""
    with pytest.raises(LabError, match=r"nowhere\.vty"):
        ask(short / "nowhere.vty", "show bgp summary json")
