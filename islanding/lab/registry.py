"""The labs of this machine: their folders, who is alive, and the sweeping of dead ones."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.errors import LabError
from islanding.lab import cgroups
from islanding.paths import state_dir
from islanding.sites import process_started

KEPT_LOGS = 20  # log folders of past labs that are kept


@dataclass(frozen=True)
class Lab:
    """A lab known to this machine: id, site name, folder, and the process id of its pid 1 as seen from the host."""

    id: str
    site: str
    folder: Path
    pid: int
    alive: bool

    @property
    def site_file(self) -> Path:
        return self.folder / "site.json"

    @property
    def ready(self) -> bool:
        return self.alive and self.site_file.exists()


def labs_dir() -> Path:
    """Where the labs' folders are."""
    return state_dir() / "labs"


@contextlib.contextmanager
def newborn(site: str) -> Iterator[Path]:
    """The folder of a new lab, named by a fresh random id, which nobody sweeps up while the block lasts."""
    with _sweeping():  # no sweep may see the folder before its lock is held
        folder = labs_dir() / secrets.token_hex(3)
        (folder / "logs").mkdir(parents=True)
        (folder / "machines").mkdir()
        (folder / "request.json").write_text(json.dumps({"site": site}))
        lock = (folder / "starting.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        yield folder


def write_record(folder: Path, *, pid: int, guard: int) -> None:
    """Record the lab's processes so that any later process can tell whether it lives."""
    site = json.loads((folder / "request.json").read_text())["site"]
    record = {"id": folder.name, "site": site, "pid": pid, "started": process_started(pid), "guard": guard}
    temporary = folder / "lab.json.part"
    temporary.write_text(json.dumps(record))
    temporary.rename(folder / "lab.json")


def all_labs() -> list[Lab]:
    """Every lab that has a folder, alive or dead, oldest first."""
    found = []
    for folder in sorted(labs_dir().glob("*/"), key=lambda f: f.stat().st_mtime):
        record = _record(folder)
        alive = record is not None and process_started(record["pid"]) == record["started"]
        request = record or _request(folder)
        found.append(Lab(folder.name, request.get("site", "?"), folder, record["pid"] if record else 0, alive))
    return found


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((folder / "lab.json").read_text())
        return record
    except (OSError, ValueError):
        return None


def _request(folder: Path) -> dict[str, Any]:
    try:
        request: dict[str, Any] = json.loads((folder / "request.json").read_text())
        return request
    except (OSError, ValueError):
        return {}


def find(name: str | None = None) -> Lab:
    """The one live lab of that site name or id; with None the only one. Raises LabError naming what there is."""
    live = [lab for lab in all_labs() if lab.alive and (name is None or name in (lab.id, lab.site))]
    if len(live) == 1:
        return live[0]
    if not live:
        known = ", ".join(f"{lab.site} ({lab.id})" for lab in all_labs() if lab.alive) or "none"
        wanted = f"no lab {name!r} is up" if name else "no lab is up"
        raise LabError(f"{wanted}; up now: {known}", f"bring one up: islanding lab up {name or 'outpost-local'}")
    listed = ", ".join(f"{lab.id} ({lab.site})" for lab in live)
    raise LabError(f"more than one lab fits: {listed}", "name one by its id")


def kept_logs(folder: Path) -> Path:
    """Where the logs of a lab are once it has ended: where the run wanted them, or in the state folder."""
    logs = folder / "logs"
    return logs.resolve() if logs.is_symlink() else state_dir() / "logs" / folder.name


def sweep_folder(folder: Path) -> None:
    """Remove what a dead lab leaves: control groups and its folder; its logs are kept."""
    cgroups.remove(folder.name)
    logs = folder / "logs"
    with contextlib.suppress(OSError):  # only a lab that failed to come up has it
        shutil.copy(folder / "failure.json", logs / "failure.json")
    if logs.is_dir() and not logs.is_symlink() and any(logs.iterdir()):
        kept = kept_logs(folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        logs.rename(kept)
        for old in sorted(kept.parent.iterdir(), key=lambda f: f.stat().st_mtime)[:-KEPT_LOGS]:
            shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> list[str]:
    """Sweep every dead lab and return their ids; called at the start of each lab command and run."""
    swept = []
    with _sweeping():
        for lab in all_labs():
            if not lab.alive and not _being_born(lab):
                sweep_folder(lab.folder)
                swept.append(lab.id)
        known = {lab.id for lab in all_labs()}
        for root in cgroups.hierarchies():
            for group in root.glob("islanding-*"):
                lab_id = group.name.removeprefix("islanding-")
                if lab_id not in known and not any(f.read_text().split() for f in group.rglob("cgroup.procs")):
                    cgroups.remove(lab_id)
                    swept.append(lab_id)
    return sorted(set(swept))


def _being_born(lab: Lab) -> bool:
    """A folder without a record whose maker still holds its lock is a lab that is just starting."""
    lock = lab.folder / "starting.lock"
    if lab.pid or not lock.exists():
        return False
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def _sweeping() -> Iterator[None]:
    labs_dir().mkdir(parents=True, exist_ok=True)
    with (labs_dir() / ".sweep.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def signal_lab(lab: Lab, number: int) -> None:
    """Send a signal to the lab's pid 1."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(lab.pid, number)
