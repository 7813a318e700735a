"""Stacks and sites made of them, through boto3: made, changed, deleted; what failed says why; twice is as once."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding import stackconf
from islanding.aws import stacks
from islanding.aws.provision import Provisioned, Provisioner
from islanding.aws.stacks import StackFailed
from islanding.errors import IslandingError
from islanding.journal import Journal, read
from islanding.lab.region.server import Region
from islanding.lab.steps import Steps
from islanding.paths import content_dir
from islanding.stackconf import StacksConf
from tests.unit.region_support import connect, fresh_region

CLOSED = content_dir("fixtures") / "closed-vpc"
NETWORK = """\
Parameters: {Cidr: {Type: String}}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: !Ref Cidr}}
  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24}}
Outputs:
  VpcId: {Value: !Ref Vpc}
"""
GROUP = """\
  Group: {Type: AWS::EC2::SecurityGroup, Properties: {GroupDescription: more, VpcId: !Ref Vpc}}
Outputs:
  GroupId: {Value: !Ref Group}
"""
POLL = 0.02
Client = Callable[[str], Any]


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A fresh Region."""
    yield from fresh_region(tmp_path)


@pytest.fixture
def client(region: Region) -> Client:
    """boto3's client of a service."""
    return cache(lambda service: connect(region, service))


def deploy(client: Client, template: str = NETWORK, told: list[str] | None = None, **parameters: str) -> dict[str, str]:
    """Deploy the stack `net`."""
    progress = (told if told is not None else []).append
    return stacks.deploy(client("cloudformation"), "net", template, parameters, progress, poll=POLL)


# -- one stack ---------------------------------------------------------------------------------------------------------


def test_a_stack_is_made(client: Client) -> None:
    """Outputs name what really is there, and progress ends with the end."""
    told: list[str] = []
    made = deploy(client, told=told, Cidr="10.0.0.0/16")

    assert [v["CidrBlock"] for v in client("ec2").describe_vpcs(VpcIds=[made["VpcId"]])["Vpcs"]] == ["10.0.0.0/16"]
    assert told[-1] == "stack net: CREATE_COMPLETE"


def test_the_same_again_changes_nothing(client: Client) -> None:
    """A second deployment of the same is no error, and gives the same outputs."""
    assert deploy(client, Cidr="10.0.0.0/16") == deploy(client, Cidr="10.0.0.0/16")


def test_a_stack_is_changed(client: Client) -> None:
    """A template with more in it adds that, and keeps what was there."""
    vpc = deploy(client, Cidr="10.0.0.0/16")["VpcId"]
    group = deploy(client, NETWORK.replace("Outputs:\n", GROUP), Cidr="10.0.0.0/16")

    assert group["VpcId"] == vpc
    assert client("ec2").describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"][0]["VpcId"] == vpc


def test_what_failed_says_why(client: Client) -> None:
    """The resource that AWS refused is named with AWS's reason."""
    with pytest.raises(StackFailed) as caught:
        deploy(client, Cidr="10.1.0.0/16")

    text = str(caught.value)
    assert text.startswith("stack net ended as ROLLBACK_COMPLETE: Subnet (AWS::EC2::Subnet): "), text
    assert "10.0.0.0/24" in text


class Events:
    """A CloudFormation client that knows these events, newest first, as AWS gives them."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = list(events)

    def get_paginator(self, _operation: str) -> Any:
        """The events in pages of one."""
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        """The pages."""
        return [{"StackEvents": [event]} for event in self._events]


def test_the_first_reason_comes_first() -> None:
    """Of all that failed the first is told first, each once, and not what was only cancelled for it."""
    refused, cancelled = "Subnet is outside the VPC", "Resource creation cancelled"
    failed = {"ResourceStatus": "CREATE_FAILED", "ResourceType": "T"}
    client = Events(
        {**failed, "Timestamp": 3, "LogicalResourceId": "B", "ResourceStatusReason": "Too late"},
        {**failed, "Timestamp": 2, "LogicalResourceId": "C", "ResourceStatusReason": cancelled},
        {**failed, "Timestamp": 1, "LogicalResourceId": "A", "ResourceStatusReason": refused},
        {"ResourceStatus": "CREATE_COMPLETE", "Timestamp": 0, "LogicalResourceId": "D", "ResourceType": "T"},
    )

    assert stacks.reasons(client, "net") == ["A (T): Subnet is outside the VPC", "B (T): Too late"]


def test_after_a_failure_it_is_made_anew(client: Client) -> None:
    """What a failed creation left is deleted first: AWS lets nobody update it."""
    with pytest.raises(StackFailed):
        deploy(client, Cidr="10.1.0.0/16")

    assert set(deploy(client, Cidr="10.0.0.0/16")) == {"VpcId"}


def test_what_is_refused_at_once_says_why(client: Client) -> None:
    """A parameter that was not given is AWS's to refuse, in its words."""
    with pytest.raises(StackFailed, match=r"stack net was refused: .*Cidr"):
        deploy(client)


