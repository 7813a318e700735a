"""C-11: the endpoints go after the build: what runs lives on, and nothing new comes, until they are back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from islanding.aws import group
from islanding.aws.calls import call
from islanding.diagnosis import Diagnosis
from islanding.faults.apply import Applied
from islanding.kube.at_node import restart
from islanding.kube.certificates import Operator
from islanding.kube.current import forget
from islanding.model import Sample, Site
from islanding.outcomes import ANSWERED, READY
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch, eventually

ENDPOINTS = ("ec2", "ecr.api", "ecr.dkr", "s3")
STAYS = 20.0  # seconds without a pod network that a node with its endpoints does not need
BOOTED = 120.0  # seconds for an instance to be as far as it comes without endpoints
JOINED = 240.0  # seconds for it to be Ready once they are back
Cut = Callable[..., AbstractContextManager[Applied]]
Physics = Callable[[str], AbstractContextManager[None]]


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-11")
def test_site_lives_on_without_its_endpoints_and_does_not_grow(
    site: Site,
    operator: Operator,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    watch: Callable[..., Watch],
    cut: Cut,
    physics: Physics,
    explained: Callable[..., Diagnosis],
    evidence: Callable[[str, str], None],
    measure: Callable[..., None],
) -> None:
    """All endpoints are removed: workload and Ready nodes live on; neither a further node nor a replacement joins.

    With the endpoints back both do, by themselves.
    """
    kept, lost = site.workers[0], site.workers[-1]
    before = group.read(site)
    ready = probe.nodes(kept.name, identity="operator", interval=3)

    def stuck(instance: str) -> Sample:
        since: list[float] = []

        def stays(sample: Sample) -> bool:  # every node is so for a moment
            if sample.outcome != "CNI_UNINITIALIZED":
                since.clear()
                return False
            since.append(sample.end)
            return since[-1] - since[0] >= STAYS

        return eventually(
            f"{instance} to be stuck",
            lambda: observe(probe.node_join(instance)),
            timeout=BOOTED,
            interval=2,
            done=stays,
        )

    def ready_again(instance: str) -> Sample:
        return eventually(
            f"{instance} to be Ready",
            lambda: observe(probe.node_join(instance)),
            timeout=JOINED,
            interval=2,
            done=lambda sample: sample.outcome == READY.name,
        )

    def started(but: set[str]) -> str:
        """Another instance than these, once the group has started it."""
        return eventually(
            "the group to start an instance", lambda: sorted(set(group.read(site).instances) - but), timeout=120
        )[0]

    try:
        with watch(ready, probe.http()) as (node, web):
            with ExitStack() as endpoints:
                for service in ENDPOINTS:
                    endpoints.enter_context(cut("endpoint-removed", service=service, heal_timeout=60))
                group.scale(site, before.desired + 1)
                with physics("a new instance's boot"):
                    further = stuck(started(set(before.instances)))
                evidence("scaling up: the new node", further.text)
                web.expect(ANSWERED, throughout=True, hole=12)
                there = set(group.read(site).instances)
                call(site, "ec2", "terminate_instances", {"InstanceIds": [lost.instance_id]})
                with physics("a new instance's boot"):
                    replacement = stuck(started(there))
                evidence("replacement: the new node", replacement.text)
                new = sorted(set(group.read(site).instances) - set(before.instances))
                found = explained(new[0], "node-join", packets=False)
                survived = node.wait_for(READY, timeout=30, after=replacement.start)
            with physics("kubelet's next tries"):
                for instance in new:
                    restart(site.machine(group.address_of(site, instance)), "containerd")
                last = [ready_again(instance) for instance in new][-1]
            web.wait_for(ANSWERED, timeout=30, after=last.end)
        measure("endpoints back to the last node Ready", last.end - survived.end, "s")
        node.expect(READY, throughout=True, hole=30)
        assert len(new) == 2, new
        assert found.blame is not None
        assert found.blame.kind == "VPC endpoint", "\n".join(found.lines())
    finally:
        if lost.instance_id not in group.read(site).instances:  # a node that lives would not come back by itself
            forget(operator, lost.instance_id)
        _shrink(site, operator, before.desired)


def _shrink(site: Site, operator: Operator, desired: int) -> None:
    """Take out what is too much, and let the cluster forget it; the node that answers for the workload stays."""
    now = group.read(site)
    kept = {node.instance_id for node in site.workers}
    spare = [instance for instance in now.instances if instance not in kept]
    for instance in spare[: max(0, now.desired - desired)]:
        group.take_out(site, instance)
        forget(operator, instance)
