"""What the history keeps of a run: verdicts, components, wordings and figures, taken from the result of its journal."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from islanding.evidence.record import Case, RunResult, SiteRecord
from islanding.evidence.results import left
from islanding.history.wording import Wording, wordings_of
from islanding.model import Verdict

# Facts of a site that are other words for what is kept elsewhere, or differ each time that a site is made.
_FACT_OF_A_PART = re.compile(r" version$")
_MADE_ANEW = re.compile(
    r"^(?:arn:|/)|(?:^|[,/])[a-z]+-[0-9a-f]{8,17}(?:$|[,/])|^[0-9a-fA-F]{32}\.|^\d{1,3}(?:\.\d{1,3}){3}$"
)
_CODE = "code.sha256"  # of a run's inputs: the hashes of all files of this project
_OPTIONS = "options.json"  # what was asked of the run: it says which cases ran, and no case runs on it
_DURATION = "duration"
_READY = "ready"


@dataclass(frozen=True, order=True)
class Component:
    """Something that a run ran on, by its name: version and SHA-256 (either may be empty).

    `kind` is `part` (a binary, an image, a package), `code` (this project: revision, hash of its files),
    `input` (a file that the run was given), `host` (a fact of the machine) or `site` (a setting of a site).
    """

    kind: str
    name: str
    version: str = ""
    sha256: str = ""

    def concerns(self, sites: Collection[str]) -> bool:
        """Whether any of `sites` runs on it: a site's own files are no matter of the others."""
        folder, _, rest = self.name.partition("/")
        return self.kind != "input" or folder != "sites" or rest.partition("/")[0] in sites


@dataclass(frozen=True, order=True)
class Series:
    """What a figure measures, the same in every run; `case` is empty for a site's own, `site` too for the run's."""

    site: str
    case: str
    name: str
    unit: str


@dataclass(frozen=True)
class CaseRecord:
    """One case at one site; `attempt` counts from 1 where a journal holds the case more than once."""

    site: str
    case: str
    attempt: int
    title: str
    verdict: Verdict
    reason: str
    seconds: float
    requirements: tuple[str, ...] = ()
    outcomes: frozenset[tuple[str, str]] = frozenset()  # (watch, outcome)
    wordings: tuple[Wording, ...] = ()


@dataclass(frozen=True)
class SiteSummary:
    """One site of a run: its verdict, why it is no pass, how many cases came to each verdict, seconds until ready."""

    site: str
    verdict: Verdict
    reason: str
    counts: dict[str, int]
    ready_after: float | None
    settings: tuple[Component, ...] = ()


