"""C-09: lacks that no pull shows: what depends on the ec2 endpoint, on the control plane's group, on the peering."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from islanding.aws.calls import call
from islanding.diagnosis import Diagnosis
from islanding.diagnosis import hops as hop
from islanding.faults.apply import Applied
from islanding.kube.at_node import log_lines, replace_cni, restart
from islanding.kube.certificates import Operator
from islanding.model import Sample, Site
from islanding.outcomes import recognise
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.sshlogin import login
from islanding.watching import eventually

Cut = Callable[..., AbstractContextManager[Applied]]
Physics = Callable[[str], AbstractContextManager[None]]
Evidence = Callable[[str, str], None]


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-09")
def test_lost_ec2_endpoint_is_seen_by_the_pod_network_alone(
    site: Site,
    operator: Operator,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    cut: Cut,
    explained: Callable[..., Diagnosis],
    unseen: Callable[..., str],
    physics: Physics,
    evidence: Evidence,
) -> None:
    """Without the ec2 endpoint images are pulled and the node stays Ready, and a restarted CNI gives no addresses.

    Running pods stay; the text of the pod that does not start says nothing of EC2: only ipamd's log does.
    """
    node = site.workers[-1]
    with cut("endpoint-removed", service="ec2"):
        pulled = observe(probe.image_pull(unseen(), node.name))
        assert pulled.outcome == "PULLED", pulled.text
        replace_cni(operator, node)
        with physics("the pod network's tries"):
            pod = observe(probe.pod_start(site.workload.image, node=node.name, timeout=45.0))
        evidence("what a user sees", pod.text)
        ready = observe(probe.nodes(node.name, identity="operator"))
        evidence("the node", ready.text)
        log = site.place(node.place).run(["sh", "-c", "tail -n 400 /var/log/aws-routed-eni/ipamd.log"]).stdout
        told = [line for line in log.splitlines() if "operation error EC2: " in line]
        evidence("ipamd's log at the node", told[-1] if told else log[-500:])
        found = explained(node, "ec2")
    replace_cni(operator, node)
    with physics("the pod network's start"):
        again = observe(probe.pod_start(site.workload.image, node=node.name, timeout=90.0))
    assert pod.outcome == "POD_NETWORK_NOT_READY", f"{pod.outcome}: {pod.text}"
    assert ready.outcome == "READY", ready.text
    assert told, "ipamd says nothing of EC2"
    blamed(found, hop.ROUTE, "VPC endpoint")
    assert again.outcome == "RUNNING", again.text


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-09", "C-04")
def test_control_plane_group_without_443_from_nodes(
    site: Site,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    cut: Cut,
    explained: Callable[..., Diagnosis],
    physics: Physics,
    evidence: Evidence,
) -> None:
    """Without 443 from the nodes kubelet lives on the connections that it has, and is lost when it is restarted."""
    node = site.workers[-1]
    at_node = site.place(node.place)
    back = probe.nodes(node.name, identity="operator")
    rules = call(
        site,
        "ec2",
        "describe_security_group_rules",
        {"Filters": [{"Name": "group-id", "Values": [site.facts["control_plane_group_id"]]}]},
    )
    ids = [
        rule["SecurityGroupRuleId"]
        for rule in rules["SecurityGroupRules"]
        if (rule.get("ReferencedGroupInfo") or {}).get("GroupId") == site.facts["worker_group_id"]
    ]
    with cut("security-group-rule-revoked", rule_ids=tuple(ids)):
        assert observe(probe.nodes(node.name, identity="operator")).outcome == "READY"
        begun = time.monotonic()
        restart(at_node, "kubelet")
        name = site.cluster.endpoint.removeprefix("https://")
        with physics("kubelet's dial, 30 s, and the node's grace period"):
            lines = eventually(
                "kubelet to say that it cannot dial the cluster's endpoint",
                lambda: log_lines(at_node, "kubelet", name, "dial tcp", since=time.monotonic() - begun),
                timeout=90,
                interval=2,
            )
        said = "\n".join(lines)
        evidence("kubelet's log", said)
        found = explained(node, "cluster")
    assert recognise("node-join", 1, said).name == "NODE_API_UNREACHABLE", said
    blamed(found, hop.GROUP, "security group")
    with physics("kubelet's next try"):
        eventually("the node to be Ready again", lambda: observe(back).outcome == "READY", timeout=90, interval=2)


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-09", "C-03")
def test_deleted_peering_shuts_the_operator_out(
    site: Site,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    cut: Cut,
    explained: Callable[..., Diagnosis],
    evidence: Evidence,
) -> None:
    """Without the peering connection the bastion answers and the operator behind it does not."""
    way_in = login(site, "bastion", "operator")
    logging_in = probe.ssh(*way_in.hops, keys=way_in.keys)
    before = observe(logging_in)
    with cut("peering-deleted"):
        seen = observe(logging_in)
        evidence("what a user sees", seen.text)
        found = explained(site.facts["bastion_instance_id"], f"{site.facts['operator_address']}:22", packets=False)
    assert before.outcome == "LOGGED_IN", before.text
    assert seen.outcome == "SSH_JUMP_FAILED", f"{seen.outcome}: {seen.text}"
    blamed(found, hop.ROUTE, "peering", "route table")
    assert observe(logging_in).outcome == "LOGGED_IN"


def blamed(found: Diagnosis, where: str, *kinds: str) -> None:
    """The diagnosis names this hop, and blames one of these kinds of objects."""
    said = "\n".join(found.lines())
    assert found.failing is not None, said
    assert found.failing.name == where, said
    assert found.blame is not None, said
    assert found.blame.kind in kinds, said
