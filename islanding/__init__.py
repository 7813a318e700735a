"""islanding proves that a Kubernetes site stands on its own when its link to the AWS Region is cut."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def discover(discover_system: bool = True) -> dict[str, Any]:
    """What `chaos discover --no-install islanding` shows; see islanding.chaos.discovery."""
    from islanding.chaos.discovery import discovered

    return discovered(system=discover_system)
