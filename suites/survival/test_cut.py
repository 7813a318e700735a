"""O-04 and O-09: what a cut of the service link does, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from islanding.aws.calls import call
from islanding.capturing import Capture
from islanding.faults.apply import Applied
from islanding.kube.certificates import Prepared
from islanding.model import Site
from islanding.outcomes import ANSWERED, CONNECTED, DISCONNECTED, ESTABLISHED, NOT_ESTABLISHED
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch, eventually

Cut = Callable[..., AbstractContextManager[Applied]]
BOTH = pytest.mark.site("outpost-local", "outpost-extended")
HOLD = 10.0  # seconds of cut in which nothing may be missed


@BOTH
@pytest.mark.requirement("O-04")
def test_cut_shows_in_bgp_and_in_cloudwatch(
    site: Site,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    cut: Cut,
    capture: Callable[..., AbstractContextManager[Capture]],
    measure: Callable[..., None],
) -> None:
    """Cutting BGP at the router that faces the Outpost brings the service link down, in FRR's eyes and CloudWatch's."""
    began = datetime.now(UTC)
    link = site.session("service-link")
    with (
        capture(link.router, f"tcp port 179 and host {link.neighbor}", keep=256),
        watch(probe.bgp("service-link", interval=0.2), probe.service_link(interval=1.0)) as (session, metric),
    ):
        metric.wait_for(CONNECTED, timeout=20 + probe.metric_lag)
        with cut("service-link-down") as fault:
            lost = session.wait_for(NOT_ESTABLISHED, timeout=15, after=fault.start)
            seen = metric.wait_for(DISCONNECTED, timeout=30 + probe.metric_lag, after=fault.start)
        session.wait_for(ESTABLISHED, timeout=30, after=seen.end)
        metric.wait_for(CONNECTED, timeout=30 + probe.metric_lag, after=seen.end)
    measure("cut to BGP session not Established", lost.end - fault.start, "s")
    measure("cut to ConnectedStatus 0", seen.end - fault.start, "s")
    session.expect_from(NOT_ESTABLISHED, event=fault, within=5, until=seen.end)
    assert _lowest(site, "VifBgpSessionState", began) < 6, (
        "CloudWatch never showed the VIF's session as not Established"
    )


def _lowest(site: Site, metric: str, since: datetime) -> float:
    """The lowest value that CloudWatch has of a metric of the service link's VIF since then."""
    period = int(site.facts["metric_period"])
    around = timedelta(seconds=period)
    asked = {
        "Namespace": "AWS/Outposts",
        "MetricName": metric,
        "Dimensions": [
            {"Name": "OutpostId", "Value": site.facts["outpost_id"]},
            {"Name": "VirtualInterfaceId", "Value": site.facts["service_link_vif"]},
        ],
        "StartTime": since - around,
        "EndTime": datetime.now(UTC) + around,
        "Period": period,
        "Statistics": ["Minimum"],
    }
    points = call(site, "cloudwatch", "get_metric_statistics", asked)["Datapoints"]
    assert points, f"CloudWatch has no data of {metric}"
    return min(float(point["Minimum"]) for point in points)


@BOTH
@pytest.mark.requirement("O-09")
def test_workload_answers_through_the_cut(
    site: Site, probe: SiteProbes, watch: Callable[..., Watch], away: Cut, measure: Callable[..., None]
) -> None:
    """The workload answers clients on the site's LAN without a gap, before, through and after the cut, on each node."""
    port = site.workload.url.rsplit(":", 1)[1]
    lanes = [
        probe.http(f"http://{node.address}:{port}", name=f"HTTP at {node.place}", interval=0.1, timeout=2)
        for node in site.workers
    ]
    stream = probe.http_stream(name="one long-lived connection", interval=0.2)
    with watch(*lanes, stream) as watched:
        with away() as fault:
            last = watched.lanes[0].wait_for(ANSWERED, timeout=30, after=fault.end + HOLD)
        for lane in watched:
            lane.wait_for(ANSWERED, timeout=30, after=last.end + 3)
    for lane in watched:
        lane.expect(ANSWERED, throughout=True)
    worst = max(lane.gap() or 0.0 for lane in watched.lanes[:-1])
    measure("longest time between two answers", worst, "s", limit=1.0)


@BOTH
@pytest.mark.requirement("O-09")
def test_names_of_the_region_are_lost(site: Site, away: Cut, evidence: Callable[[str, str], None]) -> None:
    """A node cannot resolve names of the Region while the link is cut: its resolver is there."""
    name = f"sts.{site.aws.region}.amazonaws.com"
    node = site.place(site.workers[0].place)
    before = node.run(["getent", "hosts", name], check=False, timeout=60)
    with away():
        during = node.run(["getent", "hosts", name], check=False, timeout=60)
    evidence(f"getent hosts {name}, before", before.stdout)
    evidence("during", f"exit code {during.exit_code}: {during.stdout or during.stderr or '(nothing)'}")
    assert before.ok, before
    assert during.exit_code == 2, during  # getent(1): the name could not be found


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-09")
def test_uncached_image_cannot_be_pulled(
    site: Site,
    certificate: Prepared,
    away: Cut,
    evidence: Callable[[str, str], None],
    physics: Callable[[str], AbstractContextManager[None]],
) -> None:
    """A pod whose image is on no node stays without it while the Region's registry is away; a cached one starts."""
    registry = f"{site.aws.account}.dkr.ecr.{site.aws.region}.amazonaws.com"
    place = next(p for p in site.places if p.role == "operator")
    kubectl = ["kubectl", f"--kubeconfig={certificate.identity.kubeconfig}"]
    remove = [*kubectl, "delete", "pod", "cached", "uncached", "--ignore-not-found", "--now"]
    place.run(remove)

    def failed_pull() -> str:
        return place.run([*kubectl, "get", "events", "--field-selector", _FAILED, "-o", _MESSAGES]).stdout.strip()

    try:
        with away():
            for name, image in (("cached", site.workload.image), ("uncached", f"{registry}/web:never-seen")):
                place.run([*kubectl, "apply", "-f", "-"], stdin=_pod(name, image))
            place.run([*kubectl, "wait", "--for=condition=Ready", "pod/cached", "--timeout=30s"])
            with physics("the resolver's time limit, in which the pull fails"):
                event = eventually("the event of a failed pull", failed_pull, timeout=90)
    finally:
        place.run(remove)
    evidence("event of the pod without its image", event)
    assert registry in event, event
    assert "lookup" in event or "i/o timeout" in event, event


_FAILED = "involvedObject.name=uncached,reason=Failed"
_MESSAGES = "jsonpath={range .items[*]}{.message}{'\\n'}{end}"


def _pod(name: str, image: str) -> str:
    spec = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [spec]},
        }
    )
