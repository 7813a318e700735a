"""Whether two values of a figure differ by more than its noise: the rule, and which of its two halves was used.

With at least ENOUGH earlier values, noise is their spread, by the median absolute deviation, which a few odd runs do
not move: the difference counts when it is larger than CUTOFF robust standard deviations of a difference of two values.
CUTOFF is that of Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993), for modified z-scores; 1.4826 makes
the deviation that of a normal distribution, and a difference of two values spreads by the square root of two more.
With fewer, or none, a share of the smaller value and a fixed amount have to be exceeded together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

ENOUGH = 5
MOST = 50  # newest earlier values that count: noise of a year ago says little
CUTOFF = 3.5
FLOOR_SHARE = (
    0.05  # of the median: values that repeat to the digit have no deviation, and differ by chance all the same
)
FLOOR_SECONDS = 0.2  # two ticks of the probes, which look ten times a second
SHARE = 0.5
SECONDS = 2.0

RULE = (
    f"A time or figure counts as changed when it differs by more than its noise. With {ENOUGH} or more earlier runs in "
    f"the history (the newest {MOST} at that target): by more than {CUTOFF} x 1.4826 x sqrt(2) x the median absolute "
    f"deviation of their values, more than {FLOOR_SHARE:.0%} of their median and, for times, more than "
    f"{FLOOR_SECONDS:g} s. With fewer: by more than {SHARE:.0%} of the smaller value plus, for times, {SECONDS:g} s."
)


@dataclass(frozen=True)
class Judged:
    """Two values of one figure, the noise that their difference was held to, and how many earlier values made it."""

    before: float
    after: float
    noise: float
    earlier: int

    @property
    def changed(self) -> bool:
        """Whether they differ by more than noise."""
        return abs(self.after - self.before) > self.noise

    @property
    def method(self) -> str:
        """Which half of the rule was used, in words."""
        if self.earlier >= ENOUGH:
            return f"median absolute deviation of {self.earlier} earlier runs"
        return f"fixed threshold (earlier runs: {self.earlier}, needed: {ENOUGH})"


def judge(before: float, after: float, unit: str, earlier: Sequence[float]) -> Judged:
    """Hold the two values to the noise of `earlier` ones, newest first; `unit` as in the journal (`s` is a time)."""
    time = unit == "s"
    values = list(earlier[:MOST])
    if len(values) >= ENOUGH:
        middle = median(values)
        spread = median(abs(value - middle) for value in values)
        noise = max(CUTOFF * 1.4826 * math.sqrt(2) * spread, FLOOR_SHARE * abs(middle), FLOOR_SECONDS if time else 0.0)
    else:
        noise = SHARE * min(abs(before), abs(after)) + (SECONDS if time else 0.0)
    return Judged(before, after, noise, len(values))
