"""The lab's Region as plain boto3 and the plain AWS CLI see it: over TLS, at the real host names."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from islanding.lab.pki import Authority
from islanding.lab.region.seed import SessionCredentials
from islanding.lab.region.server import Region, host_names

REGION = "ap-northeast-1"
OUTPOST = f"arn:aws:outposts:{REGION}:111122223333:outpost/op-0123456789abcdef0"
LOCAL_ONLY = (
    "Local Amazon EKS cluster only supports bootstrapClusterCreatorAdminPermissions=true and "
    "authenticationMode=CONFIG_MAP"
)


class Lab:
    """A Region on a loopback port, with clients that reach it by its real names."""

    def __init__(self, folder: Path, account: str) -> None:
        self.account = account
        self.folder = folder
        self.region = Region(account, REGION, folder / "region.jsonl")
        authority = Authority.create("lab AWS CA")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(authority.certificate_pem)
        leaf = authority.issue("aws", dns=host_names(REGION), ips=("127.0.0.1",))
        (folder / "leaf.pem").write_bytes(leaf.certificate_pem + leaf.key_pem)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "leaf.pem")
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.region.serve(listener, tls)
        self.region.seed.create_role("Operator")
        self.region.seed.create_role("Cluster")
        self.operator = self.region.seed.assume("Operator", "taro")
        self.role_arn = f"arn:aws:iam::{account}:role/Cluster"

    def client(self, service: str, who: SessionCredentials | None = None, **override: Any) -> Any:
        """A boto3 client at the service's real address."""
        who = who or self.operator
        options: dict[str, Any] = {
            "region_name": REGION,
            "aws_access_key_id": who.access_key_id,
            "aws_secret_access_key": who.secret_access_key,
            "aws_session_token": who.session_token,
            "verify": str(self.ca),
            "config": Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        }
        return boto3.client(service, **{**options, **override})

    def calls(self) -> list[dict[str, Any]]:
        """What the request log holds."""
        return [json.loads(line) for line in (self.folder / "region.jsonl").read_text().splitlines()]

    def cluster(self, name: str, **more: Any) -> dict[str, Any]:
        """Create an extended cluster in a fresh subnet of a fresh VPC and return what the API answers."""
        cluster: dict[str, Any] = self.client("eks").create_cluster(
            name=name, roleArn=self.role_arn, resourcesVpcConfig=self.network(), **more
        )["cluster"]
        return cluster

    def network(self) -> dict[str, Any]:
        """A VPC with one subnet, as create_cluster wants it."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")
        return {"subnetIds": [subnet["Subnet"]["SubnetId"]]}


@pytest.fixture(scope="module", autouse=True)
def _clean_environment() -> Iterator[None]:
    """No test may meet the machine's own AWS configuration."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                patch.delenv(name)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        yield


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A Region whose real host names lead to its loopback port."""
    made = Lab(tmp_path_factory.mktemp("region"), "111122223333")
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in host_names(REGION):
            return real("127.0.0.1", made.port, *args, **kwargs)
        return real(host, port, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        yield made
    assert made.region.errors == []
    made.region.close()


@pytest.fixture
def aws(lab: Lab, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real AWS CLI in a process of its own, as the operator."""
    (tmp_path / "credentials").write_text(lab.operator.profile("operator", REGION))

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_PROFILE": "operator",
            "AWS_CA_BUNDLE": str(lab.ca),
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{lab.port}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        cli = Path(sys.executable).with_name("aws")
        return subprocess.run([str(cli), *args], env=env, capture_output=True, text=True, timeout=60, check=False)

    return call


