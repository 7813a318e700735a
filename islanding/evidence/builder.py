"""Reads the events of a journal, one by one, into the record of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from islanding.evidence.fields import number_of, text_of, value_of, verdict_of, whole_of
from islanding.evidence.record import (
    Captured,
    Case,
    Diagnosed,
    DiagnosedHop,
    Exhibit,
    Expectation,
    FaultWindow,
    Finding,
    Measurement,
    Observation,
    RunResult,
    SiteRecord,
    Wait,
    Watch,
)
from islanding.evidence.said import Said
from islanding.evidence.samples import messages, state_of, stretches
from islanding.journal import Event
from islanding.model import Topology, Verdict
from islanding.redact import redact


class Builder:
    """Feed it the events in the order of the file, then call `close`; it never raises for what an event holds."""

    def __init__(self) -> None:
        self.result = RunResult()
        self._open: dict[tuple[str, str], Case] = {}  # the last case of that name: one may run twice in a journal
        self._first: float | None = None
        self._last = 0.0
        self._ill: dict[str, str] = {}  # what is wrong with a site, and lasts
        self._texts: dict[str, str] = {}

    def feed(self, event: Event) -> None:
        """Add one event; an event of a type that is not known here is left out."""
        self._first = event.t if self._first is None else min(self._first, event.t)
        self._last = max(self._last, event.t)
        self.result.started_wall = self.result.started_wall or event.wall
        self.result.ended_wall = event.wall
        name = text_of(event, "site")
        if name:
            site = self._site(name)
            site.started = event.t if site.started is None else min(site.started, event.t)
            site.ended = event.t if site.ended is None else max(site.ended, event.t)
        handler: Callable[[Event], None] | None = getattr(self, "_on_" + event.type.replace("-", "_"), None)
        if handler:
            handler(event)

    def close(self) -> RunResult:
        """Finish what is open: a case without an end is inconclusive; samples are merged; time is accounted for."""
        result = self.result
        for case in result.cases:
            if not case.finished:
                case.ended = self._last
                case.seconds = case.ended - case.started
                case.verdict = Verdict.INCONCLUSIVE
                case.reason = "the journal ends before this case did"
            for watch in case.watches.values():
                watch.samples.sort(key=lambda sample: (sample.start, sample.end))
                watch.stretches = stretches(watch.samples, watch.interval)
            case.messages = messages((watch.name, watch.samples) for watch in case.watches.values())
        result.seconds = self._last - self._first if self._first is not None else 0.0
        every: list[tuple[float, float]] = []
        for site in result.sites.values():
            spans = [(wait.t - wait.seconds, wait.t) for wait in site.waits if wait.physics]
            every += spans
            site.total = (site.ended - site.started) if site.ended is not None and site.started is not None else 0.0
            site.physics = min(site.total, covered(spans))
        result.physics = min(result.seconds, covered(every))
        return result

    # The run and its sites

    def _on_run_started(self, event: Event) -> None:
        result = self.result
        result.run, result.target, result.revision = (text_of(event, key) for key in ("run", "target", "revision"))
        result.parts, result.hashes, result.host = (event.get(key) for key in ("parts", "hashes", "host"))
        result.clock, result.inputs = event.get("clock"), event.get("inputs")
        result.clean = event.get("clean") if isinstance(event.get("clean"), bool) else None
        result.started_wall = event.wall
        sites = event.get("sites")
        result.site_names = tuple(str(site) for site in sites) if isinstance(sites, list) else ()
        for name in result.site_names:
            self._site(name)

    def _on_run_finished(self, event: Event) -> None:
        self.result.finished = True
        code = event.get("exit_code")
        self.result.exit_code = code if isinstance(code, int) and not isinstance(code, bool) else 0

    def _on_site_step(self, event: Event) -> None:
        self._site_of(event).steps.append((text_of(event, "step"), number_of(event, "seconds") or 0.0))

    def _on_site_ready(self, event: Event) -> None:
        site = self._site_of(event)
        site.ready_after = number_of(event, "seconds")
        facts = event.get("facts")
        site.facts = {str(k): redact(str(v)) for k, v in facts.items()} if isinstance(facts, dict) else {}
        try:
            site.topology = Topology.model_validate(event.get("topology") or {})
        except ValidationError as error:
            site.warnings.append(
                Said("the topology in the journal cannot be drawn: %(number)s faults in it", number=error.error_count())
            )

    def _on_site_down(self, event: Event) -> None:
        self._site_of(event).down_after = number_of(event, "seconds")

    def _on_site_failed(self, event: Event) -> None:
        self._site_of(event).failed = self._text(event, "reason") or Said("no reason was given")

    def _on_site_troubled(self, event: Event) -> None:
        site, reason = self._site_of(event), self._text(event, "reason") or Said("no reason was given")
        for troubles in (site.troubles, *(case.troubles for case in site.cases if not case.finished)):
            if reason not in troubles:
                troubles.append(reason)
        if event.get("lasting") is True:
            self._ill[site.name] = reason

    def _on_site_sound(self, event: Event) -> None:
        self._ill.pop(self._site_of(event).name, None)

    def _on_finding(self, event: Event) -> None:
        rule, object_, text, level = (self._text(event, key) for key in ("rule", "object", "text", "level"))
        self._site_of(event).findings.append(Finding(rule, object_, text, level or "lack"))

    # Cases and what is recorded in them

    def _on_case_started(self, event: Event) -> None:
        case = Case(site=text_of(event, "site"), id=text_of(event, "case"), started=event.t, wall=event.wall)
        self._describe(case, event)
        if case.site in self._ill:
            case.troubles.append(self._ill[case.site])
        self._open[case.site, case.id] = case
        self._site_of(event).cases.append(case)

    def _on_case_finished(self, event: Event) -> None:
        case = self._case_of(event)
        if case is None or case.finished:  # skipped before it started
            self._on_case_started(event)
            case = self._open[text_of(event, "site"), text_of(event, "case")]
        self._describe(case, event)
        case.finished, case.ended = True, event.t
        seconds = number_of(event, "seconds")
        case.seconds = case.ended - case.started if seconds is None else seconds
        case.verdict = verdict_of(event) or Verdict.INCONCLUSIVE
        case.reason, case.detail = self._text(event, "reason"), self._text(event, "detail")

    def _describe(self, case: Case, event: Event) -> None:
        case.title = self._text(event, "title") or case.title
        rows = event.get("requirements")
        if isinstance(rows, list | tuple):
            case.requirements = tuple(str(row) for row in rows)

    def _on_watch_started(self, event: Event) -> None:
        watch = self._watch_of(event)
        if watch:
            watch.probe, watch.place = self._text(event, "probe"), self._text(event, "place")
            command = event.get("command")
            words = " ".join(map(str, command)) if isinstance(command, list) else text_of(event, "command")
            watch.command = redact(words)
            watch.interval = number_of(event, "interval") or 0.0

    def _on_watch_stopped(self, event: Event) -> None:
        watch = self._watch_of(event)
        if watch:
            watch.ticks, watch.missed, watch.unfinished = (
                None if number is None else int(number)
                for number in (number_of(event, key) for key in ("ticks", "missed", "unfinished"))
            )

    def _on_sample(self, event: Event) -> None:
        watch = self._watch_of(event)
        start, end = number_of(event, "start"), number_of(event, "end")
        if watch and start is not None and end is not None:
            outcome = text_of(event, "outcome") or "UNKNOWN"
            state = state_of(outcome, event.get("ok"))
            watch.samples.append(Observation(start, max(start, end), outcome, state, self._text(event, "text")))
            watch.probe = watch.probe or text_of(event, "probe")

    def _on_fault_planned(self, event: Event) -> None:
        fault = self._fault_of(event)
        fault.target, fault.summary = self._text(event, "target"), self._text(event, "summary")

    def _on_fault_applied(self, event: Event) -> None:
        start = number_of(event, "start")
        fault = self._fault_of(event)
        fault.applied, fault.undone, fault.healed_after = (event.t if start is None else start), None, None

    def _on_fault_undone(self, event: Event) -> None:
        end = number_of(event, "end")
        self._fault_of(event).undone = event.t if end is None else end

    def _on_fault_healed(self, event: Event) -> None:
        self._fault_of(event).healed_after = number_of(event, "seconds")

    def _on_expectation(self, event: Event) -> None:
        case = self._case_of(event)
        if case:
            case.expectations.append(
                Expectation(
                    text_of(event, "watch"),
                    self._text(event, "claim"),
                    number_of(event, "start"),
                    number_of(event, "end"),
                    verdict_of(event) or Verdict.INCONCLUSIVE,
                    self._text(event, "reason"),
                )
            )

    def _on_measurement(self, event: Event) -> None:
        case = self._case_of(event)
        if case:
            value, limit = value_of(event.get("value")), value_of(event.get("limit"))
            unit, verdict = text_of(event, "unit"), verdict_of(event)
            case.measurements.append(Measurement(self._text(event, "name"), value, unit, limit, verdict))

    def _on_wait(self, event: Event) -> None:
        seconds = number_of(event, "seconds") or 0.0
        physics = event.get("physics") is True
        what, case = self._text(event, "what"), text_of(event, "case")
        self._site_of(event).waits.append(Wait(what, event.t, seconds, physics, case))

    def _on_evidence(self, event: Event) -> None:
        exhibit = Exhibit(event.t, self._text(event, "title"), self._text(event, "text"))
        case = self._case_of(event)
        (case.exhibits if case else self._site_of(event).exhibits).append(exhibit)

    def _on_capture(self, event: Event) -> None:
        case = self._case_of(event)
        if case is None:
            return
        start, end = number_of(event, "start"), number_of(event, "end")
        size, packets, dropped = (whole_of(event, key) for key in ("size", "packets", "dropped"))
        place, interface, file, sha256 = (text_of(event, key) for key in ("place", "interface", "file", "sha256"))
        case.captures.append(
            Captured(
                event.t if start is None else start,
                event.t if end is None else end,
                place,
                interface,
                self._text(event, "expression"),
                file,
                sha256,
                size,
                packets,
                dropped,
                self._text(event, "reason"),
            )
        )

    def _on_diagnosis(self, event: Event) -> None:
        case = self._case_of(event)
        if case is None:
            return
        hops, notes = event.get("hops"), event.get("notes")
        source, target, step, failing = (text_of(event, key) for key in ("source", "target", "step", "failing"))
        case.diagnoses.append(
            Diagnosed(
                event.t,
                source,
                target,
                step,
                tuple(_hop(raw) for raw in hops if isinstance(raw, dict)) if isinstance(hops, list) else (),
                failing,
                self._text(event, "blame"),
                self._text(event, "message"),
                text_of(event, "agreement"),
                event.get("conclusive") is True,
                tuple(redact(str(note)) for note in notes) if isinstance(notes, list) else (),
            )
        )

    def _on_warning(self, event: Event) -> None:
        case, text = self._case_of(event), self._text(event, "text")
        if case:
            case.warnings.append(text)
        elif event.get("site"):
            self._site_of(event).warnings.append(text)
        else:
            self.result.warnings.append(text)

    # Finding what an event belongs to

    def _site(self, name: str) -> SiteRecord:
        return self.result.sites.setdefault(name, SiteRecord(name))

    def _site_of(self, event: Event) -> SiteRecord:
        return self._site(text_of(event, "site") or "(no site)")

    def _case_of(self, event: Event) -> Case | None:
        return self._open.get((text_of(event, "site"), text_of(event, "case")))

    def _watch_of(self, event: Event) -> Watch | None:
        case, name = self._case_of(event), text_of(event, "watch")
        return case.watches.setdefault(name, Watch(name)) if case else None

    def _fault_of(self, event: Event) -> FaultWindow:
        name = text_of(event, "fault")
        key = text_of(event, "id") or name
        case = self._case_of(event)
        for faults in (owner.faults for owner in (case, self._site_of(event)) if owner):
            if key in faults:
                return faults[key]
        for other in self._site_of(event).cases:  # healed after its case, or by another process
            if key in other.faults:
                return other.faults[key]
        home = case.faults if case else self._site_of(event).faults
        return home.setdefault(key, FaultWindow(key, name))

    def _text(self, event: Event, key: str) -> str:
        text = text_of(event, key)
        if text not in self._texts:  # most samples repeat a text: each is redacted once
            self._texts[text] = redact(text)
        return self._texts[text]


def covered(spans: list[tuple[float, float]]) -> float:
    """Seconds that lie in at least one span: two waits at once are not counted twice."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _hop(raw: dict[str, Any]) -> DiagnosedHop:
    name, status, detail, seen = (redact(str(raw.get(key) or "")) for key in ("hop", "status", "detail", "seen"))
    return DiagnosedHop(name, status, detail, seen)
