"""The claims of an experiment's extension, judged over the windows that its faults made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from islanding import expectations
from islanding.chaos.extension import ExpectSpec, Extension
from islanding.chaos.verdict import Outcome
from islanding.expectations import Finding
from islanding.journal import Event
from islanding.model import Sample, Verdict, Window
from islanding.watching import Watch, fault_windows

_WHEN = {"all": "", "before": "before the cut: ", "cut": "during the cut: ", "after": "after the cut: "}


def judge(extension: Extension, watch: Watch, events: Sequence[Event], site: str, steady: float = 0.0) -> list[Outcome]:
    """Judge every claim and write each finding to the journal; `events` are those since the experiment began.

    `steady` is when the steady-state hypothesis was first met (CLOCK_MONOTONIC seconds): before it nothing is claimed.
    """
    faults = [event for event in events if event.type.startswith("fault-") and event.get("site") == site]
    windows = fault_windows(faults)
    found = []
    for claim in extension.expect:
        lane = watch[claim.watch]
        finding = finding_of(claim, lane.samples(), lane.probe.interval, windows, steady)
        lane.record(finding)
        found.append(Outcome(finding.verdict, f"{lane.name}: expected {finding.claim}: {finding.reason}"))
    return found


def finding_of(
    claim: ExpectSpec,
    samples: Sequence[Sample],
    interval: float,
    faults: tuple[Window, Window] | None,
    steady: float = 0.0,
) -> Finding:
    """What the samples say of one claim; `faults` as of islanding.watching.fault_windows, `steady` as of `judge`."""
    watched = expectations.span([sample for sample in samples if sample.start >= steady])
    if watched is None or claim.when == "all":
        return _judged(claim, samples, interval, watched)
    if faults is None or faults[0].end <= faults[0].start:
        reason = "there was no time at which all faults were in force" if faults else "no fault was applied and undone"
        return Finding(Verdict.INCONCLUSIVE, _words(claim), reason, watched)
    surely, maybe = faults
    if claim.within is not None:
        event, until = (maybe.start, surely.end) if claim.when == "cut" else (surely.end, None)
        finding = expectations.from_then_on(
            samples, claim.outcome, interval, event=event, within=claim.within, until=until, hole=claim.hole
        )
        return replace(finding, claim=_WHEN[claim.when] + finding.claim)
    windows = {
        "before": Window(start=_look_before(samples, maybe.start, watched.start), end=maybe.start),
        "cut": surely,
        "after": Window(start=maybe.end, end=max(watched.end, maybe.end)),
    }
    return _judged(claim, samples, interval, windows[claim.when])


def _look_before(samples: Sequence[Sample], cut: float, steady: float) -> float:
    """When the time before the cut begins: once the state is steady, or with the last look if the cut came first."""
    return min(steady, max((sample.start for sample in samples if sample.end <= cut), default=steady))


def _judged(claim: ExpectSpec, samples: Sequence[Sample], interval: float, window: Window | None) -> Finding:
    if claim.gap is not None:
        finding = expectations.gap_at_most(samples, claim.gap, interval, window, claim.hole)
    elif claim.holds == "once":
        finding = expectations.sometime(samples, claim.outcome, window)
    else:
        judge_all = expectations.throughout if claim.holds == "throughout" else expectations.never
        finding = judge_all(samples, claim.outcome, interval, window, claim.hole)
    return replace(finding, claim=_WHEN[claim.when] + finding.claim)


def _words(claim: ExpectSpec) -> str:
    what = " or ".join(claim.outcome) if claim.outcome else f"no gap longer than {claim.gap:g} s"
    return _WHEN[claim.when] + what
