"""The timed revert of a fault's plan: each router that it changes takes the change back itself at the deadline.

Armed before the first change, so a fault cannot outlast its deadline on a router, even if the cut took the way to it.
"""

from __future__ import annotations

from islanding.faults._plan import Command, Configure, Plan, Step
from islanding.model import Router, Site
from islanding.routers import driver_of, revert
from islanding.routers.doing import local_shell
from islanding.routers.driver import Lines, Shell, Work


def timed(site: Site, plan: Plan, seconds: float) -> Plan:
    """`plan`, whose changes of routers end after `seconds` whatever happens to everybody else; pure.

    A router that reverts by itself is told so with the change; on the machine of any other a timer is set first and
    taken away last. Nodes and AWS are not routers: what changes those is left as it is.
    """
    before: list[Step] = []
    after: list[Step] = []
    for router in site.routers:
        undo = [step for step in plan.undo if _is_at(router, step)]
        if not undo:
            continue
        if driver_of(router).reverts:
            plan = _natively(plan, router, seconds)
        else:
            text = revert.script([_work(step) for step in undo], local_shell(router))
            before.append(Command(place=router.place, argv=revert.arm(plan.id, seconds, text)))
            after.append(Command(place=router.place, argv=revert.disarm(plan.id)))
    return plan.model_copy(update={"apply": (*before, *plan.apply), "undo": (*plan.undo, *after)})


def _is_at(router: Router, step: Step) -> bool:
    if isinstance(step, Configure):
        return step.router == router.name
    return isinstance(step, Command) and step.place == router.place


def _work(step: Step) -> Work:
    if isinstance(step, Configure):
        return Lines(step.commands)
    if isinstance(step, Command):
        return Shell(step.argv, step.stdin)
    raise TypeError(step)


def _natively(plan: Plan, router: Router, seconds: float) -> Plan:
    def each(step: Step, **change: object) -> Step:
        is_line = isinstance(step, Configure) and step.router == router.name
        return step.model_copy(update=change) if is_line else step

    return plan.model_copy(
        update={
            "apply": tuple(each(step, revert_after=seconds) for step in plan.apply),
            "undo": tuple(each(step, confirm=True) for step in plan.undo),
        }
    )
