"""Node conditions: what the control plane holds of its nodes, read with kubectl."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from islanding.kube.kubectl import argv, shown
from islanding.kube.nodes import parse_nodes, readiness
from islanding.probes.at_place import AtPlace
from islanding.probes.base import Reading


@dataclass(frozen=True, kw_only=True)
class NodeCondition(AtPlace):
    """The Ready condition of `nodes` (none named: of every node), asked with one call."""

    kind: ClassVar[str] = "node"

    kubeconfig: str
    nodes: tuple[str, ...] = ()
    kubectl: str = "kubectl"
    interval: float = 1.0
    timeout: float = 60.0

    def target(self) -> str:
        """What is probed."""
        return " ".join(self.nodes) or "all nodes"

    def command(self) -> str:
        """What a person would type."""
        return (f"{self.at}$ " if self.at else "") + shown(self._args(), self.kubeconfig)

    def sample(self) -> Reading:
        """Ask once; when kubectl fails, the text is kubectl's."""
        done = self.do(argv(self._args(), self.kubeconfig, kubectl=self.kubectl), self.timeout)
        if done.exit_code != 0:
            return Reading(done.exit_code, done.stderr.strip())
        try:
            return Reading(0, readiness(parse_nodes(done.stdout), self.nodes))
        except (ValueError, KeyError) as odd:
            return Reading(1, f"kubectl's answer cannot be read: {odd}")

    def _args(self) -> tuple[str, ...]:
        return ("get", "nodes", "-o", "json")