@dataclass(frozen=True)
class RunRecord:
    """A run as the history keeps it; `started` and `ended` are UTC in ISO 8601, `seconds` how long it took.

    `journal_sha256` is the hash of the first `journal_bytes` bytes of the journal: all of it when it was recorded.
    """

    run: str
    journal_sha256: str
    journal_bytes: int
    place: str
    target: str
    revision: str
    started: str
    ended: str
    seconds: float
    verdict: Verdict
    exit_code: int
    complete: bool
    problems: tuple[str, ...]
    components: tuple[Component, ...]
    sites: tuple[SiteSummary, ...]
    cases: tuple[CaseRecord, ...]
    requirements: dict[str, tuple[Verdict, str]] = field(default_factory=dict)  # row -> (verdict, reason)
    figures: tuple[tuple[Series, float], ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many cases came to each verdict."""
        return dict(Counter(case.verdict.value for case in self.cases))


def record_of(result: RunResult, journal: Path, place: Path | None = None) -> RunRecord:
    """What to keep of `result`, which was read from `journal`; `place` is where a user finds the run again."""
    with journal.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return RunRecord(
        run=result.run or journal.parent.name,
        journal_sha256=digest,
        journal_bytes=size,
        place=str((place or journal.parent).absolute()),
        target=result.target,
        revision=result.revision,
        started=utc(result.started_wall),
        ended=utc(result.ended_wall),
        seconds=result.seconds,
        verdict=result.verdict,
        exit_code=int(result.exit_code),
        complete=result.complete,
        problems=tuple(result.problems),
        components=components_of(result),
        sites=tuple(_site(result, site) for site in result.sites.values() if site.name in _named(result)),
        cases=tuple(_cases(result)),
        requirements={
            row.requirement.id: (row.verdict, row.reason)
            for row in result.rows
            if row.verdict is not Verdict.NOT_COVERED
        },
        figures=tuple(_figures(result).items()),
    )


def utc(wall: str) -> str:
    """A wall-clock time of a journal in one shape, so that times sort as texts; what is no time stays as it is."""
    try:
        return datetime.fromisoformat(wall).astimezone(UTC).isoformat(timespec="milliseconds")
    except ValueError:
        return wall


def components_of(result: RunResult) -> tuple[Component, ...]:
    """What the run ran on: parts with versions and hashes, the code, files that it was given, facts of the host."""
    parts = result.parts if isinstance(result.parts, dict) else {}
    hashes = result.hashes if isinstance(result.hashes, dict) else {}
    host = result.host if isinstance(result.host, dict) else {}
    found = [
        Component("part", name, _text(parts.get(name)), _text(hashes.get(name)))
        for name in sorted({str(key) for key in (*parts, *hashes)})
    ]
    inputs = {str(name): _text(sha) for name, sha in result.inputs.items()} if isinstance(result.inputs, dict) else {}
    found.append(Component("code", "islanding", result.revision, inputs.get(_CODE, "")))
    found += [
        Component("input", name, "", sha) for name, sha in sorted(inputs.items()) if name not in {_CODE, _OPTIONS}
    ]
    found += [Component("host", str(name), _text(value)) for name, value in sorted(host.items())]
    return tuple(found)


def _named(result: RunResult) -> set[str]:
    """The sites of the run; an event that names none is filed under a site that is none."""
    return {name for name, site in result.sites.items() if site.cases or name in result.site_names}


def _site(result: RunResult, site: SiteRecord) -> SiteSummary:
    verdict, reason = _site_verdict(result, site)
    return SiteSummary(
        site=site.name,
        verdict=verdict,
        reason=reason,
        counts=dict(Counter(case.verdict.value for case in site.cases)),
        ready_after=site.ready_after,
        settings=tuple(
            Component("site", f"{site.name}: {name}", value)
            for name, value in sorted(site.facts.items())
            if not _FACT_OF_A_PART.search(name) and not _MADE_ANEW.search(value)
        ),
    )


def _site_verdict(result: RunResult, site: SiteRecord) -> tuple[Verdict, str]:
    """Pass only when the run is complete, the site came up and stayed sound, and each of its cases passed."""
    verdicts = {case.verdict for case in site.cases}
    remaining = [fault.trouble for name, fault in left(result) if name == site.name]
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL, "a case failed"
    if result.finished and remaining:
        return Verdict.FAIL, f"a fault {remaining[0]}"
    doubts = [
        (bool(site.failed), f"did not come up: {site.failed}"),
        (bool(site.troubles), f"itself failed: {'; '.join(site.troubles)}"),
        (not site.cases, "no case ran"),
        (not result.complete, "the run is incomplete"),
        (verdicts - {Verdict.PASS} != set(), "a case was inconclusive or skipped"),
    ]
    reason = next((reason for holds, reason in doubts if holds), "")
    return (Verdict.INCONCLUSIVE, reason) if reason else (Verdict.PASS, "")


def _cases(result: RunResult) -> list[CaseRecord]:
    found: list[CaseRecord] = []
    attempts: Counter[tuple[str, str]] = Counter()
    for case in result.cases:
        attempts[case.site, case.id] += 1
        found.append(
            CaseRecord(
                site=case.site,
                case=case.id,
                attempt=attempts[case.site, case.id],
                title=case.title,
                verdict=case.verdict,
                reason=case.reason,
                seconds=case.seconds,
                requirements=case.requirements,
                outcomes=frozenset(
                    (watch.name, stretch.outcome) for watch in case.watches.values() for stretch in watch.stretches
                ),
                wordings=wordings_of(case),
            )
        )
    return found


def _figures(result: RunResult) -> dict[Series, float]:
    """Each figure of the run by its series; of a case that ran more than once, those of the last."""
    found: dict[Series, float] = {Series("", "", _DURATION, "s"): result.seconds}
    for site in result.sites.values():
        if site.ready_after is not None:
            found[Series(site.name, "", _READY, "s")] = site.ready_after
        for case in site.cases:
            found |= _figures_of(case)
    return found


def _figures_of(case: Case) -> dict[Series, float]:
    found: dict[Series, float] = {}
    if case.finished:
        found[Series(case.site, case.id, _DURATION, "s")] = case.seconds
    for measurement in case.measurements:
        try:
            value = float(measurement.value)
        except ValueError:
            continue  # a measurement may be a word; it is in the report
        found[Series(case.site, case.id, measurement.name, measurement.unit)] = value
    return found


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
