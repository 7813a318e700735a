"""BGP state of one session, as the router on one side of it tells."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any, ClassVar

from islanding.probes import command
from islanding.probes.base import Probe, Reading

# What FRR's JSON says about why a session is not there; good evidence (docs/measurements.md 6).
_REASONS = ("lastNotificationReason", "lastShutdownDescription", "lastResetDueTo")


@dataclass(frozen=True, kw_only=True)
class Bgp(Probe):
    """`show bgp neighbors NEIGHBOR json` in an FRR shell; `vtysh` is the whole argument vector before `-c`."""

    kind: ClassVar[str] = "bgp"

    vtysh: tuple[str, ...]
    neighbor: str
    interval: float = 0.5
    timeout: float = 5.0

    def target(self) -> str:
        """What is probed."""
        return f"neighbor {self.neighbor}"

    def command(self) -> str:
        """What a person would type."""
        return shlex.join(["vtysh", "-c", self._show()])

    def sample(self) -> Reading:
        """Ask the router once."""
        done = command.run([*self.vtysh, "-c", self._show()], self.timeout)
        if done.exit_code != 0:
            return Reading(done.exit_code, (done.stderr or done.stdout).strip())
        return parse(done.stdout, self.neighbor)

    def _show(self) -> str:
        return f"show bgp neighbors {self.neighbor} json"


def parse(text: str, neighbor: str) -> Reading:
    """The session's state from FRR's JSON: `state=Established`, or another state with the router's reasons."""
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError:
        return Reading(1, f"the router's answer is no JSON: {text.strip()[:200]}")
    peer = answer.get(neighbor)
    if not isinstance(peer, dict) or "bgpState" not in peer:
        return Reading(1, f"no such neighbor: {neighbor}")
    state = f"state={peer['bgpState']}"
    if peer["bgpState"] == "Established":
        return Reading(0, state)
    reasons = [f"{key}={peer[key]}" for key in _REASONS if peer.get(key)]
    return Reading(0, " ".join([state, *reasons]))
