"""What is told of a run: its verdict, the one before, and what did not pass; pure, and without secrets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

from islanding.evidence.record import RunResult
from islanding.model import Verdict
from islanding.notify.config import When
from islanding.redact import redact

FORMAT = "islanding.notification/1"
SHOWN = 20  # cases that did not pass, and problems
LONGEST = 500  # characters of a reason


@dataclass(frozen=True)
class Earlier:
    """The run before: its name, when it began (ISO 8601), and its verdict."""

    run: str
    began: str
    verdict: str


class History(Protocol):
    """Whoever knows the runs before."""

    def before(self, run: str, sites: tuple[str, ...], target: str, began: str) -> Earlier | None:
        """The last run of the same sites and target that had ended with a verdict and began before `began`."""


def is_told(when: When, verdict: str, earlier: Earlier | None) -> bool:
    """Whether a run with this verdict is told of; the first of its sites is a change."""
    if when == "always":
        return True
    if when == "failure":
        return verdict != Verdict.PASS.value
    return earlier is None or earlier.verdict != verdict


def message(result: RunResult, sites: tuple[str, ...], earlier: Earlier | None, exit_code: int) -> dict[str, Any]:
    """What is told, as JSON's values; `sites` are their names as their owner knows them."""
    bad = [case for case in result.cases if case.verdict is not Verdict.PASS]
    return {
        "format": FORMAT,
        "run": result.run,
        "sites": list(sites),
        "target": result.target,
        "verdict": result.verdict.value,
        "exit_code": exit_code,
        "changed": earlier is None or earlier.verdict != result.verdict.value,
        "previous": None if earlier is None else {"run": earlier.run, "verdict": earlier.verdict},
        "started": result.started_wall,
        "seconds": round(result.seconds, 3),
        "revision": result.revision,
        "cases": dict(sorted(Counter(case.verdict.value for case in result.cases).items())),
        "not_passed": [
            {
                "site": case.site,
                "case": case.id,
                "verdict": case.verdict.value,
                "requirements": list(case.requirements),
                "reason": _short(case.reason),
            }
            for case in bad[:SHOWN]
        ],
        "more": max(0, len(bad) - SHOWN),
        "problems": [_short(problem) for problem in result.problems[:SHOWN]],
    }


def subject(told: dict[str, Any]) -> str:
    """One line for a mail's subject: the verdict, the sites, the verdict before."""
    before = told["previous"]
    since = f", was {before['verdict']}" if before and told["changed"] else ""
    return _line(f"islanding: {told['verdict']} at {', '.join(told['sites'])}{since}")


def text(told: dict[str, Any]) -> str:
    """The same for people, in plain text."""
    before = told["previous"]
    was = f"{before['verdict']} in {before['run']}" if before else "this is the first run on record"
    counts = ", ".join(f"{number} {verdict}" for verdict, number in told["cases"].items()) or "none"
    lines = [
        f"Run        {told['run']}",
        f"Sites      {', '.join(told['sites'])} ({told['target']})",
        f"Verdict    {told['verdict']} (exit code {told['exit_code']})",
        f"Before     {was}",
        f"Started    {told['started']}, took {told['seconds']:.0f} s",
        f"Cases      {counts}",
    ]
    lines += ["", *(f"- {one['site']}, {one['case']}: {one['verdict']}: {one['reason']}" for one in told["not_passed"])]
    lines += [f"- and {told['more']} more"] if told["more"] else []
    lines += ["", *(f"! {problem}" for problem in told["problems"])] if told["problems"] else []
    return "\n".join(lines).rstrip() + "\n"


def _short(words: str) -> str:
    told = _line(redact(words))
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"


def _line(words: str) -> str:
    """On one line and without control characters: nothing in it makes a header or moves a terminal's cursor."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())
