"""Applying a fault and taking it back: nothing is broken before its undo is on disk, nothing is left broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from islanding import guard
from islanding.claims import claimed
from islanding.errors import InconclusiveError, IslandingError
from islanding.faults import _deadline
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import FaultError, NotHealed, ObjectGone, Plan
from islanding.faults._revert import timed
from islanding.faults._shield import shielded
from islanding.guard import stops
from islanding.journal import Journal
from islanding.model import Site
from islanding.sites import site_is_alive
from islanding.undo import Entry, State, UndoLog
from islanding.wait import WaitTimeout, wait_until
from islanding.watchdog import spawn

TAKES_HOLD = 15.0  # seconds in which a fault has to be there: a rebooting node goes on answering for a while
GONE_FOR = 10.0  # seconds for which AWS has to say that a thing does not exist: just made, it may say so for a moment


class EndedEarly(InconclusiveError):
    """A fault was undone by somebody else while its run still held it: what was seen after that proves nothing."""


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
    max_seconds: float | None = None,
) -> Applied:
    """Plan the fault, put its undo on disk, set the watchdog, apply it, see it take hold. `undo_fault` has to follow.

    After `max_seconds` (None: the site's `fault_seconds`) the watchdog undoes it, whatever the run does. A fault that
    fails half way, or is interrupted, is undone before the error goes on. Raises FaultError when it cannot be planned
    or applied, and UndoLogError (nothing was applied then) when the undo log cannot be written, or another live run has
    a fault open at the site.
    """
    log = log or UndoLog.for_site(site.id)
    log.alone()
    _let_others_finish(log, heal_timeout)
    longest = site.fault_seconds if max_seconds is None else max_seconds
    plan = timed(site, fault.plan(site), longest)
    guard.check(site, plan, journal, held_plans(log))
    declared: Any = fault  # each fault is a dataclass
    entry = log.planned(
        id=plan.id,
        kind=plan.kind,
        params=asdict(declared),
        plan=plan.model_dump(mode="json"),
        site_id=site.id,
        site_file=site_file(site),
        max_seconds=longest,
    )
    start = time.monotonic()
    try:
        spawn.ensure(site.id, log.path)
        _deadline.write(site, plan, entry.deadline)
        journal.append("fault-planned", fault=plan.kind, id=plan.id, target=plan.target, summary=plan.summary)
        start = time.monotonic()
        fault.apply(site, plan)
        end = time.monotonic()
        log.mark(plan.id, State.APPLIED)
        journal.append(
            "fault-applied", fault=plan.kind, id=plan.id, target=plan.target, summary=plan.summary, start=start, end=end
        )
        allowed = fault.patience(site, TAKES_HOLD)
        _wait_healthy(site, f"{plan.kind} to take hold", lambda: fault.is_applied(site, plan), allowed, FaultError)
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
    healed within `heal_timeout` seconds: the undo log then keeps it for the watchdog and `islanding heal`. Raises
    EndedEarly when it has healed, and somebody else (the watchdog at its deadline, say) had undone it before.
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

    with ExitStack() as until_healed:
        with shielded(f"undoing {plan.kind} ({plan.target})"):
            start = time.monotonic()
            if not until_healed.enter_context(claimed(log.path, plan.id, timeout=heal_timeout)):
                raise NotHealed(f"{plan.kind} ({plan.target}) is being undone by another process", KEPT)
            before = _ended(log, plan.id)
            stopped = before is not None and bool(stops.stopped(site.id))
            journal = None if stopped else journal  # who stopped the run has written it
            if not before:  # what somebody has undone already must not be undone again: a later fault may be in force
                note(State.UNDOING)
                _undo(applied, log, heal_timeout)
            end = time.monotonic()
            if journal:
                journal.append("fault-undone", fault=plan.kind, id=plan.id, target=plan.target, start=start, end=end)
        check = fault.is_healed if applied.held else fault.nothing_left
        what = f"{plan.kind} ({plan.target}) to heal"
        _wait_healthy(site, what, lambda: check(site, plan), heal_timeout, NotHealed)
        seconds = time.monotonic() - end
        if not before and _clear(applied, trouble):
            note(State.UNDONE)
    if journal:
        journal.append("fault-healed", fault=plan.kind, id=plan.id, target=plan.target, seconds=seconds)
    if trouble:
        raise trouble[0]
    if before and not stopped:  # a run that was stopped says so itself
        raise EndedEarly(
            f"{plan.kind} ({plan.target}) was ended while its run still held it, by {before.by or 'somebody else'}",
            "when it is meant to last longer, give the cut more `max_seconds`",
        )
    return seconds


@contextmanager
def cut(
    site: Site,
    fault: Fault,
    journal: Journal,
    log: UndoLog | None = None,
    heal_timeout: float = 30.0,
    max_seconds: float | None = None,
) -> Iterator[Applied]:
    """Hold a fault for the length of a `with` block; it is undone however the block ends, and seen to have healed.

    Raises as `apply_fault` and `undo_fault` do. What the block itself raised goes on, with a note of what did not heal,
    which the undo log keeps. Only EndedEarly takes the place of the block's error: its claims were of no fault then.
    """
    applied = apply_fault(site, fault, journal, log, heal_timeout=heal_timeout, max_seconds=max_seconds)
    try:
        yield applied
    except BaseException as error:
        try:
            undo_fault(applied, journal, log, heal_timeout=heal_timeout)
        except EndedEarly as early:
            if isinstance(error, Exception):
                raise early from error
            error.add_note(str(early))
        except IslandingError as left:
            error.add_note(f"and the fault did not heal: {left}")
        raise
    else:
        undo_fault(applied, journal, log, heal_timeout=heal_timeout)


def held_plans(log: UndoLog) -> list[Plan]:
    """The plans of faults that are applied already; what cannot be read touches nothing that could be counted."""
    held = []
    for entry in log.read().open:
        with suppress(ValidationError):
            held.append(Plan.model_validate(entry.plan))
    return held


def _undo(applied: Applied, log: UndoLog, timeout: float) -> None:
    """Undo, trying again until it succeeds or the time is up: this is our own work, not the thing under test."""
    plan = applied.plan
    gone_since = 0.0

    def attempt() -> ObjectGone | None:
        nonlocal gone_since
        try:
            applied.undo()
        except ObjectGone as gone:
            if not gone.sure and len(log.read().open) > 1:
                raise  # another fault in force may be what hides it
            gone_since = gone_since or time.monotonic()
            return gone
        return None

    def done(gone: ObjectGone | None) -> bool:
        return gone is None or time.monotonic() - gone_since >= GONE_FOR

    try:
        gone = wait_until(f"the undo of {plan.kind}", attempt, timeout=timeout, interval=0.5, done=done)
    except WaitTimeout as late:
        if not site_is_alive(site_file(applied.site)):
            log.mark(plan.id, State.ABANDONED, GONE)
            raise FaultError(f"{plan.kind} ({plan.target}): {GONE}") from late
        raise NotHealed(f"{plan.kind} ({plan.target}) could not be undone: {late.last}", KEPT) from late
    if gone:
        log.mark(plan.id, State.ABANDONED, f"{NOTHING_TO_MEND}: {gone}")
        raise FaultError(f"{plan.kind} ({plan.target}): {NOTHING_TO_MEND}: {gone}") from gone


def _clear(applied: Applied, trouble: list[IslandingError]) -> bool:
    """Take the deadline off what was changed; else the entry stays open, so that somebody does it later."""
    try:
        _deadline.clear(applied.site, applied.plan)
    except IslandingError as error:
        trouble.append(error)
        return False
    return True


def _ended(log: UndoLog, id: str) -> Entry | None:
    """The entry, when somebody else has closed it already; a log that cannot be read stops no undo."""
    try:
        entry = log.entry(id)
    except IslandingError:
        return None
    return entry if entry and not entry.is_open else None


def _let_others_finish(log: UndoLog, timeout: float) -> None:
    """Wait until nobody is undoing a fault at the site: a new one beside it could be undone with it."""
    for entry in log.read().open:
        with claimed(log.path, entry.id, timeout=timeout) as free:
            if not free:
                raise FaultError(f"{entry.kind} ({entry.target}) of {entry.owner} is still being undone", "try again")


NOTHING_TO_MEND = "what it changed does not exist any more, so nothing can be put back"
GONE = "the site is gone, and the fault with it"
LOOKS_AGAIN = (0.05, 1.0)  # seconds between looks: in the lab, and on a real account, whose API counts calls
KEPT = "it is kept in the undo log: the watchdog and `islanding heal` try again"


def _wait_healthy(
    site: Site, what: str, check: Callable[[], Health], timeout: float, error: type[IslandingError]
) -> Health:
    try:
        return wait_until(what, check, timeout=timeout, interval=LOOKS_AGAIN[site.target == "aws"])
    except WaitTimeout as late:
        seen = late.last.seen if isinstance(late.last, Health) else late.last
        raise error(f"waited {timeout:g} s for {what}; last seen: {seen}", KEPT if error is NotHealed else "") from late
