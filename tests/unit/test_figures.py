"""The figures' table: what is wanted, and whether it is met."""

from __future__ import annotations

import pytest

from benchmarks.figure import Figure, spread


@pytest.mark.parametrize(
    ("value", "wanted", "at_least", "cells"),
    [
        (20.0, 1.0, False, ("20.00 ms", "30.00 ms (limit)", "0.67", "≤ 1", "yes")),
        (33.0, 1.0, False, ("33.00 ms", "30.00 ms (limit)", "1.10", "≤ 1", "no")),
        (20.0, 0.5, True, ("20.00 ms", "30.00 ms (limit)", "0.67", "≥ 0.5", "yes")),
        (10.0, 0.5, True, ("10.00 ms", "30.00 ms (limit)", "0.33", "≥ 0.5", "no")),
        (10.0, None, False, ("10.00 ms", "30.00 ms (limit)", "0.33", "–", "–")),
    ],
)
def test_a_row_says_what_is_wanted_and_whether_it_is_met(
    value: float, wanted: float | None, at_least: bool, cells: tuple[str, ...]
) -> None:
    """At most, at least, or nothing."""
    figure = Figure("it", value, "ms", 30.0, "limit", wanted, at_least=at_least)
    assert ("it", *cells) == figure.cells()


def test_rounds_are_told_with_their_noise() -> None:
    """Median, smallest and largest."""
    assert spread([3.0, 1.0, 9.0]) == "3.0 ms (1.0 to 9.0 in 3 rounds)"
