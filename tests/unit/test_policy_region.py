"""Endpoint and bucket policies enforced at the Region's front, as boto3 sees it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from islanding.lab.region import inside
from islanding.lab.region.asked import Meaning, meanings
from islanding.lab.region.http import Request, Response
from islanding.lab.region.permissions import organization_of
from islanding.lab.region.seed import Seed, SessionCredentials
from islanding.lab.region.server import Region
from islanding.lab.vpc.door import Via
from tests.unit.region_support import REGION, fresh_region

EVERYTHING = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
_numbers = itertools.count(1)
EC2_SAYS, DENIED = "You are not authorized to perform this operation. ", "AccessDeniedException"
ENDPOINT, VPC, SOMEBODY = "vpce-0a1b2c3d", "vpc-0a1b2c3d", "10.0.1.7"


def policy(*statements: dict[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class World:
    """A Region, its account's operator, and a foreign account with a role of its own."""

    def __init__(self, region: Region, number: int) -> None:
        self.region = region
        self.foreign_account = str(999000000000 + number)
        foreign = Seed(self.foreign_account, REGION)
        foreign.create_role("Thief")
        self.operator = region.seed.assume("Operator")
        self.thief = foreign.assume("Thief")
        self.bucket = f"data-{region.account}-{number}"

    def client(self, service: str, who: SessionCredentials | None = None, *policies: str, endpoint: str = "") -> Any:
        """A client of `who` (default: the operator), through an endpoint of that policy, or by the internet."""
        by = endpoint or (ENDPOINT if policies else "")
        via = Via(by, VPC, f"com.amazonaws.{REGION}.{service}", policies[0] if policies else "") if by else Via()

        def handle(request: Request) -> Response:
            return self.region.handle(replace(request, via=via, peer=(SOMEBODY, 1)))

        return inside.client(handle, service, REGION, who or self.operator)

    def fill(self) -> None:
        """A bucket with one object."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=self.bucket, Key="k", Body=b"content")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Region's record."""
    return tmp_path_factory.mktemp("region") / "region.jsonl"


@pytest.fixture(scope="module")
def region(log: Path) -> Iterator[Region]:
    """One Region for all tests."""
    yield from fresh_region(log.parent)


@pytest.fixture
def world(region: Region) -> World:
    """A foreign account and a bucket's name that no other test has."""
    return World(region, next(_numbers))


def read(client: Any, **what: Any) -> bool:
    """Whether an object can be read."""
    return bool(client.get_object(**what)["ResponseMetadata"]["HTTPStatusCode"] == 200)


