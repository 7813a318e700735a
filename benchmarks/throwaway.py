"""A process in namespaces of its own, as a lab's first process is, for benchmarks that need less than a whole lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from islanding.errors import LabError
from islanding.lab import cgroups, limits, namespaces, registry
from islanding.lab.guard import _PRIVATE

_UNSHARE = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount",
    "--mount-proc",
    "--uts",
    "--ipc",
)


@contextmanager
def running(module: str, *arguments: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Run `python -m MODULE FOLDER ARGUMENTS` in its own namespaces until the block ends.

    Gives the JSON object of the first line that it prints, and the seconds from its start to that line. Its folder is
    that of a lab, so that nothing sweeps it up while it lives. Raises LabError with its last words when it ends before.
    """
    limits.raise_inotify()
    begun = time.monotonic()
    # The folder stays locked until it has its record, as a lab's does: nothing sweeps it up before.
    with registry.newborn("benchmark") as folder:
        log = folder / "logs" / "benchmark.log"
        command = [*_UNSHARE, "--propagation", "private", sys.executable, "-m", module, str(folder)]
        command += arguments
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        registry.write_record(folder, pid=process.pid, guard=os.getpid())
    try:
        line = process.stdout.readline() if process.stdout else ""
        seconds = time.monotonic() - begun
        if not line:
            raise LabError(f"{module} ended early: {log.read_text()[-2000:]}", f"logs: {registry.kept_logs(folder)}")
        yield json.loads(line), seconds
    finally:
        process.kill()  # and with it its child, the first process of the namespaces
        process.wait()
        registry.sweep_folder(folder)


def prepare(folder: Path) -> None:
    """Make the private folders and the control group that the lab's parts expect; called first by the module."""
    cgroups.enter(cgroups.create(folder.name, "core"))
    for target in _PRIVATE:
        Path(target).mkdir(parents=True, exist_ok=True)
        namespaces.mount("tmpfs", os.path.realpath(target), "tmpfs", data="mode=755")


def report(**result: object) -> None:
    """Print the result line, and stay until the benchmark is over."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    subprocess.run(["tail", "-f", "/dev/null"], check=False)
