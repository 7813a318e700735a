"""Pulling an image at a node the way that counts: by kubelet, with its credential provider, for a pod.

The image has to be one that the node has never seen. The runtime skips layers that it has: a new tag on old layers is
pulled without asking for one of them, and shows nothing about the way to them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from islanding.probes import command
from islanding.probes.at_place import as_root, lines, through
from islanding.probes.base import Reading
from islanding.probes.pod_probe import PodProbe, Seen

_LOG = 20.0  # seconds for reading the node's log


@dataclass(frozen=True, kw_only=True)
class ImagePull(PodProbe):
    """A pod pinned to `node` (without the scheduler, in the node's own network) pulls `image`.

    The text is the pod's event, with what kubelet's log at the node has on the credentials: `node_enter` and
    `node_by_ssh` say how the node is entered (without them its log is not read).
    """

    kind: ClassVar[str] = "image-pull"

    node_enter: tuple[str, ...] = ()
    node_by_ssh: bool = False

    host_network = True  # no pod network is needed for a pull: what it lacks must not be taken for a failed pull

    def sample(self) -> Reading:
        """Pull once."""
        start = time.monotonic()
        reading = super().sample()
        if reading.exit_code == 0 or not self.node_enter:
            return reading
        log = self._log(time.monotonic() - start)
        if not log:
            return reading
        return Reading(1, f"{reading.text}\nkubelet: {log}")

    def decide(self, seen: Seen) -> Reading | None:
        """Pulled, or the first failure."""
        for event in seen.events:
            if event.reason == "Pulled":
                present = "already present" in event.message
                return Reading(1 if present else 0, event.message)
            if event.reason == "Failed" and event.message.startswith("Failed to pull image"):
                return Reading(1, event.message)
        return None

    def undecided(self, seen: Seen | None) -> Reading:
        """Nothing came of it in time: the last that was said."""
        said = seen.events[-1].message if seen and seen.events else "no event"
        return Reading(None, f"{said}\nstopped after {self.timeout:g} s")

    def _log(self, seconds: float) -> str:
        """What kubelet said about credentials for this image since the sample began."""
        argv = ["journalctl", "--unit=kubelet", "--output=cat", "--no-pager", f"--since=-{int(seconds) + 1}s"]
        done = command.run(through(self.node_enter, as_root(argv), by_ssh=self.node_by_ssh), _LOG)
        repository = self.image.split("@")[0].rsplit(":", 1)[0]
        told = [
            line for line in done.stdout.splitlines() if "GetAuthorizationToken" in line or _is_plugin(line, repository)
        ]
        return lines("\n".join(told), 3)


def _is_plugin(line: str, repository: str) -> bool:
    return "credential provider plugin" in line and repository in line
