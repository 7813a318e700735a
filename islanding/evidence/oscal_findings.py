"""Observations and findings of a run for OSCAL: what each case showed, and what that comes to for each control.

A control is satisfied only when every row that counts towards it passed, in a run that holds as a whole. What is
inconclusive, skipped or not covered never satisfies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from islanding.evidence.controls import Control, Controls
from islanding.evidence.oscal_words import (
    Names,
    Node,
    filled,
    line,
    markup,
    markup_line,
    moment,
    prop,
    props,
    stamp,
    token,
)
from islanding.evidence.record import Case, RequirementRow, RunResult
from islanding.model import Verdict

FRAMEWORK = "nist-800-53"  # whose control ids an OSCAL finding names; the others' are properties


@dataclass(frozen=True)
class Assessed:
    """A control with the rows that count towards it, and what they came to."""

    id: str
    title: str
    rows: tuple[tuple[RequirementRow, Control], ...]
    state: str  # satisfied, not-satisfied
    reason: str  # pass, fail, other

    @property
    def covered(self) -> bool:
        """True when at least one of its rows has a case in this run."""
        return any(row.cases for row, _ in self.rows)

    @property
    def name(self) -> str:
        """The control as NIST prints it: `SC-7(5) Deny by Default`."""
        family, _, enhancement = self.id.partition(".")
        return f"{family.upper()}{f'({enhancement})' if enhancement else ''} {self.title}"

    @property
    def objective(self) -> str:
        """The id of the objective that we add to the control: what our rows show of it."""
        return f"{self.id}_islanding"

    def part(self, row: RequirementRow) -> str:
        """The id of the part of the objective that one row is."""
        return f"{self.objective}.{row.requirement.id.lower()}"


def state(rows: Iterable[RequirementRow], *, whole: bool) -> tuple[str, str]:
    """State and reason, in OSCAL's words, of rows together; `whole` is False for a run that cannot count as passed."""
    verdicts = {row.verdict for row in rows}
    if Verdict.FAIL in verdicts:
        return "not-satisfied", "fail"
    if verdicts == {Verdict.PASS} and whole:
        return "satisfied", "pass"
    return "not-satisfied", "other"


def assess(result: RunResult, controls: Controls) -> tuple[Assessed, ...]:
    """Every control of the catalogue's framework that the mapping names, in the order of the mapping's file."""
    rows = {row.requirement.id: row for row in result.rows}
    found = []
    for control_id, title in controls.framework(FRAMEWORK).controls.items():
        mapped = tuple((rows[row], c) for row, c in controls.rows_of(FRAMEWORK, control_id) if row in rows)
        found.append(Assessed(control_id, title, mapped, *state((r for r, _ in mapped), whole=not result.problems)))
    return tuple(found)


