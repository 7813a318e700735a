"""Pods as data: the manifest of a pod that is there to be looked at, and what the cluster says of it and its events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LABEL = "islanding.probe"  # on every pod that a probe makes


@dataclass(frozen=True)
class PodEvent:
    """An event about an object: its type (Normal, Warning), reason and message; `last` is when it last came."""

    type: str
    reason: str
    message: str
    last: str


@dataclass(frozen=True)
class PodState:
    """A pod's phase, address and containers: how many are ready, of how many."""

    phase: str
    address: str
    ready: int
    containers: int

    @property
    def runs(self) -> bool:
        """Whether it runs, with an address and all of its containers ready."""
        return self.phase == "Running" and bool(self.address) and self.ready == self.containers > 0

    def __str__(self) -> str:
        return f"{self.phase} {self.ready}/{self.containers} {self.address}".strip()


def manifest(
    name: str,
    image: str,
    *,
    kind: str,
    node: str = "",
    host_network: bool = False,
    command: Sequence[str] = (),
    deadline: float = 600.0,
) -> dict[str, Any]:
    """A pod with one container, which always pulls `image`, ends by itself after `deadline` seconds, and tolerates all.

    With `node` it is put there without the scheduler, so that no scheduling rule stands between pod and node.
    """
    container: dict[str, Any] = {"name": "probe", "image": image, "imagePullPolicy": "Always"}
    if command:
        container["command"] = list(command)
    spec: dict[str, Any] = {
        "containers": [container],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": max(1, int(deadline)),
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}] if node else [],
    }
    if node:
        spec["nodeName"] = node
    if host_network:
        spec["hostNetwork"] = True
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {LABEL: kind}},
        "spec": spec,
    }


def parse_pod(text: str) -> PodState:
    """The state of the pod that `kubectl get pod NAME -o json` printed; raises ValueError when it is none."""
    pod = json.loads(text)
    if not isinstance(pod, dict) or pod.get("kind") != "Pod":
        raise ValueError("no pod")
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    return PodState(
        phase=str(status.get("phase", "Unknown")),
        address=str(status.get("podIP", "")),
        ready=sum(bool(one.get("ready")) for one in containers),
        containers=len(pod["spec"]["containers"]),
    )


def parse_events(text: str) -> tuple[PodEvent, ...]:
    """The events that `kubectl get events -o json` printed, the latest last; raises ValueError if it is no list."""
    data = json.loads(text)
    if not isinstance(data, dict) or "items" not in data:
        raise ValueError("no list of events")
    events = [
        PodEvent(
            type=str(item.get("type", "")),
            reason=str(item.get("reason", "")),
            message=str(item.get("message", "")),
            last=_last(item),
        )
        for item in data["items"]
    ]
    return tuple(sorted(events, key=lambda event: event.last))


def _last(item: dict[str, Any]) -> str:
    """When it last came: an event has several places for it, by the API that wrote it (events.k8s.io or core)."""
    series = (item.get("series") or {}).get("lastObservedTime")
    times = (
        series,
        item.get("lastTimestamp"),
        item.get("eventTime"),
        item.get("metadata", {}).get("creationTimestamp"),
    )
    return str(next((time for time in times if time), ""))