def presigned(
    lab: Lab, who: SessionCredentials, *, name: str = "", at: datetime | None = None, secret: str = ""
) -> str:
    """A presigned GetCallerIdentity, made by botocore's signer, as aws-iam-authenticator's tokens hold it."""
    host = name or f"sts.{REGION}.amazonaws.com"
    scope = REGION if REGION in host else "us-east-1"
    request = AWSRequest(
        "GET", f"https://{host}/?Action=GetCallerIdentity&Version=2011-06-15", headers={"x-k8s-aws-id": "site"}
    )
    with pytest.MonkeyPatch.context() as patch:
        if at is not None:
            patch.setattr("botocore.auth.get_current_datetime", lambda *_: at, raising=True)
        keys = Credentials(who.access_key_id, secret or who.secret_access_key, who.session_token)
        SigV4QueryAuth(keys, "sts", scope, expires=60).add_auth(request)
    return str(request.url)


def fetch(lab: Lab, url: str, **headers: str) -> tuple[int, str]:
    """GET a presigned URL as the authenticator does; returns status and body."""
    port_url = url.replace(".amazonaws.com/", f".amazonaws.com:{lab.port}/", 1)
    host = url.split("/")[2]
    request = urllib.request.Request(  # noqa: S310  # always https
        port_url, headers={"Host": host, "x-k8s-aws-id": "site", **headers}
    )
    context = ssl.create_default_context(cafile=str(lab.ca))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as reply:  # noqa: S310  # the same
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class TestIdentity:
    """Who a caller is, and who is refused."""

    def test_sts_names_the_session_that_signed(self, lab: Lab) -> None:
        """GetCallerIdentity gives the assumed role's ARN and the Region's account."""
        got = lab.client("sts").get_caller_identity()

        assert got["Arn"] == f"arn:aws:sts::{lab.account}:assumed-role/Operator/taro"
        assert got["Account"] == lab.account

    def test_a_user_is_known_by_its_access_key(self, lab: Lab) -> None:
        """A user's access key gives the user's ARN, at the global name too."""
        arn, key, secret = lab.region.seed.create_user_with_key("hanako")

        got = lab.client(
            "sts",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=None,
            endpoint_url="https://sts.amazonaws.com",
            region_name="us-east-1",
        ).get_caller_identity()

        assert got["Arn"] == arn

    @pytest.mark.parametrize(
        ("service", "method", "code", "status"),
        [
            ("sts", "get_caller_identity", "InvalidClientTokenId", 403),
            ("iam", "list_roles", "InvalidClientTokenId", 403),
            ("eks", "list_clusters", "UnrecognizedClientException", 403),
            ("ec2", "describe_vpcs", "AuthFailure", 401),
        ],
    )
    def test_an_unknown_key_is_refused(self, lab: Lab, service: str, method: str, code: str, status: int) -> None:
        """Each family of services refuses an unknown key by its own name for it."""
        client = lab.client(service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_session_token=None)

        with pytest.raises(ClientError) as caught:
            getattr(client, method)()

        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status

    @pytest.mark.parametrize(
        ("service", "method", "code"),
        [
            ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
            ("eks", "list_clusters", "InvalidSignatureException"),
            ("ec2", "describe_vpcs", "AuthFailure"),
        ],
    )
    def test_a_wrong_secret_is_refused(self, lab: Lab, service: str, method: str, code: str) -> None:
        """A known key with another's secret does not pass."""
        with pytest.raises(ClientError) as caught:
            getattr(lab.client(service, aws_secret_access_key="x" * 40), method)()

        assert caught.value.response["Error"]["Code"] == code

    def test_an_expired_session_is_refused(self, lab: Lab) -> None:
        """A session past its end is told ExpiredToken."""
        with pytest.raises(ClientError) as caught:
            lab.client("sts", lab.region.seed.assume("Operator", "late", seconds=-1)).get_caller_identity()

        assert caught.value.response["Error"]["Code"] == "ExpiredToken"

    def test_assume_role_needs_a_role_that_exists(self, lab: Lab) -> None:
        """A session of an existing role works at once; one of a role that does not exist is AccessDenied."""
        sts = lab.client("sts")
        made = sts.assume_role(RoleArn=f"arn:aws:iam::{lab.account}:role/Cluster", RoleSessionName="session")[
            "Credentials"
        ]
        keys = {"AccessKeyId": "aws_access_key_id", "SecretAccessKey": "aws_secret_access_key"}
        options = {keys[k]: made[k] for k in keys}
        arn = lab.client("sts", aws_session_token=made["SessionToken"], **options).get_caller_identity()["Arn"]
        with pytest.raises(ClientError) as caught:
            sts.assume_role(RoleArn=f"arn:aws:iam::{lab.account}:role/Nobody", RoleSessionName="session")

        assert arn == f"arn:aws:sts::{lab.account}:assumed-role/Cluster/session"
        assert caught.value.response["Error"]["Code"] == "AccessDenied"