@dataclass(frozen=True)
class Account:
    """What observations and findings of one run have in common."""

    result: RunResult
    controls: Controls
    names: Names
    environment: str  # lab, aws or unknown: said in every observation and finding, so that none passes for another
    tool: str  # uuid of the assessment platform
    journal: str  # uuid of the resource that the journal is
    start: datetime

    @cached_property
    def _observed(self) -> dict[int, str]:
        """The uuid of each case's observation; a case that ran twice has two."""
        seen: dict[tuple[str, str], int] = {}
        found: dict[int, str] = {}
        for case in self.result.cases:
            turn = seen[case.site, case.id] = seen.get((case.site, case.id), 0) + 1
            found[id(case)] = self.names.uuid("observation", case.site, case.id, str(turn))
        return found

    @property
    def origins(self) -> list[Node]:
        """Who says so: the tool."""
        return [{"actors": [{"type": "tool", "actor-uuid": self.tool}]}]

    def observations(self) -> list[Node]:
        """One observation a case, by test."""
        return [self._observation(case) for case in self.result.cases]

    def _observation(self, case: Case) -> Node:
        collected = moment(case.wall, case.seconds) or moment(case.wall) or self.start
        said = [("environment", self.environment), ("site", case.site), ("case", case.id), ("verdict", case.verdict)]
        said += [("requirement", row) for row in case.requirements]
        counts = sorted({(c.framework, c.id) for row in case.requirements for c in self.controls.of(row)})
        where = f"Case {line(case.id)} at site {line(case.site)}"
        return filled(
            {
                "uuid": self._observed[id(case)],
                "title": markup_line(case.title or case.id),
                "description": f"{markup(where)}, {_kind(self.environment)}: {case.verdict}."
                + (f"\n\n{markup(case.reason)}" if case.reason else ""),
                "props": [*props(said), *(prop("control", control, framework) for framework, control in counts)],
                "methods": ["TEST"],
                "types": ["control-objective"],
                "origins": self.origins,
                "subjects": [{"subject-uuid": self.names.uuid("site", case.site), "type": "component"}],
                "relevant-evidence": [self._evidence(case, where)],
                "collected": stamp(collected),
                "remarks": "\n".join(
                    f"- {markup_line(f'{e.watch}: {e.claim}: {e.verdict}: {e.reason}')}"
                    for e in case.expectations
                    if e.verdict is not Verdict.PASS
                ),
            }
        )

    def _evidence(self, case: Case, where: str) -> Node:
        """Where in the journal the case lies, and what was measured in it."""
        span = f"from {case.started:.3f} s to {case.ended:.3f} s of the run's monotonic clock"
        measured = ((f"measured_{token(m.name)}", f"{m.value} {m.unit}".strip()) for m in case.measurements)
        return filled(
            {
                "href": f"#{self.journal}",
                "description": markup(f"{where}: its events in the journal, {span}."),
                "props": props(measured),
            }
        )

    def findings(self, assessed: Iterable[Assessed]) -> list[Node]:
        """For each control of which something was shown: a finding of the whole, and one of each row with cases."""
        found: list[Node] = []
        for control in assessed:
            if control.covered:
                found.append(self._whole(control))
                found += [self._row(control, row, mapped) for row, mapped in control.rows if row.cases]
        return found

    def _whole(self, control: Assessed) -> Node:
        passed = sum(row.verdict is Verdict.PASS for row, _ in control.rows)
        text = (
            f"{passed} of the {len(control.rows)} rows that count towards it passed, {_kind(self.environment)}. "
            f"This is about our objective {control.objective}, not about the control as a whole."
        )
        remarks = "\n".join(
            f"- {row.requirement.id}: {row.verdict}. {markup_line(mapped.why)}" for row, mapped in control.rows
        )
        cases = (case for row, _ in control.rows for case in row.cases)
        target = (control.objective, control.state, control.reason)
        return self._finding(control.name, text, target, [], cases, remarks)

    def _row(self, control: Assessed, row: RequirementRow, mapped: Control) -> Node:
        text = f"{row.requirement.id}, {_kind(self.environment)}: {row.verdict}. {markup_line(mapped.why)}"
        target = (control.part(row), *state([row], whole=not self.result.problems))
        said = [("requirement", row.requirement.id)]
        title = f"{control.name}: {row.requirement.id}"
        return self._finding(title, text, target, said, row.cases, markup(row.reason) if row.reason else "")

    def _finding(
        self,
        title: str,
        text: str,
        target: tuple[str, str, str],
        said: list[tuple[str, str]],
        cases: Iterable[Case],
        remarks: str,
    ) -> Node:
        objective, state_, reason = target
        observed = dict.fromkeys(self._observed[id(case)] for case in cases)
        return filled(
            {
                "uuid": self.names.uuid("finding", objective),
                "title": title,
                "description": text,
                "props": props([("environment", self.environment), *said]),
                "origins": self.origins,
                "target": {
                    "type": "objective-id",
                    "target-id": objective,
                    "status": {"state": state_, "reason": reason},
                },
                "related-observations": [{"observation-uuid": uuid} for uuid in observed],
                "remarks": remarks,
            }
        )


def _kind(environment: str) -> str:
    return {"lab": "in a lab", "aws": "at a live site on AWS"}.get(environment, "in an environment that is not told")
