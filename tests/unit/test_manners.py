"""Manners of a real account in the Region: each one by itself, as callers meet it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from islanding.lab.region.manners.choice import Choice
from islanding.lab.region.manners.throttling import Bucket
from islanding.lab.region.seed import SessionCredentials
from islanding.lab.region.server import Region
from tests.unit.region_support import REGION, connect, fresh_region

AWS_POLICY = "arn:aws:iam::aws:policy/"


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region without manners; a test switches on what it is about."""
    yield from fresh_region(tmp_path)


def once(region: Region, service: str, who: SessionCredentials | None = None) -> Any:
    """A client that asks once."""
    return connect(region, service, who, attempts=1)


def role(region: Region, name: str, *statements: dict[str, Any], managed: tuple[str, ...] = ()) -> SessionCredentials:
    """A session of a new role with these statements and managed policies of AWS's."""
    region.seed.create_role(name, policies=[AWS_POLICY + one for one in managed])
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        region.sessions.own_client("iam").put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=document)
    return region.seed.assume(name, session="s")


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


# -- IAM ---------------------------------------------------------------------------------------------------------------


def test_without_a_policy_nothing_is_allowed_in_ec2s_words(region: Region) -> None:
    """EC2 says UnauthorizedOperation; who one is may always be asked."""
    region.behave(Choice(on=("iam",)))
    who = role(region, "Nobody")
    with pytest.raises(ClientError) as refused:
        once(region, "ec2", who).describe_vpcs()

    assert refused.value.response["Error"] == {
        "Code": "UnauthorizedOperation",
        "Message": "You are not authorized to perform this operation. User: arn:aws:sts::"
        f"{region.account}:assumed-role/Nobody/s is not authorized to perform: ec2:DescribeVpcs because no "
        "identity-based policy allows the ec2:DescribeVpcs action",
    }
    assert once(region, "sts", who).get_caller_identity()["Account"] == region.account


def test_without_manners_no_identity_policy_is_asked_for(region: Region) -> None:
    """The lab is quiet by default."""
    assert once(region, "ec2", role(region, "Nobody")).describe_vpcs()["Vpcs"] == []


def test_other_services_say_access_denied_on_the_resource(region: Region) -> None:
    """EKS's words name the cluster's ARN, IAM's the role's."""
    region.behave(Choice(on=("iam",)))
    who = role(region, "Nobody")
    with pytest.raises(
        ClientError, match=r"AccessDeniedException\).*is not authorized to perform: eks:DescribeCluster"
    ):
        once(region, "eks", who).describe_cluster(name="c")
    with pytest.raises(
        ClientError, match=rf"AccessDenied\).*perform: iam:GetRole on resource: arn:aws:iam::{region.account}:role/X "
    ):
        once(region, "iam", who).get_role(RoleName="X")


def test_a_statement_allows_what_it_names_only(region: Region) -> None:
    """A security group that the policy names may be changed, another one not."""
    ec2 = once(region, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    one, other = (
        ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name)["GroupId"] for name in ("one", "other")
    )
    arn = f"arn:aws:ec2:{REGION}:{region.account}:security-group/{one}"
    who = role(region, "Narrow", allow("ec2:AuthorizeSecurityGroup*", resource=arn))
    region.behave(Choice(on=("iam",)))
    mine = once(region, "ec2", who)
    rule = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    mine.authorize_security_group_ingress(GroupId=one, IpPermissions=rule)

    with pytest.raises(ClientError, match=f"on resource: .*{other} because no identity-based policy allows"):
        mine.authorize_security_group_ingress(GroupId=other, IpPermissions=rule)


