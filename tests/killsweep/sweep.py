"""One sweep over one lab: strike, heal, compare; a run is a process of its own, forked from one that has all loaded."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from islanding import sites
from islanding.chaos.run import run_experiment
from islanding.errors import IslandingError
from islanding.journal import Journal
from islanding.lab.registry import Lab
from islanding.model import Site
from islanding.undo import State, UndoLog
from islanding.wait import WaitTimeout, wait_until
from islanding.watchdog import spawn
from tests.killsweep import experiment, world
from tests.killsweep.kept import Result
from tests.killsweep.strikes import Choice, Strike, Victim

ENDS_IN = 60.0  # seconds in which a runner that caught its signal has to be gone
RESTS_IN = 45.0  # seconds in which the site has to be as before: BGP's timers, mostly


@dataclass
class Sweep:
    """A lab, what it looked like before the first run, and how long an experiment takes that nobody kills."""

    lab: Lab
    site: Site
    folder: Path
    before: world.World = field(init=False)
    whole: dict[str, float] = field(default_factory=dict, init=False)

    @classmethod
    def over(cls, lab: Lab, folder: Path) -> Sweep:
        """A sweep over a lab at rest; its files go into `folder`."""
        made = cls(lab, sites.load(lab.site_file), folder)
        (folder / "out").mkdir(parents=True, exist_ok=True)
        made.before = world.at_rest(made._now)
        return made

    @property
    def log(self) -> UndoLog:
        """The undo log of the site."""
        return UndoLog.for_site(self.site.id)

    def unharmed(self, choice: Choice) -> list[str]:
        """Let one experiment run to its end, to know how long it takes; what it left behind."""
        begun, known = time.monotonic(), len(self.log.read().entries)
        pid = self._start(choice, "unharmed")
        status = os.waitpid(pid, 0)[1]
        self.whole[str(choice)] = time.monotonic() - begun
        if status != 0:
            raise IslandingError(f"{choice} fails by itself: {self._said('unharmed')}")
        if len(self.log.read().entries) == known:
            raise IslandingError(f"{choice} breaks nothing: {self._said('unharmed')}")
        return world.settled(self.before, self._now, RESTS_IN)

    def strike(self, strike: Strike) -> Result:
        """One run: started, struck, healed, compared."""
        name = f"{strike.number:04d}"
        words = len(self._watchdogs_words())
        pid = self._start(strike.choice, name)
        with suppress(WaitTimeout):  # the instant; sooner only when the runner has ended by itself
            wait_until("the runner to end", lambda: _ended(pid), timeout=strike.share * self.whole[str(strike.choice)],
                       interval=0.005)  # fmt: skip
        if strike.victim is not Victim.RUNNER:
            watchdog = spawn.standing(self.log.path)
            if watchdog is not None:
                os.kill(watchdog, strike.signal)
        if strike.victim is not Victim.WATCHDOG and not _ended(pid):
            os.kill(pid, strike.signal)
        try:
            wait_until("the runner to end", lambda: _ended(pid), timeout=ENDS_IN, interval=0.005)
        except WaitTimeout:
            os.kill(pid, signal.SIGKILL)
        died = time.monotonic()
        ended = _how(os.waitpid(pid, 0)[1])
        was_open = bool(self.log.read().open)
        healed, unhealed = None, []
        if was_open and strike.victim is Victim.RUNNER:
            healed = self._watchdogs_work(died)
            unhealed = self._unhealed(words)
        by_hand = self._heal()
        left = world.settled(self.before, self._now, RESTS_IN)
        differences = [*unhealed, *by_hand, *left]
        return Result.of(strike, ended=ended, was_open=was_open, healed=healed, differences=differences)

    def strays(self) -> list[str]:
        """Processes of the harness outside of the lab: what a run started and did not end, watchdogs included."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (folder / "environ").read_bytes()
                if f"ISLANDING_SWEEP={self.folder}".encode() in environment.split(b"\0"):
                    found.append((folder / "cmdline").read_text().replace("\0", " ").strip())
        return found

    def _now(self) -> world.World:
        return world.look(self.site, self.lab, self.strays)

    def _watchdogs_work(self, since: float) -> float | None:
        """Seconds until nothing was open; None when no watchdog is left to see to that, or it took too long."""
        with suppress(WaitTimeout):
            wait_until(
                "the watchdog to heal",
                lambda: not self.log.read().open or not _watched(self.log),
                timeout=RESTS_IN,
                interval=0.01,
            )
        return None if self.log.read().open else time.monotonic() - since

    def _unhealed(self, words: int) -> list[str]:
        """What is open though a watchdog had begun, or though the fault was applied; `words`: of its log, before.

        A runner may die between its record and its watchdog: then nobody stands, and nothing is changed yet.
        """
        said = self._watchdogs_words()[words:].decode(errors="replace")
        return [
            f"the watchdog left {entry.kind}, {entry.state}, and said: {said or 'nothing'}"
            for entry in self.log.read().open
            if said or entry.state is not State.PLANNED
        ]

    def _watchdogs_words(self) -> bytes:
        path = spawn.words_path(self.log.path)
        return path.read_bytes() if path.exists() else b""

    def _heal(self) -> list[str]:
        """`islanding heal`, as a user would; what it could not do."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("islanding")), "heal"], capture_output=True, text=True, check=False
        )
        return [] if done.returncode == 0 else [f"islanding heal: exit code {done.returncode}: {done.stderr.strip()}"]

    def _start(self, choice: Choice, name: str) -> int:
        path = experiment.write(choice, self.site.name, self.folder)
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            faulthandler.disable()  # pytest's would tell of each SIGABRT that is meant
            os.setsid()
            os.environ["ISLANDING_SWEEP"] = str(self.folder)
            with (self.folder / "out" / f"{name}.txt").open("wb") as out:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            site = sites.load(self.lab.site_file)
            run_experiment(path, site, Journal(self.folder / "journal.jsonl", site=site.name))
            code = 0
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _said(self, name: str) -> str:
        return (self.folder / "out" / f"{name}.txt").read_text(errors="replace")[-3000:]


def _watched(log: UndoLog) -> bool:
    """Whether a watchdog stands, or is being started: either holds the lock."""
    with spawn.lock_path(log.path).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _ended(pid: int) -> bool:
    """Whether a child has ended; it stays to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


__all__ = ["Sweep", "say"]
