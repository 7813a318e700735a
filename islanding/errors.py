"""Errors that a user can act on: what was wrong, what to do, and the exit code that scripts see."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every `islanding` command; documented in README.md."""

    OK = 0
    FAILED = 1
    INCONCLUSIVE = 2
    SETUP = 3
    BUSY = 4  # another run of the same schedule or site is under way: nothing was run
    OVERDUE = 5  # a scheduled run that was due has not been


class IslandingError(Exception):
    """A mistake or a lack that the user can mend; printed without a traceback.

    Parameters: `what` names what was wrong, `fix` says what to do about it (may be empty when `what` says it all).
    """

    exit_code: ExitCode = ExitCode.SETUP

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n  {self.fix}" if self.fix else self.what


class SetupError(IslandingError):
    """The machine, a part or a file is not as it must be before anything can run (exit code 3)."""


class LabError(IslandingError):
    """The lab could not be brought to, or kept in, the state asked for (exit code 3)."""


class InconclusiveError(IslandingError):
    """A verdict could not be reached; never counted as passed (exit code 2)."""

    exit_code = ExitCode.INCONCLUSIVE


class NotCoveredError(IslandingError):
    """A site lacks something that a case needs, and its description says why: the case is not covered there."""

    exit_code = ExitCode.INCONCLUSIVE
