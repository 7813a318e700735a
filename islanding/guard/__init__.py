"""Guardrails: whether a fault may touch what its plan says, decided before anything is written down or broken.

The rules are pure (`rules`, `touching`, `confirmation`); reading AWS is apart from them (`reading`). `check` is the
one call between a plan and its being applied.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable
from datetime import UTC, datetime

from islanding.errors import IslandingError
from islanding.guard import confirmation, reading, stops
from islanding.guard.rules import Found, Refusal, refusals
from islanding.guard.touching import Planned, Touched, instances_of, subnets, touched
from islanding.journal import Journal
from islanding.model import Site

__all__ = ["Refused", "check", "inspect", "touches"]


class Refused(IslandingError):
    """A guardrail of the site refuses a fault; nothing was changed (exit code 3)."""

    def __init__(self, plan: Planned, reasons: tuple[Refusal, ...]) -> None:
        self.reasons = reasons
        said = "".join(f"\n  {reason}" for reason in reasons)
        fixes = "\n  ".join(dict.fromkeys(reason.change for reason in reasons))
        super().__init__(f"{plan.kind} ({plan.target}) is refused, and nothing was changed:{said}", fixes)


def check(site: Site, plan: Planned, journal: Journal | None = None, held: Iterable[Planned] = ()) -> None:
    """Let a plan pass, or raise Refused, which names each guardrail that refuses it; the journal then has it, too.

    `held` are the plans of faults that are applied already. Reads AWS and changes nothing. Raises IslandingError as
    well when what it must know cannot be read.
    """
    reasons = refusals(site, inspect(site, plan, held))
    if not reasons:
        return
    refused = Refused(plan, reasons)
    if journal is not None:
        guardrails = [reason.guardrail for reason in reasons]
        journal.append(
            "fault-refused", fault=plan.kind, id=plan.id, target=plan.target, guardrails=guardrails, reason=str(refused)
        )
    raise refused


def inspect(site: Site, plan: Planned, held: Iterable[Planned] = ()) -> Found:
    """All that the guardrails decide by; raises IslandingError when AWS does not say it."""
    rails = site.guardrails
    what = touches(site, plan)
    named = [stop.alarm for stop in rails.stop if stop.alarm]
    return Found(
        kind=plan.kind,
        touched=what,
        held=tuple(touches(site, one) for one in held),
        now=datetime.now(UTC),
        account=reading.account(site) if what.calls_aws else "",
        tags=reading.tags(site, what.resources) if what.resources else {},
        states=reading.alarms(site, named) if named else {},
        confirmed=confirmation.read(rails.production, site.id, _user()) if rails.production else "",
        watched=stops.watched(site.id),
        stopped=stops.stopped(site.id),
    )


def touches(site: Site, plan: Planned) -> Touched:
    """What a plan touches, by its steps and the ranges of its subnets."""
    nets = subnets(plan)
    what = touched(site, plan, reading.ranges(site, nets) if nets else {})
    if site.target != "aws":
        return what
    # On a real account a node that is entered by SSH is somebody's instance, and needs its mark like any other.
    instances = tuple(instances_of(site, what.nodes))
    return Touched(
        tuple(dict.fromkeys((*what.resources, *instances))), what.nodes, what.others, what.obscure,
        calls_aws=what.calls_aws or bool(instances),
    )  # fmt: skip


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in the password file
        return str(os.getuid())
