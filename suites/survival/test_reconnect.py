"""O-12: the Region is back; each thing that comes back, with its time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from islanding.faults.apply import Applied
from islanding.model import Site
from islanding.outcomes import ALLOWED, CONNECTED, DISCONNECTED, ESTABLISHED, NOT_ESTABLISHED, NOT_READY, READY
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch

LIMIT = 120.0  # seconds in which everything has to be back


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
        metric.wait_for(CONNECTED, timeout=20)
        with cut("service-link-down") as fault:
            session.wait_for(NOT_ESTABLISHED, timeout=15, after=fault.start)
            cut_until = metric.wait_for(DISCONNECTED, timeout=30, after=fault.start).end
            if extended:
                with physics("the node monitor's grace period"):
                    cut_until = watched["nodes"].wait_for(NOT_READY, timeout=90, after=fault.end).end
        wanted = [("BGP session Established", session, ESTABLISHED), ("ConnectedStatus 1", metric, CONNECTED)]
        wanted.append(("IAM access", iam, ALLOWED))
        if extended:
            wanted.append(("nodes Ready", watched["nodes"], READY))
        with physics("reconnection"):
            back = {name: lane.wait_for(outcome, timeout=LIMIT, after=cut_until) for name, lane, outcome in wanted}
    for name, sample in back.items():
        measure(f"reconnect to {name}", sample.end - cut_until, "s", limit=LIMIT)
