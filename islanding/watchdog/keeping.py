"""What a watchdog does: looks at a site's open faults and undoes those whose time is up or whose run is dead."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from islanding.errors import IslandingError
from islanding.faults.heal import Outcome, from_record, heal
from islanding.undo import Entry, Owner, Replay, UndoLog

LOOKS = 0.25  # seconds between two looks at the log; a run's death is told at once by the kernel
LINGERS = 10.0  # seconds to stay when nothing is open and the run lives on: its next fault is a moment away
_ATTEMPT = 20.0  # seconds for which one attempt to heal waits before it is told how it stands
_BACKOFF = (0.5, 30.0)  # seconds until an undo that failed is tried again: at first, and at most


def now() -> float:
    """Seconds that go on while the machine sleeps, and that no clock set back can move."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Keeper:
    """Watches one undo log. `say` gets a line for each thing done; `let_go` gives up the lock that others look at."""

    site_id: str
    log: UndoLog
    say: Callable[[str], None]
    let_go: Callable[[], None] = lambda: None
    _size: int = field(default=-1, init=False)
    _record: Replay = field(default=Replay(()), init=False)
    _idle: float = field(default=float("inf"), init=False)  # since when nothing is open
    _failed: frozenset[str] = field(default=frozenset(), init=False)  # what has to wait until `_again`
    _again: float = field(default=0.0, init=False)
    _backoff: float = field(default_factory=lambda: _BACKOFF[0], init=False)
    _told: dict[str, str] = field(default_factory=dict, init=False)

    def keep(self) -> None:
        """Watch until nothing is open any more, and nobody who had a fault open lives to open another soon."""
        while not self._is_over():
            if due := self._due():
                self._undo(due)
            else:
                self._sleep()

    def warm(self) -> None:
        """Load what undoing the open faults takes (site, fault, AWS client), so that no time goes into it later."""
        for entry in self._look().open:
            with suppress(Exception):  # the undo itself will say what is wrong
                left = from_record(entry)
                if any(step.do == "aws" for step in left.plan.undo):
                    from islanding.aws import calls

                    calls.client(left.site.aws, "ec2")

    def _look(self) -> Replay:
        """The log as it is now; read again only when it has grown."""
        with suppress(OSError, IslandingError):  # one that cannot be read now is read at the next look
            size = self.log.path.stat().st_size if self.log.path.exists() else 0
            if size != self._size:
                self._record, self._size = self.log.read(), size
        return self._record

    def _due(self) -> list[Entry]:
        waits = self._failed if now() < self._again else frozenset()
        return [entry for entry in self._look().open if entry.id not in waits and is_due(entry)]

    def _sleep(self) -> None:
        """Until a run dies, a deadline passes, or it is time to look again."""
        poll = select.poll()
        with ExitStack() as opened:
            for pid in {entry.owner.pid for entry in self._record.open if _is_here(entry.owner)}:
                with suppress(OSError):  # it has died this moment: the next look sees it
                    fd = os.pidfd_open(pid)  # readable when the process ends: pidfd_open(2)
                    opened.callback(os.close, fd)
                    poll.register(fd, select.POLLIN)
            ends = [entry.seconds_left() for entry in self._record.open if entry.id not in self._failed]
            poll.poll(1000 * max(0.01, min([LOOKS, *(seconds for seconds in ends if seconds > 0)])))

    def _undo(self, due: list[Entry]) -> None:
        for entry in due:
            why = "its time is up" if entry.is_overdue() else f"its run is dead ({entry.owner})"
            self._tell(f"why {entry.id}", f"undoing {entry.kind} {entry.id} ({entry.target}): {why}")
        begun = now()
        try:
            done = heal(self.site_id, timeout=_ATTEMPT, who="watchdog", only=self.log)
        except Exception as error:  # it is there to go on, whatever happens
            self._tell("", f"healing failed: {type(error).__name__}: {error}")
            failed = frozenset(entry.id for entry in due)
        else:
            for one in done:
                if one.outcome is not Outcome.HELD:
                    self._tell(one.id, f"{one.outcome}: {one.text}")
            failed = frozenset(one.id for one in done if one.outcome in (Outcome.FAILED, Outcome.HELD) and one.entry)
        self._size = -1
        if failed & {entry.id for entry in due}:
            self._again, self._backoff = now() + self._backoff, min(_BACKOFF[1], 2 * self._backoff)
        else:
            self._again, self._backoff = 0.0, _BACKOFF[0]
            self.say(f"through after {now() - begun:.2f} s")
        self._failed = failed

    def _is_over(self) -> bool:
        """Whether to end. The log is held meanwhile, so that no fault can be planned behind our back."""
        record = self._look()
        if record.open:
            self._idle = float("inf")
            return False
        self._idle = min(self._idle, now())
        if now() - self._idle < LINGERS and any(entry.owner.is_alive() for entry in record.entries[-1:]):
            return False
        if not self.log.path.exists():  # the state folder is gone: there is nothing to keep, and nothing to lock
            return True
        try:
            with self.log.quiet() as last:
                if last.open:
                    return False
                self.let_go()
                return True
        except IslandingError as error:
            self._tell("", str(error))
            return False

    def _tell(self, about: str, text: str) -> None:
        """Say it, but not twice in a row of the same fault."""
        if self._told.get(about) != text:
            self._told[about] = text
            self.say(text)


def is_due(entry: Entry) -> bool:
    """Whether a fault is for the watchdog to undo now."""
    return entry.is_overdue() or not entry.owner.is_alive()


def _is_here(owner: Owner) -> bool:
    """Whether the owner is a live process that we see under the same pid."""
    me = Owner.me()
    return (owner.boot, owner.space) == (me.boot, me.space) and owner.is_alive()
