"""Runs a long command: its lines are reported as they come, and it ends with us whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from islanding.lab.parts.progress import Reporter
from islanding.process import Result

KEPT_LINES = 200
GENTLE_SECONDS = 120.0

# A pid namespace whose first process is killed with us: mmdebstrap alone would outlive its caller and go on writing.
# Its mounts go with its mount namespace.
_DISPOSABLE = ("setpriv", "--pdeathsig", "KILL", "--")
_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--")


def stream(
    argv: list[str],
    progress: Reporter,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    disposable: bool = True,
) -> Result:
    """Run a command as root to its end, note each line of output, and return its Result with the last lines as stderr.

    A `disposable` command and all its children are killed on Ctrl-C, on any exception, and when we are killed: it must
    write to a throw-away folder only. Another one (apt) is asked to stop and waited for.
    """
    try:
        child = subprocess.Popen(
            [*_DISPOSABLE, *_NAMESPACE, *argv] if disposable else argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        return Result(tuple(argv), 127, "", str(missing))
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        for line in child.stdout or ():
            lines.append(line)
            if line.strip():
                progress.note(line.strip())
        code = child.wait()
    except BaseException:
        _end(child, disposable=disposable)
        raise
    finally:
        if child.stdout is not None:
            child.stdout.close()
    return Result(tuple(argv), code, "", "".join(lines))


def _end(child: subprocess.Popen[str], *, disposable: bool) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL if disposable else signal.SIGINT)
    except ProcessLookupError:
        return
    try:
        child.wait(GENTLE_SECONDS)
    except subprocess.TimeoutExpired:  # better a package manager left at work than one killed in the middle
        return
