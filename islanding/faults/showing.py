"""A fault's plan in words: each call and command, and its inverse, as a person reads them before anything is done."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from islanding import guard
from islanding.faults._aws import FOUND, Find
from islanding.faults._plan import AwsCall, Command, Plan, Step
from islanding.faults.apply import held_plans
from islanding.guard.rules import refusals
from islanding.model import Site
from islanding.redact import redact
from islanding.undo import UndoLog

_LONGEST = 400  # characters of a command: what it is given on stdin can be a whole document


def lines(plan: Plan) -> list[str]:
    """A plan: what it is, the steps that apply it and those that undo it, in their order. Without secrets."""
    undone = [_step(step) for step in plan.undo] or ["nothing: it comes back by itself, which is waited for"]
    parts = [
        f"{plan.kind}: {plan.target}",
        *("  apply  " + _step(step) for step in plan.apply),
        *("  undo   " + text for text in undone),
    ]
    return [redact(part) for part in parts]


def verdict(site: Site, plan: Plan) -> tuple[list[str], bool]:
    """What a plan touches and what the guardrails say of it now, in words; and whether they let it pass.

    Raises IslandingError when what they have to know cannot be read.
    """
    log = UndoLog.for_site(site.id)
    # Who applies it watches the stop conditions, too.
    found = replace(guard.inspect(site, plan, held_plans(log)), watched=True)
    what = found.touched
    reasons = refusals(site, found)
    things = [*what.resources, *(f"node {name}" for name in what.nodes), *what.others]
    said = [f"  touches  {', '.join(things) or 'nothing'}"]
    said += [f"  refused  {reason}" for reason in reasons] or ["  allowed  by every guardrail"]
    return [redact(text) for text in said], not reasons


def _step(step: Step) -> str:
    if isinstance(step, AwsCall):
        return f"{_call(step.service, step.operation, step.arguments)}{''.join(_found(step))}"
    if isinstance(step, Command):
        text = shlex.join(step.argv)
        given = f" <<< {step.stdin}" if step.stdin else ""
        return f"at {step.place}: {text}{given}".replace("\n", "; ")[:_LONGEST]
    return f"at {step.router}: {'; '.join(step.commands)}"


def _call(service: str, operation: str, arguments: dict[str, Any]) -> str:
    return f"{service}.{operation}({', '.join(f'{key}={_value(value)}' for key, value in arguments.items())})"


def _value(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {FOUND}:
        return f"<{value[FOUND]}>"
    return json.dumps(value, default=str)


def _found(step: AwsCall) -> Iterator[str]:
    for name, find in step.find.items():
        yield f"; <{name}> by {_lookup(find)}"
    if step.unless:
        yield f"; unless {_lookup(step.unless)} finds it done"


def _lookup(find: Find) -> str:
    return _call(find.service, find.operation, find.arguments)
