"""What the templates make may be touched by every fault of the suites and experiments: nothing lacks its mark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from islanding import faults, guard, stackconf
from islanding.aws import calls
from islanding.aws.provision import Provisioned, Provisioner
from islanding.faults import Plan
from islanding.guard.rules import Found, refusals
from islanding.lab.region.server import Region
from islanding.model import AwsAccess, Node, Site
from islanding.paths import content_dir
from islanding.stackconf import StacksConf
from tests.unit.region_support import REGION, connect, fresh_region
from tests.unit.test_faults.bench import make_bench

CLOSED = content_dir("fixtures") / "closed-vpc"
TAG = {"Key": "islanding:faults", "Value": "allowed"}
# Faults of the suites and experiments at the closed network, as they are planned there; a name in brackets is a fact.
AT_CLOSED: list[tuple[str, dict[str, Any]]] = [
    ("endpoint-removed", {"service": "s3"}),
    ("endpoint-removed", {"service": "ec2"}),
    ("endpoint-removed", {"service": "ecr.api"}),
    ("endpoint-removed", {"service": "ecr.dkr"}),
    ("endpoint-route-table-removed", {}),
    ("endpoint-policy-narrowed", {"service": "s3"}),
    ("endpoint-policy-narrowed", {"service": "ecr.api"}),
    ("endpoint-private-dns-off", {"service": "ecr.dkr"}),
    ("security-group-rule-revoked", {"group": "endpoint", "port": 443}),
    ("security-group-rule-revoked", {"group": "worker", "direction": "egress"}),
    ("security-group-rule-revoked", {"group": "control_plane", "port": 443}),
    ("security-group-rule-revoked", {"group_id": "<bastion_group_id>", "port": 22}),
    ("subnet-nacl-cut", {}),
    ("vpc-dns-attribute-off", {"attribute": "enableDnsSupport"}),
    ("peering-deleted", {}),
    ("group-scaled", {"by": 1}),
    ("instance-terminated", {}),
    ("node-powered-off", {"node": "worker"}),
]
# Those that call no AWS: they enter machines and routers of the lab, and go through kubectl.
WITHOUT_AWS = {"service-link-down", "nodes-cut-off", "node-rebooted", "resolver-lost", "aws-auth-mapping-removed"}
ACTIONS = {
    "cut_off_nodes": "nodes-cut-off",
    "cut_service_link": "service-link-down",
    "remove_endpoint": "endpoint-removed",
    "scale_group": "group-scaled",
    "terminate_instance": "instance-terminated",
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """closed-vpc as its templates make it in a Region of this process, in which every call of the faults ends."""
    folder = tmp_path_factory.mktemp("deployed")
    regions = fresh_region(folder)
    region = next(regions)
    client = cache(lambda service: connect(region, service))
    client("ec2").create_key_pair(KeyName="mine")
    made = provisioned(region, client)
    instances = client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
    nodes = tuple(
        Node(name="worker", instance_id=one["InstanceId"], address="10.20.0.9", role="worker", place="w1")
        for one in instances[:1]
    )
    access = AwsAccess(region=REGION, account=region.account, env={"AWS_ENDPOINT_URL": "https://region.test"})
    bench = make_bench(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "client", lambda _access, service: client(service))
        yield bench.site.model_copy(update={"aws": access, "facts": made.facts, "nodes": nodes})
    next(regions, None)


def provisioned(region: Region, client: Any) -> Provisioned:
    """Stacks and cluster of closed-vpc; the cluster has no machine."""
    conf = stackconf.load(CLOSED / "site.yaml")
    assert isinstance(conf, StacksConf)
    around = {
        "workstation": {"address": "203.0.113.77"},
        "key": {"name": "mine"},
        "image": {"operator": conf.lab.images.operator, "worker": conf.lab.images.worker},
    }

    def step(what: str) -> None:
        if what.endswith(": CREATING"):
            region.eks.activate(conf.cluster.name, "https://endpoint", b"CA")

    return Provisioner(conf, CLOSED, client, around, step, poll=0.02).provision(lambda *_: True)


def planned(site: Site, kind: str, params: dict[str, Any]) -> Plan:
    """The plan of a fault."""
    told = {k: site.facts[v.strip("<>")] if str(v).startswith("<") else v for k, v in params.items()}
    return faults.make(kind, **told).plan(site)


@pytest.mark.parametrize(("kind", "params"), AT_CLOSED, ids=lambda one: one if isinstance(one, str) else None)
def test_no_fault_of_the_suites_is_refused_at_the_deployed_templates(
    deployed: Site, kind: str, params: dict[str, Any]
) -> None:
    """Account, Region, marks and number: each fault passes, and touches something that AWS could have refused."""
    found = guard.inspect(deployed, planned(deployed, kind, params))

    assert () == refusals(deployed, found)
    assert found.touched.resources
    assert set(found.touched.resources) == set(found.tags)


def test_a_mark_that_is_missing_would_be_seen(deployed: Site) -> None:
    """The check above can fail: without the tag on one route table the peering may not be deleted."""
    ec2 = calls.client(deployed.aws, "ec2")
    table = deployed.facts["operator_route_table_id"]
    ec2.delete_tags(Resources=[table], Tags=[TAG])
    try:
        found: Found = guard.inspect(deployed, planned(deployed, "peering-deleted", {}))
        said = [str(one) for one in refusals(deployed, found)]
    finally:
        ec2.create_tags(Resources=[table], Tags=[TAG])

    assert [f"guardrail tag: {table} has no tag islanding:faults=allowed"] == said


def test_the_list_has_every_fault_of_suites_and_experiments() -> None:
    """A fault that a suite or an experiment begins to use is looked at here, too."""
    used: set[str] = set()
    known = "|".join(faults.names())
    for path in content_dir("suites").rglob("*.py"):
        used |= set(re.findall(rf'"({known})"', path.read_text()))
    for path in content_dir("experiments").glob("*.yaml"):
        document = yaml.safe_load(path.read_text())
        functions = [one["provider"] for one in document["method"] if one["type"] == "action"]
        mine = {one["func"] for one in functions if one["module"] == "islanding.chaos.actions"} - {"undo_fault"}
        used |= {ACTIONS[name] for name in mine}

    assert used - WITHOUT_AWS <= {kind for kind, _ in AT_CLOSED}
    assert used >= WITHOUT_AWS - {"aws-auth-mapping-removed"}
