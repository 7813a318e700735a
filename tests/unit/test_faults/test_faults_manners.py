"""Faults on AWS objects where AWS has a real account's manners: all of them at once, and still nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from islanding import faults
from islanding.aws import subnets
from islanding.errors import IslandingError
from islanding.faults.apply import cut
from islanding.lab.region.manners.choice import Choice
from islanding.siteconf import MANNERS
from tests.unit.test_faults.network import Network, closed_network
from tests.unit.test_faults.test_faults_aws import IDS, KINDS

DELAY = 0.4  # seconds for which a change may be unseen: short, so that each undo takes seconds only
MANNERLY = Choice(on=MANNERS, delay=DELAY, page=2, rate=0.15)
_ALLOWED = {"Effect": "Allow", "Action": ["ec2:*", "autoscaling:*"], "Resource": "*"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A closed network whose Operator may use EC2 and Auto Scaling, and knows how long AWS may lag."""
    with pytest.MonkeyPatch.context() as patch, closed_network(tmp_path_factory.mktemp("m"), patch) as made:
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.02)  # seconds; the way it grows is botocore's
        document = json.dumps({"Version": "2012-10-17", "Statement": [_ALLOWED]})
        made.region.sessions.own_client("iam").put_role_policy(
            RoleName="Operator", PolicyName="p", PolicyDocument=document
        )
        access = made.site.aws.model_copy(update={"settle": DELAY + 0.2})
        made.site = made.site.model_copy(update={"aws": access})
        made.site.save(Path(made.site.folder) / "site.json")
        yield made


def quiet(network: Network) -> dict[str, Any]:
    """AWS's state as it is, without manners between."""
    network.region.behave(Choice())
    return network.state()


@pytest.mark.parametrize(("kind", "params"), KINDS, ids=IDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_fault_holds_and_heals(network: Network, kind: str, params: dict[str, Any], seed: int) -> None:
    """It takes hold, and after its undo, and one more, AWS's state is the same but for ids."""
    before = quiet(network)
    fault = faults.make(kind, **params)
    network.region.behave(Choice(**{**vars(MANNERLY), "seed": seed}))
    with cut(network.site, fault, network.bench.journal, heal_timeout=15.0) as applied:
        during = quiet(network)
        network.region.behave(Choice(**{**vars(MANNERLY), "seed": seed + 10}))
    after = quiet(network)
    network.region.behave(Choice(**{**vars(MANNERLY), "seed": seed + 20}))
    fault.undo(network.site, applied.plan)

    assert during != before
    assert after == before
    assert quiet(network) == before


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", ["group-scaled", "instance-terminated"])
def test_a_group_is_whole_again(network: Network, kind: str, seed: int) -> None:
    """Scaled up, or one instance fewer: after the fault it has as many instances in service as before."""
    network.region.behave(Choice(**{**vars(MANNERLY), "seed": seed}))
    with cut(network.site, faults.make(kind), network.bench.journal, heal_timeout=15.0):
        pass
    network.region.behave(Choice())
    [group] = network.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]

    assert (group["DesiredCapacity"], [one["LifecycleState"] for one in group["Instances"]]) == (2, ["InService"] * 2)


@pytest.mark.parametrize("seed", range(6))
def test_a_subnet_is_made_once_whatever_reply_is_lost(network: Network, seed: int) -> None:
    """Half of the failures are lost replies, after which the same call says that the range is taken."""
    site = network.site
    zone = network.client("ec2").describe_subnets()["Subnets"][0]["AvailabilityZone"]
    made = network.client("ec2").create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    try:
        network.region.behave(Choice(on=("failures", "consistency"), delay=DELAY, rate=0.35, seed=seed))
        found = subnets.made(site, made, "10.77.1.0/24", zone)
        network.region.behave(Choice())
        there = network.client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [made]}])["Subnets"]
    finally:
        network.region.behave(Choice())
        for subnet in network.client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [made]}])["Subnets"]:
            network.client("ec2").delete_subnet(SubnetId=subnet["SubnetId"])
        network.client("ec2").delete_vpc(VpcId=made)

    assert [found] == [one["SubnetId"] for one in there]


def test_a_range_that_another_subnet_has_is_not_taken_for_made(network: Network) -> None:
    """One that overlaps is somebody else's."""
    network.region.behave(Choice())
    there = network.client("ec2").describe_subnets()["Subnets"][0]
    inner = there["CidrBlock"].partition("/")[0] + "/28"

    with pytest.raises(IslandingError, match=r"InvalidSubnet\.Conflict"):
        subnets.made(network.site, there["VpcId"], inner, there["AvailabilityZone"])