def test_a_stack_is_deleted(client: Client) -> None:
    """After it nothing of the stack is left, and deleting it once more is no error."""
    vpc = deploy(client, Cidr="10.0.0.0/16")["VpcId"]
    told: list[str] = []
    for _ in range(2):
        stacks.delete(client("cloudformation"), "net", told.append, poll=POLL)

    assert vpc not in [one["VpcId"] for one in client("ec2").describe_vpcs()["Vpcs"]]
    assert told[-1] == "stack net: gone"
    assert stacks.exists(client("cloudformation"), "net") is False


def test_what_cannot_be_deleted_says_why(client: Client) -> None:
    """Something that others put into the VPC keeps it: the reason names what could not go."""
    vpc = deploy(client, Cidr="10.0.0.0/16")["VpcId"]
    client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24")

    with pytest.raises(StackFailed) as caught:
        stacks.delete(client("cloudformation"), "net", lambda _: None, poll=POLL)
    assert "stack net was not deleted (DELETE_FAILED): Vpc (AWS::EC2::VPC): " in str(caught.value)


# -- a whole site ------------------------------------------------------------------------------------------------------


class Site:
    """closed-vpc, provisioned into a Region whose clusters have no machine."""

    def __init__(self, region: Region, client: Client, overrides: dict[str, Any], journal: Path) -> None:
        self.journal = journal
        conf = stackconf.load(CLOSED / "site.yaml", overrides)
        assert isinstance(conf, StacksConf)
        self.conf = conf
        self.region = region
        self.told: list[str] = []
        self.applied: list[str] = []
        images = conf.lab.images
        around = {
            "workstation": {"address": "203.0.113.77"},
            "key": {"name": "mine"},
            "image": {"operator": images.operator, "worker": images.worker},
        }
        self.steps = Steps(conf.name, Journal(journal), journal.parent)
        self.provisioner = Provisioner(conf, CLOSED, client, around, self._step, poll=POLL, lacking=self.steps.lacking)

    def _step(self, what: str) -> None:
        self.told.append(what)
        if what.endswith(": CREATING"):
            self.region.eks.activate(self.conf.cluster.name, "https://endpoint", b"CA")

    def apply(self, text: str, _so_far: Provisioned) -> bool:
        """Take aws-auth at the second try, as when the endpoint's name is not known everywhere yet."""
        self.applied.append(text)
        return len(self.applied) > 1

    def ends(self) -> list[str]:
        """What was told, without what was still going on."""
        return [what for what in self.told if not what.endswith(("IN_PROGRESS", "CREATING"))]


@pytest.fixture
def make(region: Region, client: Client, tmp_path: Path) -> Callable[..., Site]:
    """A site that is still to be provisioned; its key pair is there."""
    client("ec2").create_key_pair(KeyName="mine")
    journal = tmp_path / "journal.jsonl"
    return lambda **overrides: Site(region, client, {k.replace("__", "."): v for k, v in overrides.items()}, journal)


