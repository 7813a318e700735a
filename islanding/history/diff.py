"""What differs between two runs: verdicts, requirement rows, components, messages, and figures beyond noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from islanding.history.noise import Judged, judge
from islanding.history.record import CaseRecord, Component, RunRecord, Series
from islanding.history.wording import same_words

K = TypeVar("K")
V = TypeVar("V")

Area = Literal["verdicts", "requirements", "components", "messages", "figures"]
AREAS: tuple[Area, ...] = ("verdicts", "requirements", "components", "messages", "figures")


@dataclass(frozen=True)
class Change:
    """One difference: what it is about, how it was before and after (empty: not there), and a note."""

    area: Area
    what: str
    before: str
    after: str
    note: str = ""


def compare(
    before: RunRecord, after: RunRecord, earlier: Mapping[Series, Sequence[float]] | None = None
) -> list[Change]:
    """Every difference from one run to the other, in the order of AREAS.

    `earlier` holds earlier values of figures, newest first, by which noise is told (see `noise`).
    """
    return [
        *_verdicts(before, after),
        *_requirements(before, after),
        *_components(before, after),
        *_messages(before, after),
        *_figures(before, after, earlier or {}),
    ]


def _verdicts(before: RunRecord, after: RunRecord) -> Iterable[Change]:
    if before.verdict is not after.verdict or before.exit_code != after.exit_code:
        yield Change("verdicts", "the run", _run_verdict(before), _run_verdict(after), "; ".join(after.problems))
    for name, one, other in _pairs({s.site: s for s in before.sites}, {s.site: s for s in after.sites}):
        was, now = (site.verdict.value if site else "" for site in (one, other))
        if was != now:
            yield Change("verdicts", f"site {name}", was, now, other.reason if other else "")
    for name, case, later in _pairs(_cases(before), _cases(after)):
        was, now = (found.verdict.value if found else "" for found in (case, later))
        if was != now:
            told = later or case
            yield Change("verdicts", name, was, now, told.reason if told else "")


def _run_verdict(run: RunRecord) -> str:
    return f"{run.verdict.value} (exit code {run.exit_code})"


def _requirements(before: RunRecord, after: RunRecord) -> Iterable[Change]:
    for row, one, other in _pairs(before.requirements, after.requirements):
        was, now = (found[0].value if found else "" for found in (one, other))
        if was != now:
            yield Change("requirements", row, was, now, other[1] if other else "")


def _components(before: RunRecord, after: RunRecord) -> Iterable[Change]:
    if before.target != after.target:
        yield Change("components", "target", before.target, after.target)
    sites = {s.site for s in before.sites} & {s.site for s in after.sites}  # a site of one run alone is told above
    ones, others = (_by_name(run, sites) for run in (before, after))
    for (kind, name), one, other in _pairs(ones, others):
        if one != other:
            label = {"part": "part", "code": "code of", "input": "input", "host": "host,", "site": "setting of"}.get(
                kind, kind
            )
            yield Change("components", f"{label} {name}", *_told(one, other))


def _by_name(run: RunRecord, sites: set[str]) -> dict[tuple[str, str], Component]:
    settings = [component for site in run.sites if site.site in sites for component in site.settings]
    return {
        (component.kind, component.name): component
        for component in (*run.components, *settings)
        if component.concerns(sites)
    }


def _told(one: Component | None, other: Component | None) -> tuple[str, str]:
    """Both as words: version, and hash where that is what differs."""
    hashed = (one.sha256 if one else "") != (other.sha256 if other else "")
    texts = []
    for component in (one, other):
        words = [component.version] if component and component.version else []
        if component and hashed:
            words.append(f"sha256 {component.sha256[:16]}" if component.sha256 else "no hash")
        texts.append(", ".join(words) or ("there" if component else ""))
    return texts[0], texts[1]


def _messages(before: RunRecord, after: RunRecord) -> Iterable[Change]:
    for name, case, later in _pairs(_cases(before), _cases(after)):
        if case is None or later is None:
            continue
        if case.verdict is later.verdict and same_words(case.reason) != same_words(later.reason):
            yield Change("messages", f"{name}, why it is {case.verdict.value}", case.reason, later.reason)
        for watch, outcome in sorted(case.outcomes ^ later.outcomes):
            seen, gone = ("seen", "") if (watch, outcome) in case.outcomes else ("", "seen")
            yield Change("messages", f"{name}, {watch}: {outcome}", seen, gone)
        ones, others = ({w.key: w.text for w in found.wordings} for found in (case, later))
        common = case.outcomes & later.outcomes
        for (watch, outcome, _), text, other in _pairs(ones, others):
            told = (watch, outcome) in common or not any(watch == w for w, _ in case.outcomes | later.outcomes)
            if told and (text is None) != (other is None):  # of an outcome that is new, its being new says it
                yield Change("messages", f"{name}, {watch}: {outcome}", text or "", other or "")


def _figures(before: RunRecord, after: RunRecord, earlier: Mapping[Series, Sequence[float]]) -> Iterable[Change]:
    for series, judged in judged_figures(before, after, earlier):
        if judged.changed:
            yield Change("figures", name_of(series), *_values(judged, series.unit))


def judged_figures(
    before: RunRecord, after: RunRecord, earlier: Mapping[Series, Sequence[float]]
) -> list[tuple[Series, Judged]]:
    """Each figure that both runs have, held to its noise."""
    later = dict(after.figures)
    return [
        (series, judge(value, later[series], series.unit, earlier.get(series, ())))
        for series, value in before.figures
        if series in later
    ]


def _values(judged: Judged, unit: str) -> tuple[str, str, str]:
    before, after, noise = (f"{value:.4g} {unit}".strip() for value in (judged.before, judged.after, judged.noise))
    return before, after, f"noise {noise}: {judged.method}"


def name_of(series: Series) -> str:
    """A figure as people call it: `outpost-local, CASE: duration`."""
    where = ", ".join(part for part in (series.site, series.case) if part) or "the run"
    return f"{where}: {series.name}"


def _cases(run: RunRecord) -> dict[str, CaseRecord]:
    """The cases of a run by a name that is the same in another run."""
    return {
        f"{case.site}, {case.case}" + (f" (attempt {case.attempt})" if case.attempt > 1 else ""): case
        for case in run.cases
    }


def _pairs(one: Mapping[K, V], other: Mapping[K, V]) -> list[tuple[K, V | None, V | None]]:
    """(key, value in one, value in the other) in the first one's order, then what the other has besides."""
    return [(key, one.get(key), other.get(key)) for key in dict.fromkeys((*one, *other))]
