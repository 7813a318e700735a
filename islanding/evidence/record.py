"""The words of a run's record: run, site, case, watch, fault, message, requirement row, as read back from the journal.

All times named `t`, `start`, `end` are CLOCK_MONOTONIC seconds of the machine that ran; durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from islanding.evidence.requirements import Requirement
from islanding.evidence.said import Said
from islanding.model import Topology, Verdict

State = Literal["good", "bad", "unknown"]
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Observation:
    """One sample: when it started and ended, its named outcome, whether the thing probed worked, and the raw text."""

    start: float
    end: float
    outcome: str
    state: State
    text: str


@dataclass(slots=True)
class Stretch:
    """Samples of one outcome in a row, without a hole between them; `slowest` is the longest single sample."""

    start: float
    end: float
    outcome: str
    state: State
    count: int
    slowest: float
    text: str  # of the first sample


@dataclass(slots=True)
class Watch:
    """A probe that ran through a case; `interval` in seconds, 0 when not told."""

    name: str
    probe: str = ""
    place: str = ""
    command: str = ""
    interval: float = 0.0
    ticks: int | None = None
    missed: int | None = None
    unfinished: int | None = None  # samples in flight when the watch was stopped: they are not in the journal
    samples: list[Observation] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)


@dataclass(slots=True)
class FaultWindow:
    """A fault and the window in which it was on; `undone` is None when the journal never says that it was undone."""

    id: str
    name: str
    target: str = ""
    summary: str = ""
    applied: float | None = None
    undone: float | None = None
    healed_after: float | None = None  # seconds from the undo until is_healed held

    @property
    def trouble(self) -> str:
        """What is wrong with a fault at the end of a run: not undone, or not healed; empty when all is well."""
        if self.applied is None:
            return ""
        if self.undone is None:
            return Said("was applied and not undone")
        return "" if self.healed_after is not None else Said("was undone, but nothing says that it healed")


@dataclass(frozen=True, slots=True)
class Expectation:
    """A claim about a window of a watch, with its verdict."""

    watch: str
    claim: str
    start: float | None
    end: float | None
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured value with its unit, its limit (as text) and its verdict, None when it was only recorded."""

    name: str
    value: str
    unit: str
    limit: str
    verdict: Verdict | None


@dataclass(slots=True)
class Message:
    """A text that users saw: the first exact wording, how often it came, and when it was first seen.

    `variants` counts the exact texts that differ from it only in digits (times, ports, durations).
    """

    watch: str
    outcome: str
    state: State
    text: str
    first: float
    last: float
    count: int = 1
    variants: int = 1


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait that ended at `t`; `physics` when the time was the system's own (hold timer, dial, grace period)."""

    what: str
    t: float
    seconds: float
    physics: bool
    case: str = ""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Something seen once and kept word for word."""

    t: float
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Captured:
    """A capture of packets: its file in the run's folder, or why there is none; numbers are None when not told."""

    start: float
    end: float
    place: str
    interface: str
    expression: str
    file: str
    sha256: str
    size: int | None
    packets: int | None
    dropped: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at the configuration found: its rule, the AWS object, what is wrong; `level` is lack or advice."""

    rule: str
    object: str
    text: str
    level: str


@dataclass(frozen=True, slots=True)
class DiagnosedHop:
    """A hop of an explained path: its status, what AWS's state says of it, and what packets said."""

    name: str
    status: str
    detail: str
    seen: str


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Why a path failed: its hops in order, the first that fails, the AWS object to blame, the answer in a sentence."""

    t: float
    source: str
    target: str
    step: str
    hops: tuple[DiagnosedHop, ...]
    failing: str
    blame: str
    message: str
    agreement: str
    conclusive: bool
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Case:
    """One case at one site, with all that was recorded in it."""

    site: str
    id: str
    title: str = ""
    requirements: tuple[str, ...] = ()
    verdict: Verdict = Verdict.INCONCLUSIVE
    reason: str = ""
    detail: str = ""
    started: float = 0.0
    ended: float = 0.0
    wall: str = ""
    seconds: float = 0.0
    finished: bool = False
    watches: dict[str, Watch] = field(default_factory=dict)
    faults: dict[str, FaultWindow] = field(default_factory=dict)
    expectations: list[Expectation] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    exhibits: list[Exhibit] = field(default_factory=list)
    captures: list[Captured] = field(default_factory=list)
    diagnoses: list[Diagnosed] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # what went wrong with the site itself while it ran
    messages: list[Message] = field(default_factory=list)

    @property
    def zero(self) -> float:
        """The zero of the case's time axis: when its first fault was applied, else when the case started."""
        applied = [fault.applied for fault in self.faults.values() if fault.applied is not None]
        return min(applied, default=self.started)

    @property
    def has_fault(self) -> bool:
        """True when a fault was applied in this case."""
        return any(fault.applied is not None for fault in self.faults.values())


@dataclass(slots=True)
class SiteRecord:
    """One site of the run: bring-up, facts, cases, and where its time went (seconds)."""

    name: str
    started: float | None = None
    ended: float | None = None
    ready_after: float | None = None
    down_after: float | None = None
    failed: str = ""
    troubles: list[str] = field(default_factory=list)  # what went wrong with the site itself
    steps: list[tuple[str, float]] = field(default_factory=list)
    topology: Topology = field(default_factory=Topology)
    facts: dict[str, str] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    faults: dict[str, FaultWindow] = field(default_factory=dict)  # outside any case
    exhibits: list[Exhibit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    total: float = 0.0
    physics: float = 0.0

    @property
    def ours(self) -> float:
        """Seconds that were not physics: bring-up, our own work and our own waiting."""
        return max(0.0, self.total - self.physics)


@dataclass(frozen=True, slots=True)
class RequirementRow:
    """A requirement with its verdict from the cases that name it."""

    requirement: Requirement
    verdict: Verdict
    reason: str
    cases: tuple[Case, ...]


@dataclass(slots=True)
class RunResult:
    """All that a journal says about a run; `folder` is where the journal lies."""

    folder: Path | None = None
    run: str = ""
    target: str = ""
    revision: str = ""
    clean: bool | None = None  # False: the code was changed since `revision`; None: not told
    started_wall: str = ""
    ended_wall: str = ""
    seconds: float = 0.0
    physics: float = 0.0
    site_names: tuple[str, ...] = ()
    parts: Any = None
    hashes: Any = None  # SHA-256 of what the parts are made of, by name
    host: Any = None
    clock: Any = None  # who keeps the time of that computer, and how far it may be off
    inputs: Any = None  # SHA-256 of what the run was given, by its name in inputs/
    sites: dict[str, SiteRecord] = field(default_factory=dict)
    rows: tuple[RequirementRow, ...] = ()
    finished: bool = False
    damaged_lines: int = 0
    chain_problems: tuple[str, ...] = ()  # what the journal's hashes say is wrong with it
    problems: list[str] = field(default_factory=list)  # why the run as a whole cannot count as passed
    warnings: list[str] = field(default_factory=list)
    exit_code: int = 2
    verdict: Verdict = Verdict.INCONCLUSIVE

    @property
    def cases(self) -> list[Case]:
        """The cases of all sites, site by site, in the order in which they started."""
        return [case for site in self.sites.values() for case in site.cases]

    @property
    def complete(self) -> bool:
        """True when the journal is whole, holds together and says that the run ended."""
        return self.finished and not self.damaged_lines and not self.chain_problems