def test_a_condition_on_the_resources_tag_decides(region: Region) -> None:
    """ec2:ResourceTag is that of the object which is named."""
    ec2 = once(region, "ec2")
    tagged, bare = (ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"] for _ in range(2))
    ec2.create_tags(Resources=[tagged], Tags=[{"Key": "islanding:faults", "Value": "allowed"}])
    condition = {"StringEquals": {"aws:ResourceTag/islanding:faults": "allowed"}}
    who = role(region, "Tags", allow("ec2:ModifyVpcAttribute", Condition=condition))
    region.behave(Choice(on=("iam",)))
    mine = once(region, "ec2", who)
    mine.modify_vpc_attribute(VpcId=tagged, EnableDnsSupport={"Value": False})

    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        mine.modify_vpc_attribute(VpcId=bare, EnableDnsSupport={"Value": False})


def test_an_explicit_deny_goes_before_administrator_access(region: Region) -> None:
    """And is named as what it is."""
    deny = {"Effect": "Deny", "Action": "ec2:Delete*", "Resource": "*"}
    who = role(region, "Kept", deny, managed=("AdministratorAccess",))
    vpc = once(region, "ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    region.behave(Choice(on=("iam",)))

    assert len(once(region, "ec2", who).describe_vpcs(VpcIds=[vpc])["Vpcs"]) == 1
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        once(region, "ec2", who).delete_vpc(VpcId=vpc)


def test_a_permissions_boundary_has_to_allow_it_too(region: Region) -> None:
    """Full rights inside a boundary of reading are rights to read."""
    who = role(region, "Bound", managed=("AdministratorAccess",))
    iam = region.sessions.own_client("iam")
    iam.put_role_permissions_boundary(RoleName="Bound", PermissionsBoundary=AWS_POLICY + "ReadOnlyAccess")
    region.behave(Choice(on=("iam",)))

    assert once(region, "ec2", who).describe_vpcs()["Vpcs"] == []
    with pytest.raises(ClientError, match="because no permissions boundary allows the ec2:CreateVpc action"):
        once(region, "ec2", who).create_vpc(CidrBlock="10.1.0.0/16")


def test_nodes_may_do_what_their_managed_policies_say(region: Region) -> None:
    """A node's role describes instances, reads the cluster and gets a token for ECR; it makes nothing."""
    node = role(
        region,
        "Node",
        managed=("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly", "AmazonEKS_CNI_Policy"),
    )
    region.behave(Choice(on=("iam",)))

    assert once(region, "ec2", node).describe_instances()["Reservations"] == []
    assert once(region, "ecr", node).get_authorization_token()["authorizationData"] != []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):  # allowed, and there is none
        once(region, "eks", node).describe_cluster(name="c")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        once(region, "ec2", node).create_vpc(CidrBlock="10.1.0.0/16")


def test_a_role_is_passed_by_those_who_may_pass_it(region: Region) -> None:
    """CreateCluster with a role needs iam:PassRole on that role."""
    arn = region.seed.create_role("Cluster")
    who = role(region, "Maker", allow("eks:*"))
    region.behave(Choice(on=("iam",)))
    with pytest.raises(ClientError, match=f"perform: iam:PassRole on resource: {arn}"):
        once(region, "eks", who).create_cluster(name="c", roleArn=arn, resourcesVpcConfig={"subnetIds": []})


def test_a_role_is_passed_to_the_service_that_the_policy_names(region: Region) -> None:
    """With iam:PassedToService, as least-privilege policies have it; to another service it is not."""
    ways = {
        service: role(
            region,
            f"To{service}",
            allow("eks:*"),
            allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}),
        )
        for service in ("eks", "ec2")
    }
    arn = region.seed.create_role("Passed")
    region.behave(Choice(on=("iam",)))
    told = {}
    for service, who in ways.items():
        with pytest.raises(ClientError) as refused:
            once(region, "eks", who).create_cluster(name="c", roleArn=arn, resourcesVpcConfig={"subnetIds": []})
        told[service] = "iam:PassRole" in str(refused.value)

    assert {"eks": False, "ec2": True} == told  # refused for its subnets alone; for the role


