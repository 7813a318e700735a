"""Linux namespaces from Python 3.11: unshare, setns, mount, and sockets born in another network namespace."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG = 1

NETNS = Path("/run/netns")  # private to a lab: a tmpfs in its own mount namespace

_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces; raises OSError (EPERM without CAP_SYS_ADMIN)."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Attach a file system, as the system call does; raises OSError that names the target."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(result, f"mount {kind or 'bind'} on {target}")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def in_netns(name: str, work: Callable[[], T]) -> T:
    """Run `work` in a throw-away thread that has entered the network namespace; return its value or raise its error.

    A socket keeps the namespace in which it was made, so the caller can go on using it (docs/measurements.md 7).
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            fd = os.open(NETNS / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _check(_libc.setns(fd, CLONE_NEWNET), f"setns {name}")
            finally:
                os.close(fd)
            outcome.append(work())
        except BaseException as error:  # handed to the caller: nothing is lost
            failure.append(error)

    thread = threading.Thread(target=body, name=f"setns-{name}")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def listener_in(netns: str, address: str, port: int) -> socket.socket:
    """A listening TCP socket in a network namespace; raises OSError when the port is taken."""

    def make() -> socket.socket:
        return listener(address, port)

    return in_netns(netns, make)


def listener(address: str, port: int) -> socket.socket:
    """A listening TCP socket here; port 0 takes a free one."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(128)
    return server