def test_a_site_is_provisioned_twice_and_deleted(make: Callable[..., Site], client: Client) -> None:
    """Stacks and cluster are made in order; a second time changes nothing; deleted, nothing is left, files too."""
    site = make()
    before = [vpc["VpcId"] for vpc in client("ec2").describe_vpcs()["Vpcs"]]
    made = site.provisioner.provision(site.apply)

    assert site.ends() == [
        "nothing is lacking",
        "stack closed-vpc-infrastructure: CREATE_COMPLETE",
        "stack closed-vpc-control-plane: CREATE_COMPLETE",
        "cluster closed-1: ACTIVE",
        "aws-auth: applied",
        "stack closed-vpc-workers: CREATE_COMPLETE",
    ]
    document = yaml.safe_load(site.applied[-1])
    mapped = yaml.safe_load(document["data"]["mapRoles"])
    assert document["metadata"] == {"name": "aws-auth", "namespace": "kube-system"}
    assert [(entry["rolearn"], entry["groups"]) for entry in mapped] == [
        (made.facts["node_role_arn"], ["system:bootstrappers", "system:nodes"]),
        (made.facts["operator_role_arn"], ["system:masters"]),
    ]
    assert set(made.facts) == {*site.conf.facts, "asg"}
    assert all(value and "$" not in value for value in made.facts.values())
    assert user_data(client, "closed-closed-1-nodes").endswith(
        "/etc/eks/bootstrap.sh closed-1 --apiserver-endpoint https://endpoint --b64-cluster-ca Q0E=\n"
    )

    site.told.clear()
    assert site.provisioner.provision(site.apply).facts == made.facts
    assert site.ends() == ["cluster closed-1: ACTIVE", "aws-auth: applied"]

    client("s3").put_object(Bucket=made.facts["bucket"], Key="transfer", Body=b"x")
    site.provisioner.deprovision()
    assert [vpc["VpcId"] for vpc in client("ec2").describe_vpcs()["Vpcs"]] == before
    assert client("s3").list_buckets()["Buckets"] == []
    assert client("eks").list_clusters()["clusters"] == []
    site.provisioner.deprovision()  # what is not there is passed over


def user_data(client: Client, template: str) -> str:
    """The user data of a launch template."""
    versions = client("ec2").describe_launch_template_versions(LaunchTemplateName=template)["LaunchTemplateVersions"]
    return base64.b64decode(versions[0]["LaunchTemplateData"]["UserData"]).decode()


def test_nothing_is_made_where_something_is_lacking(make: Callable[..., Site], client: Client) -> None:
    """All that is lacking is said before the first stack is made."""
    site = make()
    site.conf.stacks[0].parameters["SecondZone"] = "ap-northeast-1a"
    site.conf.stacks[2].parameters["ImageId"] = "ami-0123456789abcdef0"
    with pytest.raises(IslandingError) as caught:
        site.provisioner.provision(site.apply)

    assert [text.split(":")[0].strip() for text in str(caught.value).splitlines()] == [
        "closed-vpc cannot be built, 2 things are lacking",
        "image",
        "two-zones",
    ]
    assert [("finding", "image", "lack"), ("finding", "two-zones", "lack")] == [
        (event.type, event["rule"], event["level"]) for event in read(site.journal)
    ]
    assert client("cloudformation").describe_stacks()["Stacks"] == []


def test_a_node_config_for_images_that_want_one(make: Callable[..., Site], client: Client) -> None:
    """With JoinBy NodeConfig the user data is MIME with the document that Amazon Linux 2023 reads."""
    site = make()
    site.conf.stacks[2].parameters["JoinBy"] = "NodeConfig"
    site.provisioner.provision(site.apply)
    text = user_data(client, "closed-closed-1-nodes")
    head, _, body = text.partition("Content-Type: application/node.eks.aws\n\n")

    assert head.startswith('MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="node-config"\n')
    assert yaml.safe_load(body.partition("\n--node-config--")[0]) == {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {
            "cluster": {
                "name": "closed-1",
                "apiServerEndpoint": "https://endpoint",
                "certificateAuthority": "Q0E=",
                "cidr": "172.20.0.0/16",
            }
        },
    }


def test_a_cluster_that_fails_says_why(make: Callable[..., Site], region: Region, monkeypatch: Any) -> None:
    """The issues that EKS gives are part of the message, and no worker is made."""
    site = make()
    monkeypatch.setattr(region.eks, "activate", lambda name, *_: region.eks.fail(name, "no machine for it"))

    with pytest.raises(IslandingError, match="cluster closed-1 is FAILED: no machine for it"):
        site.provisioner.provision(site.apply)
    assert not [what for what in site.told if "workers" in what]


def test_what_aws_refuses_is_said_in_its_words(make: Callable[..., Site]) -> None:
    """A call that is refused is an error for a user, not a traceback of boto3."""
    site = make(cluster__subnets="subnet-0123456789abcdef0,subnet-0123456789abcdef1")

    with pytest.raises(IslandingError, match=r"InvalidSubnetID\.NotFound"):
        site.provisioner.provision(site.apply)
