"""Expectations: what samples prove, and that too few of them prove nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.expectations import (
    Finding,
    first,
    from_then_on,
    gap_at_most,
    inside,
    longest_gap,
    longest_hole,
    never,
    sometime,
    throughout,
)
from islanding.model import Sample, Verdict, Window

TICK = 0.1
WINDOW = Window(start=10.0, end=20.0)


def sample(start: float, end: float, outcome: str) -> Sample:
    """One sample."""
    return Sample(watch="w", probe="http", start=start, end=end, outcome=outcome, text="said")


def steady(start: float, end: float, outcome: str = "ANSWERED", took: float = 0.01) -> list[Sample]:
    """Samples of one outcome at ten a second."""
    return [sample(start + k * TICK, start + k * TICK + took, outcome) for k in range(round((end - start) / TICK))]


anything = st.lists(
    st.builds(
        lambda start, took, outcome: sample(start, start + took, outcome),
        st.floats(0, 30),
        st.floats(0, 5),
        st.sampled_from(["ANSWERED", "HTTP_TIMEOUT", "HTTP_RESET", "UNKNOWN"]),
    ),
    max_size=40,
)
windows = st.one_of(
    st.none(), st.tuples(st.floats(0, 30), st.floats(0, 30)).map(lambda w: Window(start=min(w), end=max(w)))
)


@given(anything, windows)
def test_a_pass_throughout_has_samples_of_that_outcome_only(samples: list[Sample], window: Window | None) -> None:
    """Whatever was sampled: a pass means that samples lie in the window and all of them have the outcome."""
    finding = throughout(samples, "ANSWERED", TICK, window)

    if finding.verdict is Verdict.PASS:
        whole = inside(samples, finding.window)
        assert whole
        assert {s.outcome for s in whole} == {"ANSWERED"}
        assert longest_hole(samples, finding.window, {"ANSWERED"}) <= 1.0


@given(anything, windows)
def test_a_bad_sample_inside_the_window_never_passes(samples: list[Sample], window: Window | None) -> None:
    """One sample of another outcome wholly inside the window makes the claim fail."""
    where = window or Window(start=-1, end=60)
    spoilt = [*samples, sample((where.start + where.end) / 2, (where.start + where.end) / 2, "HTTP_TIMEOUT")]

    assert throughout(spoilt, "ANSWERED", TICK, where).verdict is Verdict.FAIL


@given(anything, st.floats(0, 30), st.floats(0.1, 20))
def test_unknown_after_the_event_never_passes(samples: list[Sample], event: float, within: float) -> None:
    """An UNKNOWN sample after the event fails every claim about what follows it."""
    spoilt = [*samples, sample(event + 1, event + 1.1, "UNKNOWN")]

    for finding in (
        from_then_on(spoilt, "ANSWERED", TICK, event=event, within=within, until=60),
        sometime(spoilt, "ANSWERED", Window(start=event, end=60)),
        throughout(spoilt, "ANSWERED", TICK, Window(start=event, end=60)),
        gap_at_most(spoilt, 100, TICK, Window(start=event, end=60)),
        never(spoilt, "HTTP_REFUSED", TICK, Window(start=event, end=60)),
    ):
        assert finding.verdict is Verdict.FAIL


@given(anything, windows)
def test_a_gap_is_never_longer_than_its_window(samples: list[Sample], window: Window | None) -> None:
    """The longest time between two answers lies within the window, and is None without samples."""
    gap = longest_gap(samples, window)

    if window is None and not samples:
        assert gap is None
    elif window is not None and gap is not None:
        assert 0 <= gap <= window.end - window.start


@pytest.mark.parametrize("claim", [throughout, never])
def test_no_samples_are_inconclusive(claim: Callable[..., Finding]) -> None:
    """A watch that saw nothing proves nothing, with a window or without."""
    verdicts = [claim([], "ANSWERED", TICK, window).verdict for window in (None, WINDOW)]

    assert verdicts == [Verdict.INCONCLUSIVE] * 2


def test_no_samples_in_the_window_are_inconclusive() -> None:
    """Samples before and after the window say nothing of it."""
    samples = [*steady(0, 9), *steady(21, 30)]

    assert {
        throughout(samples, "ANSWERED", TICK, WINDOW).verdict,
        sometime(samples, "ANSWERED", WINDOW).verdict,
        gap_at_most(samples, 60, TICK, WINDOW).verdict,
    } == {Verdict.INCONCLUSIVE}


def test_a_steady_watch_passes() -> None:
    """Samples of one outcome without a hole pass."""
    assert throughout(steady(9, 21), "ANSWERED", TICK, WINDOW).verdict is Verdict.PASS


def test_a_hole_makes_it_inconclusive_and_a_longer_allowance_mends_it() -> None:
    """Two seconds without a look at 10 Hz are a hole, unless the case says that they are not."""
    samples = [*steady(9, 14), *steady(16, 21)]

    assert throughout(samples, "ANSWERED", TICK, WINDOW).verdict is Verdict.INCONCLUSIVE
    assert throughout(samples, "ANSWERED", TICK, WINDOW, hole=3).verdict is Verdict.PASS


def test_a_straddling_sample_counts_neither_for_nor_against() -> None:
    """A call that began before the window or ended after it, and went otherwise, is no failure of the window."""
    samples = [sample(9.9, 10.3, "HTTP_TIMEOUT"), *steady(10.3, 19.8), sample(19.8, 21.8, "HTTP_TIMEOUT")]

    assert throughout(samples, "ANSWERED", TICK, WINDOW).verdict is Verdict.PASS


def test_failing_straddlers_over_a_long_time_are_inconclusive_and_not_a_pass() -> None:
    """When the last calls of the window hang past its end, nothing proves its last seconds."""
    samples = [*steady(9, 18), *[sample(18 + k * TICK, 21 + k * TICK, "HTTP_TIMEOUT") for k in range(20)]]

    assert throughout(samples, "ANSWERED", TICK, WINDOW).verdict is Verdict.INCONCLUSIVE


def test_a_slow_outcome_covers_its_time() -> None:
    """An Unauthorized that takes 30 s is one look over 30 s: calls one after the other leave no hole."""
    samples = [sample(0, 30, "UNAUTHORIZED"), sample(32, 62, "UNAUTHORIZED")]

    assert throughout(samples, "UNAUTHORIZED", 2.0, Window(start=0, end=62)).verdict is Verdict.PASS


def test_it_broke_in_time_and_stayed_broken() -> None:
    """A refusal is there when the call that met it began."""
    samples = [*steady(5, 12), *steady(12, 20, "HTTP_TIMEOUT", took=2.0)]
    finding = from_then_on(samples, "HTTP_TIMEOUT", TICK, event=10, within=3, until=20)

    assert finding.verdict is Verdict.PASS
    assert finding.seconds == pytest.approx(2.0)


def test_it_broke_too_late() -> None:
    """Two seconds are more than one."""
    samples = [*steady(5, 12), *steady(12, 20, "HTTP_TIMEOUT")]

    assert from_then_on(samples, "HTTP_TIMEOUT", TICK, event=10, within=1, until=20).verdict is Verdict.FAIL


def test_an_answer_is_there_when_it_ends() -> None:
    """A call that begins early and is answered late has healed late."""
    samples = [sample(10.5, 14.5, "ANSWERED"), *steady(14.5, 20)]
    finding = from_then_on(samples, "ANSWERED", TICK, event=10, within=3)

    assert finding.verdict is Verdict.FAIL
    assert finding.seconds == pytest.approx(4.5)


def test_healing_that_does_not_last_fails() -> None:
    """Works, and then does not: that is a failure, and says when."""
    samples = [*steady(10, 12), *steady(12, 13, "HTTP_RESET"), *steady(13, 20)]
    finding = from_then_on(samples, "ANSWERED", TICK, event=10, within=1)

    assert finding.verdict is Verdict.FAIL
    assert "HTTP_RESET" in finding.reason


def test_a_change_that_nobody_waited_for_is_inconclusive() -> None:
    """Watched for two seconds of the five that it may take, nothing is known; watched for six, it failed."""
    verdicts = [from_then_on(steady(10, end), "HTTP_TIMEOUT", TICK, event=10, within=5).verdict for end in (12.0, 16.0)]

    assert verdicts == [Verdict.INCONCLUSIVE, Verdict.FAIL]


def test_the_gap_is_the_time_between_two_answers() -> None:
    """From the last answer before the silence to the first after it."""
    samples = [*steady(10, 13), *steady(13, 15, "HTTP_TIMEOUT"), *steady(15, 20)]

    assert longest_gap(samples, WINDOW) == pytest.approx(2.1)
    assert gap_at_most(samples, 2.5, TICK, WINDOW).verdict is Verdict.PASS
    assert gap_at_most(samples, 2.0, TICK, WINDOW).verdict is Verdict.FAIL


def test_a_gap_for_want_of_samples_is_inconclusive() -> None:
    """Nobody asked for three seconds: that is no outage, and no pass either."""
    samples = [*steady(10, 13), *steady(16, 20)]

    assert gap_at_most(samples, 0.5, TICK, WINDOW).verdict is Verdict.INCONCLUSIVE


def test_the_first_of_an_outcome_after_a_time() -> None:
    """The first sample that starts then or later."""
    samples = [*steady(10, 12), *steady(12, 13, "HTTP_RESET")]
    found = first(samples, "HTTP_RESET", after=11)

    assert found is not None
    assert found.start == pytest.approx(12)
    assert first(samples, "HTTP_REFUSED") is None
