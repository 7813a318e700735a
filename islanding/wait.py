"""Bounded waiting: the one place that sleeps, always with a deadline and the last value seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from islanding.errors import InconclusiveError

T = TypeVar("T")


class WaitTimeout(InconclusiveError):
    """A condition did not come true in time; says what was waited for and the last value seen."""

    def __init__(self, what: str, seconds: float, last: object) -> None:
        super().__init__(f"waited {seconds:g} s for {what}; last seen: {last!r}")
        self.last = last


def wait_until(
    what: str, probe: Callable[[], T], *, timeout: float, interval: float = 0.05, done: Callable[[T], bool] = bool
) -> T:
    """Call `probe` every `interval` seconds until `done(value)`, and return that value.

    Raises WaitTimeout after `timeout` seconds, with the last value or the last exception in its message.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            value = probe()
            last = value
            if done(value):
                return value
        except Exception as error:  # an unready part may fail in any way: the last failure is reported at the deadline
            last = error
        if time.monotonic() >= deadline:
            raise WaitTimeout(what, timeout, last)
        time.sleep(interval)
