"""Sweeping up by tag: all that was provisioned and left behind goes, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from islanding.aws import stacks
from islanding.target import sweep
from tests.unit.region_support import fresh_region
from tests.unit.test_target.conftest import POLL, Made

NOW = datetime.now(UTC)
STACK = "Resources: {Gateway: {Type: AWS::EC2::InternetGateway}}"
MINE = {sweep.SITE: "mine", sweep.RUN: sweep.run_id(NOW - timedelta(hours=3))}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A site that was provisioned with tags and left."""
    folder = tmp_path_factory.mktemp("sweep")
    for region in fresh_region(folder):
        yield Made(region, folder, tags=MINE)


def vpcs(made: Any) -> set[str]:
    """The VPCs that there are."""
    return {vpc["VpcId"] for vpc in made.client("ec2").describe_vpcs()["Vpcs"]}


def test_everything_made_carries_the_tags(left: Made) -> None:
    """Stacks, cluster and what EC2 lists carry site and run; instances of the group too."""
    group = left.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
    ids = [one["InstanceId"] for one in group["Instances"]]
    reply = left.client("ec2").describe_instances(InstanceIds=[*ids, left.site.facts["bastion_instance_id"]])
    tags = [{t["Key"]: t["Value"] for t in i["Tags"]} for r in reply["Reservations"] for i in r["Instances"]]

    assert [{key: one.get(key) for key in MINE} for one in tags] == [MINE] * 3


def test_what_is_found_is_in_the_order_to_go(left: Made) -> None:
    """Newest first: the workers' stack before the cluster, the cluster before the stacks that it stands on."""
    found = sweep.find(left.client)

    assert [(one.kind, one.id) for one in found] == [
        ("stack", "closed-vpc-workers"),
        ("cluster", "closed-1"),
        ("stack", "closed-vpc-control-plane"),
        ("stack", "closed-vpc-infrastructure"),
    ]


@pytest.mark.parametrize(
    ("site", "older_than", "count"),
    [("mine", None, 4), ("yours", None, 0), ("", timedelta(hours=1), 0), ("", timedelta(0), 4)],
)
def test_only_what_was_asked_for_is_found(left: Made, site: str, older_than: timedelta | None, count: int) -> None:
    """Another site's, and what is too young, are not in the list."""
    assert len(sweep.find(left.client, site, older_than)) == count


@pytest.fixture
def gone(tmp_path: Path) -> Iterator[Made]:
    """Such a site for one test, which deletes it."""
    for region in fresh_region(tmp_path):
        yield Made(region, tmp_path, tags=MINE)


def test_all_goes_and_nothing_else(gone: Made) -> None:
    """Stacks, cluster and a VPC in none go; what has one tag of the two, or none, stays: VPCs and a stack."""
    ec2 = gone.client("ec2")

    def vpc(**tags: str) -> str:
        given = {"TagSpecifications": [{"ResourceType": "vpc", "Tags": tag_list(tags)}]} if tags else {}
        return str(ec2.create_vpc(CidrBlock="10.99.0.0/16", **given)["Vpc"]["VpcId"])

    kept = {vpc(), vpc(**{sweep.SITE: "mine"})}
    orphan = vpc(**MINE)
    subnet = ec2.create_subnet(
        VpcId=orphan,
        CidrBlock="10.99.0.0/24",
        TagSpecifications=[{"ResourceType": "subnet", "Tags": tag_list(MINE)}],
    )["Subnet"]["SubnetId"]
    gone.client("s3").put_object(Bucket=gone.site.facts["bucket"], Key="left", Body=b"x")
    half = {sweep.SITE: "mine"}
    stacks.deploy(gone.client("cloudformation"), "half", STACK, {}, lambda _: None, poll=POLL, tags=half)
    found = sweep.find(gone.client)
    told: list[str] = []

    assert [(one.kind, one.id) for one in found[4:]] == [("ec2:subnet", subnet), ("ec2:vpc", orphan)]
    assert sweep.sweep(gone.client, found, told.append, poll=POLL) == []
    assert vpcs(gone) & ({orphan} | kept) == kept
    assert gone.site.facts["vpc_id"] not in vpcs(gone)
    assert gone.client("eks").list_clusters()["clusters"] == []
    assert sweep.find(gone.client) == []
    assert stacks.exists(gone.client("cloudformation"), "half")


def test_what_cannot_go_is_said(left: Made) -> None:
    """A kind that nobody knows how to delete is left and named."""
    strange = sweep.Found("rds:db", "main", "mine", MINE[sweep.RUN], NOW)

    assert sweep.sweep(left.client, [strange], lambda _: None, poll=POLL) == [
        f"{strange}: nobody knows here how a rds:db is deleted; it was left"
    ]
