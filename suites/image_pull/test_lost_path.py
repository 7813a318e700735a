"""C-09: each lack alone breaks something, at its own step, with its own message, and one AWS object to blame.

THE TABLE below is meant to be read by whoever runs such a network. A row: what is taken away; what a user tries
meanwhile, at which step it fails and as what (islanding/outcomes lists each message word for word); which hop of the
path, and which kind of AWS object, the diagnosis blames.

- "token" rows begin with a kubelet that has just started: one that has a token keeps it for 12 hours, and the loss of
  ecr.api is not seen until then. All other rows begin with a token that the pull before has brought. A kubelet that
  starts without DNS does not even find the cluster.
- Each row takes an image that the node has never seen: before, during and after. What the node has is not fetched.
- containerd tries a dead address for 30 s, one to five times (docs/measurements.md). Here the node's own setting,
  `dial_timeout` in hosts.toml, makes it 4 s, which changes the time and not the message; the experiments on nodes that
  join without the path wait for its own time.
- A pull that hangs keeps the node's other pulls waiting, also when its pod is gone. So containerd is restarted after
  each row (running containers stay), and rows take turns at the nodes.
- The one who looks asks the cluster by one of its addresses, so that he sees the pod's events in every row.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from islanding.aws import group
from islanding.diagnosis import Diagnosis
from islanding.diagnosis import hops as hop
from islanding.faults.apply import Applied
from islanding.kube.at_node import dials, restart
from islanding.model import Node, Sample, Site
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes

Step = Literal["token", "manifest", "layer"]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    fault: str
    step: Step
    outcomes: tuple[str, ...]
    hop: str
    blame: str
    parameters: dict[str, Any] = field(default_factory=dict)
    asked: str = "image-pull"  # what the diagnosis is asked about
    in_node_subnet: bool = False  # the fault is on the subnet of the node that pulls


DIAL = 4.0  # seconds
DEAD_TOKEN = ("PULL_TOKEN_TIMEOUT", "PULL_NO_CREDENTIALS")
MISSING, ENDPOINT, GROUP, ACL, VPC = "VPC endpoint", "VPC endpoint", "security group", "network ACL", "VPC"

TABLE = {
    # what is taken away             fault                        step         seen as
    "ecr-api-removed": Row(
        "endpoint-removed", "token", DEAD_TOKEN, hop.ROUTE, MISSING, {"service": "ecr.api"}
    ),
    "ecr-dkr-removed": Row(
        "endpoint-removed", "manifest", ("PULL_MANIFEST_TIMEOUT",), hop.ROUTE, MISSING, {"service": "ecr.dkr"},
    ),
    "s3-gateway-removed": Row(
        "endpoint-removed", "layer", ("PULL_LAYER_TIMEOUT",), hop.ROUTE, MISSING, {"service": "s3"}
    ),
    "s3-route-table-not-associated": Row(
        "endpoint-route-table-removed", "layer", ("PULL_LAYER_TIMEOUT",), hop.ROUTE, ENDPOINT
    ),
    "s3-policy-without-the-layer-bucket": Row(
        "endpoint-policy-narrowed", "layer", ("PULL_LAYER_FORBIDDEN",), hop.POLICY, ENDPOINT, {"service": "s3"}
    ),
    "private-dns-off": Row(
        "endpoint-private-dns-off", "manifest", ("PULL_MANIFEST_TIMEOUT",), hop.ADDRESS, ENDPOINT,
        {"service": "ecr.dkr"},
    ),
    "endpoint-group-without-443": Row(
        "security-group-rule-revoked", "manifest", ("PULL_MANIFEST_TIMEOUT",), hop.GROUP, GROUP,
        {"group": "endpoint", "port": 443}, asked="ecr.dkr",
    ),
    # The node's subnet is closed, which is one of the endpoints' two: within it no ACL counts, so token and manifest
    # still come by the endpoint's address beside the node; S3 lies outside of it.
    "subnet-acl-closed": Row(
        "subnet-nacl-cut", "layer", ("PULL_LAYER_TIMEOUT",), hop.ACL, ACL, asked="s3", in_node_subnet=True
    ),
    "vpc-dns-support-off": Row(
        "vpc-dns-attribute-off", "manifest", ("PULL_NAME_NOT_RESOLVED",), hop.NAME, VPC,
        {"attribute": "enableDnsSupport"}, asked="ecr.dkr",
    ),
    # of our own choosing
    "ecr-api-policy-allows-nothing": Row(
        "endpoint-policy-narrowed", "token", ("PULL_TOKEN_DENIED", "PULL_NO_CREDENTIALS"), hop.POLICY, ENDPOINT,
        {"service": "ecr.api"},
    ),
    "nodes-may-not-send": Row(
        "security-group-rule-revoked", "manifest", ("PULL_MANIFEST_TIMEOUT",), hop.GROUP, GROUP,
        {"group": "worker", "direction": "egress"}, asked="ecr.dkr",
    ),
}  # fmt: skip


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-09")
@pytest.mark.parametrize("lack", TABLE)
def test_pull_without(
    lack: str,
    site: Site,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    cut: Callable[..., AbstractContextManager[Applied]],
    explained: Callable[..., Diagnosis],
    unseen: Callable[..., str],
    forgetful: Callable[[Node], None],
    by_address: Callable[[Node], str],
    physics: Callable[[str], AbstractContextManager[None]],
    evidence: Callable[[str, str], None],
    measure: Callable[..., None],
) -> None:
    """With one piece taken away an image that was never seen is not pulled, and is once it is back."""
    row = TABLE[lack]
    node = site.workers[list(TABLE).index(lack) % len(site.workers)]
    at_node = site.place(node.place)
    parameters = dict(row.parameters)
    if row.in_node_subnet:
        parameters["subnet_ids"] = (group.subnet_of(site, node.instance_id),)

    def pull(image: str) -> Sample:
        return observe(probe.image_pull(image, node.name, kubeconfig=by_address(node)))

    with dials(at_node, DIAL):
        first = pull(unseen())
        assert first.outcome == "PULLED", first.text
        if row.step == "token":
            forgetful(node)
        with cut(row.fault, **parameters) as fault:
            with physics("the dials of kubelet's plugin and of containerd"):
                seen = pull(unseen())
            evidence("what a user sees", seen.text)
            found = explained(node, row.asked, seen=seen.outcome, packets=not row.in_node_subnet)
        measure("fault to message", seen.end - fault.end, "s")
        restart(at_node, "containerd")
        last = pull(unseen())
    evidence("diagnosis", "\n".join(found.lines()))
    assert seen.outcome in row.outcomes, f"expected {' or '.join(row.outcomes)}: {seen.outcome}: {seen.text}"
    check(found, row)
    assert last.outcome == "PULLED", last.text


def check(found: Diagnosis, row: Row) -> None:
    """The diagnosis names the step, the hop and the kind of object that the table says."""
    said = "\n".join(found.lines())
    assert found.failing is not None, said
    assert (found.failing.name, found.blame.kind if found.blame else "") == (row.hop, row.blame), said
    assert found.step == row.step, f"{found.step}: {said}"
    assert found.conclusive, said
