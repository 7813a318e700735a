"""Finding running sites: which labs are up, and whether the site of a description is still there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from islanding.errors import IslandingError
from islanding.model import Site
from islanding.paths import state_dir


def process_started(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is none or it is a zombie.

    Field 22 of /proc/PID/stat (proc_pid_stat(5)); with the pid it names a process for good, as pids are used again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()  # the command name before it may hold blanks and brackets
    return None if state in "ZX" else int(rest[18])


def process_is_alive(pid: int, started: int) -> bool:
    """Whether the process with this pid and this start time (clock ticks since boot) still runs."""
    return process_started(pid) == started


def site_is_alive(site_file: Path) -> bool:
    """Whether the site described by `site_file` is still there.

    A lab lives as long as its supervisor, which `lab.json` beside the description names; a site on AWS has none and is
    taken to live as long as its description exists.
    """
    try:
        if _json(site_file).get("target") == "aws":
            return True
        lab = _json(site_file.parent / "lab.json")
        return process_is_alive(int(lab["pid"]), int(lab["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def running() -> list[Path]:
    """The descriptions of all labs that run now, in the order of their names."""
    return [path for path in sorted((state_dir() / "labs").glob("*/site.json")) if site_is_alive(path)]


def find(name_or_path: str | Path | None = None) -> Path:
    """The description of a site: by path, by name or id of a running lab, or (None) that of the only running lab.

    Raises IslandingError, listing the running labs, when none or several fit.
    """
    if name_or_path is not None:
        path = Path(name_or_path)
        path = path / "site.json" if path.is_dir() else path
        if path.is_file():
            return path.absolute()
        if path.suffix == ".json" or len(path.parts) > 1:
            raise IslandingError(f"there is no site description {path}", f"running labs: {_listed(running())}")
    live = running()
    fits = [path for path in live if name_or_path is None or str(name_or_path) in _names(path)]
    if len(fits) == 1:
        return fits[0]
    if not live:
        raise IslandingError("no lab is running", "start one: islanding lab up SITE")
    if not fits:
        raise IslandingError(f"no running lab is called {name_or_path}", f"running labs: {_listed(live)}")
    raise IslandingError(
        f"{len(fits)} running labs fit{f' {name_or_path}' if name_or_path else ''}; which one?",
        f"name one by its id (ISLANDING_SITE=ID or --site ID): {_listed(fits)}",
    )


def load(site_file: Path) -> Site:
    """Read a site's description; raises IslandingError naming the file when it cannot be read or is not one."""
    try:
        return Site.load(site_file)
    except OSError as error:
        raise IslandingError(f"cannot read the site description {site_file}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise IslandingError(
            f"{site_file} is no site description of this version: {where}: {first['msg']}",
            "bring the lab down and up again with this version of islanding",
        ) from error


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise TypeError(f"{path} holds no object")
    return content


def _names(path: Path) -> set[str]:
    site = _json(path)
    return {str(site.get("name")), str(site.get("id")), path.parent.name}


def _listed(paths: list[Path]) -> str:
    return ", ".join(f"{_json(path).get('id')} ({_json(path).get('name')})" for path in paths) or "none"
