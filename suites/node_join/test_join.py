"""C-05, C-06, C-10 and C-12: what an instance needs to become a node, and what it says when that is missing."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from islanding.aws import group
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

JOINED = 180.0  # seconds for an instance from nothing to a Ready node
STAYS = 20.0  # seconds without a pod network that a node with a way to the registry does not need
Cut = Callable[..., AbstractContextManager[Applied]]
Physics = Callable[[str], AbstractContextManager[None]]
Evidence = Callable[[str, str], None]
Observe = Callable[[Probe], Sample]


@pytest.fixture
def joins(probe: SiteProbes, observe: Observe) -> Callable[..., Sample]:
    """Waits until an instance has come to one of these outcomes, and for so long `lasting`; the sample that says so."""

    def wait(instance: str, *outcomes: str, timeout: float = JOINED, lasting: float = 0.0) -> Sample:
        since: list[float] = []

        def there(sample: Sample) -> bool:
            if sample.outcome not in outcomes:
                since.clear()
                return False
            since.append(sample.end)
            return since[-1] - since[0] >= lasting

        return eventually(
            f"{instance} to be {' or '.join(outcomes)}",
            lambda: observe(probe.node_join(instance)),
            timeout=timeout,
            interval=2,
            done=there,
        )

    return wait


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-05")
def test_worker_that_is_told_asks_nobody(site: Site, probe: SiteProbes, observe: Observe, evidence: Evidence) -> None:
    """Workers whose user data names endpoint and CA have joined, and never asked the EKS API, which has no endpoint."""
    told = group.template(site)
    said = base64.b64decode(told["UserData"]).decode()
    assert "--apiserver-endpoint https://" in said, said
    assert "--b64-cluster-ca " in said, said
    asked = observe(probe.aws_call("eks", "list-clusters", at=site.workers[0].place))
    evidence("the EKS API from a node", asked.text)
    assert asked.outcome == "AWS_TIMEOUT", asked.text
    for node in site.workers:
        log = site.place(node.place).run(["cat", "/var/log/cloud-init-output.log"]).stdout
        assert "describing cluster" not in log, log
        sample = observe(probe.node_join(node.instance_id))
        evidence(node.name, sample.text)
        assert sample.outcome == READY.name, sample.text


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-05")
def test_worker_that_is_not_told_never_joins(
    site: Site, joins: Callable[..., Sample], physics: Physics, evidence: Evidence, explained: Callable[..., Diagnosis]
) -> None:
    """Without endpoint and CA in its user data bootstrap.sh asks the EKS API, meets silence, gives up, never joins."""
    with group.beside(site, user_data=_untold) as instance:
        with physics("boot, and the EKS API's silence"):
            stuck = joins(instance, "INTROSPECTION_TIMEOUT")
        evidence("the instance", stuck.text)
        found = explained(instance, "eks")
        at = site.machine(group.address_of(site, instance))
        ended = eventually(
            "bootstrap.sh to give up",
            lambda: at.run(["cat", "/var/log/cloud-init-output.log"]).stdout,
            timeout=60,
            interval=2,
            done=lambda log: "Exhausted retries" in log,
        )
        evidence("cloud-init-output.log", "\n".join(ended.splitlines()[-8:]))
        kubelet = at.run(["systemctl", "is-active", "kubelet"], check=False).stdout.strip()
    assert kubelet != "active"
    assert found.failing is not None, "\n".join(found.lines())
    assert found.blame is not None
    assert found.blame.kind == "VPC endpoint", "\n".join(found.lines())


def _untold(user_data: str) -> str:
    """The same without endpoint and CA, and with one try."""
    untold = re.sub(r" --(?:apiserver-endpoint|b64-cluster-ca) \S+", "", user_data)
    return re.sub(r"(bootstrap\.sh [\w-]+)", r"\1 --aws-api-retry-attempts 0", untold)


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-06")
def test_unmapped_role_is_unauthorized_until_it_is_mapped(
    site: Site,
    operator: Operator,
    joins: Callable[..., Sample],
    cut: Cut,
    physics: Physics,
    evidence: Evidence,
    measure: Callable[..., None],
) -> None:
    """While aws-auth does not map the node role a new node is not let in, with kubelet's Unauthorized; then it is."""
    with ExitStack() as unmapped, ExitStack() as ending:
        unmapped.enter_context(cut("aws-auth-mapping-removed", role="node", identity="creator", heal_timeout=60))
        instance = ending.enter_context(group.beside(site))
        ending.callback(forget, operator, instance)
        with physics("boot and kubelet's first tries"):
            refused = joins(instance, "NODE_UNAUTHORIZED")
        evidence("kubelet of the new node", refused.text)
        unmapped.close()
        with physics("kubelet's next try, and the pod network's start"):
            joined = joins(instance, READY.name)
        measure("mapping to Ready", joined.end - refused.end, "s")
        evidence("the node", joined.text)


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-10")
def test_system_images_need_the_registry(
    site: Site,
    operator: Operator,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    joins: Callable[..., Sample],
    cut: Cut,
    physics: Physics,
    evidence: Evidence,
    explained: Callable[..., Diagnosis],
) -> None:
    """Without the way to the registry a new node registers and stays NotReady, its CNI uninitialized; others go on."""
    running = probe.nodes(*(node.name for node in site.workers), identity="operator", interval=3)
    with watch(running, probe.http()) as (nodes, web), group.beside(site) as instance:
        try:
            with cut("endpoint-removed", service="ecr.dkr"):
                with physics("boot, and a pull that goes nowhere"):
                    stuck = joins(instance, "CNI_UNINITIALIZED", lasting=STAYS)
                evidence("the new node", stuck.text)
                found = explained(instance, "node-join", packets=False)
            # Its pulls hang in dials of up to 150 s: whoever mends the way restarts the runtime too.
            restart(site.machine(group.address_of(site, instance)), "containerd")
            with physics("kubelet's next try of the pull"):
                joins(instance, READY.name, timeout=240)
        finally:
            forget(operator, instance)
    nodes.expect(READY, throughout=True, hole=30)
    web.expect(ANSWERED, throughout=True, hole=10)
    assert found.step == "manifest", "\n".join(found.lines())
    assert found.blame is not None
    assert found.blame.kind == "VPC endpoint", "\n".join(found.lines())


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-12")
def test_group_replaces_a_terminated_instance(
    site: Site,
    operator: Operator,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    joins: Callable[..., Sample],
    cut: Cut,
    physics: Physics,
    evidence: Evidence,
    measure: Callable[..., None],
) -> None:
    """An instance is terminated: the group starts another, and it joins by itself, phase by phase."""
    lost = site.workers[-1]
    before = set(group.read(site).instances)
    try:
        with (
            watch(probe.http()) as web,
            physics("a new instance's boot"),
            cut("instance-terminated", node=lost.name, heal_timeout=120) as fault,
        ):
            new = eventually(
                "the group to start another",
                lambda: {member.instance for member in group.read(site).members} - before,
                timeout=120,
                interval=1,
            )
            joined = joins(new.pop(), READY.name)
        measure("termination to Ready", joined.end - fault.start, "s")
        evidence("the new node", joined.text)
        # Pods of the lost node stand behind the node port until the cluster knows: some answers are lost till then.
        web.expect(ANSWERED, throughout=False)
        web.wait_for(ANSWERED, timeout=1, after=joined.start - 10)
    finally:
        if lost.instance_id not in group.read(site).instances:  # a node that lives would not come back by itself
            forget(operator, lost.instance_id)
