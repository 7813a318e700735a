"""C-16: the control plane is updated while the site is closed, and the next run says what has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from islanding.aws import versions
from islanding.aws.calls import call
from islanding.journal import Journal
from islanding.kube.certificates import Operator
from islanding.model import Site
from islanding.outcomes import ALLOWED, ANSWERED, READY
from islanding.probes.of_site import SiteProbes
from islanding.watching import Watch, eventually

UPDATED = 1800.0  # seconds that a real account may take; the lab takes less than a minute
NEWEST = (1, 36)


def _next(version: str) -> str:
    major, minor = map(int, version.split("."))
    if (major, minor) >= NEWEST:
        pytest.skip(f"the cluster is at {version} already, the newest known here: bring the site up anew")
    return f"{major}.{minor + 1}"


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-16")
def test_workload_lives_through_the_control_planes_update(
    site: Site,
    operator: Operator,
    journal: Journal,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    physics: Callable[[str], AbstractContextManager[None]],
    evidence: Callable[[str, str], None],
    measure: Callable[..., None],
) -> None:
    """The cluster's minor version goes up by one; the workload answers all the time; the change is told as drift."""
    eks = {"name": site.cluster.name}
    versions.since_last_run(site)  # what this run found
    before = versions.read(site)
    wanted = _next(before["cluster version"])
    pods = operator.kubectl("get", "pods", "--selector=app=web", "-o", "jsonpath={.items[*].metadata.uid}").stdout
    asked = probe.kubectl("get", "svc", identity="operator", interval=2.5, request_timeout=10)
    nodes = probe.nodes(identity="operator", interval=3)
    with watch(probe.http(), asked, nodes, drain=15) as (web, api, ready):
        update = call(site, "eks", "update_cluster_version", {**eks, "version": wanted})["update"]
        with physics("AWS's replacement of the control plane"):
            ended = eventually(
                "the update to end",
                lambda: call(site, "eks", "describe_update", {**eks, "updateId": update["id"]})["update"],
                timeout=UPDATED if site.target == "aws" else 150,
                interval=1,
                done=lambda now: now["status"] != "InProgress",
            )
        assert ended["status"] == "Successful", ended
        answered = api.wait_for(ALLOWED, timeout=60, after=api.samples()[-1].start)
        ready.wait_for(READY, timeout=90, after=answered.end)
    web.expect(ANSWERED, throughout=True, hole=10)
    web.expect_gap(10)
    after = operator.kubectl("get", "pods", "--selector=app=web", "-o", "jsonpath={.items[*].metadata.uid}").stdout
    assert sorted(after.split()) == sorted(pods.split()), "the workload's pods are others than before"
    server = json.loads(operator.kubectl("version", "-o", "json").stdout)["serverVersion"]
    evidence("kubectl version", json.dumps(server, indent=1))
    said = server.get("emulationMajor", server["major"]), server.get("emulationMinor", server["minor"])
    assert ".".join(said).rstrip("+") == wanted, server
    told = versions.since_last_run(site)
    for line in told:
        journal.append("warning", text=f"drift since the last run: {line}")
    evidence("drift since the last run", "\n".join(told))
    assert f"cluster version: {before['cluster version']}, now {wanted}" in told
    assert versions.since_last_run(site) == (), "what has been told is told again"
    measure("silence of the API", api.gap() or 0.0, "s")
