"""Applying a fault and taking it back: nothing is broken before its undo is on disk, nothing is left broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from islanding.errors import IslandingError
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import FaultError, NotHealed, Plan
from islanding.faults._revert import timed
from islanding.faults._shield import shielded
from islanding.journal import Journal
from islanding.model import Site
from islanding.sites import site_is_alive
from islanding.undo import State, UndoLog
from islanding.wait import WaitTimeout, wait_until

TAKES_HOLD = 15.0  # seconds in which a fault has to be there: a rebooting node goes on answering for a while
MAX_SECONDS = 3600.0  # how long a fault may last before `islanding heal` undoes it although its run still lives


@dataclass(frozen=True)
class Applied:
    """A fault in force: `start` and `end` are CLOCK_MONOTONIC seconds around its being applied.

    `held` is False for one that may have been applied by halves or not at all.
    """

    site: Site
    fault: Fault
    plan: Plan
    start: float = 0.0
    end: float = 0.0
    held: bool = True

    @property
    def id(self) -> str:
        return self.plan.id

    def undo(self) -> None:
        """Take it back at once, without record or check; see Fault.undo for what is raised."""
        self.fault.undo(self.site, self.plan)


def site_file(site: Site) -> Path:
    """Where a site's description is kept: `site.json` in its folder."""
    return Path(site.folder) / "site.json"


def apply_fault(
    site: Site,
    fault: Fault,
    journal: Journal,
    log: UndoLog | None = None,
    *,
    heal_timeout: float = 30.0,
    max_seconds: float = MAX_SECONDS,
) -> Applied:
    """Plan the fault, put its undo on disk, apply it, see it take hold. `undo_fault` has to follow.

    A fault that fails half way, or is interrupted, is undone before the error goes on. Raises FaultError when it
    cannot be planned or applied, and UndoLogError (nothing was applied then) when the undo log cannot be written.
    """
    log = log or UndoLog.for_site(site.id)
    plan = timed(site, fault.plan(site), max_seconds)
    declared: Any = fault  # each fault is a dataclass
    log.planned(
        id=plan.id,
        kind=plan.kind,
        params=asdict(declared),
        plan=plan.model_dump(mode="json"),
        site_id=site.id,
        site_file=site_file(site),
        max_seconds=max_seconds,
    )
    start = time.monotonic()
    try:
        journal.append("fault-planned", fault=plan.kind, id=plan.id, target=plan.target, summary=plan.summary)
        start = time.monotonic()
        fault.apply(site, plan)
        end = time.monotonic()
        log.mark(plan.id, State.APPLIED)
        journal.append(
            "fault-applied", fault=plan.kind, id=plan.id, target=plan.target, summary=plan.summary, start=start, end=end
        )
        allowed = fault.patience(site, TAKES_HOLD)
        _wait_healthy(f"{plan.kind} to take hold", lambda: fault.is_applied(site, plan), allowed, FaultError)
    except BaseException as error:
        try:
            halves = Applied(site, fault, plan, start, time.monotonic(), held=False)
            undo_fault(halves, journal, log, heal_timeout=heal_timeout)
        except IslandingError as left:
            error.add_note(f"and undoing it failed: {left}")
        raise
    return Applied(site, fault, plan, start, end)


def undo_fault(
    applied: Applied, journal: Journal | None, log: UndoLog | None = None, *, heal_timeout: float = 30.0
) -> float:
    """Take a fault back, wait until the real thing has healed, and return the seconds which that took.

    Signals wait until it is undone, not until it has healed. Raises NotHealed when it cannot be undone, or has not
    healed within `heal_timeout` seconds: the undo log then keeps it for `islanding heal`.
    """
    site, fault, plan = applied.site, applied.fault, applied.plan
    heal_timeout = fault.patience(site, heal_timeout)
    log = log or UndoLog.for_site(site.id)
    trouble: list[IslandingError] = []  # a full disk must not stop an undo: told when it is through

    def note(state: State) -> None:
        try:
            log.mark(plan.id, state)
        except IslandingError as error:
            trouble.append(error)

    with shielded(f"undoing {plan.kind} ({plan.target})"):
        start = time.monotonic()
        note(State.UNDOING)
        _undo(applied, log, heal_timeout)
        end = time.monotonic()
        if journal:
            journal.append("fault-undone", fault=plan.kind, id=plan.id, target=plan.target, start=start, end=end)
    check = fault.is_healed if applied.held else fault.nothing_left
    _wait_healthy(f"{plan.kind} ({plan.target}) to heal", lambda: check(site, plan), heal_timeout, NotHealed)
    seconds = time.monotonic() - end
    note(State.UNDONE)
    if journal:
        journal.append("fault-healed", fault=plan.kind, id=plan.id, target=plan.target, seconds=seconds)
    if trouble:
        raise trouble[0]
    return seconds


@contextmanager
def cut(
    site: Site,
    fault: Fault,
    journal: Journal,
    log: UndoLog | None = None,
    heal_timeout: float = 30.0,
    max_seconds: float = MAX_SECONDS,
) -> Iterator[Applied]:
    """Hold a fault for the length of a `with` block; it is undone however the block ends, and seen to have healed.

    Raises as `apply_fault` and `undo_fault` do. When the block itself was interrupted (KeyboardInterrupt, SystemExit)
    that goes on, with a note of what did not heal; any other error of the block becomes the context of NotHealed.
    """
    applied = apply_fault(site, fault, journal, log, heal_timeout=heal_timeout, max_seconds=max_seconds)
    try:
        yield applied
    except (KeyboardInterrupt, SystemExit) as interrupt:
        try:
            undo_fault(applied, journal, log, heal_timeout=heal_timeout)
        except IslandingError as left:
            interrupt.add_note(str(left))
        raise
    except BaseException:
        undo_fault(applied, journal, log, heal_timeout=heal_timeout)
        raise
    else:
        undo_fault(applied, journal, log, heal_timeout=heal_timeout)


def _undo(applied: Applied, log: UndoLog, timeout: float) -> None:
    """Undo, trying again until it succeeds or the time is up: this is our own work, not the thing under test."""
    plan = applied.plan

    def attempt() -> bool:
        applied.undo()
        return True

    try:
        wait_until(f"the undo of {plan.kind}", attempt, timeout=timeout, interval=0.5)
    except WaitTimeout as late:
        if not site_is_alive(site_file(applied.site)):
            log.mark(plan.id, State.ABANDONED, GONE)
            raise FaultError(f"{plan.kind} ({plan.target}): {GONE}") from late
        raise NotHealed(f"{plan.kind} ({plan.target}) could not be undone: {late.last}", KEPT) from late


GONE = "the site is gone, and the fault with it"
KEPT = "it is kept in the undo log: islanding heal tries again"


def _wait_healthy(what: str, check: Callable[[], Health], timeout: float, error: type[IslandingError]) -> Health:
    try:
        return wait_until(what, check, timeout=timeout)
    except WaitTimeout as late:
        seen = late.last.seen if isinstance(late.last, Health) else late.last
        raise error(f"waited {timeout:g} s for {what}; last seen: {seen}", KEPT if error is NotHealed else "") from late
