"""Watching a path by packets: a loop at a place that tries again and again, read from outside as it goes."""

from __future__ import annotations

import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from islanding.model import Site
from islanding.wait import wait_until

# /proc/uptime counts as CLOCK_BOOTTIME does; the journal and faults count CLOCK_MONOTONIC.
_OFFSET = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()

# Seconds for an attempt: time for a second SYN, and for a machine that is busy; what is closed stays so for longer.
PATIENCE = "3"


@dataclass(frozen=True)
class Path:
    """A way from a place to somewhere, and the command there that succeeds when it is open."""

    name: str
    place: str
    command: tuple[str, ...]


@dataclass
class Reach:
    """What a loop has seen: (start of the attempt in CLOCK_MONOTONIC seconds, whether it got through)."""

    name: str
    seen: list[tuple[float, bool]] = field(default_factory=list)

    def first(self, through: bool, after: float) -> float | None:
        """When the first attempt that started later than `after` and ended so was started."""
        return next((start for start, got in list(self.seen) if start >= after and got is through), None)

    def await_first(self, through: bool, after: float, timeout: float = 40.0) -> float:
        """Wait for it; raises WaitTimeout."""
        what = f"{self.name} to be {'open' if through else 'closed'}"
        found = wait_until(what, lambda: self.first(through, after), timeout=timeout)
        assert found is not None
        return found

    def failures(self, start: float, end: float) -> list[float]:
        """When attempts between two moments failed, in seconds after the first moment."""
        return [round(at - start, 2) for at, got in list(self.seen) if start <= at <= end and not got]


def curl(url: str, *options: str) -> tuple[str, ...]:
    """A command that succeeds when a server answers over a new connection in time, whatever it says."""
    return ("curl", "--silent", "--output", "/dev/null", "--max-time", PATIENCE, *options, url)


def tcp(address: str, port: int) -> tuple[str, ...]:
    """A command that succeeds when a TCP connection is made in time."""
    return ("timeout", PATIENCE, "bash", "-c", f"</dev/tcp/{address}/{port}")


@contextmanager
def watching(site: Site, *paths: Path) -> Iterator[Callable[[str], Reach]]:
    """Watch paths until the block is left; gives a function that returns what was seen of a path by its name."""
    reaches = {path.name: Reach(path.name) for path in paths}
    loops = [_loop(site, path) for path in paths]
    readers = [
        threading.Thread(target=_read, args=(loop, reaches[path.name]), daemon=True)
        for path, loop in zip(paths, loops, strict=True)
    ]
    try:
        for reader in readers:
            reader.start()
        for reach in reaches.values():
            reach.await_first(True, 0.0, timeout=15.0)
        yield reaches.__getitem__
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
        for reader, loop in zip(readers, loops, strict=True):
            reader.join(timeout=5.0)
            if loop.stdout:
                loop.stdout.close()


def _loop(site: Site, path: Path) -> subprocess.Popen[str]:
    attempt = f"if {shlex.join(path.command)} >/dev/null 2>&1; then echo $t 1; else echo $t 0; fi"
    # Ends by itself when nobody reads any more: a loop on a machine is not reached by our signal.
    script = f"trap exit PIPE; while read -r t _ </proc/uptime; do {attempt} || exit; sleep 0.1; done"
    return subprocess.Popen(
        site.place(path.place).argv(["sh", "-c", script]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _read(loop: subprocess.Popen[str], reach: Reach) -> None:
    assert loop.stdout is not None
    for line in loop.stdout:
        start, got = line.split()
        reach.seen.append((float(start) - _OFFSET, got == "1"))
