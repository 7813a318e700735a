"""What the cases share: the operator at work, the certificate made in time, a site that is well before each case."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest

from islanding.aws.group import subnet_of
from islanding.diagnosis import Diagnosis, diagnose, seen_as
from islanding.faults.apply import Applied
from islanding.journal import Journal
from islanding.kube.at_node import restart
from islanding.kube.certificates import Operator, Prepared
from islanding.kube.current import kubeconfig_by_address, whole
from islanding.kube.fresh import fresh_for
from islanding.model import Node, Place, Sample, Site
from islanding.outcomes import ANSWERED, DISCONNECTED, ESTABLISHED, READY
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.wait import wait_until
from islanding.watching import eventually

RECOVERY = 90.0  # seconds for a site to be well again after the case before
REPLACED = 240.0  # seconds for an Auto Scaling group to be whole again, its instances joined
DOZEN = 12
_STOCK: dict[str, list[str]] = {}
_PREPARED: dict[str, Prepared] = {}


@pytest.fixture
def site(site: Site, physics: Callable[[str], AbstractContextManager[None]]) -> Site:
    """The site, and where its nodes come and go, with those that it has now: whole before each case."""
    if "asg" not in site.facts:
        return site
    with physics("the group's recovery from what came before"):
        now = wait_until(
            "every instance of the group to be a Ready node", lambda: whole(site), timeout=REPLACED, interval=1
        )
    assert now is not None
    return now


@pytest.fixture(autouse=True)
def steady_state(
    site: Site,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    physics: Callable[[str], AbstractContextManager[None]],
) -> None:
    """Before each case the site is well: sessions Established, workers Ready, the workload answering."""
    view = {"identity": "operator"}
    if not _is_closed(site):
        in_region = site.cluster.control_plane == "region" and "region" not in site.lacking
        view["place"] = "region" if in_region else "operator"
    links = [] if _is_closed(site) else ["service-link", "local-gateway"]
    wanted = [
        *((probe.bgp(link), ESTABLISHED) for link in links),
        (probe.nodes(**view), READY),
        (probe.http(), ANSWERED),
    ]
    with physics("the site's recovery from what came before"):
        for what, outcome in wanted:
            wait_until(
                f"{what.label} to be {outcome.name} before the case",
                lambda what=what: observe(what),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                timeout=RECOVERY,
                interval=0.5,
                done=lambda sample, outcome=outcome: sample.outcome == outcome.name,  # type: ignore[misc]  # the same
            )
        if "place" in view:
            wait_for_heartbeats(site, view["place"])


def _is_closed(site: Site) -> bool:
    """Whether the site is a network of AWS's alone, without routers of its own."""
    return not site.routers


def wait_for_heartbeats(site: Site, place: str, *nodes: Node) -> None:
    """Wait until each node (none: each worker) has renewed its lease since now: Ready may mean that it was once."""
    since = datetime.now(UTC)
    config = f"--kubeconfig={site.identity('operator').kubeconfig_at(place)}"
    command = ["kubectl", config, "get", "leases", "-n", "kube-node-lease", "-o", "json"]

    def stale() -> list[str]:
        leases = json.loads(site.place(place).run(command).stdout)["items"]
        renewed = {i["metadata"]["name"]: datetime.fromisoformat(i["spec"]["renewTime"]) for i in leases}
        return [n.name for n in nodes or site.workers if renewed.get(n.name, since) <= since]

    wait_until("every worker to renew its lease", stale, timeout=RECOVERY, interval=0.5, done=lambda late: not late)


@pytest.fixture
def away(
    cut: Callable[..., AbstractContextManager[Applied]], probe: SiteProbes, observe: Callable[[Probe], Sample]
) -> Callable[..., AbstractContextManager[Applied]]:
    """Holds the cut of the service link, and is satisfied only once the Region says itself that the Outpost is gone.

    BGP being down is not enough: a route that avoids the session would leave the Region in reach, and every claim about
    its absence would be empty.
    """

    @contextmanager
    def hold() -> Iterator[Applied]:
        with cut("service-link-down") as fault:
            eventually(
                "CloudWatch to say that the service link is down",
                lambda: observe(probe.service_link()),
                timeout=30 + probe.metric_lag,
                interval=0.2,
                done=lambda sample: sample.outcome == DISCONNECTED.name,
            )
            yield fault

    return hold


@pytest.fixture
def operator(site: Site) -> Operator:
    """The cluster's creator at the desk on the site's LAN, with kubectl and an IAM identity."""
    return Operator(site)


@pytest.fixture
def unseen(site: Site) -> Callable[..., str]:
    """Gives the name of an image that no node has ever seen, pushed by the operator: `unseen(megabytes=5)`.

    Small ones are made a dozen at a time, and each is given once.
    """

    def give(megabytes: float = 1.0) -> str:
        if megabytes != 1.0:
            return fresh_for(site, 1, megabytes)[0]
        stock = _STOCK.setdefault(site.id, [])
        if not stock:
            stock += fresh_for(site, DOZEN)
        return stock.pop()

    return give


@pytest.fixture
def by_address(site: Site, operator: Operator) -> Callable[[Node], str]:
    """Gives the operator's kubeconfig by which the cluster is asked at one of its addresses, not in the node's subnet.

    So the looker still sees what goes on when names do not resolve, or when the node's subnet is shut off.
    """
    found: dict[str, str] = {}

    def kubeconfig(node: Node) -> str:
        subnet = subnet_of(site, node.instance_id)
        if subnet not in found:
            found[subnet] = kubeconfig_by_address(site, operator.place, away_from=subnet)
        return found[subnet]

    return kubeconfig


@pytest.fixture
def forgetful(site: Site) -> Callable[[Node], None]:
    """Restarts a node's kubelet, which forgets its registry tokens, and waits until the cluster hears it again."""

    def restarted(node: Node) -> None:
        restart(site.place(node.place), "kubelet")
        wait_for_heartbeats(site, "operator", node)

    return restarted


@pytest.fixture
def explained(site: Site, journal: Journal) -> Callable[..., Diagnosis]:
    """Diagnoses a path from AWS's state beside the outcome that was seen, and keeps it for the report."""

    def tell(source: Node | Place | str, target: str, *, seen: str = "", packets: bool = True) -> Diagnosis:
        found = diagnose(site, source, target, packets=packets)
        if seen:
            found = seen_as(found, seen)
        journal.append("diagnosis", **found.event())
        return found

    return tell


@pytest.fixture
def certificate(site: Site, operator: Operator) -> Prepared:
    """An administrator's client certificate, prepared once a site, while the Region is there."""
    if site.id not in _PREPARED:
        _PREPARED[site.id] = operator.prepare("admin-disconnected")
    return _PREPARED[site.id]
