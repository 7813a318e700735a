"""Actions of chaostoolkit-aws in an experiment: undone by the undo log where their inverse is known, refused where not.

Chaos Toolkit runs them, right after the control has begun the fault that they are here: its undo is then on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chaoslib import substitute

from islanding import guard
from islanding.faults import Plan
from islanding.faults._foreign import INVERTIBLE, MENDING, ForeignAction, has_inverse, is_foreign, unknown
from islanding.faults.apply import apply_fault, held_plans
from islanding.journal import Journal
from islanding.model import Site
from islanding.stopping import leave_stops, watch_stops
from islanding.undo import UndoLog


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
) -> None:
    """Let the guardrails judge an action, and put its undo on disk as that of a fault, which begins here.

    Raises IslandingError when it is refused, or its inverse cannot be told: then it must not run.
    """
    provider = activity["provider"]
    module, func = str(provider["module"]), str(provider["func"])
    if (module, func) in MENDING:
        return
    arguments = substitute(provider.get("arguments") or {}, configuration or {}, secrets or {})
    if not has_inverse(module, func, arguments):
        _accept(site, journal, unknown(module, func))
        return
    watch_stops(site, journal)  # until it is undone
    try:
        apply_fault(site, _fault(module, func, arguments), journal)
    except BaseException:
        leave_stops(site.id)
        raise


def planned(site: Site, module: str, func: str, arguments: Mapping[str, Any]) -> Plan | None:
    """The plan of what undoes an action; None where there is nothing to undo, or nothing that could."""
    if (module, func) in MENDING or not has_inverse(module, func, arguments):
        return None
    return _fault(module, func, arguments).plan(site)


def _accept(site: Site, journal: Journal, plan: Plan) -> None:
    watch_stops(site, journal)
    try:
        guard.check(site, plan, journal, held_plans(UndoLog.for_site(site.id)))
    finally:
        leave_stops(site.id)
    journal.append("warning", text=f"{plan.target}: nothing undoes it, which the experiment accepts")


def _fault(module: str, func: str, arguments: Mapping[str, Any]) -> ForeignAction:
    """The fault, with those of the arguments that say what is changed: the rest may be secret, and this is written."""
    kept = {name: arguments[name] for name in (INVERTIBLE[module, func], "process_names") if arguments.get(name)}
    return ForeignAction(module, func, json.dumps(kept))
