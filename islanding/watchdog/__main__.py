"""`python -m islanding.watchdog`: the watchdog of one site, started by `spawn` and by nobody else."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from islanding.redact import redact
from islanding.sites import process_started
from islanding.undo import UndoLog
from islanding.watchdog import spawn


class _Told(BaseException):
    """Somebody told the watchdog to end."""


def main(site_id: str, log: UndoLog, lock: int, tells: int) -> int:
    """Stand watch over the site's undo log; 0 when nothing is open any more, 1 when told to end before that.

    `lock` is a file descriptor of the locked lock file, `tells` one that is told when the watchdog stands.
    """
    for fd in (lock, tells):
        os.set_inheritable(fd, False)  # a command that outlives us must not hold our lock
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may go: that is what we are here for
    signal.signal(signal.SIGTERM, _end)
    try:
        from islanding.watchdog.keeping import Keeper  # takes most of the start: signals are seen to first

        keeper = Keeper(site_id, log, say, lambda: os.close(lock))
        me = f"{os.getpid()} {process_started(os.getpid())}\n".encode()
        os.ftruncate(lock, 0)
        os.pwrite(lock, me, 0)
        with suppress(BrokenPipeError):  # who asked for us is dead already: all the more reason to be here
            os.write(tells, spawn.READY)
        os.close(tells)
        say(f"watching {site_id} as process {os.getpid()}")
        keeper.warm()
        keeper.keep()
    except _Told:
        left = ", ".join(f"{entry.kind} {entry.id}" for entry in log.read().open)
        say(f"told to end; still open: {left or 'nothing'}")
        return 1 if left else 0
    except Exception:
        say(traceback.format_exc())
        return 2
    say("nothing is open any more")
    return 0


def say(text: str) -> None:
    """Write a line of the watchdog's own log: when, and what; secrets taken out. A full disk does not stop it."""
    try:
        sys.stdout.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {redact(text)}\n")
        sys.stdout.flush()
    except OSError:
        return


def _end(_number: int, _frame: object) -> None:
    raise _Told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], UndoLog(Path(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])))
