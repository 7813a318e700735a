"""What samples prove: pure functions from samples and a claim to a finding; too little evidence is inconclusive.

**Windows.** A sample took from `start` to `end`; it speaks for a window only when it lies wholly inside. A sample that
straddles an edge saw something of both sides: it never counts for or against a claim. If its outcome is the one
claimed, the part of it inside still counts as looked at; if not, that time counts as not looked at, and when it is
longer than a hole may be, the finding is inconclusive. So a straddler can cost a verdict, and never makes one.

**Holes.** Time in the window under no sample and longer than `hole` seconds (default: HOLE_TICKS intervals, one second
at least) makes a claim about the whole window inconclusive.

**UNKNOWN** fails every claim about a window in which it was seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from islanding.model import Sample, Verdict, Window
from islanding.outcomes import UNKNOWN, is_ok, named

HOLE_TICKS = 5
SMALLEST_HOLE = 1.0  # seconds; a scheduler's hiccup is no hole
SHOWN = 300  # characters of a sample's text in a reason


@dataclass(frozen=True)
class Finding:
    """What a claim came to, in which window (CLOCK_MONOTONIC seconds), and why; `seconds` is what was measured."""

    verdict: Verdict
    claim: str
    reason: str
    window: Window
    seconds: float | None = None


def allowed_hole(interval: float, hole: float | None = None) -> float:
    """The longest time in seconds without a look that is no hole."""
    return hole if hole is not None else max(SMALLEST_HOLE, HOLE_TICKS * interval)


def span(samples: Sequence[Sample]) -> Window | None:
    """From the start of the first sample to the end of the last; None without samples."""
    if not samples:
        return None
    return Window(start=min(s.start for s in samples), end=max(s.end for s in samples))


def inside(samples: Iterable[Sample], window: Window) -> list[Sample]:
    """The samples wholly inside the window, in the order of their starts."""
    return sorted((s for s in samples if window.start <= s.start and s.end <= window.end), key=lambda s: s.start)


def longest_hole(samples: Sequence[Sample], window: Window, outcomes: Iterable[str]) -> float:
    """The longest time of the window in seconds under no sample; straddlers cover it only with one of `outcomes`."""
    wanted = set(outcomes)
    whole = inside(samples, window)
    straddling = [
        s for s in samples if s not in whole and s.start < window.end and s.end > window.start and s.outcome in wanted
    ]
    longest, seen_until = 0.0, window.start
    for sample in sorted([*whole, *straddling], key=lambda s: s.start):
        longest = max(longest, sample.start - seen_until)
        seen_until = max(seen_until, sample.end)
    return max(longest, window.end - seen_until)


def throughout(
    samples: Sequence[Sample],
    outcomes: str | Iterable[str],
    interval: float,
    window: Window | None = None,
    hole: float | None = None,
) -> Finding:
    """Every sample of the window (None: of all time watched) has one of the outcomes, and there is no hole."""
    names = _names(outcomes)
    claim = f"{_either(names)} throughout"
    where = window or span(samples)
    if where is None:
        return _nothing(claim)
    whole = inside(samples, where)
    if not whole:
        return Finding(Verdict.INCONCLUSIVE, claim, "no sample lies inside the window", where)
    wrong = [s for s in whole if s.outcome not in names]
    if wrong:
        reason = f"{len(wrong)} of {len(whole)} samples differ; the first, {_at(wrong[0], where)}: {_said(wrong[0])}"
        return Finding(Verdict.FAIL, claim, reason, where)
    return _unless_hole(samples, names, interval, where, hole) or Finding(
        Verdict.PASS, claim, f"{len(whole)} samples over {where.end - where.start:.1f} s", where
    )


def sometime(samples: Sequence[Sample], outcomes: str | Iterable[str], window: Window | None = None) -> Finding:
    """At least one sample of the window has one of the outcomes, and none is UNKNOWN."""
    names = _names(outcomes)
    claim = f"{_either(names)} at least once"
    where = window or span(samples)
    if where is None:
        return _nothing(claim)
    whole = inside(samples, where)
    if not whole:
        return Finding(Verdict.INCONCLUSIVE, claim, "no sample lies inside the window", where)
    if unknown := _unknown(whole, claim, where):
        return unknown
    hits = [s for s in whole if s.outcome in names]
    if hits:
        return Finding(Verdict.PASS, claim, f"{len(hits)} of {len(whole)} samples: {_said(hits[0])}", where)
    return Finding(Verdict.FAIL, claim, f"none of {len(whole)} samples; the last: {_said(whole[-1])}", where)


def never(
    samples: Sequence[Sample],
    outcomes: str | Iterable[str],
    interval: float,
    window: Window | None = None,
    hole: float | None = None,
) -> Finding:
    """No sample of the window has one of the outcomes, none is UNKNOWN, and there is no hole."""
    names = _names(outcomes)
    claim = f"{_either(names)} never"
    where = window or span(samples)
    if where is None:
        return _nothing(claim)
    whole = inside(samples, where)
    if not whole:
        return Finding(Verdict.INCONCLUSIVE, claim, "no sample lies inside the window", where)
    hits = [s for s in whole if s.outcome in names]
    if hits:
        reason = f"{len(hits)} of {len(whole)} samples; the first, {_at(hits[0], where)}: {_said(hits[0])}"
        return Finding(Verdict.FAIL, claim, reason, where)
    if unknown := _unknown(whole, claim, where):
        return unknown
    others = {s.outcome for s in samples} - set(names)
    return _unless_hole(samples, others, interval, where, hole, claim=claim) or Finding(
        Verdict.PASS, claim, f"{len(whole)} samples over {where.end - where.start:.1f} s", where
    )


def from_then_on(
    samples: Sequence[Sample],
    outcomes: str | Iterable[str],
    interval: float,
    *,
    event: float,
    within: float,
    until: float | None = None,
    hole: float | None = None,
) -> Finding:
    """At most `within` seconds after `event` it is so, and stays so until `until` (None: the last sample).

    Only samples that start at or after `event` count. A wanted outcome that is ok is there when its sample *ends* (the
    user has an answer); one that is not ok is there when its sample *starts* (the call already met the cut, though its
    message may come 30 s later). What was seen in between may be anything but UNKNOWN. `seconds` is the time measured,
    an upper bound: it changed somewhere after the last sample that was still otherwise.
    """
    names = _names(outcomes)
    claim = f"{_either(names)} within {within:g} s, and from then on"
    last = until if until is not None else max((s.end for s in samples), default=event)
    where = Window(start=event, end=max(event, last))
    after = inside(samples, where)
    if not after:
        return Finding(Verdict.INCONCLUSIVE, claim, "no sample lies after the event", where)
    if unknown := _unknown(after, claim, where):
        return unknown
    first = next((s for s in after if s.outcome in names), None)
    if first is None:
        enough = where.end >= event + within
        reason = f"none of {len(after)} samples in {where.end - event:.1f} s; the last: {_said(after[-1])}"
        return Finding(Verdict.FAIL if enough else Verdict.INCONCLUSIVE, claim, reason, where)
    seconds = (first.end if is_ok(first.outcome) else first.start) - event
    relapse = next((s for s in after if s.start > first.start and s.outcome not in names), None)
    if seconds > within or relapse:
        then = f", and then, {_at(relapse, where)}: {_said(relapse)}" if relapse else ""
        return Finding(Verdict.FAIL, claim, f"after {seconds:.2f} s: {_said(first)}{then}", where, seconds)
    rest = Window(start=first.start, end=where.end)
    return _unless_hole(samples, names, interval, rest, hole, claim=claim, seconds=seconds) or Finding(
        Verdict.PASS, claim, f"after {seconds:.2f} s: {_said(first)}", where, seconds
    )


def longest_gap(samples: Sequence[Sample], window: Window | None = None) -> float | None:
    """The longest time in seconds between two answers (ends of ok samples), edges of the window included.

    An undisturbed watch has a gap of about one interval. None without samples in the window.
    """
    where = window or span(samples)
    if where is None or not inside(samples, where):
        return None
    ends = sorted(s.end for s in samples if is_ok(s.outcome) and where.start <= s.end <= where.end)
    marks = [where.start, *ends, where.end]
    return max(later - earlier for earlier, later in itertools.pairwise(marks))


def gap_at_most(
    samples: Sequence[Sample], limit: float, interval: float, window: Window | None = None, hole: float | None = None
) -> Finding:
    """Never more than `limit` seconds between two answers; a gap that is a hole in the sampling proves nothing."""
    claim = f"no gap longer than {limit:g} s"
    where = window or span(samples)
    gap = longest_gap(samples, where)
    if where is None or gap is None:
        return _nothing(claim)
    if unknown := _unknown(inside(samples, where), claim, where):
        return unknown
    every = {s.outcome for s in samples}
    if gap > limit:
        bad = next((s for s in inside(samples, where) if not is_ok(s.outcome)), None)
        if bad is None and longest_hole(samples, where, every) > limit:
            reason = f"{gap:.2f} s without an answer, for want of samples"
            return Finding(Verdict.INCONCLUSIVE, claim, reason, where, gap)
        said = f"; the first, {_at(bad, where)}: {_said(bad)}" if bad else ""
        return Finding(Verdict.FAIL, claim, f"{gap:.2f} s without an answer{said}", where, gap)
    return _unless_hole(samples, every, interval, where, hole, claim=claim, seconds=gap) or Finding(
        Verdict.PASS, claim, f"longest time between two answers {gap:.2f} s", where, gap
    )


def first(samples: Iterable[Sample], outcomes: str | Iterable[str], after: float = 0.0) -> Sample | None:
    """The first sample with one of the outcomes that starts at or after `after`; None when there is none."""
    names = _names(outcomes)
    hits = [s for s in samples if s.outcome in names and s.start >= after]
    return min(hits, key=lambda s: s.start, default=None)


def _names(outcomes: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(outcome.name for outcome in named(outcomes))


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)


def _nothing(claim: str) -> Finding:
    return Finding(Verdict.INCONCLUSIVE, claim, "no samples were taken", Window(start=0, end=0))


def _unknown(samples: Sequence[Sample], claim: str, where: Window) -> Finding | None:
    odd = next((s for s in samples if s.outcome == UNKNOWN.name), None)
    if odd is None:
        return None
    return Finding(Verdict.FAIL, claim, f"a message without a name, {_at(odd, where)}: {_said(odd)}", where)


def _unless_hole(
    samples: Sequence[Sample],
    names: Iterable[str],
    interval: float,
    where: Window,
    hole: float | None,
    *,
    claim: str = "",
    seconds: float | None = None,
) -> Finding | None:
    names = tuple(names)
    longest, limit = longest_hole(samples, where, names), allowed_hole(interval, hole)
    if longest <= limit:
        return None
    reason = f"for {longest:.1f} s of the window nothing proves it (at most {limit:g} s are allowed)"
    return Finding(Verdict.INCONCLUSIVE, claim or f"{_either(names)} throughout", reason, where, seconds)


def _at(sample: Sample, window: Window) -> str:
    return f"{sample.start - window.start:.2f} s into the window"


def _said(sample: Sample) -> str:
    return f"{sample.outcome} ({sample.text[:SHOWN]})"