def refused(call: Any, **arguments: Any) -> tuple[int, str, str]:
    """HTTP status, code and message with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer: Any = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"].get("Message", "")


class TestEndpointPolicies:
    """What an endpoint's policy lets through."""

    def test_s3_says_which_action_on_which_object(self, world: World) -> None:
        """The text that a failing pull shows: 403 AccessDenied with user, action and quoted resource."""
        world.fill()
        layers = f"arn:aws:s3:::prod-{REGION}-starport-layer-bucket/*"
        narrow = policy({**EVERYTHING, "Action": "s3:GetObject", "Resource": layers})
        text = (
            f'User: {world.operator.arn} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::'
            f'{world.bucket}/k" because no VPC endpoint policy allows the s3:GetObject action'
        )
        s3 = world.client("s3", None, narrow)
        assert (403, "AccessDenied", text) == refused(s3.get_object, Bucket=world.bucket, Key="k")
        assert read(world.client("s3", None, policy(EVERYTHING)), Bucket=world.bucket, Key="k")

    @pytest.mark.parametrize(
        ("action", "method", "said"),
        [
            ("ec2:DescribeVpcs", "describe_vpcs", (403, "UnauthorizedOperation", EC2_SAYS, "")),
            ("ecr:GetAuthorizationToken", "get_authorization_token", (400, DENIED, "", " on resource: *")),
            ("sts:GetCallerIdentity", "get_caller_identity", (403, "AccessDenied", "", " on resource: *")),
            ("eks:ListClusters", "list_clusters", (403, DENIED, "", " on resource: *")),
        ],
    )
    def test_each_service_has_words_of_its_own(
        self, world: World, action: str, method: str, said: tuple[int, str, str, str]
    ) -> None:
        """Refused by a policy for something else, allowed by one that names the service; no policy is full access."""
        (status, code, before, resource), service = said, action.split(":", maxsplit=1)[0]
        other = policy({**EVERYTHING, "Action": "kms:*"})
        who = f"{before}User: {world.operator.arn} is not authorized to perform: {action}{resource}"
        why = f"because no VPC endpoint policy allows the {action} action"
        assert (status, code, f"{who} {why}") == refused(getattr(world.client(service, None, other), method))
        good = policy({**EVERYTHING, "Action": f"{service}:*"})
        for client in (world.client(service, None, good), world.client(service, endpoint=ENDPOINT)):
            assert 200 == getattr(client, method)()["ResponseMetadata"]["HTTPStatusCode"]

    def test_a_foreign_accounts_credentials_are_refused(self, world: World) -> None:
        """aws:PrincipalAccount: the foreign role is good by the internet, and worth nothing at the endpoint."""
        mine = {"StringEquals": {"aws:PrincipalAccount": world.region.account}}
        document = policy({**EVERYTHING, "Condition": mine})
        for service, method in (("sts", "get_caller_identity"), ("ecr", "get_authorization_token")):
            assert getattr(world.client(service, world.thief), method)()
            assert getattr(world.client(service, None, document), method)()
            _, code, text = refused(getattr(world.client(service, world.thief, document), method))
            assert code in ("AccessDenied", "AccessDeniedException")
            assert world.thief.arn in text

    def test_a_foreign_accounts_bucket_is_refused(self, world: World) -> None:
        """aws:ResourceAccount: nothing is carried out into a bucket of somebody else's, by whomever."""
        thief = world.client("s3", world.thief)
        away = f"away-{world.foreign_account}"
        thief.create_bucket(Bucket=away, CreateBucketConfiguration={"LocationConstraint": REGION})
        everybody = {**EVERYTHING, "Action": "s3:*", "Resource": f"arn:aws:s3:::{away}/*"}
        thief.put_bucket_policy(Bucket=away, Policy=policy(everybody))
        assert world.client("s3").put_object(Bucket=away, Key="k", Body=b"x")
        mine = {"StringEquals": {"aws:ResourceAccount": world.region.account}}
        guarded = policy({**EVERYTHING, "Condition": mine})
        for who in (world.operator, world.thief):
            client = world.client("s3", who, guarded)
            assert "AccessDenied" == refused(client.put_object, Bucket=away, Key="k", Body=b"x")[1]

    def test_the_record_says_by_which_way_a_refused_call_came(self, world: World, log: Path) -> None:
        """Endpoint, VPC, caller's own address and error code; by the internet both ids are empty."""
        refused(world.client("sts", None, policy()).get_caller_identity)
        world.client("sts").get_caller_identity()
        lines = [json.loads(line) for line in log.read_text().splitlines()[-2:]]
        found = [[line[name] for name in ("endpoint", "vpc", "source", "error")] for line in lines]
        assert [[ENDPOINT, VPC, SOMEBODY, "AccessDenied"], ["", "", SOMEBODY, ""]] == found

    def test_an_explicit_deny_is_told_as_one(self, world: World) -> None:
        """`with an explicit deny in a VPC endpoint policy`."""
        document = policy(EVERYTHING, {**EVERYTHING, "Effect": "Deny", "Action": "sts:Get*"})
        _, _, text = refused(world.client("sts", None, document).get_caller_identity)
        assert text.endswith("on resource: * with an explicit deny in a VPC endpoint policy")

    def test_a_change_needs_every_thing_that_it_names(self, world: World) -> None:
        """ec2: a policy for instances alone does not let a network interface be attached."""
        only = policy({**EVERYTHING, "Resource": f"arn:aws:ec2:{REGION}:*:instance/*"})
        ids = {"NetworkInterfaceId": "eni-0123456789abcdef0", "InstanceId": "i-0123456789abcdef0", "DeviceIndex": 1}
        _, code, text = refused(world.client("ec2", None, only).attach_network_interface, **ids)
        assert "UnauthorizedOperation" == code
        assert f"arn:aws:ec2:{REGION}:{world.region.account}:network-interface/eni-0123456789abcdef0" in text

    def test_the_organization_of_caller_and_resource(self, world: World) -> None:
        """aws:PrincipalOrgID is that of AWS Organizations; who is in none has no such key."""
        mine = world.client("organizations").create_organization(FeatureSet="ALL")["Organization"]["Id"]
        document = policy({**EVERYTHING, "Condition": {"StringEquals": {"aws:PrincipalOrgID": mine}}})
        assert (mine, "") == (organization_of(world.region.account), organization_of(world.foreign_account))
        assert world.client("sts", None, document).get_caller_identity()
        assert "AccessDenied" == refused(world.client("sts", world.thief, document).get_caller_identity)[1]


