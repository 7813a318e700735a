"""What a watchdog does: looks at a site's open faults and undoes those whose time is up or whose run is dead."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from islanding.errors import IslandingError
from islanding.faults.heal import Healed, Outcome, from_record, heal
from islanding.undo import Entry, Replay, UndoLog
from islanding.wait import WaitTimeout, wait_until

LOOKS = 0.1  # seconds between two looks: with what undoing takes, well below the two seconds that are promised
LINGERS = 10.0  # seconds to stay when nothing is open and the run lives on: its next fault is a moment away
_ATTEMPT = 20.0  # seconds for which one attempt to heal waits before it is told how it stands
_BACKOFF = (0.5, 30.0)  # seconds until an undo that failed is tried again: at first, and at most
_NEVER = float("inf")


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
    _idle: float = field(default=_NEVER, init=False)  # since when nothing is open
    _again: float = field(default=0.0, init=False)  # when to try again what failed
    _backoff: float = field(default=_BACKOFF[0], init=False)
    _told: dict[str, str] = field(default_factory=dict, init=False)

    def keep(self) -> None:
        """Watch until nothing is open any more, and nobody who had a fault open lives to open another soon."""
        while not self._is_over():
            with suppress(WaitTimeout):  # between two looks; a timeout only makes it look at the clock
                wait_until("something to do", self._due, timeout=LOOKS, interval=LOOKS)
            if self._due():
                self._undo()

    def warm(self) -> None:
        """Load what undoing the open faults takes (site, fault, AWS client), so that no time goes into it later."""
        for entry in self._look().open:
            with suppress(IslandingError):
                left = from_record(entry)
                if any(step.do == "aws" for step in left.plan.undo):
                    from islanding.aws import calls

                    calls.client(left.site.aws, "ec2")

    def _look(self) -> Replay:
        """The log as it is now; read again only when it has grown."""
        with suppress(OSError, IslandingError):  # one that cannot be read now is read at the next look
            size = self.log.path.stat().st_size
            if size != self._size:
                self._record, self._size = self.log.read(), size
        return self._record

    def _due(self) -> list[Entry]:
        if now() < self._again:
            return []
        return [entry for entry in self._look().open if is_due(entry)]

    def _undo(self) -> None:
        for entry in self._due():
            why = "its time is up" if entry.is_overdue() else f"its run is dead ({entry.owner})"
            self._tell(entry.id, f"undoing {entry.kind} ({entry.target}): {why}")
        begun = now()
        done = heal(self.site_id, timeout=_ATTEMPT, who="watchdog", only=self.log)
        failed = [one for one in done if one.outcome is Outcome.FAILED and one.entry]
        for one in done:
            if one.outcome is not Outcome.HELD:
                self._tell(one.id, f"{one.outcome}: {one.text}")
        if failed:
            self._again, self._backoff = now() + self._backoff, min(_BACKOFF[1], 2 * self._backoff)
        else:
            self._again, self._backoff = 0.0, _BACKOFF[0]
            self.say(f"through after {now() - begun:.2f} s")

    def _is_over(self) -> bool:
        """Whether to end. The log is held meanwhile, so that no fault can be planned behind our back."""
        record = self._look()
        if record.open:
            self._idle = _NEVER
            return False
        self._idle = min(self._idle, now())
        if now() - self._idle < LINGERS and any(entry.owner.is_alive() for entry in record.entries[-1:]):
            return False
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


def spoken(text: str) -> str:
    """A line of the watchdog's own log: when, and what."""
    return f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}"


__all__ = ["Healed", "Keeper", "is_due", "spoken"]
