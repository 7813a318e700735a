"""Stop conditions while a fault is held: when one comes true, every fault of this run is healed and the run broken off.

Each condition has a thread of its own, so that a slow probe keeps no alarm waiting. The thread that sees it come true
heals at once, itself, and only then interrupts the main thread, which may be waiting for anything.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from islanding.errors import InconclusiveError, IslandingError
from islanding.faults import heal as healing
from islanding.faults.apply import undo_fault
from islanding.guard import reading, stops
from islanding.guardconf import Stop
from islanding.journal import Journal
from islanding.model import Site
from islanding.outcomes import is_ok, named
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.redact import redact
from islanding.sampling import observe
from islanding.undo import Owner, UndoLog

BLIND = 60.0  # seconds that a condition may not be readable; who cannot see does not go on
_AGAIN = 1.0  # seconds after which what is still open is undone again
_JOIN = 60.0  # seconds for a look that is under way to end


class Stopped(InconclusiveError):
    """A stop condition came true: what was applied is healed, and the case says nothing (exit code 2)."""


class StopWatch:
    """Looks at all stop conditions of a site until `close`; raises IslandingError for one that cannot be looked at."""

    def __init__(self, site: Site, journal: Journal) -> None:
        self._site, self._journal = site, journal.bind()
        self._ended = threading.Event()
        conditions = [(stop, self._probe(stop)) for stop in site.guardrails.stop]
        stops.begin(site.id)
        self._threads = [
            threading.Thread(target=self._watch, args=one, name=one[0].name, daemon=True) for one in conditions
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        try:
            for thread in self._threads:
                thread.join(_JOIN)
        finally:
            stops.end(self._site.id)

    def _probe(self, stop: Stop) -> Probe | None:
        named(stop.outcome)
        return SiteProbes(self._site).make(stop.probe, **stop.parameters) if stop.probe else None

    def _watch(self, stop: Stop, probe: Probe | None) -> None:
        bad_since: float | None = None
        blind_since: float | None = None
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                bad, blind_since = self._look(stop, probe), None
            except IslandingError as error:
                blind_since = began if blind_since is None else blind_since
                bad = f"could not be looked at for {BLIND:g} s: {error}" if began - blind_since >= BLIND else ""
                bad_since = blind_since if bad else bad_since
            if bad:
                # What lies between two looks was bad for that long; how long one look took says nothing of what it saw.
                bad_since = time.monotonic() if bad_since is None else bad_since
                lasted = max(0.0, began - bad_since)
                if lasted >= stop.seconds and not self._ended.is_set():
                    self._stop(redact(f"{stop.name} {bad}" + (f" for {lasted:.1f} s" if stop.seconds else "")))
                    return
            elif blind_since is None:
                bad_since = None
            self._ended.wait(stop.interval)

    def _look(self, stop: Stop, probe: Probe | None) -> str:
        """What is bad now, in words; empty for nothing. Raises IslandingError when it cannot be seen."""
        if probe is None:
            state = reading.alarms(self._site, [stop.alarm]).get(stop.alarm)
            if state is None:
                raise IslandingError(f"alarm {stop.alarm} is not there")
            return "is in ALARM" if state == "ALARM" else ""
        outcome = observe(self._site, probe).outcome
        bad = outcome in stop.outcome if stop.outcome else not is_ok(outcome)
        return f"was {outcome}" if bad else ""

    def _stop(self, reason: str) -> None:
        if not stops.stop(self._site.id, reason):
            return
        self._journal.append("fault-stopped", reason=reason)
        self._heal(tell=True)
        if not self._ended.is_set():
            _interrupt()
        while not self._ended.wait(_AGAIN):  # a fault that was on its way meanwhile
            self._heal(tell=False)

    def _heal(self, *, tell: bool) -> None:
        """Undo what this process has applied to the site, the latest first; what fails is tried again."""
        me = Owner.me()
        log = UndoLog.for_site(self._site.id)
        try:
            mine = [entry for entry in reversed(log.read().open) if entry.owner == me]
        except IslandingError as error:
            mine = []
            self._tell(error, tell=tell)
        for entry in mine:
            try:
                undo_fault(healing.from_record(entry), self._journal, log)
            except IslandingError as error:  # the others have to be undone too
                self._tell(error, tell=tell)

    def _tell(self, error: IslandingError, *, tell: bool) -> None:
        if tell:
            self._journal.append("warning", text=redact(str(error)))


_lock = threading.Lock()
_watches: dict[str, tuple[StopWatch, int]] = {}


@contextmanager
def watching_stops(site: Site, journal: Journal) -> Iterator[None]:
    """Watch the site's stop conditions for a block, in which faults are applied; blocks may be nested.

    Raises Stopped when one comes true in it. A site without conditions costs nothing.
    """
    if not site.guardrails.stop:
        yield
        return
    watch_stops(site, journal)
    try:
        try:
            yield
        finally:
            leave_stops(site.id)
    except KeyboardInterrupt as interrupt:
        if stops.stopped(site.id):
            raise _stopped(site) from interrupt
        raise
    if stops.stopped(site.id):  # in the last moment, so that nobody was interrupted
        raise _stopped(site)


def watch_stops(site: Site, journal: Journal) -> None:
    """Watch the site's stop conditions from now on, until `leave_stops` was called as often."""
    if not site.guardrails.stop:
        return
    with _lock:
        watch, users = _watches.get(site.id) or (StopWatch(site, journal), 0)
        _watches[site.id] = (watch, users + 1)


def leave_stops(site_id: str) -> None:
    """The end of one `watch_stops`; does nothing when there is none."""
    with _lock:
        if site_id not in _watches:
            return
        watch, users = _watches.pop(site_id)
        if users > 1:
            _watches[site_id] = (watch, users - 1)
            return
    watch.close()


def _stopped(site: Site) -> Stopped:
    what = f"broken off, and healed: {stops.stopped(site.id)}"
    return Stopped(what, "see why, then start another run")


def _interrupt() -> None:
    """Interrupt the main thread as Ctrl-C does; as SIGTERM where a shell in the background lets Ctrl-C be ignored."""
    number = signal.SIGINT if callable(signal.getsignal(signal.SIGINT)) else signal.SIGTERM
    main = threading.main_thread().ident
    assert main is not None  # noqa: S101 - it has started long ago
    signal.pthread_kill(main, number)
