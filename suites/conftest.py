"""What the cases share: the operator at work, the certificate made in time, a site that is well before each case."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest

from islanding.faults.apply import Applied
from islanding.kube.certificates import Operator, Prepared
from islanding.model import Sample, Site
from islanding.outcomes import ANSWERED, DISCONNECTED, ESTABLISHED, READY
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.wait import wait_until
from islanding.watching import eventually

RECOVERY = 90.0  # seconds for a site to be well again after the case before
_PREPARED: dict[str, Prepared] = {}


@pytest.fixture(autouse=True)
def steady_state(
    site: Site,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    physics: Callable[[str], AbstractContextManager[None]],
) -> None:
    """Before each case the site is well: sessions Established, workers Ready, the workload answering."""
    view = {"identity": "operator", "place": "region" if site.cluster.control_plane == "region" else "operator"}
    wanted = [
        (probe.bgp("service-link"), ESTABLISHED),
        (probe.bgp("local-gateway"), ESTABLISHED),
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
        _wait_for_fresh_heartbeats(site, view["place"])


def _wait_for_fresh_heartbeats(site: Site, place: str) -> None:
    """Wait until each worker has renewed its lease since now: a node may be Ready and yet not connected again."""
    since = datetime.now(UTC)
    config = f"--kubeconfig={site.identity('operator').kubeconfig}"
    command = ["kubectl", config, "get", "leases", "-n", "kube-node-lease", "-o", "json"]

    def stale() -> list[str]:
        leases = json.loads(site.place(place).run(command).stdout)["items"]
        renewed = {i["metadata"]["name"]: datetime.fromisoformat(i["spec"]["renewTime"]) for i in leases}
        return [n.name for n in site.workers if renewed.get(n.name, since) <= since]

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
                timeout=30,
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
def certificate(site: Site, operator: Operator) -> Prepared:
    """An administrator's client certificate, prepared once a site, while the Region is there."""
    if site.id not in _PREPARED:
        _PREPARED[site.id] = operator.prepare("admin-disconnected")
    return _PREPARED[site.id]
