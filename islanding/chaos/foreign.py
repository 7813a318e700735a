"""Actions of chaostoolkit-aws in an experiment: undone by the undo log where their inverse is known, refused where not.

Chaos Toolkit runs them; the control writes what undoes them to the undo log before, and marks it applied after.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaoslib import substitute

from islanding import guard
from islanding.faults import Plan
from islanding.faults._foreign import MENDING, ForeignAction, has_inverse, is_foreign, unknown
from islanding.faults.apply import arm, held_plans, record
from islanding.journal import Journal
from islanding.model import Site
from islanding.stopping import leave_stops, watch_stops
from islanding.undo import State, UndoLog


@dataclass(frozen=True)
class Begun:
    """An action that may run: its plan, whose undo is on disk, and when it began."""

    plan: Plan
    log: UndoLog
    start: float


def is_concerned(activity: Mapping[str, Any]) -> bool:
    """Whether an activity is an action of chaostoolkit-aws."""
    provider = activity.get("provider") or {}
    return activity.get("type") == "action" and is_foreign(str(provider.get("module") or ""))


def irreversible(activity: Mapping[str, Any]) -> bool:
    """Whether an activity is an action of chaostoolkit-aws of which no inverse is known."""
    if not is_concerned(activity):
        return False
    provider = activity["provider"]
    arguments = provider.get("arguments")
    return not has_inverse(
        str(provider["module"]), str(provider.get("func")), arguments if isinstance(arguments, dict) else {}
    )


def begin(
    site: Site,
    journal: Journal,
    activity: Mapping[str, Any],
    configuration: Mapping[str, Any] | None,
    secrets: Mapping[str, Any] | None,
) -> Begun | None:
    """Let the guardrails judge an action and put its undo on disk; None for one that has nothing to undo.

    Raises IslandingError when it is refused, or its inverse cannot be told: then it must not run.
    """
    provider = activity["provider"]
    module, func = str(provider["module"]), str(provider["func"])
    arguments = substitute(provider.get("arguments") or {}, configuration or {}, secrets or {})
    plan, log = planned(site, module, func, arguments), UndoLog.for_site(site.id)
    if plan is None:
        if (module, func) not in MENDING:
            _accept(site, journal, unknown(module, func), log)
        return None
    fault = _fault(module, func, arguments)
    watch_stops(site, journal)  # until it is undone
    try:
        log.alone()
        entry = record(site, fault, plan, journal, log)
        try:
            arm(site, plan, entry, log)
        except BaseException:
            log.mark(plan.id, State.UNDONE, "nothing was applied")
            raise
    except BaseException:
        leave_stops(site.id)
        raise
    journal.append("fault-planned", fault=plan.kind, id=plan.id, target=plan.target, summary=plan.summary)
    return Begun(plan, log, time.monotonic())


def planned(site: Site, module: str, func: str, arguments: Mapping[str, Any]) -> Plan | None:
    """The plan of what undoes an action; None where there is nothing to undo, or nothing that could."""
    if (module, func) in MENDING or not has_inverse(module, func, arguments):
        return None
    return _fault(module, func, arguments).plan(site)


def _accept(site: Site, journal: Journal, plan: Plan, log: UndoLog) -> None:
    watch_stops(site, journal)
    try:
        guard.check(site, plan, journal, held_plans(log))
    finally:
        leave_stops(site.id)
    journal.append("warning", text=f"{plan.target}: nothing undoes it, which the experiment accepts")


def _fault(module: str, func: str, arguments: Mapping[str, Any]) -> ForeignAction:
    return ForeignAction(module, func, json.dumps(arguments, default=str))


def ended(begun: Begun, journal: Journal, *, succeeded: bool) -> None:
    """The action has ended: one that failed may have been done by halves, and is undone all the same."""
    if not succeeded:
        return
    plan = begun.plan
    begun.log.mark(plan.id, State.APPLIED)
    journal.append(
        "fault-applied", fault=plan.kind, id=plan.id, target=plan.target, summary=plan.summary, start=begun.start,
        end=time.monotonic(),
    )  # fmt: skip
