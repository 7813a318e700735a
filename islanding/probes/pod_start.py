"""Starting a pod: scheduled, given an address, its image there, its containers ready; or the event that says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from islanding.probes.base import Reading
from islanding.probes.pod_probe import PodProbe, Seen


@dataclass(frozen=True, kw_only=True)
class PodStart(PodProbe):
    """A pod with `image` has to run, with an address, within `timeout` seconds."""

    kind: ClassVar[str] = "pod-start"

    timeout: float = 90.0

    def decide(self, seen: Seen) -> Reading | None:
        """It runs; a warning decides nothing, as the scheduler and kubelet try again."""
        return Reading(0, str(seen.pod)) if seen.pod.runs else None

    def undecided(self, seen: Seen | None) -> Reading:
        """The latest warning; without one, only that the time is up."""
        if seen and seen.warnings:
            return Reading(1, seen.warnings[-1])
        return Reading(None, f"{seen.pod if seen else 'not seen'}\nstopped after {self.timeout:g} s")
