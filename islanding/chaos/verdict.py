"""The verdict of an experiment, from Chaos Toolkit's journal and our findings; its exit code is not asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from islanding.model import Verdict


@dataclass(frozen=True)
class Outcome:
    """A verdict and its reason."""

    verdict: Verdict
    reason: str = ""


def verdict_of(chaos: Mapping[str, Any] | None, findings: Iterable[Outcome], trouble: str = "") -> Outcome:
    """What an experiment came to.

    `chaos` is Chaos Toolkit's journal (None: there is none); `findings` are those of the expectations; `trouble` is
    what kept the watches from working. A claim that does not hold, a steady state that did not come back, or a rollback
    that failed is a failure, whatever else happened. Without one, whatever kept the experiment from running as written
    makes it inconclusive; so does a steady state that was missing before the method, since nothing was tried then.
    """
    findings = list(findings)
    failed = [found.reason for found in findings if found.verdict is Verdict.FAIL]
    opened = [found.reason for found in findings if found.verdict not in (Verdict.PASS, Verdict.FAIL)]
    if trouble:
        opened.insert(0, trouble)
    if chaos is None:
        opened.insert(0, "Chaos Toolkit wrote no journal")
    else:
        more_failed, more_opened = _of_chaos(chaos)
        failed += more_failed
        opened = more_opened + opened
    if failed:
        return Outcome(Verdict.FAIL, "; ".join(failed))
    if opened:
        return Outcome(Verdict.INCONCLUSIVE, "; ".join(opened))
    if not findings and not (chaos and chaos.get("steady_states", {}).get("after")):
        return Outcome(Verdict.INCONCLUSIVE, "nothing was claimed and no steady state was tested")
    return Outcome(Verdict.PASS)


def _of_chaos(chaos: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    failed: list[str] = []
    opened: list[str] = []
    states = chaos.get("steady_states") or {}
    before, after = states.get("before"), states.get("after")
    if before and not before.get("steady_state_met"):
        opened.append(f"the steady state was not there before the method: {_unsteady(before)}")
    if after and not after.get("steady_state_met"):
        broken = [run for run in after.get("probes", []) if run.get("status") != "succeeded"]
        (opened if broken else failed).append(f"the steady state was not there after the method: {_unsteady(after)}")
    if chaos.get("status") in ("interrupted", "aborted"):
        opened.append(f"the experiment was {chaos['status']}")
    opened += [f"{_name(run)}: {_why(run)}" for run in chaos.get("run", []) if run.get("status") != "succeeded"]
    failed += [
        f"rollback {_name(run)}: {_why(run)}" for run in chaos.get("rollbacks", []) if run.get("status") != "succeeded"
    ]
    return failed, opened


def _unsteady(state: Mapping[str, Any]) -> str:
    for run in state.get("probes", []):
        if run.get("status") != "succeeded":
            return f"{_name(run)}: {_why(run)}"
        if not run.get("tolerance_met", True):
            wanted = run.get("activity", {}).get("tolerance")
            return f"{_name(run)} gave {run.get('output')!r}, wanted {wanted!r}"
    return "no probe was run"


def _name(run: Mapping[str, Any]) -> str:
    return str(run.get("activity", {}).get("name", "an activity"))


def _why(run: Mapping[str, Any]) -> str:
    lines = [line for line in run.get("exception") or [] if line.strip()]
    return lines[-1].strip() if lines else f"status {run.get('status')}"
