"""Powering a node off goes through the EC2 API, by the site's own access and by nothing of the caller's."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from islanding import faults
from islanding.errors import IslandingError
from islanding.faults.apply import cut
from islanding.model import AwsAccess
from tests.unit.test_faults.bench import Bench


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An EC2 API on this machine."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_an_instance_is_stopped_and_started_again(bench: Bench, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the block EC2 says stopped, after it running; the caller's own endpoint is not asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # discard: whoever calls it fails
    env = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    user = boto3.Session("test", "test", region_name="us-west-2")
    ec2 = user.client("ec2", endpoint_url=endpoint)
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"]
    made = ec2.run_instances(ImageId="ami-12c6146b", SubnetId=subnet, MinCount=1, MaxCount=1)
    instance = made["Instances"][0]["InstanceId"]
    ec2.create_tags(Resources=[instance], Tags=[{"Key": "islanding:faults", "Value": "allowed"}])
    node = bench.site.nodes[0].model_copy(update={"instance_id": instance})
    access = AwsAccess(region="us-west-2", account="123456789012", env=env)
    site = bench.site.model_copy(update={"aws": access, "nodes": (node,)})
    fault = faults.NodePoweredOff(node="w1")

    with cut(site, fault, bench.journal) as applied:
        during = fault.is_applied(site, applied.plan)
        with pytest.raises(faults.FaultError, match=r"w1 \(i-\w+\) is stopped, not running"):
            fault.plan(site)

    assert during.seen == "w1 stopped"
    assert fault.is_healed(site, applied.plan).seen == "w1 running; w1 answers"


def test_a_lab_without_an_endpoint_never_reaches_aws(bench: Bench) -> None:
    """A description that names no endpoint is refused before any call."""
    with pytest.raises(IslandingError, match="lab lab-1 names no AWS endpoint; describe_instances was not called"):
        faults.NodePoweredOff(node="w1").plan(bench.site)


def test_an_unknown_node_is_named_with_those_there_are(bench: Bench) -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(faults.FaultError, match="no node 'w9'; there are: w1, w2, w3"):
        faults.NodePoweredOff(node="w9").plan(bench.site)
