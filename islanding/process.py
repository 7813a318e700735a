"""Running commands: a failure always shows host, command, exit code and both streams."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.errors import IslandingError


@dataclass(frozen=True)
class Result:
    """What a command did: argument vector, exit code (None: killed at the time limit) and both streams as text."""

    argv: tuple[str, ...]
    exit_code: int | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


class CommandFailed(IslandingError):
    """A command that had to succeed did not."""

    def __init__(self, result: Result, host: str = "this machine") -> None:
        code = "killed at its time limit" if result.exit_code is None else f"exit code {result.exit_code}"
        super().__init__(
            f"command failed on {host} ({code}): {shlex.join(result.argv)}\n"
            f"  stdout: {result.stdout.strip() or '(empty)'}\n  stderr: {result.stderr.strip() or '(empty)'}"
        )
        self.result = result


def dying_with_parent(argv: Sequence[str]) -> list[str]:
    """The argument vector whose process gets SIGTERM when the thread that starts it ends, also by SIGKILL."""
    return ["setpriv", "--pdeathsig", "TERM", "--", *argv]


def run(
    argv: Sequence[str],
    *,
    stdin: str | Path | None = None,
    timeout: float = 60.0,
    check: bool = True,
    host: str = "this machine",
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Result:
    """Run a command to its end, at most `timeout` seconds, and return its Result.

    `stdin` is a text, or the file to read from; `env` is added to the present environment. Raises CommandFailed when
    `check` and the exit code is not 0.
    """
    try:
        source = stdin.open("rb") if isinstance(stdin, Path) else contextlib.nullcontext(subprocess.DEVNULL)
        with source as file:
            done = _run(argv, stdin if isinstance(stdin, str) else None, file, timeout, env, cwd)
        result = Result(tuple(argv), done.returncode, done.stdout, done.stderr)
    except subprocess.TimeoutExpired as late:
        result = Result(tuple(argv), None, _text(late.stdout), _text(late.stderr))
    except FileNotFoundError as missing:
        result = Result(tuple(argv), 127, "", str(missing))
    if check and not result.ok:
        raise CommandFailed(result, host)
    return result


def _run(
    argv: Sequence[str],
    text: str | None,
    file: Any,
    timeout: float,
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(argv),
        input=text,
        stdin=file if text is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env={**os.environ, **env} if env else None,
        cwd=cwd,
        check=False,
    )


def _text(stream: str | bytes | None) -> str:
    return stream.decode(errors="replace") if isinstance(stream, bytes) else stream or ""
