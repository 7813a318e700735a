"""What the probes share that make a pod, look at what becomes of it, and take it away again."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass

from islanding.kube.kubectl import argv
from islanding.kube.pods import PodEvent, PodState, manifest, parse_events, parse_pod
from islanding.probes.at_place import AtPlace, said
from islanding.probes.base import Reading
from islanding.probes.command import Output
from islanding.wait import WaitTimeout, wait_until

_CALL = 20.0  # seconds for one kubectl command, SSH through two jumps included
_LOOK = 0.5  # seconds between looks


@dataclass(frozen=True)
class Seen:
    """What one look showed."""

    pod: PodState
    events: tuple[PodEvent, ...]

    @property
    def warnings(self) -> list[str]:
        """The warnings' messages, the latest last."""
        return [event.message for event in self.events if event.type == "Warning"]


@dataclass(frozen=True, kw_only=True)
class PodProbe(AtPlace):
    """Makes a pod with `image` at `node` ("": where the scheduler puts it) as the identity of `kubeconfig`.

    It is looked at for `timeout` seconds at most, and deleted however the sample ends; one that is left by a killed
    runner ends by its own deadline. `command` replaces the image's own.
    """

    image: str
    kubeconfig: str
    node: str = ""
    namespace: str = "default"
    command_line: tuple[str, ...] = ()
    kubectl: str = "kubectl"
    interval: float = 60.0
    timeout: float = 240.0

    host_network = False

    def target(self) -> str:
        """What is probed."""
        return self.image + (f" at {self.node}" if self.node else "")

    def command(self) -> str:
        """What a person would type."""
        return self.shown_at(["kubectl", "run", "probe", f"--image={self.image}", "--image-pull-policy=Always"])

    def sample(self) -> Reading:
        """Make the pod, look at it until it is decided, and delete it."""
        name = f"islanding-{self.kind}-{secrets.token_hex(4)}"
        deadline = time.monotonic() + self.timeout
        made = manifest(
            name,
            self.image,
            kind=self.kind,
            node=self.node,
            host_network=self.host_network,
            command=self.command_line,
            deadline=self.timeout + 60,
        )
        try:
            done = self._kubectl("create", "--filename=-", stdin=json.dumps(made))
            if done.exit_code != 0:
                return Reading(done.exit_code, f"kubectl create: {said(done)}")
            return self._until_decided(name, deadline)
        finally:
            self._kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false", "--grace-period=0")

    def decide(self, seen: Seen) -> Reading | None:
        """The reading when what was seen decides; None to look on."""
        raise NotImplementedError

    def undecided(self, seen: Seen | None) -> Reading:
        """The reading at the time limit."""
        raise NotImplementedError

    def _until_decided(self, name: str, deadline: float) -> Reading:
        last: list[Seen] = []

        def look() -> Reading | None:
            last[:] = [self._look(name)]
            return self.decide(last[0])

        allowed = max(0.0, deadline - time.monotonic())
        try:
            decided = wait_until(f"pod {name}", look, timeout=allowed, interval=_LOOK)
        except WaitTimeout as late:
            if not last and isinstance(late.last, Exception):
                return Reading(1, str(late.last))
            decided = None
        return decided or self.undecided(last[0] if last else None)

    def _look(self, name: str) -> Seen:
        pod = self._kubectl("get", "pod", name, "--output=json")
        about = f"--field-selector=involvedObject.name={name}"
        events = self._kubectl("get", "events", about, "--output=json")
        for done in (pod, events):
            if done.exit_code != 0:
                raise ValueError(f"kubectl get: {said(done)}")
        return Seen(parse_pod(pod.stdout), parse_events(events.stdout))

    def _kubectl(self, *args: str, stdin: str | None = None) -> Output:
        whole = argv((f"--namespace={self.namespace}", *args), self.kubeconfig, kubectl=self.kubectl)
        return self.do(whole, _CALL, stdin=stdin)
