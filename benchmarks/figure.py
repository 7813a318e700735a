"""A figure: its value beside a reference, and the ratio that is wanted; and how times are taken and told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Say = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One figure: value and reference in `unit`, and the ratio that is wanted.

    At most `wanted`, or with `at_least` no less than it. None: nothing is wanted, it is there to be compared.
    """

    name: str
    value: float
    unit: str
    reference: float
    reference_is: str
    wanted: float | None
    note: str = ""
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Value over reference."""
        return self.value / self.reference if self.reference else float("inf")

    @property
    def met(self) -> bool | None:
        """Whether the ratio is as wanted; None where nothing is wanted."""
        if self.wanted is None:
            return None
        return self.ratio >= self.wanted if self.at_least else self.ratio <= self.wanted

    def cells(self) -> tuple[str, ...]:
        """Its row of the table."""
        wanted = "–" if self.wanted is None else f"{'≥' if self.at_least else '≤'} {self.wanted:g}"
        return (
            self.name,
            f"{self.value:.2f} {self.unit}",
            f"{self.reference:.2f} {self.unit} ({self.reference_is})",
            f"{self.ratio:.2f}",
            wanted,
            {True: "yes", False: "no", None: "–"}[self.met],
        )


def milliseconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def spread(seen: list[float]) -> str:
    """Milliseconds of several rounds in words."""
    return f"{median(seen):.1f} ms ({min(seen):.1f} to {max(seen):.1f} in {len(seen)} rounds)"


def load() -> float:
    """The load average of the last minute: figures of a machine that has other work are of little use."""
    return os.getloadavg()[0]
