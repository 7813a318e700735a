"""What is done in each run of a sweep: which fault, who is killed, by which signal, after how long. Pure, by a seed."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# What ends a process from outside, or is meant to: some are caught, SIGTERM is swallowed inside an action
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT)


class Victim(StrEnum):
    """Who is killed."""

    RUNNER = "runner"
    WATCHDOG = "watchdog"
    BOTH = "both"


@dataclass(frozen=True)
class Choice:
    """A fault that a run may have, as the action of an experiment."""

    action: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.action}({said})"

    @property
    def name(self) -> str:
        """The action as it is called in every lab: ids are others in each."""
        said = ", ".join(
            f"{name}={value}" for name, value in self.arguments.items() if not name.endswith(("id", "ids"))
        )
        return f"{self.action}({said})"


@dataclass(frozen=True)
class Strike:
    """One run: `share` is the instant, 0 when the experiment starts and 1 when it would have ended by itself."""

    number: int
    choice: Choice
    victim: Victim
    signal: signal.Signals
    share: float

    def __str__(self) -> str:
        return f"{self.choice}: {self.victim} {self.signal.name} at {self.share:.2f}"


def strikes(seed: int, runs: int, choices: Sequence[Choice]) -> Iterator[Strike]:
    """The runs of a sweep. Half of them kill by SIGKILL; half kill the runner alone, whom the watchdog replaces.

    The faults take turns, so that a short sweep has each of them; the instant reaches a little past the end.
    """
    chance = random.Random(seed)
    for number in range(runs):
        yield Strike(
            number=number,
            choice=choices[number % len(choices)],
            victim=chance.choice((Victim.RUNNER, Victim.RUNNER, Victim.WATCHDOG, Victim.BOTH)),
            signal=chance.choice(SIGNALS[1:]) if chance.random() < 0.5 else SIGNALS[0],
            share=chance.uniform(0.0, 1.05),
        )