class TestBucketPolicies:
    """What a bucket's own policy lets through."""

    def test_a_bucket_is_readable_through_the_named_endpoint_only(self, world: World) -> None:
        """aws:sourceVpce: by the internet and by another endpoint an explicit deny, by the named one the object."""
        world.fill()
        objects = {**EVERYTHING, "Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{world.bucket}/*"}
        rule = {"StringNotEquals": {"aws:sourceVpce": ENDPOINT}}
        world.client("s3").put_bucket_policy(Bucket=world.bucket, Policy=policy({**objects, "Condition": rule}))
        ask = {"Bucket": world.bucket, "Key": "k"}
        for endpoint in ("", "vpce-another"):
            status, code, text = refused(world.client("s3", endpoint=endpoint).get_object, **ask)
            assert (403, "AccessDenied") == (status, code)
            assert text.endswith("with an explicit deny in a resource-based policy")
        named = world.client("s3", endpoint=ENDPOINT)
        assert read(named, **ask)
        assert named.put_object(**ask, Body=b"changed")

    def test_a_stranger_needs_the_owners_word(self, world: World) -> None:
        """A foreign account reads nothing, then by a policy that names it; writing stays refused."""
        world.fill()
        thief = world.client("s3", world.thief)
        status, code, text = refused(thief.get_object, Bucket=world.bucket, Key="k")
        assert (403, "AccessDenied") == (status, code)
        assert text.endswith("because no resource-based policy allows the s3:GetObject action")
        grant = {**EVERYTHING, "Principal": {"AWS": world.foreign_account}, "Action": "s3:GetObject"}
        grant["Resource"] = f"arn:aws:s3:::{world.bucket}/*"
        world.client("s3").put_bucket_policy(Bucket=world.bucket, Policy=policy(grant))
        assert read(thief, Bucket=world.bucket, Key="k")
        assert "AccessDenied" == refused(thief.put_object, Bucket=world.bucket, Key="k", Body=b"x")[1]

    def test_a_copy_needs_its_source_too(self, world: World) -> None:
        """Copying out of a bucket is reading it."""
        world.fill()
        own = f"own-{world.foreign_account}"
        thief = world.client("s3", world.thief)
        thief.create_bucket(Bucket=own, CreateBucketConfiguration={"LocationConstraint": REGION})
        _, code, text = refused(thief.copy_object, Bucket=own, Key="k", CopySource=f"{world.bucket}/k")
        assert "AccessDenied" == code
        assert f'"arn:aws:s3:::{world.bucket}/k"' in text

    def test_both_policies_must_agree(self, world: World) -> None:
        """The endpoint's own policy is judged as well: what the bucket allows, it can still refuse."""
        world.fill()
        nothing_read = policy({**EVERYTHING, "Action": "s3:ListBucket"})
        client = world.client("s3", None, nothing_read)
        assert 1 == client.list_objects_v2(Bucket=world.bucket)["KeyCount"]
        assert "AccessDenied" == refused(client.get_object, Bucket=world.bucket, Key="k")[1]


class TestRepositories:
    """The registry's answers to what a repository's or the endpoint's policy says."""

    IMAGE = "sha256:" + "0" * 64

    def pull(
        self, world: World, who: SessionCredentials, name: str = "app", endpoint_policy: str = ""
    ) -> tuple[int, str]:
        """Ask for a layer of a repository in the operator's account; status, and message if it is refused."""
        token = world.client("ecr", who).get_authorization_token()["authorizationData"][0]["authorizationToken"]
        headers = {"host": f"{world.region.account}.dkr.ecr.{REGION}.amazonaws.com", "authorization": f"Basic {token}"}
        via = Via(ENDPOINT, VPC, f"com.amazonaws.{REGION}.ecr.dkr", endpoint_policy)
        reply = world.region.handle(Request("GET", f"/v2/{name}/blobs/{self.IMAGE}", headers=headers, via=via))
        if reply.status == 200:
            return 200, ""
        error = json.loads(reply.body)["errors"][0]
        assert "DENIED" == error["code"]
        return reply.status, error["message"]

    def test_another_accounts_pull_needs_the_repositorys_policy(self, world: World) -> None:
        """Refused, then allowed by set_repository_policy; a deny there holds for the owner too."""
        world.region.registry.connect(lambda _: Response(200))
        account = world.region.account
        world.region.ecr.create(account, "app")
        ecr = world.client("ecr")
        why = "because no resource-based policy allows the ecr:GetDownloadUrlForLayer action"
        arn = f"arn:aws:ecr:{REGION}:{account}:repository/app"
        action = "ecr:GetDownloadUrlForLayer on resource: "
        text = f"User: {world.thief.arn} is not authorized to perform: {action}{arn} {why}"
        assert (403, text) == self.pull(world, world.thief)
        rule = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{world.foreign_account}:root"},
            "Action": "ecr:*",
        }
        ecr.set_repository_policy(repositoryName="app", policyText=policy(rule))
        assert [200, 200] == [self.pull(world, who)[0] for who in (world.thief, world.operator)]
        deny = {"Effect": "Deny", "Principal": "*", "Action": "ecr:GetDownloadUrlForLayer"}
        ecr.set_repository_policy(repositoryName="app", policyText=policy(deny))
        assert [403, 403] == [self.pull(world, who)[0] for who in (world.thief, world.operator)]

    def test_the_endpoint_of_the_registry_has_a_policy_too(self, world: World) -> None:
        """ecr.dkr: one repository allowed, another refused, in the registry's own form."""
        world.region.registry.connect(lambda _: Response(200))
        account = world.region.account
        world.region.ecr.create(account, "narrow")
        resource = f"arn:aws:ecr:{REGION}:{account}:repository/"
        allowed, other = (policy({**EVERYTHING, "Resource": resource + name}) for name in ("narrow", "wide"))
        assert (200, "") == self.pull(world, world.operator, "narrow", allowed)
        status, text = self.pull(world, world.operator, "narrow", other)
        assert 403 == status
        assert text.endswith("because no VPC endpoint policy allows the ecr:GetDownloadUrlForLayer action")

    def test_the_api_keeps_to_the_same_rule(self, world: World) -> None:
        """ListImages of somebody else's repository is an AccessDeniedException."""
        thief = world.client("ecr", world.thief)
        ask = {"registryId": world.region.account, "repositoryName": "app"}
        assert (400, DENIED) == refused(thief.list_images, **ask)[:2]


