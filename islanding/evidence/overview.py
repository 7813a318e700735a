"""What the first page says: what was proven and what was not, area by area; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from islanding.evidence.controls import Controls
from islanding.evidence.record import Case, RequirementRow, RunResult
from islanding.model import Verdict

ORDER = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.SKIPPED, Verdict.NOT_COVERED)
_WORST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.SKIPPED, Verdict.NOT_COVERED, Verdict.PASS)


@dataclass(frozen=True)
class Area:
    """One area of the table of requirements: how many of its rows came to which verdict."""

    letter: str
    title: str
    counts: dict[Verdict, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def proven(self) -> int:
        return self.counts[Verdict.PASS]


@dataclass(frozen=True)
class ControlRow:
    """A control, the rows mapped to it with the reason of each, and what the rows together came to."""

    id: str
    title: str
    rows: tuple[tuple[RequirementRow, str], ...]

    @property
    def proven(self) -> int:
        return sum(row.verdict is Verdict.PASS for row, _ in self.rows)

    @property
    def verdict(self) -> Verdict:
        """The worst of its rows: it is proven only when every row is."""
        return worst([row.verdict for row, _ in self.rows])


@dataclass(frozen=True)
class ControlTable:
    """The controls of one framework that rows of the table are mapped to, in the framework's own order."""

    title: str
    source: str
    controls: tuple[ControlRow, ...]


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that stands for several; a failure outweighs what is open, what is open outweighs what passed."""
    return next((verdict for verdict in _WORST if verdict in verdicts), Verdict.NOT_COVERED)


def areas(result: RunResult) -> list[Area]:
    """The areas in the order of the table."""
    found: dict[str, list[RequirementRow]] = {}
    for row in result.rows:
        found.setdefault(row.requirement.area, []).append(row)
    return [
        Area(letter, rows[0].requirement.area_title, {v: sum(row.verdict is v for row in rows) for v in ORDER})
        for letter, rows in found.items()
    ]


def open_rows(result: RunResult) -> list[RequirementRow]:
    """The rows that cases looked at and did not prove, the worst first."""
    rows = [row for row in result.rows if row.cases and row.verdict is not Verdict.PASS]
    return sorted(rows, key=lambda row: _WORST.index(row.verdict))


def deciding(row: RequirementRow) -> list[Case]:
    """The cases whose verdict is the row's, when it did not pass: they hold the reason."""
    return [case for case in row.cases if case.verdict is row.verdict and row.verdict is not Verdict.PASS]


def beside_the_table(result: RunResult) -> list[Case]:
    """The cases that did not pass and that no row of the table speaks for."""
    spoken = {id(case) for row in result.rows for case in row.cases}
    return [case for case in result.cases if case.verdict is not Verdict.PASS and id(case) not in spoken]


def control_tables(result: RunResult, controls: Controls | None) -> list[ControlTable]:
    """A table for each framework whose controls rows are mapped to; none without a mapping."""
    if controls is None:
        return []
    tables = []
    for framework in controls.frameworks:
        mapped: dict[str, list[tuple[RequirementRow, str]]] = {id_: [] for id_ in framework.controls}
        for row in result.rows:
            for control in controls.of(row.requirement.id):
                if control.framework == framework.id:
                    mapped.setdefault(control.id, []).append((row, control.why))
        found = [ControlRow(id_, framework.controls.get(id_, ""), tuple(rows)) for id_, rows in mapped.items() if rows]
        if found:
            tables.append(ControlTable(framework.title, framework.source, tuple(found)))
    return tables
