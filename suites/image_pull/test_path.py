"""C-08 and C-14: by which way images come, and how they are brought in."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable

import pytest

from islanding.aws.bucket import name_endpoint
from islanding.diagnosis import Diagnosis
from islanding.diagnosis import hops as hop
from islanding.kube.certificates import Operator
from islanding.model import Node, Sample, Site
from islanding.outcomes import OUTCOMES
from islanding.probes import Probe
from islanding.probes.flow_counters import Count, FlowCounters
from islanding.probes.of_site import PULL_PATH, SiteProbes
from islanding.watching import eventually

PULLED, RUNNING = OUTCOMES["PULLED"], OUTCOMES["RUNNING"]
MEGABYTES = 20
Evidence = Callable[[str, str], None]


def _said(counts: dict[str, Count]) -> str:
    return "\n".join(f"{name}: {count}" for name, count in counts.items())


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-08")
def test_token_manifest_and_layer_come_by_three_endpoints(
    site: Site,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    unseen: Callable[..., str],
    forgetful: Callable[[Node], None],
    explained: Callable[..., Diagnosis],
    evidence: Evidence,
) -> None:
    """A pull asks ecr.api for a token, ecr.dkr for the manifest and S3 for the layer, each at its own endpoint.

    The node's kernel counts: little from ecr.api and ecr.dkr, and all of the layer's bytes from S3. S3's addresses are
    public ones: that they were reached by its endpoint, and not by some way out, is what the routes say.
    """
    node = site.workers[0]
    image = unseen(MEGABYTES)
    forgetful(node)
    counters = probe.flow_counters(node.place)
    assert isinstance(counters, FlowCounters)
    with counters.counting() as count:
        before = count()
        sample = observe(probe.image_pull(image, node.name))
        after = count()
    evidence("the pull", sample.text)
    evidence(f"counted at {node.name} before", _said(before))
    evidence(f"counted at {node.name} after", _said(after))
    assert sample.outcome == PULLED.name, sample.text
    got = {name: after[name].bytes_from - before[name].bytes_from for name in PULL_PATH}
    assert all(after[name].packets_to > before[name].packets_to for name in PULL_PATH), _said(after)
    assert got["s3"] > MEGABYTES * 1_000_000, f"the layer did not come by S3's endpoint: {got}"
    assert max(got["ecr.api"], got["ecr.dkr"]) < 1_000_000, f"layers came by ECR itself: {got}"
    for service in PULL_PATH:
        said = "\n".join((found := explained(node, service, packets=False)).lines())
        by = {one.name: one.status for one in found.hops}
        assert by.get(hop.ENDPOINT) is hop.Status.OK, f"{service} does not go by an endpoint:\n{said}"


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-14")
def test_pushed_image_runs(
    site: Site, probe: SiteProbes, observe: Callable[[Probe], Sample], unseen: Callable[..., str], evidence: Evidence
) -> None:
    """An image that the operator pushes to ECR, through the endpoints, runs on a node."""
    sample = observe(probe.pod_start(unseen(), node=site.workers[0].name))
    evidence("the pod", sample.text)
    assert sample.outcome == RUNNING.name, sample.text


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-14")
def test_image_by_way_of_the_bucket_runs(
    site: Site, operator: Operator, unseen: Callable[..., str], evidence: Evidence
) -> None:
    """An image as a tar goes through the bucket, is fetched and imported at a node, and runs without any pull."""
    name_endpoint(site)
    node, reference = site.workers[0], unseen()
    name = f"brought-in-{secrets.token_hex(4)}"
    image, key = f"by-bucket.local/web:{name}", f"images/{name}.tar"
    bucket, region = site.facts["bucket"], site.aws.region
    sent = operator.place.run(
        ["sh", "-ec", (f'd=$(mktemp -d); trap "rm -rf $d" EXIT; '
         f"skopeo copy --quiet docker://{reference} docker-archive:$d/i.tar:{image}; "
         f"aws s3 cp --region {region} --only-show-errors $d/i.tar s3://{bucket}/{key}")],
        timeout=120, check=False,
    )  # fmt: skip
    assert sent.ok, sent.stderr
    at_node = site.place(node.place)
    fetch = f"aws s3 cp --region {region} --only-show-errors s3://{bucket}/{key} /var/tmp/{name}.tar"
    took = f"{fetch} && ctr -n k8s.io images import /var/tmp/{name}.tar; s=$?; rm -f /var/tmp/{name}.tar; exit $s"
    imported = at_node.run(["bash", "-lc", f"PATH=$PATH:{TOOLS}; {took}"], timeout=120, check=False)
    evidence("import at the node", imported.stdout + imported.stderr)
    assert imported.ok, imported.stderr
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"islanding.probe": "brought-in"}},
        "spec": {
            "nodeName": node.name,
            "activeDeadlineSeconds": 300,
            "containers": [{"name": "web", "image": image, "imagePullPolicy": "Never"}],
        },
    }
    try:
        operator.kubectl("create", "-f", "-", stdin=json.dumps(pod))
        eventually(
            "the pod to run",
            lambda: operator.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase} {.status.podIP}").stdout,
            timeout=60,
            done=lambda said: bool(re.fullmatch(r"Running \d+\.\d+\.\d+\.\d+", said)),
        )
    finally:
        operator.kubectl("delete", "pod", name, "--ignore-not-found", "--wait=false", "--grace-period=0", check=False)


TOOLS = "/opt/islanding/bin"  # where an image may keep ctr, beside PATH
