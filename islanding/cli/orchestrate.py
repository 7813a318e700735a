"""A whole run: each site is brought up, its cases are run by pytest in a process of their own, and it is taken down.

Sites come up one after the other, since coming up is what fills the cores; once a site is up its cases mostly wait
(hold timers, dials, grace periods), so the cases of several sites overlap. No more sites are up at a time than there
are cores, and two: on full cores bounds run out that say nothing about the site (docs/measurements.md 13).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from islanding import __version__, clock, siteconf
from islanding.cli import inputs
from islanding.errors import IslandingError
from islanding.faults.heal import heal
from islanding.journal import Journal
from islanding.lab import cgroups, launch, parts, registry
from islanding.paths import content_dir
from islanding.process import dying_with_parent
from islanding.runs import JOURNAL

_STOP_TIMEOUT = 90.0  # seconds for a case to undo its faults after it was told to stop
MEMORY_INTERVAL = 1.0


@dataclass(frozen=True)
class SiteRun:
    """What to run at a site: `expression` as for pytest's -k, `rows` the requirements to cover (none: all)."""

    site: str
    expression: str = ""
    rows: tuple[str, ...] = ()

    def command(self, site_file: Path, folder: Path) -> list[str]:
        """The pytest command for this site."""
        pytest = [sys.executable, "-m", "pytest", "--no-header", "-rA", "--color=no", "--islanding-run", str(folder)]
        return [*pytest, *self.arguments(str(site_file))]

    def arguments(self, site: str) -> list[str]:
        """Which cases pytest is to take, of a site by its file or its name."""
        chosen = ["-k", self.expression] if self.expression else []
        rows = [argument for row in self.rows for argument in ("--islanding-requirement", row)]
        where = [str(content_dir("suites")), str(content_dir("experiments"))]
        return ["-p", "no:cacheprovider", "--islanding-site", site, *chosen, *rows, *where]


class RunningSite(Protocol):
    """A site that is up, as a run sees it: a lab, or one on a real account."""

    @property
    def id(self) -> str: ...
    @property
    def folder(self) -> Path: ...
    @property
    def site_file(self) -> Path: ...


