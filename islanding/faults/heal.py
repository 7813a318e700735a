"""Healing: undoing what dead runs left behind, from the undo log alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from islanding import sites
from islanding.aws.calls import Unreachable
from islanding.claims import claimed
from islanding.errors import IslandingError
from islanding.faults import FaultError, Health, Plan, _deadline, make
from islanding.faults._plan import ObjectGone
from islanding.faults._shield import shielded
from islanding.faults.apply import GONE, GONE_FOR, NOTHING_TO_MEND, Applied
from islanding.undo import Entry, Owner, State, UndoLog, Who, logs
from islanding.wait import WaitTimeout, wait_until

_SETTLES = 0.5  # seconds that a fault interrupted while it was applied must stay away
_AGAIN = 1.0  # seconds after which an undo that has not healed is done again


class Outcome(StrEnum):
    """What healing came to for one entry."""

    HEALED = "healed"
    ABANDONED = "abandoned"  # the site is gone, or what was changed: there is nothing to put back
    HELD = "held"  # its run is alive and will undo it itself, or another process is undoing it
    PENDING = "would be undone"  # a dry run
    FAILED = "failed"  # it is kept in the log


@dataclass(frozen=True)
class Healed:
    """One entry of the undo log (None: one whose record cannot be read) and what came of it, in words too.

    `unreachable` when it failed because nobody answers: it is worth going on trying.
    """

    id: str
    site_id: str
    outcome: Outcome
    text: str
    entry: Entry | None = None
    unreachable: bool = False


@dataclass
class _Job:
    entry: Entry
    log: UndoLog
    left: Applied
    who: Who
    undone: bool = False
    trouble: str = ""
    unreachable: bool = False
    early: Healed | None = None
    gone_since: float = 0.0  # since when what it changed is said not to exist

    @property
    def is_gone(self) -> bool:
        """Whether what was changed does not exist any more, said for long enough to be believed."""
        return bool(self.gone_since) and time.monotonic() - self.gone_since >= GONE_FOR


def heal(
    site_id: str | None = None,
    dry_run: bool = False,
    *,
    force: bool = False,
    timeout: float = 60.0,
    alive: Callable[[Path], bool] = sites.site_is_alive,
    who: Who = "heal",
    only: UndoLog | None = None,
) -> list[Healed]:
    """Undo the faults that dead runs left at one site, or at all (or in the log `only`), and say what came of each.

    A fault of a live run is let alone unless its deadline has passed or `force` is given; one that another process is
    undoing is waited for. The latest fault is undone first; healing is waited for when all are undone (`timeout`
    seconds at most), as one fault can hide another. A fault that cannot be undone or does not heal stays in the log and
    does not keep the others from being undone.
    """
    done: list[Healed] = []
    for log in [only] if only else logs(site_id):
        try:
            record = log.read()
        except IslandingError as error:
            done.append(Healed("", site_id or log.path.stem, Outcome.FAILED, str(error)))
            continue
        for orphan in record.orphans:
            text = f"its record in {log.path} is damaged: nobody can read any more how to undo it"
            done.append(Healed(orphan, log.path.stem, Outcome.FAILED, text))
        for newer in record.newer:
            text = f"a newer islanding has written of it in {log.path}: run `islanding heal` of that version"
            done.append(Healed(newer, log.path.stem, Outcome.FAILED, text))
        with ExitStack() as claims:
            jobs: list[_Job] = []
            for entry in reversed(record.open):
                verdict = _without_undoing(entry, log, force=force, dry_run=dry_run, alive=alive)
                verdict = verdict or _by_others(entry, log, claims, timeout)
                job = verdict or _job(entry, log, who)
                if isinstance(job, Healed):
                    done.append(job)
                else:
                    jobs.append(job)
            done += _undo_all(jobs, timeout)
    return done


def _by_others(entry: Entry, log: UndoLog, claims: ExitStack, timeout: float) -> Healed | None:
    """What came of an entry that another process has been undoing; None when it is ours to undo now."""
    if not claims.enter_context(claimed(log.path, entry.id, timeout=timeout)):
        return _said(entry, Outcome.HELD, "another process is undoing it")
    try:
        now = log.entry(entry.id)
    except IslandingError:  # a log that cannot be read any more must not stop an undo
        return None
    if now is None or now.is_open:
        return None
    outcome = Outcome.HEALED if now.state is State.UNDONE else Outcome.ABANDONED
    return _said(entry, outcome, f"{now.state} by {now.by or 'another process'}{now.reason and ': '}{now.reason}")


def _without_undoing(
    entry: Entry, log: UndoLog, *, force: bool, dry_run: bool, alive: Callable[[Path], bool]
) -> Healed | None:
    """What came of an entry that needs no undoing by us; None for one that does."""
    if not force and not entry.is_overdue() and _lives_on(entry.owner):
        return _said(entry, Outcome.HELD, f"held by a live run ({entry.owner})")
    gone = not alive(Path(entry.site_file))
    if dry_run:
        return _said(entry, Outcome.PENDING, GONE if gone else entry.summary)
    if not gone:
        return None
    try:
        log.mark(entry.id, State.ABANDONED, GONE)
    except IslandingError as error:
        return _said(entry, Outcome.FAILED, str(error))
    return _said(entry, Outcome.ABANDONED, GONE)


def _lives_on(owner: Owner) -> bool:
    """Whether a run lives; one just killed goes on existing for some milliseconds, while it is cleared away."""
    try:
        wait_until("a killed run to be gone", lambda: not owner.is_alive(), timeout=0.2, interval=0.02)
    except WaitTimeout:
        return True
    return False


def _job(entry: Entry, log: UndoLog, who: Who) -> _Job | Healed:
    try:
        return _Job(entry, log, from_record(entry), who)
    except IslandingError as error:
        return _said(entry, Outcome.FAILED, str(error))


def from_record(entry: Entry) -> Applied:
    """The fault of an entry as `undo_fault` takes it; raises IslandingError when site, fault or plan cannot be read."""
    site = sites.load(Path(entry.site_file))
    if site.id != entry.site_id:
        raise FaultError(f"{entry.site_file} describes {site.id} now, not {entry.site_id}")
    try:
        plan = Plan.model_validate(entry.plan)
    except ValidationError as error:
        raise FaultError(f"the plan of {entry.kind} {entry.id} cannot be read: {error.errors()[0]['msg']}") from error
    return Applied(site, make(entry.kind, **entry.params), plan, held=entry.state is State.APPLIED)


def _undo_all(jobs: list[_Job], timeout: float) -> list[Healed]:
    deadline = time.monotonic() + timeout
    with shielded("undoing what was left behind"):
        for job in jobs:
            _undo(job)
            job.early = _at_once(job)
    return [job.early or _healed(job, deadline) for job in jobs]


def _at_once(job: _Job) -> Healed | None:
    """What came of it, when it has healed already: an earlier fault undone after it may change the same thing again."""
    if not job.undone or job.entry.state is State.PLANNED:
        return None
    try:
        healthy = job.left.fault.nothing_left(job.left.site, job.left.plan)
    except Exception:  # it is asked again
        return None
    return _healed(job, time.monotonic()) if healthy else None


def _undo(job: _Job) -> None:
    try:
        job.log.mark(job.entry.id, State.UNDOING, who=job.who)
    except IslandingError as error:  # a full disk must not stop an undo
        job.trouble = str(error)
    _attempt(job)


def _attempt(job: _Job) -> None:
    job.unreachable = False
    try:
        job.left.undo()
        job.undone, job.gone_since = True, 0.0
    except ObjectGone as gone:
        job.trouble = str(gone)
        if gone.sure or not _hidden(job):
            job.gone_since = job.gone_since or time.monotonic()
    except Exception as error:  # whatever one fault's undo raises, the others have to be undone
        job.trouble, job.gone_since = str(error), 0.0
        job.unreachable = bool(getattr(error, "unreachable", False))


def _hidden(job: _Job) -> bool:
    """Whether another open fault may be what hides the thing that this one changed."""
    return any(entry.id != job.entry.id for entry in job.log.read().open)


def _healed(job: _Job, deadline: float) -> Healed:
    start = undone = well = time.monotonic()
    # A run killed while it applied the fault may have a command on its way still, which comes after our undo.
    settled = _SETTLES if job.entry.state is State.PLANNED else 0.0

    def check() -> Health:
        nonlocal undone, well
        health = job.left.fault.nothing_left(job.left.site, job.left.plan) if job.undone else Health(False, job.trouble)
        now = time.monotonic()
        if not health:
            well = now
            if now - undone >= _AGAIN:
                with shielded(f"undoing {job.entry.kind}"):
                    _attempt(job)
                undone = time.monotonic()
        return health

    def done(health: Health) -> bool:
        return job.is_gone or (health.ok and time.monotonic() - well >= settled)

    try:
        allowed = max(0.0, deadline - start)
        health = wait_until(f"{job.entry.kind} to heal", check, timeout=allowed, interval=0.1, done=done)
        if job.is_gone:
            reason = f"{NOTHING_TO_MEND}: {job.trouble}"
            with suppress(IslandingError):  # it may have been on the very thing that is gone
                _deadline.clear(job.left.site, job.left.plan)
            job.log.mark(job.entry.id, State.ABANDONED, reason, job.who)
            return _said(job.entry, Outcome.ABANDONED, reason)
        _deadline.clear(job.left.site, job.left.plan)
        job.log.mark(job.entry.id, State.UNDONE, who=job.who)
    except WaitTimeout as late:
        seen = late.last.seen if isinstance(late.last, Health) else late.last
        text = f"{'undone, but not healed' if job.undone else 'not undone'}: {seen}"
        unreachable = job.unreachable or isinstance(late.last, Unreachable)
        return replace(_said(job.entry, Outcome.FAILED, text), unreachable=unreachable)
    except IslandingError as error:
        return _said(job.entry, Outcome.FAILED, str(error))
    return _said(job.entry, Outcome.HEALED, f"{health.seen} ({time.monotonic() - start:.1f} s)")


def _said(entry: Entry, outcome: Outcome, text: str) -> Healed:
    return Healed(entry.id, entry.site_id, outcome, f"{entry.kind} ({entry.target}): {text}", entry)
