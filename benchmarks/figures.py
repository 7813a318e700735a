"""What is measured: each figure with its reference and the value that is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import throwaway
from islanding import journal, siteconf, sites
from islanding.lab import cgroups, launch, registry
from islanding.probes.of_site import SiteProbes
from islanding.sampling import Sampler, place_of

GIB = 1 << 30
PROBE_SECONDS = 60
RSS_LIMITS = {"outpost-local": 3.0, "outpost-extended": 1.8}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One figure: value and reference in `unit`, and the ratio that is wanted at most."""

    name: str
    value: float
    unit: str
    reference: float
    reference_is: str
    wanted: float
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.value / self.reference if self.reference else float("inf")

    @property
    def met(self) -> bool:
        return self.ratio <= self.wanted


@contextmanager
def up(site: str) -> Iterator[tuple[registry.Lab, float]]:
    """A lab for the time of the block, with the seconds that it took to be ready."""
    begun = time.monotonic()
    lab = launch.up(site)
    seconds = time.monotonic() - begun
    try:
        yield lab, seconds
    finally:
        if lab.folder.exists():
            launch.down(lab)


def down(lab: registry.Lab) -> float:
    """Take it down; the seconds until nothing of it is left."""
    begun = time.monotonic()
    launch.down(lab)
    return time.monotonic() - begun


def missed_ticks(lab: registry.Lab, folder: Path) -> tuple[int, int]:
    """(missed, due) ticks of an HTTP probe at 100 ms, while a process beside it computes without a pause."""
    site = sites.load(lab.site_file)
    probe = SiteProbes(site).http(interval=0.1)
    book = journal.Journal(folder / "ticks.jsonl")
    sampler = Sampler(place_of(site, probe.place), book, {"http": probe}, drain=5.0)
    busy = f"import time; end = time.monotonic() + {PROBE_SECONDS}\nwhile time.monotonic() < end: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    said = sampler.wait_for_end()
    stopped = [event for event in journal.read(book.path) if event.type == "watch-stopped"]
    if said or not stopped:
        raise RuntimeError(f"the sampler did not end well: {said}")
    return int(stopped[0]["missed"]), int(stopped[0]["ticks"]) + int(stopped[0]["missed"])


def measure(rounds: int, folder: Path, say: Say) -> list[Figure]:
    """Measure everything, the bare start and the lab in turns."""
    bare, ready, downs, rss, loads = [], [], [], {}, []
    figures = []
    for number in range(1, rounds + 1):
        loads.append(os.getloadavg()[0])
        with throwaway.running("benchmarks.bare_start") as (marks, seconds):
            bare.append(seconds)
            say(f"bare start {number}: {seconds:.2f} s {marks}")
        with up("outpost-local") as (lab, seconds):
            ready.append(seconds)
            say(f"outpost-local {number}: ready after {seconds:.2f} s")
            if number == rounds:
                rss["outpost-local"] = cgroups.rss_bytes(lab.id) / GIB
                missed, due = missed_ticks(lab, folder)
                say(f"HTTP probe: {missed} of {due} ticks missed")
                figures.append(
                    Figure(
                        "HTTP probe at 100 ms: ticks missed beside a busy process", missed, "ticks", due, "due", 0.05
                    )
                )
            downs.append(down(lab))
            say(f"outpost-local {number}: down after {downs[-1]:.2f} s")
    each = ", ".join(f"{b:.1f}/{r:.1f}" for b, r in zip(bare, ready, strict=True))
    ready_figure = Figure(
        "site ready (outpost-local)",
        median(ready),
        "s",
        median(bare),
        "bare start",
        1.3,
        f"bare/lab by round: {each}; {_loaded(loads)}",
    )
    down_figure = Figure("lab down", median(downs), "s", 3.0, "limit", 1.0, f"slowest {max(downs):.2f} s")
    return [ready_figure, *power(say), down_figure, *figures, *resident(rss, say)]


def _loaded(loads: list[float]) -> str:
    """The load in words: figures of a machine that has other work are of little use."""
    return f"load average before each round: {', '.join(f'{load:.1f}' for load in loads)}"


def power(say: Say) -> list[Figure]:
    """Instance power-on to sshd."""
    with throwaway.running("benchmarks.power_on") as (seen, _):
        say(f"power-on: {seen}")
    singles = ", ".join(f"{each:.2f}" for each in seen["singles"])
    return [
        Figure("instance power-on to sshd", seen["one"], "s", 1.2, "limit", 1.0, f"median of {singles}"),
        Figure("ten instances at once, the last one's sshd", seen["ten"], "s", 5.0, "limit", 1.0),
    ]


def resident(rss: dict[str, float], say: Say) -> list[Figure]:
    """Resident memory of the sites that are there; the ones not yet measured are brought up for it."""
    for site in set(siteconf.names()) & set(RSS_LIMITS) - set(rss):
        with up(site) as (lab, seconds):
            rss[site] = cgroups.rss_bytes(lab.id) / GIB
            say(f"{site}: ready after {seconds:.2f} s, RSS {rss[site]:.2f} GiB")
    return [
        Figure(f"RSS of {site}", rss[site], "GiB", limit, "limit", 1.0)
        for site, limit in RSS_LIMITS.items()
        if site in rss
    ]
