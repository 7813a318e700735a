"""`python -m benchmarks`: measures, prints the table, and writes docs/performance.md."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, measure
from islanding.errors import IslandingError
from islanding.lab import cgroups, launch, parts, registry
from islanding.wait import WaitTimeout, wait_until

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
_HEAD = ("name", "value", "reference", "ratio", "wanted", "met")


def rows(figures: list[Figure]) -> list[tuple[str, ...]]:
    """The table's cells."""
    return [
        (
            figure.name,
            f"{figure.value:.2f} {figure.unit}",
            f"{figure.reference:.2f} {figure.unit} ({figure.reference_is})",
            f"{figure.ratio:.2f}",
            f"≤ {figure.wanted:g}",
            "yes" if figure.met else "no",
        )
        for figure in figures
    ]


def table(figures: list[Figure]) -> str:
    """The table in Markdown, which reads as text too."""
    cells = [_HEAD, *rows(figures)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def beside() -> str:
    """What else keeps this machine busy as the measurement begins."""
    # By control groups: labs of another state folder count too.
    groups = cgroups.hierarchies()[0].glob(f"{cgroups.group_name('*')}")
    others = sorted(g.name for g in groups if any(f.read_text().strip() for f in g.rglob("cgroup.procs")))
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"load average {load} as it began; other labs: {', '.join(others) or 'none'}"


def idle() -> float:
    """The idle share of all cores over two seconds."""
    seen = []
    for pause in (2.0, 0.0):
        numbers = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        seen.append((numbers[3] + numbers[4], sum(numbers)))
        if pause:
            with contextlib.suppress(WaitTimeout):
                wait_until("two seconds to pass", lambda: False, timeout=pause, interval=pause)
    (idle_before, all_before), (idle_after, all_after) = seen
    return (idle_after - idle_before) / max(all_after - all_before, 1)


def wait_for_quiet(seconds: float) -> None:
    """Wait until four fifths of the cores are idle, at most `seconds`; what was beside is said in any case."""
    with contextlib.suppress(WaitTimeout):
        wait_until("idle cores", idle, timeout=seconds, interval=1.0, done=lambda share: share > 0.8)


def document(figures: list[Figure], rounds: int, at_first: str) -> str:
    """docs/performance.md."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(parts.find().versions.items()))
    notes = "".join(f"- {figure.name}: {figure.note}\n" for figure in figures if figure.note)
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"""\
# Performance

Written by `make bench`, from one run; references are from the same run or, where it says so, fixed limits. A ratio is
value over reference.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: Linux {platform.release()}, {os.cpu_count()} cores ({model}), Python {platform.python_version()}
- Beside it: {at_first}
- Parts: {versions}
- Rounds: {rounds}, bare start and lab in turns; medians

{table(figures)}

{notes}
## What the figures mean

*Site ready* is the time from `islanding lab up` to a workload that answers on every worker. Its reference, the *bare
start*, brings up the same parts by a plain script: the networks, moto over TLS, three FRR routers, three dnsmasq, and
six nodes' worth of etcd, control plane, authenticators, containerd, kubelet and kube-proxy as bare processes in
namespaces, images imported, nginx three times, ready by the same conditions. It leaves out systemd, cloud-init, sshd,
the metadata service, the account's AWS objects, joining by IAM, the desks and the record
(`benchmarks/bare_start.py`).

*Power-on* is a first boot on a fresh disk, until sshd greets: systemd, cloud-init and host keys included. *Lab down*
ends when no process, mount, namespace, control group or file of the lab is left. *Ticks missed* are those of the HTTP
probe's sampler over 60 s, while another process computes without a pause. *RSS* is anonymous memory of everything in
the lab, the supervisor and its Region included, just after it is ready.
"""


def main() -> int:
    """Measure; the exit code is 0 whatever the figures say, for they are read by people."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures of the lab, as ratios.")
    parser.add_argument("--rounds", type=int, default=3, help="of bare start and bring-up (default 3)")
    parser.add_argument(
        "--quiet",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="wait at most so long for idle cores (default 120)",
    )
    parser.add_argument("--no-document", action="store_true", help="print only; leave docs/performance.md as it is")
    options = parser.parse_args()
    try:
        launch.require_root()
        registry.sweep()
        wait_for_quiet(options.quiet)
        at_first = beside()
        print(at_first, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(max(options.rounds, 1), Path(folder), lambda text: print(text, flush=True))
    except IslandingError as error:
        print(f"{error.what}\n  {error.fix}", file=sys.stderr)
        return error.exit_code
    print(f"\n{table(figures)}")
    if not options.no_document:
        DOCUMENT.write_text(document(figures, options.rounds, at_first), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
