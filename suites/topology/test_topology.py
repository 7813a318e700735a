"""O-01 to O-03: the site is what it says it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from islanding.aws.calls import call
from islanding.kube.certificates import Operator
from islanding.kube.nodes import parse_nodes
from islanding.model import Sample, Site
from islanding.outcomes import CONNECTED, ESTABLISHED
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.process import run
from islanding.watching import eventually

CONTROL_PLANE_TAINT = "node-role.eks-local.amazonaws.com/control-plane"


def _routes(site: Site, router: str) -> dict[str, Any]:
    """The routes that a router has learned by BGP."""
    shell = site.router(router)
    told = run([*shell.vtysh, "-c", "show ip route bgp json"], host=shell.name)
    routes: dict[str, Any] = json.loads(told.stdout)
    return routes


@pytest.mark.site("outpost-local", "outpost-extended", "outpost-extended-upstream")
@pytest.mark.requirement("O-01")
def test_sessions_are_established(
    site: Site, probe: SiteProbes, observe: Callable[[Probe], Sample], evidence: Callable[[str, str], None]
) -> None:
    """Region, Outpost network device and customer network device are up, and both BGP sessions carry their prefixes."""
    for name in ("service-link", "local-gateway"):
        sample = observe(probe.bgp(name))
        evidence(f"BGP {name}", sample.text)
        assert sample.outcome == ESTABLISHED.name, sample.text
    learned = _routes(site, "customer-network-device")
    for name in ("service-link", "local-gateway"):
        for prefix in site.session(name).prefixes:
            assert prefix in learned, f"{prefix} of {name} is not in {sorted(learned)}"
    metric = eventually(
        "CloudWatch's ConnectedStatus to be 1",
        lambda: observe(probe.service_link()),
        timeout=20 + probe.metric_lag,
        interval=1,
        done=lambda sample: sample.outcome == CONNECTED.name,
    )
    evidence("service link in CloudWatch", metric.text)


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-02")
def test_local_control_plane_is_on_the_outpost(
    site: Site, operator: Operator, evidence: Callable[[str, str], None]
) -> None:
    """`kubectl get nodes` lists control-plane nodes NotReady with their taint, and the workers Ready."""
    listed = operator.kubectl("get", "nodes")
    evidence("kubectl get nodes", listed.stdout)
    nodes = {n.name: n for n in parse_nodes(operator.kubectl("get", "nodes", "-o", "json").stdout)}
    for node in site.nodes:
        state = nodes[node.name]
        if node.role == "control-plane":
            assert not state.is_ready, state
            assert CONTROL_PLANE_TAINT in state.taints, state
            assert "cni" in state.message, f"not for the lack of a pod network: {state}"
        else:
            assert state.is_ready, state
            assert CONTROL_PLANE_TAINT not in state.taints, state
    told = _describe(site)
    evidence("aws eks describe-cluster", json.dumps(told, indent=1, default=str))
    assert told["outpostConfig"]["outpostArns"] == [site.outpost_arn]
    assert told["status"] == "ACTIVE"
    assert sum(n.role == "control-plane" for n in site.nodes) == 3


@pytest.mark.site("outpost-extended", "outpost-extended-upstream")
@pytest.mark.requirement("O-03")
def test_extended_control_plane_is_in_the_region(
    site: Site, operator: Operator, evidence: Callable[[str, str], None]
) -> None:
    """The cluster has no node but the Outpost's workers, all Ready, and its control plane is reached in the Region."""
    listed = operator.kubectl("get", "nodes", "-o", "wide")
    evidence("kubectl get nodes", listed.stdout)
    nodes = parse_nodes(operator.kubectl("get", "nodes", "-o", "json").stdout)
    assert {n.name for n in nodes} == {n.name for n in site.workers}
    assert all(n.is_ready for n in nodes)
    told = _describe(site)
    evidence("aws eks describe-cluster", json.dumps(told, indent=1, default=str))
    assert "outpostConfig" not in told
    wanted = {"InstanceIds": [n.instance_id for n in site.workers]}
    instances = call(site, "ec2", "describe_instances", wanted)
    placed = {i["PrivateIpAddress"]: i for r in instances["Reservations"] for i in r["Instances"]}
    assert set(placed) == {n.address for n in site.workers}
    assert {i.get("OutpostArn") for i in placed.values()} == {site.outpost_arn}
    assert not set(placed) & set(site.cluster.control_plane_addresses)
    region = site.place("region").run(["getent", "ahostsv4", site.cluster.endpoint[8:]])
    assert {line.split()[0] for line in region.stdout.splitlines()} == set(site.cluster.control_plane_addresses)


def _describe(site: Site) -> dict[str, Any]:
    """The cluster as EKS describes it."""
    cluster: dict[str, Any] = call(site, "eks", "describe_cluster", {"name": site.cluster.name})["cluster"]
    return cluster
