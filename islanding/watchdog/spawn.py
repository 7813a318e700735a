"""Starting a site's watchdog: in a session of its own, one a site, standing before the first fault is applied.

The lock on its file is taken here and handed to the watchdog already held, so that there is never a second one, and
never a moment without a lock. It ends by itself under the undo log's lock (`keeping`): a fault is written to that log
before its watchdog is asked for, so the one who stands has either seen the fault or let go of the lock.
"""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from islanding.errors import IslandingError
from islanding.paths import state_dir
from islanding.sites import process_is_alive

READY = b"ready\n"
_STARTS_IN = 30.0  # seconds in which a watchdog has to stand, on a machine that does much else besides


class NoWatchdog(IslandingError):
    """The watchdog cannot be started; no fault may be applied without it."""


def ensure(site_id: str, log: Path) -> None:
    """See to it that a watchdog stands over the undo log at `log` (one a log); returns when it does.

    Raises NoWatchdog, with what it printed last, when it does not start within 30 s.
    """
    try:
        with _free_lock(log) as lock:
            if lock is None:
                return
            _start(site_id, log, lock)
    except OSError as error:
        raise NoWatchdog(f"the watchdog cannot be started: {error}") from error


def lock_path(log: Path) -> Path:
    """The file on which the watchdog over `log` holds a lock while it lives; in it its pid and start time."""
    return log.with_suffix(".watchdog")


def words_path(log: Path) -> Path:
    """The watchdog's own log: what it did, when and why."""
    return log.with_suffix(".watchdog.log")


def standing(log: Path) -> int | None:
    """The pid of the watchdog over `log`, None when there is none."""
    try:
        pid, started = map(int, lock_path(log).read_text().split())
    except (OSError, ValueError):
        return None
    return pid if process_is_alive(pid, started) else None


@contextmanager
def _free_lock(log: Path) -> Iterator[int | None]:
    """The lock file, locked, for the block; None when a watchdog holds the lock."""
    lock_path(log).parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(lock_path(log), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield fd
    finally:
        os.close(fd)  # ours only: a watchdog that was given the lock keeps it open


def _start(site_id: str, log: Path, lock: int) -> None:
    told, tells = os.pipe2(os.O_CLOEXEC)
    package = Path(__file__).parents[2]
    path = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    argv = [sys.executable, "-m", "islanding.watchdog", site_id, str(log), str(lock), str(tells)]
    with words_path(log).open("ab") as words:
        begins = words.tell()
        try:
            # The shell is between, so that the watchdog is nobody's child: it has no one to be waited for by.
            subprocess.run(
                ["sh", "-c", '"$@" &', "sh", *argv],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                pass_fds=(lock, tells),
                env={**os.environ, "PYTHONPATH": path, "ISLANDING_STATE": str(state_dir())},
                start_new_session=True,
                check=True,
                timeout=_STARTS_IN,
            )
        except subprocess.SubprocessError as error:
            raise NoWatchdog(f"the watchdog cannot be started: {error}") from error
        finally:
            os.close(tells)
    try:
        ready = select.select([told], [], [], _STARTS_IN)[0] and os.read(told, len(READY))
    finally:
        os.close(told)
    if ready != READY:
        said = words_path(log).read_bytes()[begins:].decode(errors="replace").strip()[-2000:]
        raise NoWatchdog(f"the watchdog of {site_id} did not start: {said or 'it said nothing'}")
