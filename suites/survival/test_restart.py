"""O-11: a node that restarts while the Region is away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from islanding.faults.apply import Applied
from islanding.kube.certificates import Prepared
from islanding.model import Node, Site
from islanding.outcomes import ANSWERED, HTTP_NO_ROUTE, HTTP_REFUSED, HTTP_RESET, HTTP_TIMEOUT, READY
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch, eventually

Cut = Callable[..., AbstractContextManager[Applied]]
Physics = Callable[[str], AbstractContextManager[None]]
LOST = (HTTP_TIMEOUT, HTTP_REFUSED, HTTP_RESET, HTTP_NO_ROUTE)
# What runs in the machine's own container runtime, asked on the machine: no API server is needed for it.
_RUNNING = ["sh", "-c", "PATH=$PATH:/usr/local/bin:/opt/islanding/bin ctr -n k8s.io tasks list"]


def _running(site: Site, node: Node) -> int:
    """How many containers run on a node."""
    listed = site.place(node.place).run(_RUNNING, check=False, timeout=20).stdout
    return sum("RUNNING" in line for line in listed.splitlines())


def _busiest(site: Site) -> Node:
    """The worker on which most runs."""
    return max(site.workers, key=lambda node: _running(site, node))


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-11")
def test_restarted_node_of_a_local_cluster_comes_back(
    site: Site,
    certificate: Prepared,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    away: Cut,
    cut: Cut,
    physics: Physics,
    measure: Callable[..., None],
) -> None:
    """A node that restarts during the cut joins its local cluster again, and starts its pods from cached images."""
    node = _busiest(site)
    port = site.workload.url.rsplit(":", 1)[1]
    ready = probe.nodes(node.name, identity="operator", kubeconfig=certificate.identity.kubeconfig, interval=1.0)
    web = probe.http(f"http://{node.address}:{port}", interval=0.2, timeout=2, name=f"HTTP at {node.place}")
    before = _running(site, node)
    with (
        watch(ready, web) as (condition, answers),
        away(),
        physics("a machine's restart without the Region's resolver"),
        cut("node-rebooted", node=node.name, heal_timeout=150) as reboot,
    ):
        down = answers.wait_for(LOST, timeout=30, after=reboot.start)
        up = answers.wait_for(ANSWERED, timeout=150, after=down.end)
        eventually("its pods to run again", lambda: _running(site, node) >= before, timeout=60, interval=1)
        condition.wait_for(READY, timeout=60, after=up.end)
    measure("restart to first answer, while cut off", up.end - reboot.start, "s")


@pytest.mark.site("outpost-extended")
@pytest.mark.requirement("O-11", "O-09")
def test_restarted_node_of_an_extended_cluster_stays_empty(
    site: Site, away: Cut, cut: Cut, physics: Physics, evidence: Callable[[str, str], None]
) -> None:
    """A node that restarts during the cut starts no pod until the Region is back, and nobody takes its pods over."""
    node = _busiest(site)
    other = next(worker for worker in site.workers if worker != node)
    before, neighbours = _running(site, node), _running(site, other)
    assert before > 0, "nothing ran on the node before"

    def kubelet_state() -> str:
        return site.place(node.place).run(["systemctl", "is-active", "kubelet"], check=False).stdout.strip()

    with away():
        with (
            physics("a machine's restart without the Region's resolver"),
            cut("node-rebooted", node=node.name, heal_timeout=150),
        ):
            eventually(
                "the kubelet to run again",
                kubelet_state,
                timeout=120,
                interval=1,
                done=lambda state: state in ("active", "activating"),
            )
        with physics("time in which pods would have come back"):
            said = eventually(
                "the kubelet to have failed to reach the control plane",
                lambda: (
                    site.place(node.place).run(["journalctl", "-b", "-u", "kubelet", "--no-pager"], timeout=60).stdout
                ),
                timeout=60,
                interval=2,
                done=lambda log: "dial tcp" in log,
            )
        evidence("kubelet after the restart", next(line for line in said.splitlines() if "dial tcp" in line))
        assert _running(site, node) == 0
        assert _running(site, other) == neighbours
    with physics("the kubelet's reconnection"):
        eventually("its pods to run again", lambda: _running(site, node) >= before, timeout=120, interval=1)
