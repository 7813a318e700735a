"""What a run says towards each control, as short texts for a system that collects evidence by controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from islanding.evidence.clean import clean
from islanding.evidence.plain import ControlMap, ControlRef
from islanding.evidence.record import RequirementRow, RunResult
from islanding.model import Verdict


@dataclass(frozen=True)
class Statement:
    """What a run says of one requirement, in at most so many characters, and the controls towards which it counts."""

    row: str
    text: str
    controls: tuple[ControlRef, ...]


def statements(result: RunResult, controls: ControlMap, limit: int, rest: str) -> tuple[Statement, ...]:
    """A statement of at most `limit` characters for each row that a case of the run names and that has a control.

    `rest` says at the end where everything else is. Fails, skips and what is inconclusive are told as what they are.
    """
    found = []
    for row in result.rows:
        mapped = controls.of(row.requirement.id)
        if mapped and row.verdict is not Verdict.NOT_COVERED:
            found.append(Statement(row.requirement.id, _text(result, row, limit, rest), mapped))
    return tuple(found)


def _text(result: RunResult, row: RequirementRow, limit: int, rest: str) -> str:
    whole = "" if result.complete else " The run is incomplete, and counts as no pass."
    head = clean(
        f"{row.requirement.id}: {row.verdict.value.upper()}. {row.requirement.text}\n"
        f"Run {result.run} of islanding {result.revision}, target {result.target}, "
        f"begun {result.started_wall}.{whole}\n"
    )
    cases = [f"{case.site}, {case.id}: {case.verdict.value}" for case in row.cases]
    told = [f"Reason: {clean(row.reason)}"] if row.reason else []
    lines = [*told, *map(clean, cases)]
    end = clean(rest)
    text = head + "\n".join(lines) + "\n" + end
    if len(text) <= limit:
        return text
    mark = "\n[… more in the run's record]\n"
    return (head + "\n".join(lines))[: max(0, limit - len(mark) - len(end))] + mark + end[:limit]


def for_controls(
    said: Sequence[Statement], matches: Callable[[ControlRef], Iterable[str]], given: Iterable[tuple[str, str]] = ()
) -> dict[str, list[Statement]]:
    """The statements for each control of an assessment, by its id, none twice.

    `matches` gives the ids that a control of the mapping has there; `given` are pairs of a row and such an id.
    """
    rows = {one.row: one for one in said}
    found: dict[str, list[Statement]] = {}
    for one in said:
        for identity in dict.fromkeys(there for control in one.controls for there in matches(control)):
            found.setdefault(identity, []).append(one)
    for row, identity in given:
        if row in rows and rows[row] not in found.setdefault(identity, []):
            found[identity].append(rows[row])
    return {identity: texts for identity, texts in found.items() if texts}