def test_a_tags_value_that_looks_like_an_id_is_no_resource(region: Region) -> None:
    """The VPC CNI tags its interfaces with the instance's id: AmazonEKS_CNI_Policy allows that on interfaces alone."""
    ec2 = region.sessions.own_client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    tagging = role(region, "TagsVpcs", allow("ec2:CreateTags", resource="arn:aws:ec2:*:*:vpc/*"))
    region.behave(Choice(on=("iam",)))

    tags = [{"Key": "node.k8s.amazonaws.com/instance_id", "Value": "i-0123456789abcdef0"}]
    once(region, "ec2", tagging).create_tags(Resources=[vpc], Tags=tags)

    assert tags == ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"]


def test_what_is_tagged_as_it_is_made_needs_the_permission_to_tag(region: Region) -> None:
    """With ec2:CreateAction for the call that makes it, as least-privilege policies have it."""
    tag = {"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}
    condition = {"StringEquals": {"ec2:CreateAction": "CreateVpc"}}
    bare = role(region, "Bare", allow("ec2:CreateVpc"))
    tagging = role(region, "Tagging", allow("ec2:CreateVpc"), allow("ec2:CreateTags", Condition=condition))
    region.behave(Choice(on=("iam",)))
    made = once(region, "ec2", tagging).create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=[tag])["Vpc"]

    assert made["Tags"] == tag["Tags"]
    with pytest.raises(ClientError, match=rf"ec2:CreateTags on resource: arn:aws:ec2:{REGION}:\d+:vpc/\* because"):
        once(region, "ec2", bare).create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=[tag])
    with pytest.raises(ClientError, match="not authorized to perform: ec2:CreateTags"):
        once(region, "ec2", tagging).create_tags(Resources=[made["VpcId"]], Tags=tag["Tags"])


def test_an_instance_signals_its_stack_by_its_own_right(region: Region) -> None:
    """Its role needs no permission for it, somebody else's does."""
    role(region, "Node")
    region.behave(Choice(on=("iam",)))
    signal = {"StackName": "s", "LogicalResourceId": "r", "UniqueId": "i-1", "Status": "SUCCESS"}
    instance, person = (region.seed.assume("Node", session=name) for name in ("i-0123456789abcdef0", "me"))
    with pytest.raises(ClientError, match="does not exist"):
        once(region, "cloudformation", instance).signal_resource(**signal)
    with pytest.raises(ClientError, match="AccessDenied"):
        once(region, "cloudformation", person).signal_resource(**signal)