class Run:
    """One run in one folder, in the lab."""

    target = "lab"
    owns_its_sites = True  # so that nobody else can have a fault there

    def __init__(self, folder: Path, sites: Sequence[SiteRun]) -> None:
        self.folder = folder
        self.sites = tuple(sites)
        self.journal = Journal(folder / JOURNAL)
        self._slots = threading.Semaphore(self._at_a_time())
        self._stop = threading.Event()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def execute(self) -> bool:
        """Run everything; returns True when it was interrupted. Whatever was brought up is down afterwards."""
        self._started()
        turn, threads = threading.Event(), []
        turn.set()
        for site in self.sites:
            following = threading.Event()
            arguments = (site, turn, following)
            threads.append(threading.Thread(target=self._site, args=arguments, name=f"site-{site.site}"))
            turn = following
        previous = {n: signal.signal(n, self._interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._stop.is_set()

    def _at_a_time(self) -> int:
        """How many sites are up side by side."""
        return max(2, len(os.sched_getaffinity(0)))

    def finish(self, exit_code: int) -> None:
        """Close the record."""
        self.journal.append("run-finished", exit_code=exit_code)

    def _interrupt(self, *_: object) -> None:
        """Ctrl-C and SIGTERM: cases undo their faults, labs go down, the report is still written."""
        self._stop.set()
        for process in list(self._processes):
            process.send_signal(signal.SIGTERM)

    def _started(self) -> None:
        swept = self._swept()
        healed = heal()
        code = inputs.revision()
        self.journal.append(
            "run-started",
            run=self.folder.name,
            target=self.target,
            sites=[s.site for s in self.sites],
            revision=str(code),
            clean=code.clean,
            **self._runs_on(),
            host={**inputs.host(), "cgroup": cgroups.version(), "islanding": __version__},
            clock=clock.look().data(),
            inputs=inputs.collect(self.folder, self._site_files(), self._options()),
        )
        for lab in swept:
            self.journal.append("warning", text=f"swept up after dead lab {lab}")
        for each in healed:
            self.journal.append("warning", text=f"healed what an earlier run had left: {each}")

    def _swept(self) -> Sequence[object]:
        """What dead runs left standing, swept up."""
        return registry.sweep()

    def _runs_on(self) -> dict[str, Any]:
        """Versions and hashes of the parts that the sites are made of."""
        found = parts.find()
        return {"parts": found.versions, "hashes": found.hashes}

    def _site_files(self) -> dict[str, list[Path]]:
        """The files of each site, as they are when the run begins."""
        return {each.site: inputs.site_files(siteconf.find(each.site)) for each in self.sites}

    def _options(self) -> dict[str, Any]:
        """What was asked of this run."""
        return {"target": self.target, "sites": [asdict(each) for each in self.sites]}

    def _site(self, wanted: SiteRun, turn: threading.Event, following: threading.Event) -> None:
        """A site from its bring-up, once it is its `turn`, to its end; the `following` one comes up when it is up."""
        journal = self.journal.bind(site=wanted.site)
        lab: RunningSite | None = None
        turn.wait()
        with self._slots:
            try:
                if self._stop.is_set():
                    return
                lab = self._up(wanted.site, journal)
                following.set()
                self._cases(wanted, lab, journal)
            except IslandingError as error:
                journal.append("site-failed", reason=str(error))
            except Exception as error:  # whatever it is, the other sites go on and the report says so
                journal.append("site-failed", reason=f"{type(error).__name__}: {error}")
            finally:
                following.set()  # also where it did not come up
                if lab is not None:
                    self._down(lab, journal)

    def _up(self, site: str, journal: Journal) -> RunningSite:
        journal.append("site-starting")
        return launch.up(
            site,
            journal=self.journal.path,
            logs=self.folder / "logs" / site,
            cancelled=self._stop.is_set,
            tied=True,
        )

    def environment(self) -> dict[str, str]:
        """What the processes of the cases are given."""
        return launch.environment()

    def _cases(self, wanted: SiteRun, lab: RunningSite, journal: Journal) -> None:
        log = self.folder / "logs" / wanted.site / "pytest.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                dying_with_parent(wanted.command(lab.site_file, self.folder)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches it as one SIGTERM, not twice
                env=self.environment(),
            )
        self._processes.add(process)
        if self._stop.is_set():
            process.send_signal(signal.SIGTERM)
        peak, code = 0, process.poll()
        while code is None:
            try:
                code = process.wait(MEMORY_INTERVAL)
            except subprocess.TimeoutExpired:
                peak = max(peak, self._memory(lab))
        self._processes.discard(process)
        if peak:
            mebibytes = round(peak / 2**20)
            journal.append("measurement", name="peak resident memory", value=mebibytes, unit="MiB", verdict="pass")
        if code not in (0, 1, 5) and not self._stop.is_set():
            tail = log.read_text(errors="replace")[-2000:]
            journal.append("site-failed", reason=f"pytest ended with exit code {code}; see {log}:\n{tail}")

    def _memory(self, lab: RunningSite) -> int:
        """Bytes of this machine's memory that the site takes."""
        return cgroups.rss_bytes(lab.id) if lab.folder.exists() else 0

    def _down(self, lab: RunningSite, journal: Journal) -> None:
        begun = time.monotonic()
        try:
            heal(lab.id, force=self.owns_its_sites)
            self._take_down(lab)
        except IslandingError as error:
            journal.append("site-failed", reason=f"could not be taken down: {error}")
        journal.append("site-down", seconds=round(time.monotonic() - begun, 3))

    def _take_down(self, lab: RunningSite) -> None:
        if isinstance(lab, registry.Lab):
            launch.down(lab)
