"""What Chaos Toolkit can discover of this project: actions, probes and controls with their arguments, running sites."""

from __future__ import annotations

from typing import Any

from chaoslib.discovery.discover import discover_activities, initialize_discovery_result

from islanding import __version__, sites
from islanding.errors import IslandingError

_MODULES = {
    "islanding.chaos.actions": "action",
    "islanding.chaos.probes": "probe",
    "islanding.chaos.controls": "control",
}


def discovered(*, system: bool) -> dict[str, Any]:
    """Chaos Toolkit's record of an extension; with `system` also the site that actions would act on by default."""
    found: dict[str, Any] = initialize_discovery_result("islanding", __version__, "kubernetes")
    for module, kind in _MODULES.items():
        found["activities"] += discover_activities(module, kind)
    if system:
        found["system"] = _site()
    return found


def _site() -> dict[str, str] | None:
    try:
        site = sites.load(sites.find(None))
    except IslandingError:  # none is running, or several are
        return None
    return {"site": site.name, "id": site.id, "target": site.target, "region": site.aws.region}
