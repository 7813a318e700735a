"""Watching a site while something happens to it: samplers started and stopped, samples read back, claims judged.

with watch(site, journal, probe) as access:
    with cut(...) as fault: ...
access.expect(ALLOWED, throughout=True)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from islanding import expectations
from islanding.errors import InconclusiveError, SetupError
from islanding.expectations import Finding
from islanding.journal import Event, Journal
from islanding.model import Sample, Site, Verdict, Window
from islanding.outcomes import Outcome, named
from islanding.probes import Probe
from islanding.sampling import Sampler, Tail, place_of
from islanding.wait import WaitTimeout, wait_until

FIRST_SAMPLE = 15.0  # seconds in which a sampler has to show that it works

T = TypeVar("T")

Wanted = str | Outcome | Iterable[str | Outcome]


class ExpectationFailed(AssertionError):
    """What was claimed of a watch is not so."""


class Timed(Protocol):
    """Something with a start and an end in CLOCK_MONOTONIC seconds: a fault in force, a window."""

    @property
    def start(self) -> float:
        """When it began."""
        ...

    @property
    def end(self) -> float:
        """When it ended."""
        ...


class Lane:
    """What one probe saw, and what may be claimed of it; each claim is written to the journal."""

    def __init__(self, name: str, probe: Probe, journal: Journal, tail: Tail) -> None:
        self.name, self.probe = name, probe
        self._journal, self._tail = journal, tail

    def samples(self) -> list[Sample]:
        """All samples up to now, in the order in which they ended."""
        return self._tail.samples(self.name)

    def span(self) -> Window | None:
        """The time watched so far."""
        return expectations.span(self.samples())

    def first(self, outcome: Wanted, after: float = 0.0) -> Sample | None:
        """The first sample with that outcome that starts at or after `after` (CLOCK_MONOTONIC seconds)."""
        return expectations.first(self.samples(), _names(outcome), after)

    def gap(self, window: Timed | None = None) -> float | None:
        """The longest time in seconds between two answers; None without samples."""
        return expectations.longest_gap(self.samples(), _window(window))

    def wait_for(self, outcome: Wanted, timeout: float, after: float = 0.0) -> Sample:
        """Wait at most `timeout` seconds for a sample with that outcome that starts at or after `after`.

        Raises ExpectationFailed when samples came and all were otherwise, InconclusiveError when none came.
        """
        what = f"{'/'.join(_names(outcome))} on watch {self.name!r}"

        def look() -> Sample | None:
            return self.first(outcome, after)

        try:
            found = wait_until(what, look, timeout=timeout)
        except WaitTimeout as late:
            seen = [sample for sample in self.samples() if sample.start >= after]
            if not seen:
                raise
            claim = f"{'/'.join(_names(outcome))} within {timeout:g} s"
            last = seen[-1]
            reason = f"none of {len(seen)} samples; the last: {last.outcome}: {last.text[:300]}"
            where = Window(start=min(after, last.start) or seen[0].start, end=last.end)
            self.record(Finding(Verdict.FAIL, claim, reason, where))
            raise ExpectationFailed(f"{self.name}: expected {claim}: {reason}") from late
        if found is None:
            raise InconclusiveError(f"waited {timeout:g} s for {what}")
        return found

    def expect(
        self, outcome: Wanted, *, throughout: bool = True, window: Timed | None = None, hole: float | None = None
    ) -> Finding:
        """Claim that every sample of `window` (None: of all time watched) has the outcome, or one of several.

        `throughout=False` claims one sample at least. `hole`: seconds without a look that are allowed. Raises
        ExpectationFailed, or InconclusiveError when there is too little evidence.
        """
        names, where = _names(outcome), _window(window)
        if throughout:
            finding = expectations.throughout(self.samples(), names, self.probe.interval, where, hole)
        else:
            finding = expectations.sometime(self.samples(), names, where)
        return self.judge(finding)

    def expect_never(self, outcome: Wanted, *, window: Timed | None = None, hole: float | None = None) -> Finding:
        """Claim that no sample of `window` has the outcome."""
        names = _names(outcome)
        return self.judge(expectations.never(self.samples(), names, self.probe.interval, _window(window), hole))

    def expect_from(
        self,
        outcome: Wanted,
        *,
        event: float | Timed,
        within: float,
        until: float | None = None,
        hole: float | None = None,
    ) -> Finding:
        """Claim that it is so at most `within` seconds after `event`, and stays so until `until`.

        `event` is a time, or something that has a `start` (a fault in force: the start of its being applied).
        """
        at = float(event) if isinstance(event, (int, float)) else event.start
        finding = expectations.from_then_on(
            self.samples(), _names(outcome), self.probe.interval, event=at, within=within, until=until, hole=hole
        )
        return self.judge(finding)

    def expect_gap(self, at_most: float, *, window: Timed | None = None, hole: float | None = None) -> Finding:
        """Claim that there are never more than `at_most` seconds between two answers."""
        samples, interval = self.samples(), self.probe.interval
        return self.judge(expectations.gap_at_most(samples, at_most, interval, _window(window), hole))

    def judge(self, finding: Finding) -> Finding:
        """Write the finding to the journal; raises ExpectationFailed or InconclusiveError unless it is a pass."""
        self.record(finding)
        text = f"{self.name}: expected {finding.claim}: {finding.reason}"
        if finding.verdict is Verdict.FAIL:
            raise ExpectationFailed(text)
        if finding.verdict is not Verdict.PASS:
            raise InconclusiveError(text)
        return finding

    def record(self, finding: Finding) -> None:
        """Write the finding to the journal."""
        self._journal.append(
            "expectation",
            watch=self.name,
            claim=finding.claim,
            start=finding.window.start,
            end=finding.window.end,
            verdict=finding.verdict.value,
            reason=finding.reason,
            seconds=finding.seconds,
        )


def eventually(
    what: str, probe: Callable[[], T], *, timeout: float, interval: float = 1.0, done: Callable[[T], bool] = bool
) -> T:
    """Claim that something comes true within `timeout` seconds; returns its value.

    Raises ExpectationFailed with the last value seen, or InconclusiveError when it could not be looked at.
    """
    try:
        return wait_until(what, probe, timeout=timeout, interval=interval, done=done)
    except WaitTimeout as late:
        if isinstance(late.last, Exception):
            raise
        raise ExpectationFailed(f"expected {what} within {timeout:g} s; last seen: {late.last!r}") from late


class Watch:
    """A context manager that samples while its block runs; iterating over it gives a Lane for each probe.

    With one probe the claims can be made of the watch itself.
    """

    def __init__(
        self,
        site: Site | None,
        journal: Journal,
        *probes: Probe,
        drain: float = 2.0,
        first_sample: float = FIRST_SAMPLE,
    ) -> None:
        """Plan the watch; sampling starts with the `with` block.

        `drain`: seconds that samples in flight have to end when the watch stops. `first_sample`: seconds to wait for
        a first sample of each probe, 0 for not waiting (where the site is cut already and an answer takes long).
        """
        if not probes:
            raise SetupError("a watch without a probe")
        self._site, self._drain, self._first_sample = site, drain, first_sample
        self._tail = Tail(journal)
        self.lanes = [Lane(_unique(journal, probe.label), probe, journal, self._tail) for probe in probes]
        self._journal = journal
        self._samplers: list[Sampler] = []

    def __enter__(self) -> Self:
        try:
            for place in dict.fromkeys(lane.probe.place for lane in self.lanes):
                here = {lane.name: lane.probe for lane in self.lanes if lane.probe.place == place}
                self._samplers.append(Sampler(place_of(self._site, place), self._journal, here, self._drain))
            for sampler in self._samplers if self._first_sample else ():
                sampler.wait_for_first_samples(self._tail, self._first_sample)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop sampling; what was seen stays to be judged. Does nothing when stopped already."""
        samplers, self._samplers = self._samplers, []
        for sampler in samplers:
            sampler.tell_to_stop()
        troubles = [trouble for sampler in samplers if (trouble := sampler.wait_for_end())]
        for trouble in troubles:
            self._journal.append("warning", text=trouble)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self.lanes)

    def __getitem__(self, name: str) -> Lane:
        for lane in self.lanes:
            if name in (lane.name, lane.probe.label):
                return lane
        raise KeyError(f"no watch {name!r}; there are: {', '.join(lane.name for lane in self.lanes)}")

    def __getattr__(self, name: str) -> Any:
        # the claims of a Lane, so that the usual watch with one probe reads as one
        if name.startswith("_") or name not in _CLAIMS:
            raise AttributeError(name)
        if len(self.lanes) != 1:
            raise TypeError(f"this watch has {len(self.lanes)} probes: say of which one {name}() is meant")
        return getattr(self.lanes[0], name)