def test_aws_itself_meets_no_manners(region: Region) -> None:
    """CloudFormation's calls of EC2 are neither judged nor throttled."""
    region.behave(Choice(on=("iam", "throttling", "failures", "pages"), page=1, buckets=0.01, rate=0.5))
    own = region.sessions.own_client("ec2")
    vpcs = [own.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"] for _ in range(10)]

    assert [len(own.describe_vpcs()["Vpcs"]) for _ in range(10)] == [len(vpcs)] * 10


# -- throttling --------------------------------------------------------------------------------------------------------


def test_a_bucket_is_emptied_and_filled_again() -> None:
    """As many tokens as it holds at once, then as many as come in a second."""
    now = [0.0]
    bucket = Bucket((2, 0.5), lambda: now[0])
    first = [bucket.take() for _ in range(3)]
    now[0] = 2.0

    assert (first, [bucket.take() for _ in range(2)]) == ([True, True, False], [True, False])


def test_who_asks_too_often_is_told_so_in_the_services_words(region: Region) -> None:
    """Each service has its own code; SDKs know all of them and wait."""
    region.behave(Choice(on=("throttling",), buckets=0.02))
    codes = {}  # the smallest bucket holds one token then
    calls = {"ec2": "describe_vpcs", "eks": "list_clusters", "iam": "list_roles", "autoscaling": "describe_tags"}
    for service, operation in calls.items():
        client = once(region, service)
        getattr(client, operation)()
        with pytest.raises(ClientError) as refused:
            getattr(client, operation)()
        codes[service] = refused.value.response["Error"]["Code"]

    assert codes == {
        "ec2": "RequestLimitExceeded",
        "eks": "TooManyRequestsException",
        "iam": "Throttling",
        "autoscaling": "Throttling",
    }


# -- pages -------------------------------------------------------------------------------------------------------------


def test_replies_are_cut_and_their_pages_hold_everything(region: Region) -> None:
    """The first page has a token; all pages together hold what there is, each thing once. EC2, IAM, ECR and S3."""
    ec2, iam, ecr, s3 = (once(region, name) for name in ("ec2", "iam", "ecr", "s3"))
    for n in range(5):
        ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")
        iam.create_role(RoleName=f"R{n}", AssumeRolePolicyDocument="{}")
        ecr.create_repository(repositoryName=f"r{n}")
    s3.create_bucket(Bucket="islanding-pages", CreateBucketConfiguration={"LocationConstraint": REGION})
    for n in range(5):
        s3.put_object(Bucket="islanding-pages", Key=f"k{n}", Body=b"")
    kinds: list[tuple[Any, str, str, dict[str, Any]]] = [
        (ec2, "describe_vpcs", "Vpcs", {}),
        (iam, "list_roles", "Roles", {}),
        (ecr, "describe_repositories", "repositories", {}),
        (s3, "list_objects_v2", "Contents", {"Bucket": "islanding-pages"}),
    ]
    whole = [getattr(client, operation)(**given)[key] for client, operation, key, given in kinds]
    region.behave(Choice(on=("pages",), page=2))
    first = [getattr(client, operation)(**given)[key] for client, operation, key, given in kinds]
    paged = [
        [one for page in client.get_paginator(operation).paginate(**given) for one in page[key]]
        for client, operation, key, given in kinds
    ]

    assert [len(one) for one in first] == [2] * 4
    assert paged == whole


def test_a_wrong_token_is_refused(region: Region) -> None:
    """As EC2 does."""
    region.behave(Choice(on=("pages",), page=2))
    with pytest.raises(ClientError, match="InvalidNextToken"):
        once(region, "ec2").describe_vpcs(NextToken="p1.nonsense")


# -- failures ----------------------------------------------------------------------------------------------------------


def outcomes(region: Region, seed: int) -> list[int]:
    """The statuses of thirty calls."""
    region.behave(Choice(on=("failures",), rate=0.4, seed=seed))
    client, found = once(region, "ec2"), []
    for _ in range(30):
        try:
            found.append(client.describe_vpcs()["ResponseMetadata"]["HTTPStatusCode"])
        except ClientError as error:
            found.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return found


def test_failures_come_by_the_seed(region: Region) -> None:
    """The same seed fails the same calls, another one others; 500 and 503 both come."""
    first, again, other = outcomes(region, 1), outcomes(region, 1), outcomes(region, 2)

    assert first == again
    assert first != other
    assert set(first) == {200, 500, 503}


def test_some_failures_have_taken_effect(region: Region) -> None:
    """Of calls that failed, some made a VPC and some did not; asked again with a token, one is made."""
    region.behave(Choice(on=("failures",), rate=0.5))
    client, failed = once(region, "ec2"), 0
    for n in range(30):
        try:
            client.create_vpc(CidrBlock=f"10.{n}.0.0/16")
        except ClientError:
            failed += 1
    vpcs = region.sessions.own_client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])[
        "Vpcs"
    ]

    assert 30 - failed < len(vpcs) < 30


def test_asking_again_with_the_same_token_makes_one_thing(region: Region) -> None:
    """A client token makes a change that is sent again harmless; other parameters with it are refused."""
    ec2 = once(region, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ids = {ec2.create_network_acl(VpcId=vpc, ClientToken="t")["NetworkAcl"]["NetworkAclId"] for _ in range(2)}

    assert len(ids) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.create_network_acl(VpcId="vpc-12345678", ClientToken="t")
