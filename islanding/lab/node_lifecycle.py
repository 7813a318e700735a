"""What EKS's cloud controller does for nodes: the Node of a terminated instance is deleted from its cluster.

It matters most when another instance soon gets the same address, and so the same node name: a kubelet never takes over
a Node that names another instance (its providerID cannot be changed). Source: Kubernetes documentation, "Cloud
Controller Manager", node controller.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from islanding.lab.region.instances import InstanceState
from islanding.process import Result

SECONDS = 5.0  # for one command: a control plane that is away must not hold up the API call that terminates


class NodeLifecycle:
    """Follows the instances that are terminated; `admin` runs kubectl as the service in the cluster of a name."""

    def __init__(
        self,
        *,
        instances: Callable[[], Iterable[InstanceState]],
        clusters: Callable[[], Iterable[str]],
        admin: Callable[..., Result],
    ) -> None:
        self._instances = instances
        self._clusters = clusters
        self._admin = admin
        self._done: set[str] = set()
        self._lock = threading.Lock()

    def follow(self) -> None:
        """Delete the Nodes of instances that are gone; what a cluster cannot be told now is told at the next change."""
        with self._lock:
            gone = {state.id for state in self._instances() if state.state in ("shutting-down", "terminated")}
            new = gone - self._done
            told = [self._forget(cluster, new) for cluster in self._clusters()] if new else []
            if new and all(told):
                self._done |= new

    def _forget(self, cluster: str, gone: set[str]) -> bool:
        try:
            listed = self._admin(cluster, "get", "nodes", "-o", "json", timeout=SECONDS).stdout
            names = nodes_of(json.loads(listed)["items"], gone)
            if names:
                self._admin(cluster, "delete", "node", *names, "--wait=false", "--ignore-not-found", timeout=SECONDS)
        except Exception:  # the control plane may be away, or not there yet
            return False
        return True


def nodes_of(items: list[dict[str, Any]], instances: set[str]) -> list[str]:
    """The names of the nodes of a NodeList that are these instances."""
    return [
        str(item["metadata"]["name"])
        for item in items
        if str(item.get("spec", {}).get("providerID", "")).rsplit("/", 1)[-1] in instances
    ]
