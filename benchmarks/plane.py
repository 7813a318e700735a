"""Figures of the data plane: reconcile after one change and its growth, what it adds to a call, an image's path."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import throwaway
from benchmarks.figure import Figure, Say, load, spread

ROUNDS = 15  # at least: each takes some milliseconds
PULL_ROUNDS = 9
MEGABYTES = 50
RECONCILE_MS = 30.0
READ_RATIO = 1.3
WRITE_MS = 40.0
PULL_RATIO = 0.5
CHANGES = ("a rule of a security group", "a route", "an instance")


def reconcile_figures(rounds: int, _folder: Path, say: Say) -> list[Figure]:
    """Reconcile after one change in a small account, against the limit; and the larger ones against the small one."""
    busy = f"load average {load():.1f} before it"
    with throwaway.running("benchmarks.reconcile", str(max(rounds, ROUNDS))) as (seen, _):
        small, *larger = seen["sizes"]
    figures = []
    for each in (small, *larger):
        for name, took in each["changes"].items():
            say(f"{each['size']}: {name}: {spread(took['seen'])}{_shares(took)}")
        say(f"{each['size']}: snapshot {each['snapshot']:.2f}, plan {each['plan']:.2f}, "
            f"difference {each['difference']:.2f} ms; {each['links']} links")  # fmt: skip
    for change in CHANGES:
        took = small["changes"][change]
        note = f"{small['size']}; {spread(took['seen'])}{_shares(took)}; {busy}"
        value = median(took["seen"])
        figures.append(Figure(f"reconcile after one change: {change}", value, "ms", RECONCILE_MS, "limit", 1.0, note))
    base = small["size"]
    for each in larger:
        for change in CHANGES if each["changes"] else ():
            value, reference = (median(size["changes"][change]["seen"]) for size in (each, small))
            name = f"the same with {each['size']}: {change}"
            figures.append(Figure(name, value, "ms", reference, base, None))
        value, reference = (_planning(size) for size in (each, small))
        name = f"plan alone with {each['size']}"
        note = f"snapshot {each['snapshot']:.1f}, plan {each['plan']:.1f}, difference {each['difference']:.1f} ms"
        figures.append(Figure(name, value, "ms", reference, base, None, note))
    return figures


def call_figures(rounds: int, _folder: Path, say: Say) -> list[Figure]:
    """A call with the data plane over the same call without."""
    busy = f"load average {load():.1f} before it"
    with throwaway.running("benchmarks.calls", str(max(rounds, ROUNDS))) as (seen, _):
        reads, writes = seen["reads"], seen["writes"]
    figures = []
    for name, (without, beside) in reads.items():
        note = f"with {spread(beside)}; without {spread(without)}; {busy}"
        say(f"{name}: {note}")
        title = f"a read with the data plane: {name.title().replace('_', '')}"
        figures.append(Figure(title, median(beside), "ms", median(without), "the same without", READ_RATIO, note))
    for name, (without, beside) in writes.items():
        note = f"with {spread(beside)}; without {spread(without)}; {busy}"
        say(f"{name}: {note}")
        added = median(beside) - median(without)
        figures.append(Figure(f"added to a write: {name}", added, "ms", WRITE_MS, "limit", 1.0, note))
    return figures


def pull_figures(_rounds: int, _folder: Path, say: Say) -> list[Figure]:
    """An image through its endpoints, over a plain copy of the same bytes between the two namespaces."""
    busy = f"load average {load():.1f} before it"
    with throwaway.running("benchmarks.pull", str(PULL_ROUNDS), str(MEGABYTES)) as (seen, _):
        ways: dict[str, list[float]] = seen["ways"]
    speeds = {name: MEGABYTES * 1000 / median(took) for name, took in ways.items()}
    for name, took in ways.items():
        say(f"{MEGABYTES} MB, {name}: {spread(took)}, {speeds[name]:.0f} MB/s")
    copy = speeds["copy"]

    def figure(way: str, title: str, reference: float, reference_is: str, wanted: float | None) -> Figure:
        note = f"{spread(ways[way])}; {reference_is}: {MEGABYTES * 1000 / reference:.1f} ms; {busy}"
        return Figure(title, speeds[way], "MB/s", reference, reference_is, wanted, note, at_least=True)

    size, plain = f"{MEGABYTES} MB", "plain copy by curl"
    return [
        figure("layer", f"{size} layer through the path, by curl", copy, plain, PULL_RATIO),
        figure("image", f"{size} image through the path, by skopeo", copy, plain, PULL_RATIO),
        figure("image", "the same beside skopeo without a network", speeds["folders"], "folder to folder", None),
    ]


def _planning(size: dict[str, Any]) -> float:
    return float(size["snapshot"] + size["plan"] + size["difference"])


def _shares(took: dict[str, Any]) -> str:
    if "kernel" not in took:
        return ""
    return f", {took['kernel']:.1f} in the kernel's tools, {took['processor']:.1f} of the processor's time"
