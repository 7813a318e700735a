"""The lab's keeper: starts the lab's first process in namespaces of its own, and sweeps up when that ends.

Three processes, so that no death leaves anything behind:

    guard (host)  ->  init (pid 1 of the lab)  ->  supervisor
      sweeps           reaps, forwards SIGTERM      owns machines, routers, Region

When the supervisor dies, init ends; when init ends, the kernel kills every process of the lab, and with the last of
them go its mounts, network namespaces and veths. The guard then removes what the kernel does not: control groups and
the lab's folder. When the guard is killed, init dies with it, and the next `islanding` command sweeps instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from islanding.lab import cgroups, desk, namespaces, registry

_PRIVATE = ("/run/netns", "/etc/frr", "/var/run/frr", "/run/islanding")


def main() -> None:
    """`python -m islanding.lab.guard FOLDER`: run the lab whose folder that is, to its end."""
    folder = Path(sys.argv[1])
    lab_id = folder.name
    namespaces.unshare(namespaces.CLONE_NEWPID)
    ready_read, ready_write = os.pipe()
    init = os.fork()
    if init == 0:
        namespaces.die_with_parent()
        os.close(ready_write)
        if not os.read(ready_read, 1):  # until the guard has written the lab's record
            os._exit(1)  # it died before it could
        _init(folder, lab_id)
    os.close(ready_read)
    registry.write_record(folder, pid=init, guard=os.getpid())
    os.write(ready_write, b".")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _forward(init))
    _wait_for(init)
    # From here on nothing may be forked: the process-id namespace made above is dead.
    registry.sweep_folder(folder)


def _forward(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _wait_for(pid: int) -> int:
    while True:
        with contextlib.suppress(InterruptedError):
            return os.waitpid(pid, 0)[1]


def _init(folder: Path, lab_id: str) -> None:
    """Pid 1 of the lab: private mounts, then the supervisor as a child; never returns."""
    cgroups.enter(cgroups.create(lab_id, "core"))
    namespaces.unshare(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC)
    namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    for target in _PRIVATE:
        Path(target).mkdir(parents=True, exist_ok=True)
        namespaces.mount("tmpfs", os.path.realpath(target), "tmpfs", data="mode=755")
    desk.keep_host_proc()
    namespaces.mount("proc", "/proc", "proc")
    log = os.open(folder / "logs" / "supervisor.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    supervisor = os.fork()
    if supervisor == 0:
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execv(sys.executable, [sys.executable, "-m", "islanding.lab.supervisor", str(folder)])
    signal.signal(signal.SIGTERM, lambda *_: _forward(supervisor))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except InterruptedError:
            continue
        if pid == supervisor:
            (folder / "exit.json").write_text(json.dumps({"status": os.waitstatus_to_exitcode(status)}))
            os._exit(0)


if __name__ == "__main__":
    main()
