"""The schedule of ticks: absolute, and honest about what was missed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from islanding.probes.schedule import Ticks


@given(st.floats(0.05, 5), st.lists(st.floats(0, 3), max_size=60))
def test_ticks_keep_to_their_places_and_none_is_lost(interval: float, steps: list[float]) -> None:
    """However late the clock is looked at: each tick is taken or missed, and the next is due on the first grid."""
    ticks, now, taken = Ticks(interval), 100.0, 0
    ticks.begin(now)
    for step in steps:
        now += step
        taken += ticks.take(now)

        assert ticks.due == taken + ticks.missed
        assert ticks.next == 100.0 + ticks.due * interval
        assert not ticks.take(min(now, ticks.next - interval / 2))


def test_a_clock_looked_at_in_time_misses_nothing() -> None:
    """Ten looks, each when its tick is due or a little later, take ten ticks."""
    ticks = Ticks(0.1)
    ticks.begin(5.0)
    taken = [ticks.take(5.0 + k * 0.1 + 0.05) for k in range(10)]

    assert taken == [True] * 10
    assert ticks.missed == 0


def test_a_pause_of_a_second_misses_nine_of_ten_ticks() -> None:
    """Of the overdue ticks the latest is taken."""
    ticks = Ticks(0.1)
    ticks.begin(5.0)
    ticks.take(5.0)

    assert ticks.take(6.05)
    assert ticks.missed == 9
