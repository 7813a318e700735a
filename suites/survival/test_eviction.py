"""O-10: nodes cut off for longer than the grace period; who is evicted is as the share of nodes cut says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from islanding.errors import InconclusiveError
from islanding.faults.apply import Applied
from islanding.kube.eviction import RACE, disruption, evicts
from islanding.model import Place, Site, Window
from islanding.outcomes import ANSWERED, NOT_READY, READY
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch, eventually

Cut = Callable[..., AbstractContextManager[Applied]]
SLACK = 8.0  # seconds beyond grace and toleration in which an eviction would have to show


@dataclass(frozen=True)
class Pod:
    """A pod of the workload as the control plane holds it."""

    name: str
    node: str
    deleting: bool
    ready: bool


class ControlPlaneView:
    """Somebody in the Region, who sees what the control plane believes while the Outpost is away."""

    def __init__(self, site: Site) -> None:
        self._place: Place = site.place("region")
        self._kubectl = ["kubectl", f"--kubeconfig={site.identity('operator').kubeconfig_at(self._place.name)}"]
        self._name = site.workload.name

    def pods(self) -> dict[str, Pod]:
        """The workload's pods by name."""
        listed = self._place.run([*self._kubectl, "get", "pods", "-l", f"app={self._name}", "-o", "json"])
        return {pod.name: pod for pod in map(_pod, json.loads(listed.stdout)["items"])}

    def shown(self) -> str:
        """What `kubectl get` prints of nodes and pods."""
        return self._place.run([*self._kubectl, "get", "nodes,pods", "-o", "wide"]).stdout


def _pod(item: dict[str, object]) -> Pod:
    data = json.loads(json.dumps(item))
    conditions = {c["type"]: c["status"] for c in data["status"].get("conditions", [])}
    return Pod(
        name=data["metadata"]["name"],
        node=data["spec"].get("nodeName", ""),
        deleting="deletionTimestamp" in data["metadata"],
        ready=conditions.get("Ready") == "True",
    )


@dataclass(frozen=True)
class Bench:
    """What every case here works with."""

    site: Site
    probe: SiteProbes
    watch: Callable[..., Watch]
    cut: Cut
    physics: Callable[[str], AbstractContextManager[None]]
    evidence: Callable[[str, str], None]
    measure: Callable[..., None]


@pytest.fixture
def bench(
    site: Site,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    cut: Cut,
    physics: Callable[[str], AbstractContextManager[None]],
    evidence: Callable[[str, str], None],
    measure: Callable[..., None],
) -> Bench:
    """The site with everything that a cut of nodes needs."""
    return Bench(site, probe, watch, cut, physics, evidence, measure)


@pytest.mark.site("outpost-extended", "outpost-extended-upstream")
@pytest.mark.requirement("O-10")
def test_whole_site_cut_off_keeps_its_pods(bench: Bench) -> None:
    """Every node cut off beyond the grace period: all are NotReady, pods run on, and none but a race's is evicted."""
    _cut_nodes(bench, len(bench.site.workers), "service-link-down")


@pytest.mark.site("outpost-extended")
@pytest.mark.requirement("O-10")
def test_majority_of_three_nodes_is_evicted_from(bench: Bench) -> None:
    """Two of three nodes are a majority, but too few for the rule: their pods are replaced on the third."""
    _cut_nodes(bench, 2, "nodes-cut-off")


@pytest.mark.site("outpost-extended-upstream")
@pytest.mark.requirement("O-10")
def test_majority_of_five_nodes_is_not_evicted_from(bench: Bench) -> None:
    """With three of five nodes cut off the control plane takes itself to be cut: none but a race's node is evicted."""
    _cut_nodes(bench, 3, "nodes-cut-off")


@pytest.mark.site("outpost-extended", "outpost-extended-upstream")
@pytest.mark.requirement("O-10")
def test_one_node_cut_off_is_evicted_from(bench: Bench) -> None:
    """A minority cut off is evicted from after grace and toleration; its old pods go when it is back."""
    _cut_nodes(bench, 1, "nodes-cut-off")


def _cut_nodes(bench: Bench, count: int, kind: str) -> None:
    """Cut so many nodes off, see whether pods are replaced as the rule says, and that none stays twice."""
    site, view = bench.site, ControlPlaneView(bench.site)
    threshold = int(site.facts["large_cluster_size_threshold"])
    expected = evicts(len(site.workers), count, threshold)
    seen_as = disruption(len(site.workers), count).value
    bench.evidence(
        "the rule", f"{count} of {len(site.workers)} nodes cut, threshold {threshold}: {seen_as}, evicts: {expected}"
    )
    before = view.pods()
    held = Counter(pod.node for pod in before.values())
    victims = sorted(site.workers, key=lambda node: -held[node.name])[:count]
    names = {node.name for node in victims}
    on_victims = {pod.name for pod in before.values() if pod.node in names}
    assert on_victims, f"no pod on {sorted(names)}: nothing could be evicted"
    parameters = {} if kind == "service-link-down" else {"nodes": tuple(node.name for node in victims)}
    port = site.workload.url.rsplit(":", 1)[1]
    condition = bench.probe.nodes(
        *sorted(names), identity="operator", place="region", interval=1.0, name="nodes cut off"
    )
    traffic = bench.probe.http(
        f"http://{victims[0].address}:{port}", interval=0.2, timeout=3, name="HTTP at a node cut off"
    )
    wait = site.timers.node_grace + site.timers.eviction + SLACK
    with bench.watch(condition, traffic) as (nodes, web):
        with bench.cut(kind, **parameters) as fault:
            with bench.physics("the node monitor's grace period"):
                lost = nodes.wait_for(NOT_READY, timeout=site.timers.node_grace + 45, after=fault.end)
            with bench.physics("the toleration of an unreachable node"):
                if expected:
                    eventually(
                        "replacements to be Ready", lambda: _replaced(view, before, on_victims), timeout=wait + 30
                    )
                else:
                    nodes.wait_for(NOT_READY, timeout=wait + 30, after=fault.end + wait)
            during = view.pods()
            bench.evidence("kubectl get nodes,pods in the Region, during the cut", view.shown())
            last = web.wait_for(ANSWERED, timeout=15, after=fault.end)
        with bench.physics("the kubelets' reconnection"):
            nodes.wait_for(READY, timeout=90, after=last.end)
    bench.measure("cut to NotReady", lost.end - fault.start, "s")
    marked = {name for name in on_victims if name not in during or during[name].deleting}
    bench.measure("nodes evicted from", len({before[name].node for name in marked}), "nodes")
    if expected:
        assert marked == on_victims, f"not marked for deletion: {sorted(on_victims - marked)}"
    else:
        hit = {before[name].node for name in marked}
        if len({before[name].node for name in on_victims}) <= RACE:
            raise InconclusiveError("all pods were on one node: whether the others are spared was not seen")
        assert len(hit) <= RACE, f"evicted from {sorted(hit)}: {sorted(marked)}"
        web.expect(ANSWERED, window=Window(start=fault.end, end=last.end), hole=3)
    eventually(
        "each replica once, and Ready",
        lambda: list(view.pods().values()),
        timeout=90,
        interval=1,
        done=lambda pods: len(pods) == site.workload.replicas and all(p.ready and not p.deleting for p in pods),
    )


def _replaced(view: ControlPlaneView, before: dict[str, Pod], gone: set[str]) -> bool:
    """Whether each pod of the cut nodes has a Ready replacement."""
    new = [pod for name, pod in view.pods().items() if name not in before and pod.ready]
    return len(new) >= len(gone)
