"""O-12: the Region is back; each thing that comes back, with its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest

from islanding.aws.calls import call
from islanding.faults.apply import Applied
from islanding.kube.certificates import Operator
from islanding.model import Site
from islanding.outcomes import ALLOWED, CONNECTED, DISCONNECTED, ESTABLISHED, NOT_ESTABLISHED, NOT_READY, READY
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch, eventually

LIMIT = 120.0  # seconds in which everything has to be back


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-12")
def test_logs_are_kept_and_sent_afterwards(
    site: Site,
    operator: Operator,
    away: Callable[..., AbstractContextManager[Applied]],
    physics: Callable[[str], AbstractContextManager[None]],
    measure: Callable[..., None],
    evidence: Callable[[str, str], None],
) -> None:
    """What a local control plane logs during the cut is not lost: it is in CloudWatch Logs once the Region is back."""
    with away():
        operator.forget_token()
        begun = datetime.now(UTC)
        with physics("the authenticator's dial of STS, 30 s"):
            refused = operator.kubectl("get", "svc", check=False, timeout=120)
        ended = datetime.now(UTC)
        during = _logged(site, begun, ended)
    back = time.monotonic()
    evidence("kubectl during the cut, which the authenticator logs", refused.stderr.strip())
    assert during == [], f"arrived through a link that was cut: {during}"
    found = eventually(
        "the authenticator's log of the cut to arrive",
        lambda: _logged(site, begun, ended),
        timeout=LIMIT,
        interval=1,
    )
    measure("reconnect to log flush", time.monotonic() - back, "s", limit=LIMIT)
    evidence("first line that was kept", found[0])


def _logged(site: Site, begun: datetime, ended: datetime) -> list[str]:
    """What CloudWatch Logs has of the authenticator from a span of time."""
    asked = {
        "logGroupName": f"/aws/eks/{site.cluster.name}/cluster",
        "logStreamNamePrefix": "aws-iam-authenticator",
        "startTime": int(begun.timestamp() * 1000),
        "endTime": int(ended.timestamp() * 1000),
    }
    return [event["message"] for event in call(site, "logs", "filter_log_events", asked)["events"]]


@pytest.mark.site("outpost-local", "outpost-extended")
@pytest.mark.requirement("O-12")
def test_everything_comes_back(
    site: Site,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    cut: Callable[..., AbstractContextManager[Applied]],
    physics: Callable[[str], AbstractContextManager[None]],
    measure: Callable[..., None],
) -> None:
    """After the cut BGP, the service link, IAM access and the nodes come back, each in its time."""
    extended = site.cluster.control_plane == "region"
    lanes = [
        probe.bgp("service-link", interval=0.2),
        probe.service_link(interval=1.0),
        probe.kubectl("get", "svc", identity="operator", interval=2, overlap=20, name="kubectl by IAM"),
    ]
    if extended:
        lanes.append(probe.nodes(identity="operator", place="region", interval=1.0, name="nodes"))
    with watch(*lanes, drain=40) as watched:
        session, metric, iam = watched.lanes[:3]
        metric.wait_for(CONNECTED, timeout=20 + probe.metric_lag)
        with cut("service-link-down") as fault:
            session.wait_for(NOT_ESTABLISHED, timeout=15, after=fault.start)
            cut_until = metric.wait_for(DISCONNECTED, timeout=30 + probe.metric_lag, after=fault.start).end
            if extended:
                with physics("the node monitor's grace period"):
                    cut_until = watched["nodes"].wait_for(NOT_READY, timeout=90, after=fault.end).end
        wanted = [("BGP session Established", session, ESTABLISHED), ("ConnectedStatus 1", metric, CONNECTED)]
        wanted.append(("IAM access", iam, ALLOWED))
        if extended:
            wanted.append(("nodes Ready", watched["nodes"], READY))
        with physics("reconnection"):
            late = {metric: probe.metric_lag}
            back = {
                name: lane.wait_for(outcome, timeout=LIMIT + late.get(lane, 0), after=cut_until)
                for name, lane, outcome in wanted
            }
    for name, sample in back.items():
        limit = LIMIT + (probe.metric_lag if sample.watch == metric.name else 0)
        measure(f"reconnect to {name}", sample.end - cut_until, "s", limit=limit)