def _request(method: str, path: str, query: str = "", body: bytes = b"", **headers: str) -> Request:
    return Request(method, path, query, {n.replace("_", "-"): v for n, v in headers.items()}, body)


FORM = "application/x-www-form-urlencoded"
ROLE = "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fnode"


@pytest.mark.parametrize(
    ("request_", "service", "operation", "expected"),
    [
        (_request("GET", "/"), "s3", "ListBuckets", Meaning("s3:ListAllMyBuckets")),
        (_request("HEAD", "/b/k"), "s3", "HeadObject", Meaning("s3:GetObject", "arn:aws:s3:::b/k", "b")),
        (_request("GET", "/b/"), "s3", "ListObjectsV2", Meaning("s3:ListBucket", "arn:aws:s3:::b", "b")),
        (
            _request("GET", "/b/k", "versionId=1"), "s3", "GetObject",
            Meaning("s3:GetObjectVersion", "arn:aws:s3:::b/k", "b"),
        ),
        (_request("PUT", "/b/a%20b/c"), "s3", "UploadPart", Meaning("s3:PutObject", "arn:aws:s3:::b/a b/c", "b")),
        (
            _request("GET", "/v2/eks/pause/manifests/1", host=f"602401143452.dkr.ecr.{REGION}.amazonaws.com"),
            "ecr.dkr", "BatchGetImage",
            Meaning(
                "ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:602401143452:repository/eks/pause", account="602401143452"
            ),
        ),
        (
            _request("POST", "/", body=b'{"repositoryName": "app", "registryId": "1"}'), "ecr", "ListImages",
            Meaning("ecr:ListImages", f"arn:aws:ecr:{REGION}:1:repository/app", account="1"),
        ),
        (
            _request("POST", "/", body=f"Action=AssumeRole&RoleArn={ROLE}".encode(), content_type=FORM),
            "sts", "AssumeRole", Meaning("sts:AssumeRole", "arn:aws:iam::1:role/node", account="7"),
        ),
        (
            _request("GET", "/clusters/closed"), "eks", "DescribeCluster",
            Meaning("eks:DescribeCluster", f"arn:aws:eks:{REGION}:7:cluster/closed", account="7"),
        ),
        (_request("POST", "/"), "monitoring", "ListMetrics", Meaning("cloudwatch:ListMetrics", account="7")),
    ],
)  # fmt: skip
def test_what_a_request_means(request_: Request, service: str, operation: str, expected: Meaning) -> None:
    """Action and resource as the Service Authorization Reference has them."""
    assert (expected,) == meanings(request_, service, operation, REGION, "7")


def test_deleting_many_means_each_of_them() -> None:
    """DeleteObjects is judged for every key in its body."""
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b/c</Key></Object></Delete>"
    found = meanings(_request("POST", "/b", "delete", body), "s3", "DeleteObjects", REGION, "7")
    assert [("s3:DeleteObject", "arn:aws:s3:::b/a"), ("s3:DeleteObject", "arn:aws:s3:::b/b/c")] == [
        (meaning.action, meaning.resource) for meaning in found
    ]
