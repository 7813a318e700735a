"""Running a command for a probe: never raises for what it does, and ends it with all its children at the time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_running: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class Output:
    """Exit code (None: stopped at the time limit) and both streams."""

    exit_code: int | None
    stdout: str
    stderr: str


def run(argv: Sequence[str], timeout: float, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Output:
    """Run `argv` in a session of its own for at most `timeout` seconds; a command that is not there exits with 127."""
    try:
        # a session of its own: credential plugins are children of kubectl, and must end with it
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **env} if env else None,
            start_new_session=True,
        )
    except OSError as error:
        return Output(127, "", str(error))
    with _lock:
        _running.add(process)
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
        return Output(process.returncode, stdout, stderr)
    except subprocess.TimeoutExpired:
        _end(process)
        stdout, stderr = process.communicate()
        return Output(None, stdout, f"{stderr}\nstopped after {timeout:g} s".strip())
    finally:
        with _lock:
            _running.discard(process)


def end_all() -> None:
    """End every command that is still running, with its children; a sampler calls this when it is told to stop."""
    with _lock:
        left = list(_running)
    for process in left:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