class TestPresigned:
    """Presigned GetCallerIdentity, of which an IAM token for Kubernetes is made."""

    @pytest.mark.parametrize("name", [f"sts.{REGION}.amazonaws.com", "sts.amazonaws.com"])
    def test_the_authenticator_gets_json(self, lab: Lab, name: str) -> None:
        """A presigned call with Accept: application/json is answered in JSON with the caller's ARN."""
        status, body = fetch(lab, presigned(lab, lab.operator, name=name), Accept="application/json")

        result = json.loads(body)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
        assert (status, result["Arn"]) == (200, lab.operator.arn)

    def test_it_lives_for_fifteen_minutes_whatever_it_says(self, lab: Lab) -> None:
        """STS ignores X-Amz-Expires=60: fourteen minutes old passes, sixteen does not."""
        now = datetime.now(UTC)
        young = fetch(lab, presigned(lab, lab.operator, at=now - timedelta(minutes=14)))
        status, body = fetch(
            lab, presigned(lab, lab.operator, at=now - timedelta(minutes=16)), Accept="application/json"
        )

        assert young[0] == 200
        assert (status, json.loads(body)["Error"]["Code"]) == (403, "SignatureDoesNotMatch")
        assert json.loads(body)["Error"]["Message"].startswith("Signature expired: ")

    def test_a_forged_one_is_refused(self, lab: Lab) -> None:
        """Neither another secret nor another cluster's header passes."""
        forged = fetch(lab, presigned(lab, lab.operator, secret="x" * 40))
        other = fetch(lab, presigned(lab, lab.operator), **{"x-k8s-aws-id": "other"})

        assert (forged[0], other[0]) == (403, 403)


