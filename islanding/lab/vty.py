"""Asks an FRR daemon at its vty socket; vtysh, which reads all commands' grammar first, costs thirty times as much."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from islanding.errors import LabError

_END = b"\0\0\0"  # three of them end an answer, and one more byte says how the command went (FRR 8.4.4, lib/vty.c)


def ask(path: Path, command: str, timeout: float = 10.0) -> str:
    """The answer of the daemon that listens at `path` to a `show` command, within `timeout` seconds.

    Raises LabError when nobody listens, the answer does not end in time, or the daemon does not know the command.
    """
    deadline = time.monotonic() + timeout
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as vty:
            vty.settimeout(timeout)
            vty.connect(str(path))
            vty.sendall(command.encode() + b"\0")
            while answer[-4:-1] != _END:
                vty.settimeout(max(deadline - time.monotonic(), 0.001))
                received = vty.recv(65536)
                if not received:
                    raise ConnectionError("the connection was closed in the middle of the answer")
                answer += received
    except OSError as error:
        raise LabError(f"{path.parent.name}: no answer to {command!r} at {path}: {error}") from error
    text = answer[:-4].decode()
    if answer[-1]:
        raise LabError(f"{path.parent.name}: {command!r} was refused at {path} ({answer[-1]}): {text.strip()}")
    return text
