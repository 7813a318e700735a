"""Control groups of a lab, on cgroup v1 and v2: one folder a lab, one below it for each machine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from islanding.wait import WaitTimeout, wait_until

ROOT = Path("/sys/fs/cgroup")
V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd")


def version() -> int:
    """2 where the unified hierarchy has controllers at the root, else 1."""
    controllers = ROOT / "cgroup.controllers"
    return 2 if controllers.exists() and controllers.read_text().strip() else 1


def hierarchies() -> list[Path]:
    """The mount points in which each group must exist; several v1 controllers may share one."""
    if version() == 2:
        return [ROOT]
    seen: list[Path] = []
    for controller in V1_CONTROLLERS:
        path = (ROOT / controller).resolve()
        if path.is_dir() and path not in seen:
            seen.append(path)
    return [*seen, *_beside_v1()]


def _beside_v1() -> list[Path]:
    """The unified hierarchy mounted beside v1's (systemd's hybrid layout), with no controllers of its own.

    Each machine's systemd and runc make groups in it all the same: without one of its own they would share the host's.
    """
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2" and Path(where).is_relative_to(ROOT)]


def group_name(lab_id: str) -> str:
    """The name of a lab's folder in each hierarchy."""
    return f"islanding-{lab_id}"


def create(lab_id: str, name: str) -> list[Path]:
    """Make the group `name` of a lab in every hierarchy and return its folders.

    On v1 a cpuset must be filled in before it takes a process; on v2 controllers must be handed down level by level.
    """
    folders = []
    for root in hierarchies():
        parent = root / group_name(lab_id)
        for folder in (parent, parent / name):
            folder.mkdir(exist_ok=True)
            if version() == 2:
                _delegate(folder.parent)
            for limit in ("cpuset.cpus", "cpuset.mems"):
                if version() == 1 and (folder / limit).exists():
                    (folder / limit).write_text((folder.parent / limit).read_text())
        folders.append(parent / name)
    return folders


def _delegate(folder: Path) -> None:
    for controller in (folder / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):  # a controller that the parent may not delegate is one the lab does without
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def enter(folders: list[Path], pid: int = 0) -> None:
    """Move a process (0: the caller) into a group."""
    for folder in folders:
        (folder / "cgroup.procs").write_text(str(pid))


def rss_bytes(lab_id: str) -> int:
    """Resident memory of everything in the lab: anonymous pages, shared ones counted once (memory.stat)."""
    folder = (ROOT if version() == 2 else ROOT / "memory") / group_name(lab_id)
    key = "anon" if version() == 2 else "total_rss"
    for line in (folder / "memory.stat").read_text().splitlines():
        name, value = line.split()
        if name == key:
            return int(value)
    return 0


def remains(lab_id: str, name: str = "") -> list[Path]:
    """Folders of a lab's group, or of the group `name` in it, that exist."""
    return [folder for root in hierarchies() if (folder := root / group_name(lab_id) / name).is_dir()]


def remove(lab_id: str, name: str = "", timeout: float = 10.0) -> None:
    """Remove a dead lab's groups, or those of a machine `name` without power, with all that it made below them.

    Waits `timeout` seconds for the last processes in them to be gone; raises WaitTimeout with their ids.
    """
    what = f"control groups of {name or 'lab'} {lab_id} to be empty"

    def attempt() -> bool:
        for top in remains(lab_id, name):
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):  # busy: the next attempt, or the time limit, tells
                    Path(folder).rmdir()
        return not remains(lab_id, name)

    try:
        wait_until(what, attempt, timeout=timeout, interval=0.02)
    except WaitTimeout as late:
        groups = [group for top in remains(lab_id, name) for group in top.rglob("cgroup.procs")]
        processes = {process for group in groups for process in group.read_text().split()}
        raise WaitTimeout(what, timeout, sorted(processes)) from late
