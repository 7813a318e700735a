"""What is measured, by groups that can be asked for by name: each figure with its reference and what is wanted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import healing, history, plane, recording, report, starting, throwaway
from benchmarks.figure import Figure, Say, load
from islanding import journal, sites
from islanding.journal import Event
from islanding.lab import cgroups, launch, registry
from islanding.model import Site
from islanding.probes.of_site import SiteProbes
from islanding.sampling import Sampler, place_of

GIB = 1 << 30
PROBE_SECONDS = 60
RSS_LIMITS = {"outpost-local": 3.0, "outpost-extended": 1.8, "closed-vpc": 2.5}  # GiB
NODES_READY = "nodes ready"  # the step of a bring-up after which each worker is Ready
WORKERS_SECONDS = 30.0


@contextmanager
def up(site: str, on_event: Callable[[Event], None] = lambda _: None) -> Iterator[tuple[registry.Lab, float]]:
    """A lab for the time of the block, with the seconds that it took to be ready."""
    begun = time.monotonic()
    lab = launch.up(site, on_event=on_event)
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


def outpost_local(rounds: int, folder: Path, say: Say) -> list[Figure]:
    """The site beside the bare start, in turns; and what is measured of it while it is up."""
    bare, ready, downs, loads = [], [], [], []
    figures = []
    for number in range(1, rounds + 1):
        loads.append(load())
        with throwaway.running("benchmarks.bare_start") as (marks, seconds):
            bare.append(seconds)
            say(f"bare start {number}: {seconds:.2f} s {marks}")
        with up("outpost-local") as (lab, seconds):
            ready.append(seconds)
            say(f"outpost-local {number}: ready after {seconds:.2f} s")
            if number == rounds:
                figures.append(resident(lab))
                missed, due = missed_ticks(lab, folder)
                say(f"HTTP probe: {missed} of {due} ticks missed")
                name = "HTTP probe at 100 ms: ticks missed beside a busy process"
                figures.append(Figure(name, missed, "ticks", due, "due", 0.05))
            downs.append(down(lab))
            say(f"outpost-local {number}: down after {downs[-1]:.2f} s")
    each = ", ".join(f"{b:.1f}/{r:.1f}" for b, r in zip(bare, ready, strict=True))
    note = f"bare/lab by round: {each}; {_loaded(loads)}"
    slowest = f"slowest {max(downs):.2f} s"
    return [
        Figure("site ready (outpost-local)", median(ready), "s", median(bare), "bare start", 1.3, note),
        Figure("lab down", median(downs), "s", 3.0, "limit", 1.0, slowest),
        *figures,
    ]


def outpost_extended(_rounds: int, _folder: Path, say: Say) -> list[Figure]:
    """Its memory."""
    with up("outpost-extended") as (lab, seconds):
        say(f"outpost-extended: ready after {seconds:.2f} s")
        return [resident(lab)]


def closed_vpc(rounds: int, _folder: Path, say: Say) -> list[Figure]:
    """From nothing to its workers Ready, parts cached; and its memory."""
    ready, whole, loads = [], [], []
    memory: list[Figure] = []
    for number in range(1, rounds + 1):
        marks: dict[str, float] = {}
        begun = time.monotonic()
        loads.append(load())

        def mark(event: Event, marks: dict[str, float] = marks, begun: float = begun) -> None:
            if event.type == "site-step":  # events carry the clock that all processes share
                marks[event["step"]] = event.t - begun

        with up("closed-vpc", mark) as (lab, seconds):
            ready.append(marks[NODES_READY])
            whole.append(seconds)
            say(f"closed-vpc {number}: workers Ready after {ready[-1]:.2f} s, workload after {seconds:.2f} s")
            require_aws_node(sites.load(lab.site_file))
            if number == rounds:
                memory.append(resident(lab))
    each = ", ".join(f"{r:.1f}/{w:.1f}" for r, w in zip(ready, whole, strict=True))
    note = f"workers Ready/workload answers by round: {each}; {_loaded(loads)}"
    name = "closed-vpc: from nothing to workers Ready, aws-node running"
    return [Figure(name, median(ready), "s", WORKERS_SECONDS, "limit", 1.0, note), *memory]


def require_aws_node(site: Site) -> None:
    """Raise RuntimeError unless the real CNI runs on each worker: Ready without it would be another figure."""
    wanted = "jsonpath={.status.desiredNumberScheduled} {.status.numberReady}"
    command = ["kubectl", "get", "daemonset", "aws-node", "-n", "kube-system", "-o", wanted]
    said = site.place("operator").run(command).stdout.split()
    workers = str(len(site.workers))
    if said != [workers, workers]:
        raise RuntimeError(f"aws-node wanted and ready: {said}, on {workers} workers")


def power_on(_rounds: int, _folder: Path, say: Say) -> list[Figure]:
    """Instance power-on to sshd."""
    with throwaway.running("benchmarks.power_on") as (seen, _):
        say(f"power-on: {seen}")
    singles = ", ".join(f"{each:.2f}" for each in seen["singles"])
    return [
        Figure("instance power-on to sshd", seen["one"], "s", 1.2, "limit", 1.0, f"median of {singles}"),
        Figure("ten instances at once, the last one's sshd", seen["ten"], "s", 5.0, "limit", 1.0),
    ]


def resident(lab: registry.Lab) -> Figure:
    """Resident memory of a lab."""
    return Figure(f"RSS of {lab.site}", cgroups.rss_bytes(lab.id) / GIB, "GiB", RSS_LIMITS[lab.site], "limit", 1.0)


def _loaded(loads: list[float]) -> str:
    """The load in words."""
    return f"load average before each round: {', '.join(f'{each:.1f}' for each in loads)}"


GROUPS: dict[str, Callable[[int, Path, Say], list[Figure]]] = {
    "outpost-local": outpost_local,
    "power-on": power_on,
    "outpost-extended": outpost_extended,
    "closed-vpc": closed_vpc,
    "reconcile": plane.reconcile_figures,
    "calls": plane.call_figures,
    "pull": plane.pull_figures,
    "healing": healing.healing_figures,
    "history": history.history_figures,
    "journal": recording.journal_figures,
    "report": report.report_figures,
    "help": starting.help_figures,
}


def measure(rounds: int, folder: Path, say: Say, only: Collection[str] = ()) -> list[Figure]:
    """Measure the groups named, or all of them, one after the other."""
    figures = []
    for name, group in GROUPS.items():
        if not only or name in only:
            say(f"{name}: load average {load():.2f}")
            figures += group(rounds, folder, say)
    return figures
