"""Who undoes a fault now: a lock for each entry of the undo log, so that two processes never undo one fault together.

The locks are on single bytes of one empty file beside the log, the byte being chosen by the entry's id: nothing is left
behind by a process that dies, and no file needs to be cleared away. They belong to an open file (OFD locks, fcntl(2)),
so that they hold between threads, too.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from islanding.wait import WaitTimeout, wait_until

_FLOCK = "hhqqi"  # struct flock of Linux with 64-bit offsets: type, whence, start, length, pid


@contextmanager
def claimed(log: Path, id: str, *, timeout: float = 0.0) -> Iterator[bool]:
    """Hold the claim on entry `id` of the undo log at `log` for the block; True when it was got within `timeout` s.

    With a state folder that cannot be written (a full disk, say) it is given without a lock: undoing comes first.
    """
    try:
        fd = os.open(log.with_suffix(".claims"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        yield True
        return
    try:
        yield _locked(fd, id, timeout)
    finally:
        os.close(fd)


def _locked(fd: int, id: str, timeout: float) -> bool:
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, zlib.crc32(id.encode()), 1, 0)

    def attempt() -> bool:
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, wanted)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: another has it
            return False
        except OSError:  # a file system without locks: undoing comes first
            return True
        return True

    try:
        return wait_until(f"the claim on {id}", attempt, timeout=timeout)
    except WaitTimeout:
        return False