class TestEks:
    """Clusters."""

    def test_a_cluster_is_created_then_active_with_its_real_ca(self, lab: Lab) -> None:
        """CREATING without endpoint, then ACTIVE with the endpoint and CA given."""
        made = lab.cluster("extended", tags={"site": "a"}, accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
        lab.region.eks.activate("extended", "https://api.example:6443", b"PEM")
        got = lab.client("eks").describe_cluster(name="extended")["cluster"]

        assert made["status"] == "CREATING"
        assert "endpoint" not in made
        assert got["status"] == "ACTIVE"
        assert got["endpoint"] == "https://api.example:6443"
        assert base64.b64decode(got["certificateAuthority"]["data"]) == b"PEM"
        assert got["tags"] == {"site": "a"}
        assert got["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"
        assert got["arn"] == f"arn:aws:eks:{REGION}:{lab.account}:cluster/extended"
        assert isinstance(got["createdAt"], datetime)
        assert lab.region.eks.creator("extended") == f"arn:aws:iam::{lab.account}:role/Operator"

    def test_an_unknown_cluster_is_told_as_aws_tells_it(self, lab: Lab) -> None:
        """ResourceNotFoundException with the service's sentence."""
        with pytest.raises(ClientError) as caught:
            lab.client("eks").describe_cluster(name="nope")

        assert caught.value.response["Error"] == {
            "Code": "ResourceNotFoundException",
            "Message": "No cluster found for name: nope.",
        }

    def test_a_local_cluster_keeps_its_outpost(self, lab: Lab) -> None:
        """outpostConfig is kept, and the cluster has the id that its tokens are bound to."""
        lab.region.add_outpost("op-0123456789abcdef0", "rack", OUTPOST, "os-1", f"{REGION}a")
        config = {
            "outpostArns": [OUTPOST],
            "controlPlaneInstanceType": "m5.large",
            "controlPlanePlacement": {"groupName": "spread"},
        }
        lab.cluster("local", outpostConfig=config)
        lab.region.eks.activate("local", "https://local:443", b"PEM", "id-of-local")
        got = lab.client("eks").describe_cluster(name="local")["cluster"]

        assert got["outpostConfig"] == config
        assert got["id"] == "id-of-local"
        assert got["resourcesVpcConfig"]["endpointPublicAccess"] is False
        assert got["resourcesVpcConfig"]["endpointPrivateAccess"] is True

    @pytest.mark.parametrize(
        "access",
        [{"authenticationMode": "API"}, {"bootstrapClusterCreatorAdminPermissions": False}],
    )
    def test_a_local_cluster_has_one_way_of_access(self, lab: Lab, access: dict[str, Any]) -> None:
        """Access entries and a creator without rights are refused in the service's words."""
        lab.region.add_outpost("op-0123456789abcdef0", "rack", OUTPOST, "os-1", f"{REGION}a")
        with pytest.raises(ClientError) as caught:
            lab.cluster(
                "refused",
                accessConfig=access,
                outpostConfig={"outpostArns": [OUTPOST], "controlPlaneInstanceType": "m5.large"},
            )

        assert caught.value.response["Error"] == {"Code": "InvalidParameterException", "Message": LOCAL_ONLY}

    def test_authentication_mode_goes_one_way(self, lab: Lab) -> None:
        """CONFIG_MAP to API_AND_CONFIG_MAP passes, the way back is refused."""
        lab.cluster("modes")
        lab.region.eks.activate("modes", "https://modes", b"PEM")
        eks = lab.client("eks")
        eks.update_cluster_config(name="modes", accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
        with pytest.raises(ClientError):
            eks.update_cluster_config(name="modes", accessConfig={"authenticationMode": "CONFIG_MAP"})

        assert (
            eks.describe_cluster(name="modes")["cluster"]["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"
        )

    def test_list_and_delete(self, lab: Lab) -> None:
        """A deleted cluster is no longer listed."""
        lab.cluster("gone")
        eks = lab.client("eks")
        before = eks.list_clusters()["clusters"]
        eks.delete_cluster(name="gone")

        assert "gone" in before
        assert "gone" not in eks.list_clusters()["clusters"]


class TestCli:
    """The plain AWS CLI."""

    def test_describe_kubeconfig_and_token(
        self, lab: Lab, aws: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
    ) -> None:
        """describe-cluster, update-kubeconfig and get-token of the plain CLI work, and the token passes STS."""
        lab.cluster("cli")
        creating = aws("eks", "update-kubeconfig", "--name", "cli", "--kubeconfig", str(tmp_path / "k"))
        lab.region.eks.activate("cli", "https://cli.example", b"PEM")
        described = aws("eks", "describe-cluster", "--name", "cli", "--query", "cluster.status", "--output", "text")
        updated = aws("eks", "update-kubeconfig", "--name", "cli", "--kubeconfig", str(tmp_path / "k"))
        token = aws("eks", "get-token", "--cluster-name", "cli", "--region", REGION)
        encoded = json.loads(token.stdout)["status"]["token"].removeprefix("k8s-aws-v1.")
        url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()

        assert "CREATING" in creating.stdout + creating.stderr
        assert described.stdout.strip() == "ACTIVE"
        assert updated.returncode == 0, updated.stderr
        assert "https://cli.example" in (tmp_path / "k").read_text()
        status, body = fetch(lab, url, **{"x-k8s-aws-id": "cli"})
        assert status == 200, body
        assert "assumed-role/Operator/taro" in body
