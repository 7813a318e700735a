"""The versions that AWS may change under a site: read, kept from run to run, and what differs told as drift."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from islanding.aws import calls
from islanding.model import Site
from islanding.paths import state_dir


def read(site: Site) -> dict[str, str]:
    """The cluster's Kubernetes and platform versions, as describe-cluster has them; raises IslandingError."""
    cluster = calls.call(site, "eks", "describe_cluster", {"name": site.cluster.name})["cluster"]
    return {"cluster version": str(cluster["version"]), "platform version": str(cluster.get("platformVersion", ""))}


def drift(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """What is not as it was, a line each: `cluster version: 1.35, now 1.36`; what was not known before is no drift."""
    return tuple(
        f"{name}: {before[name] or 'none'}, now {now.get(name) or 'none'}"
        for name in sorted(before)
        if before[name] != now.get(name, "")
    )


def since_last_run(site: Site) -> tuple[str, ...]:
    """What differs from what the last run saw; what is seen now is kept for the next. The first run has no drift.

    Raises IslandingError when AWS cannot be asked.
    """
    now, kept = read(site), _file(site)
    try:
        before = {str(key): str(value) for key, value in json.loads(kept.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        before = {}
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part")
    part.write_text(json.dumps(now, indent=1))
    part.rename(kept)
    return drift(before, now)


def _file(site: Site) -> Path:
    return state_dir() / "versions" / f"{quote(site.id, safe='')}.json"
