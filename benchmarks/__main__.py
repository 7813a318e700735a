"""`python -m benchmarks`: measures, prints the table, and writes docs/performance.md."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figure import Figure, load, milliseconds, spread
from benchmarks.figures import GROUPS, measure
from islanding.errors import IslandingError
from islanding.lab import cgroups, launch, parts, registry
from islanding.wait import WaitTimeout, wait_until

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
NOISE_ROUNDS = 50
_HEAD = ("name", "value", "reference", "ratio", "wanted", "met")


def table(figures: list[Figure]) -> str:
    """The table in Markdown, which reads as text too."""
    cells = [_HEAD, *(figure.cells() for figure in figures)]
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


def noise() -> str:
    """How long an empty program takes, and how much that differs: the machine's own part in each figure."""
    seen = [milliseconds(lambda: subprocess.run(["true"], check=True)) for _ in range(NOISE_ROUNDS)]
    return spread(seen)


def document(figures: list[Figure], rounds: int, at_first: str, noises: tuple[str, str]) -> str:
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
- Noise: an empty program takes {noises[0]} before everything, {noises[1]} after it
- Rounds: {rounds} of each lab, bare start and lab in turns; of shorter things as many as their notes say; medians

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

*Closed-vpc: workers Ready* is the time from `islanding lab up` to the step at which both nodes of the worker group are
Ready, parts and images cached: stacks, `create-cluster`, operator, bastion and joining included, the workload not. That
aws-node, which is the real VPC CNI, then runs on each worker is asked of the cluster afterwards; without it a node is
not Ready.

*Reconcile* is what the data plane does after one AWS call that changes something, here called by itself: read moto's
state, plan, take the difference to the plan before, and give that to the kernel. An *instance* is a namespace with its
cable, the router's routes and groups; a *rule* is one nftables transaction of its VPC; a *route* is one line of
`ip -batch`. The limit is that of the small account (2 VPCs, 6 subnets, 10 instances). The larger ones say how it grows:
60 instances are applied, 500 are planned only, and *plan alone* is the whole of snapshot, plan and difference. The
notes tell how much of it the kernel's tools took, and how much processor time it was in all: most of the rest is the
kernel's own grace periods, which take longer when other processes keep the cores busy.

*A call with the data plane* is a boto3 call in one process to the Region of an account whose changes reach the kernel,
*the same without* one to a second account alike whose changes do not; both take turns, and which is first changes with
the round. Nothing of the data plane is in a read. A write is answered when the kernel has it.

*Through the path* is from an instance in a VPC without internet: token, TLS, the registry behind ecr.dkr, its redirect,
and the layer from S3 by the gateway endpoint. The *plain copy* is the same bytes by HTTP in the clear, from another
instance in the same subnet, through the same router to the same disk. *By curl* is the image's one large layer, as
containerd fetches one. *By skopeo* is the whole image, which skopeo hashes and stores blob by blob: *folder to folder*
is the same command without any network, and takes about as long. So the first row measures the path, the second one
skopeo.

*Journal append* is one sample, redacted, chained and written under the file's lock; the *plain write* is the same line
as JSON, without any of these.

*Undo log append* is one line of the log written and on disk (fsync). *Healed by the watchdog* is from SIGKILL of a
process that holds a fault until the undo log says that the fault is undone, at a site whose router is a file: the time
is the watchdog's own, not a router's.

*History of 10,000 runs* are the questions that `islanding history`, `diff` and `metrics` ask, put to a file of 10,000
runs of 32 cases, 30 requirement rows and 60 figures each, with a change of the parts every 50 runs: the query alone, as
the command's own start takes longer. The page cache is warm.

Every figure is a median; the notes give the smallest, the largest and the rounds. The time that an empty program takes
(*noise*) is measured before and after everything: where its largest is many times its median, or both differ much, the
machine had other work, and figures of milliseconds say little. `make bench ARGS="--only reconcile"` measures one group
(`python -m benchmarks --help` lists them) and leaves this file as it is.
"""


def say(text: str) -> None:
    """Tell how it goes, at once."""
    print(text, flush=True)


def main() -> int:
    """Measure; the exit code is 0 whatever the figures say, for they are read by people."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures of the lab, as ratios.")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of each lab, the bare start in turns with it (default 3)"
    )
    parser.add_argument(
        "--quiet",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="wait at most so long for idle cores (default 120)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=tuple(GROUPS),
        metavar="NAME",
        help=f"only these, and leave docs/performance.md as it is; repeatable: {', '.join(GROUPS)}",
    )
    parser.add_argument("--no-document", action="store_true", help="print only; leave docs/performance.md as it is")
    options = parser.parse_args()
    try:
        launch.require_root()
        registry.sweep()
        wait_for_quiet(options.quiet)
        at_first = beside()
        before = noise()
        say(f"{at_first}; an empty program takes {before}")
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(max(options.rounds, 1), Path(folder), say, options.only)
        after = noise()
        say(f"load average {load():.2f} as it ended; an empty program takes {after}")
    except IslandingError as error:
        print(f"{error.what}\n  {error.fix}", file=sys.stderr)
        return error.exit_code
    print(f"\n{table(figures)}")
    if not options.no_document and not options.only:
        DOCUMENT.write_text(document(figures, max(options.rounds, 1), at_first, (before, after)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
