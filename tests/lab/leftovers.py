"""What a lab could leave on its host, counted: processes, control groups, namespaces, links, mounts, files."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path

from islanding.lab import cgroups

_FOLDERS = ("/etc/frr", "/var/run/frr", "/run/netns", "/run/islanding")


@dataclass(frozen=True)
class Snapshot:
    """What is there now; labs of other state folders are left out, as they come and go by themselves."""

    processes: frozenset[str]
    groups: frozenset[str]
    links: frozenset[str]
    mounts: frozenset[str]
    files: frozenset[str]

    @classmethod
    def take(cls, state: Path) -> Snapshot:
        """Look at the host; `state` is the state folder of the labs in question."""
        roots = {*cgroups.hierarchies(), *_unified()}
        groups = {str(group) for root in roots for group in root.glob("*/") if _ours(group, state)}
        mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
        folders = [*map(Path, _FOLDERS), state / "labs"]
        files = {str(path) for folder in folders if folder.is_dir() for path in folder.rglob("*")}
        return cls(
            processes=frozenset(_processes(state)),
            groups=frozenset(groups),
            links=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            mounts=frozenset(mounts),
            files=frozenset(files - {str(state / "labs" / ".sweep.lock")}),
        )

    def more_than(self, before: Snapshot) -> dict[str, list[str]]:
        """What is here and was not there before, by kind; empty when nothing is left."""
        more = {f.name: sorted(getattr(self, f.name) - getattr(before, f.name)) for f in fields(self)}
        return {kind: found for kind, found in more.items() if found}


def _unified() -> set[Path]:
    """Where cgroup v2 is mounted, whether or not the lab's code thinks of it."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return {Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2"}


def _ours(group: Path, state: Path) -> bool:
    """Whether a control group is none of a lab's, or one of a lab below `state`, or of one that is nowhere any more."""
    if not group.name.startswith("islanding-"):
        return True
    lab_id = group.name.removeprefix("islanding-")
    if (state / "labs" / lab_id).exists() or (state / "logs" / lab_id).exists():
        return True
    return not any(_text(pid, "cgroup").count(group.name) for pid in _pids())


def _processes(state: Path) -> set[str]:
    """Processes that name the state folder in their command line or environment, or run in a lab's control group.

    A lab's processes are told from others by the groups of this state folder; the caller's own family is left out.
    """
    mine = _family()
    known = {folder.name for kind in ("labs", "logs") for folder in (state / kind).glob("*/")}
    found = set()
    for pid in _pids():
        if pid in mine:
            continue
        command = _text(pid, "cmdline").replace("\0", " ").strip()
        in_group = any(f"islanding-{lab_id}" in _text(pid, "cgroup") for lab_id in known)
        if in_group or str(state) in command:
            found.add(f"{pid}: {command or _text(pid, 'comm').strip()}")
    return found


def _family() -> set[int]:
    """The process that asks and its ancestors: pytest may name the state folder too."""
    pid, family = os.getpid(), set()
    while pid > 1:
        family.add(pid)
        pid = int(_text(pid, "stat").rpartition(")")[2].split()[1])
    return family


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""