_CLAIMS = {"samples", "span", "first", "gap", "wait_for", "expect", "expect_never", "expect_from", "expect_gap", "name"}


def watch(
    site: Site | None, journal: Journal, *probes: Probe, drain: float = 2.0, first_sample: float = FIRST_SAMPLE
) -> Watch:
    """A watch by these probes, each sampling at its place of the site; to be used in a `with` statement."""
    return Watch(site, journal, *probes, drain=drain, first_sample=first_sample)


def fault_windows(events: Iterable[Event]) -> tuple[Window, Window] | None:
    """Of the faults in `events`: the time when all were surely in force, and the time when any may have been.

    The first is from the end of applying to the start of undoing; the second from the start of applying to the end of
    undoing. None when no fault was both applied and undone.
    """
    applied = [e for e in events if e.type == "fault-applied"]
    undone = [e for e in events if e.type == "fault-undone"]
    if not applied or not undone:
        return None
    surely = Window(start=max(e["end"] for e in applied), end=min(e["start"] for e in undone))
    maybe = Window(start=min(e["start"] for e in applied), end=max(e["end"] for e in undone))
    return surely, maybe


_names_given: Counter[tuple[str, str, str]] = Counter()


def _unique(journal: Journal, label: str) -> str:
    """A watch's name, told apart from others of the same name in the same case."""
    key = (str(journal.path), str(journal.context.get("case", "")), label)
    _names_given[key] += 1
    return label if _names_given[key] == 1 else f"{label} #{_names_given[key]}"


def _names(outcome: Wanted) -> tuple[str, ...]:
    return tuple(each.name for each in named(outcome))


def _window(window: Timed | None) -> Window | None:
    return None if window is None else Window(start=window.start, end=window.end)
