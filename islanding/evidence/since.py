"""What changed in verdicts, parts and code between an earlier run and this one; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from islanding.evidence.overview import worst
from islanding.evidence.record import Case, RunResult
from islanding.evidence.shown import pairs
from islanding.model import Verdict

Key = TypeVar("Key", bound=Hashable)
_RANK = {
    Verdict.FAIL: 0,
    Verdict.INCONCLUSIVE: 1,
    Verdict.SKIPPED: 2,
    Verdict.NOT_COVERED: 2,
    Verdict.PASS: 3,
}


@dataclass(frozen=True)
class VerdictChange:
    """A row or a case whose verdict changed, None where it was, or is, not there; `case` is the one of this run."""

    name: str
    before: Verdict | None
    after: Verdict | None
    case: Case | None = None

    @property
    def rank(self) -> int:
        """How much to look at it: 0 for the worse, 1 for what came or went, 2 for the better."""
        if self.before is None or self.after is None:
            return 1
        return 0 if _RANK[self.after] < _RANK[self.before] else 2 if _RANK[self.after] > _RANK[self.before] else 1


@dataclass(frozen=True)
class ValueChange:
    """A part's version, the code or the target, before and now; empty when it was, or is, not told."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Since:
    """The changes since the run `run` (whose folder's name it is), begun at `wall`."""

    run: str
    wall: str
    rows: tuple[VerdictChange, ...]
    cases: tuple[VerdictChange, ...]
    values: tuple[ValueChange, ...]

    @property
    def count(self) -> int:
        return len(self.rows) + len(self.cases) + len(self.values)


def since(result: RunResult, previous: RunResult) -> Since:
    """Compare `result` with the earlier run `previous`; what is worse now comes first."""
    rows_then = {row.requirement.id: row.verdict for row in previous.rows}
    rows_now = {row.requirement.id: row.verdict for row in result.rows}
    cases_then, cases_now = _cases(previous), _cases(result)
    rows = [VerdictChange(name, rows_then.get(name), rows_now.get(name)) for name in _both(rows_now, rows_then)]
    cases = [
        VerdictChange(
            f"{site}: {name}",
            _verdict(cases_then.get((site, name))),
            _verdict(cases_now.get((site, name))),
            next(iter(cases_now.get((site, name), [])), None),
        )
        for site, name in _both(cases_now, cases_then)
    ]
    told = {"target": (previous.target, result.target), "code": (previous.revision, result.revision)}
    values = [ValueChange(name, *both) for name, both in told.items()]
    parts_then, parts_now = dict(pairs(previous.parts)), dict(pairs(result.parts))
    values += [ValueChange(n, parts_then.get(n, ""), parts_now.get(n, "")) for n in _both(parts_now, parts_then)]
    return Since(
        run=previous.run,
        wall=previous.started_wall,
        rows=tuple(sorted((row for row in rows if row.before is not row.after), key=lambda change: change.rank)),
        cases=tuple(sorted((case for case in cases if case.before is not case.after), key=lambda change: change.rank)),
        values=tuple(value for value in values if value.before != value.after),
    )


def _cases(result: RunResult) -> dict[tuple[str, str], list[Case]]:
    found: dict[tuple[str, str], list[Case]] = {}
    for case in result.cases:
        found.setdefault((case.site, case.id), []).append(case)
    return found


def _verdict(cases: list[Case] | None) -> Verdict | None:
    return worst([case.verdict for case in cases]) if cases else None


def _both(now: Mapping[Key, object], then: Mapping[Key, object]) -> list[Key]:
    """The keys of both, those of `now` first."""
    return [*now, *(key for key in then if key not in now)]
