"""Chaos Toolkit probes: the steady state of a site, by the same probes as watches use; each returns True or False.

They ask the site that the configuration's `islanding_site` or ISLANDING_SITE names (by default the only running lab).
`within` is how many seconds the state may take to be there: a link that has just been healed needs its time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from chaoslib.exceptions import ActivityFailed

from islanding.chaos.actions import current_site
from islanding.chaos.given import activity
from islanding.errors import IslandingError
from islanding.model import Site
from islanding.outcomes import is_ok
from islanding.probes.of_site import SiteProbes
from islanding.sampling import observe
from islanding.wait import WaitTimeout, wait_until

__all__ = [
    "bgp_established",
    "group_is_whole",
    "kubectl_allowed",
    "name_resolves",
    "newcomers_are",
    "nodes_ready",
    "reachable",
    "service_link_connected",
    "workload_answers",
]
logger = logging.getLogger("chaostoolkit")


@activity
def reachable(host: str, port: int, place: str = "", within: float = 0.0) -> bool:
    """Whether a TCP connection can be made, from a place of the site (default: the operator's)."""
    return _holds("tcp", within, host=host, port=port, **_at(place))


@activity
def bgp_established(session: str = "service-link", within: float = 0.0) -> bool:
    """Whether a BGP session is established."""
    return _holds("bgp", within, session=session)


@activity
def kubectl_allowed(args: list[str], identity: str = "", within: float = 0.0) -> bool:
    """Whether kubectl may do `args` as an identity of the site."""
    return _holds("kubectl", within, args=tuple(args), identity=identity)


@activity
def nodes_ready(nodes: list[str] | None = None, identity: str = "", within: float = 0.0) -> bool:
    """Whether these nodes (default: all workers) are Ready."""
    return _holds("node", within, nodes=tuple(nodes or ()), identity=identity)


@activity
def workload_answers(url: str = "", within: float = 0.0) -> bool:
    """Whether the workload (or another URL) answers over a new connection from the site's LAN."""
    return _holds("http", within, url=url)


@activity
def name_resolves(hostname: str, server: str = "", within: float = 0.0) -> bool:
    """Whether a name has an address, by the operator's resolver or by the server named."""
    return _holds("dns", within, hostname=hostname, server=server)


@activity
def service_link_connected(within: float = 0.0) -> bool:
    """Whether CloudWatch says that the Outpost's service link is up."""
    return _holds("service-link", within)


@activity
def group_is_whole(within: float = 0.0) -> bool:
    """Whether every instance of the site's Auto Scaling group is a Ready node of its cluster."""
    from islanding.kube.current import whole

    return _comes_true("the group to be whole", lambda site: whole(site) is not None, within)


@activity
def newcomers_are(outcome: str, count: int = 1, within: float = 0.0) -> bool:
    """Whether those instances of the group that are no Ready node are `count`, and each has come to this outcome."""
    from islanding.aws import group

    def stuck(site: Site) -> bool:
        probes = SiteProbes(site)
        seen = [observe(site, probes.node_join(instance)).outcome for instance in group.read(site).instances]
        return [one for one in seen if one != "READY"] == [outcome] * count

    return _comes_true(f"{count} newcomers to be {outcome}", stuck, within)


def _comes_true(what: str, holds: Callable[[Site], bool], within: float) -> bool:
    try:
        site = current_site()
        try:
            return wait_until(what, lambda: holds(site), timeout=within, interval=2)
        except WaitTimeout as late:
            if isinstance(late.last, IslandingError):
                raise late.last from None
            return False
    except IslandingError as error:
        raise ActivityFailed(str(error)) from error


def _holds(kind: str, within: float, **parameters: Any) -> bool:
    try:
        site = current_site()
        probe = SiteProbes(site).make(kind, **parameters)

        def ok() -> bool:
            seen = observe(site, probe)
            logger.debug("islanding: %s: %s %s", probe.label, seen.outcome, seen.text)
            return is_ok(seen.outcome)

        if not within:
            return ok()
        try:
            return wait_until(probe.label, ok, timeout=within, interval=0.5)
        except WaitTimeout as late:
            if isinstance(late.last, IslandingError):
                raise late.last from None
            return False
    except IslandingError as error:
        raise ActivityFailed(str(error)) from error


def _at(place: str) -> dict[str, str]:
    return {"place": place} if place else {}
