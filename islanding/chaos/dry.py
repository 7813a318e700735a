"""An experiment looked at without running it: what each action would call, its inverse, and what guardrails say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chaoslib import substitute
from chaoslib.configuration import load_configuration

from islanding.chaos import actions, foreign, given
from islanding.errors import IslandingError
from islanding.faults._foreign import unknown
from islanding.faults.showing import lines, verdict
from islanding.model import Site
from islanding.yamldoc import read

_OURS = "islanding.chaos.actions"


def look(path: Path, site: Site) -> tuple[list[str], bool]:
    """What the actions of a valid experiment would do at a site, in words, and whether all of them could begin now.

    Each is planned from the state as it is now: what actions before it would have changed is not there. Nothing is
    changed.
    """
    raw: dict[str, Any] = read(path).data
    configuration = load_configuration(raw.get("configuration") or {})
    said: list[str] = []
    passes = True
    for part in ("method", "rollbacks"):
        for activity in raw[part]:
            if activity.get("type") == "action":
                told, fits = _one(activity, site, configuration)
                said += [f"{part}: {activity['name']}", *(f"  {line}" for line in told)]
                passes = passes and fits
    return said, passes


def _one(activity: Mapping[str, Any], site: Site, configuration: Mapping[str, Any]) -> tuple[list[str], bool]:
    provider = activity["provider"]
    arguments = substitute(provider.get("arguments") or {}, configuration, {})
    try:
        if provider.get("module") == _OURS:
            plans = list(_ours(provider["func"], arguments, site))
        elif foreign.is_concerned(activity):
            plan = foreign.planned(site, provider["module"], provider["func"], arguments)
            if plan is None and foreign.irreversible(activity):
                said, fits = verdict(site, unknown(provider["module"], provider["func"]))
                return ["nothing undoes it, which the experiment accepts", *said], fits
            plans = [] if plan is None else [plan]
        else:
            return ["it is not of this project: what it does is not known here"], True
    except IslandingError as error:
        return [str(error)], False
    if not plans:
        return ["undoes what was applied"], True
    said = [line for plan in plans for line in lines(plan)]
    judged = [verdict(site, plan) for plan in plans]
    return [*said, *(line for told, _ in judged for line in told)], all(fits for _, fits in judged)


def _ours(name: str, arguments: Mapping[str, Any], site: Site) -> Iterator[Any]:
    """The plans of an action of ours: it is called as it is, and what it would apply is planned only."""
    asked: list[Any] = []
    token = given.planner.set(asked.append)
    try:
        if name not in ("undo_fault", "heal"):
            action = getattr(actions, name)
            action(**arguments)
    finally:
        given.planner.reset(token)
    for fault in asked:
        yield fault.plan(site)
