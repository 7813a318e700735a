"""Kubernetes nodes read from `kubectl get nodes -o json`: readiness and taints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NodeState:
    """What the control plane holds of a node: the Ready condition's status, reason and message, and its taint keys."""

    name: str
    ready: str  # True, False or Unknown
    reason: str
    message: str
    taints: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether pods may be put on it, as far as the control plane knows."""
        return self.ready == "True"

    def __str__(self) -> str:
        message = f" ({self.message})" if self.message and not self.is_ready else ""
        return f"{self.name} Ready={self.ready} {self.reason}{message}"


def parse_nodes(text: str) -> tuple[NodeState, ...]:
    """The nodes of a NodeList, by name; raises ValueError when the text is none."""
    data = json.loads(text)
    if not isinstance(data, dict) or "items" not in data:
        raise ValueError("no list of nodes")
    return tuple(sorted((_node(item) for item in data["items"]), key=lambda node: node.name))


def readiness(nodes: Sequence[NodeState], wanted: Sequence[str] = ()) -> str:
    """One line on the nodes `wanted` (none: all): READY, NOT READY or PARTLY READY, then each node.

    A node that the control plane does not know counts as not ready; so does having no node at all.
    """
    by_name = {node.name: node for node in nodes}
    chosen = [by_name.get(name, NodeState(name, "Missing", "no such node", "", ())) for name in wanted or by_name]
    ready = sum(node.is_ready for node in chosen)
    word = "NOT READY" if ready == 0 else "READY" if ready == len(chosen) else "PARTLY READY"
    return f"{word}: " + ("; ".join(map(str, chosen)) or "no nodes")


def _node(item: dict[str, Any]) -> NodeState:
    conditions = {each["type"]: each for each in item.get("status", {}).get("conditions", [])}
    ready = conditions.get("Ready", {})
    return NodeState(
        name=item["metadata"]["name"],
        ready=ready.get("status", "Unknown"),
        reason=ready.get("reason", "no Ready condition"),
        message=ready.get("message", ""),
        taints=tuple(taint["key"] for taint in item.get("spec", {}).get("taints", [])),
    )
