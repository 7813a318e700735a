"""When the next tick is due: an absolute schedule, so that lateness never adds up, with missed ticks counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Ticks:
    """Ticks at `first + k * interval` seconds; a tick that comes a whole interval late or more has missed its place."""

    interval: float
    first: float = 0.0
    due: int = 0  # how many ticks have been due so far
    missed: int = 0  # how many of them could not be taken in time

    def begin(self, now: float) -> None:
        """The first tick is due at `now`."""
        self.first, self.due, self.missed = now, 0, 0

    @property
    def next(self) -> float:
        """When the next tick is due."""
        return self.first + self.due * self.interval

    def take(self, now: float) -> bool:
        """Whether a tick is to be taken at `now`; of several overdue ones the latest is taken, the others missed."""
        if now < self.next:
            return False
        overdue = int((now - self.next) / self.interval)
        self.missed += overdue
        self.due += overdue + 1
        return True
