"""Updates of EKS clusters: one minor version at a time, under way until the service says that it is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from islanding.lab.region.server import Region
from tests.unit.region_support import connect, fresh_region


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region with a cluster c of version 1.35 that is ACTIVE."""
    for made in fresh_region(tmp_path):
        ec2 = connect(made, "ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = (("10.0.1.0/24", "a"), ("10.0.2.0/24", "c"))
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=f"ap-northeast-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for block, zone in zones
        ]
        role = f"arn:aws:iam::{made.account}:role/Operator"
        connect(made, "eks").create_cluster(
            name="c", version="1.35", roleArn=role, resourcesVpcConfig={"subnetIds": subnets}
        )
        made.eks.activate("c", "https://x.eks.amazonaws.com", b"ca")
        yield made


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Code and message of a refused call."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    answer = error.value.response["Error"]
    return answer["Code"], answer["Message"]


def test_an_update_of_the_version(region: Region) -> None:
    """The cluster is UPDATING, and nothing else can be changed, until the service has the new control plane."""
    eks = connect(region, "eks")
    update = eks.update_cluster_version(name="c", version="1.36")["update"]
    during = eks.describe_cluster(name="c")["cluster"]["status"]
    busy = refusal(eks.update_cluster_version, name="c", version="1.36")
    region.eks.updated("c")
    after = eks.describe_cluster(name="c")["cluster"]

    assert (update["type"], update["status"], during) == ("VersionUpdate", "InProgress", "UPDATING")
    assert update["params"] == [{"type": "Version", "value": "1.36"}]
    assert busy == ("ResourceInUseException", "Cluster c is not ACTIVE")
    assert (after["status"], after["version"]) == ("ACTIVE", "1.36")
    assert eks.describe_update(name="c", updateId=update["id"])["update"]["status"] == "Successful"
    assert eks.list_updates(name="c")["updateIds"] == [update["id"]]


def test_an_update_that_fails_says_why(region: Region) -> None:
    """Update and cluster say what went wrong; an update that had ended before stays as it was."""
    eks = connect(region, "eks")
    before = eks.update_cluster_config(name="c", resourcesVpcConfig={"endpointPrivateAccess": True})["update"]["id"]
    update = eks.update_cluster_version(name="c", version="1.36")["update"]["id"]
    region.eks.fail("c", "etcd did not start")
    found = eks.describe_update(name="c", updateId=update)["update"]
    cluster = eks.describe_cluster(name="c")["cluster"]

    assert (found["status"], [error["errorMessage"] for error in found["errors"]]) == ("Failed", ["etcd did not start"])
    assert (cluster["status"], cluster["health"]["issues"][0]["message"]) == ("FAILED", "etcd did not start")
    assert eks.describe_update(name="c", updateId=before)["update"]["status"] == "Successful"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.35", "Cluster is already at the desired configuration with version 1.35"),
        ("1.37", "Unsupported Kubernetes minor version update from 1.35 to 1.37"),
        ("1.34", "Unsupported Kubernetes minor version update from 1.35 to 1.34"),
    ],
)
def test_versions_that_cannot_be_had(region: Region, version: str, said: str) -> None:
    """Never down, never by two, never to the one that it has."""
    eks = connect(region, "eks")

    assert refusal(eks.update_cluster_version, name="c", version=version) == ("InvalidParameterException", said)
    assert eks.describe_cluster(name="c")["cluster"]["status"] == "ACTIVE"


def test_an_update_that_is_not_known(region: Region) -> None:
    """An id that was never given is not found."""
    eks = connect(region, "eks")

    assert refusal(eks.describe_update, name="c", updateId="nothing") == (
        "ResourceNotFoundException",
        "No update found for ID: nothing",
    )


def test_an_update_of_the_access_is_recorded(region: Region) -> None:
    """A change of the endpoint's access is done at once, and can be looked up like any other."""
    eks = connect(region, "eks")
    change = {"endpointPrivateAccess": True, "endpointPublicAccess": False}
    update = eks.update_cluster_config(name="c", resourcesVpcConfig=change)["update"]
    found = eks.describe_update(name="c", updateId=update["id"])["update"]

    assert (found["type"], found["status"]) == ("EndpointAccessUpdate", "Successful")
