"""ECR and S3 of the Region, without a network: tokens, repositories, bodies in chunks, ranges, presigned URLs."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from islanding.lab.doorkeeper import server_context
from islanding.lab.namespaces import listener
from islanding.lab.pki import Authority
from islanding.lab.region import awschunked, bodies, hostnames
from islanding.lab.region.ecr import LIFE
from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response
from islanding.lab.region.seed import SessionCredentials
from islanding.lab.region.server import Region
from islanding.lab.region.signature import ChunkSignatures, Claim
from islanding.lab.system_images import ACCOUNT
from islanding.lab.vpc.door import Via
from tests.unit.region_support import REGION, connect, fresh_region

BIG = bodies.IN_MEMORY + 12345


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region of its own account."""
    yield from fresh_region(tmp_path)


class Account:
    """One user's own view: boto3 by TLS on loopback, and requests as a container runtime sends them."""

    def __init__(self, region: Region, folder: Path) -> None:
        self.region = region
        self.who: SessionCredentials = region.seed.assume("Operator")
        self._ca = folder / "ca.pem"
        authority = Authority.create("CA")
        self._ca.write_bytes(authority.certificate_pem)
        listening = listener("127.0.0.1", 0)
        self.port = int(listening.getsockname()[1])
        names = hostnames.certificate_names(REGION)
        self.via = Via()
        region.serve(listening, server_context(authority, names, ["127.0.0.1"]), via=lambda: self.via)
        self.s3 = self.client("s3")

    def client(self, service: str) -> Any:
        """A boto3 client through the socket."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=f"https://127.0.0.1:{self.port}",
            verify=str(self._ca),
            aws_access_key_id=self.who.access_key_id,
            aws_secret_access_key=self.who.secret_access_key,
            aws_session_token=self.who.session_token,
            config=Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"}),
        )

    def bucket(self, name: str) -> str:
        """A bucket."""
        name = f"{name}-{self.region.account}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def registry(self, method: str, path: str, token: str = "", account: str = "", **more: Any) -> Response:
        """A request to a registry."""
        host = f"{account or self.region.account}.dkr.ecr.{REGION}.amazonaws.com"
        headers = {"host": host, **more.pop("headers", {})}
        if token:
            headers["authorization"] = "Basic " + base64.b64encode(f"AWS:{token}".encode()).decode()
        return self.region.handle(Request(method, path, headers=headers, peer=("192.0.2.1", 1), **more))

    def token(self) -> str:
        """What `aws ecr get-login-password` prints."""
        data = connect(self.region, "ecr").get_authorization_token()["authorizationData"][0]
        return base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]


@pytest.fixture
def account(region: Region, tmp_path: Path) -> Account:
    """Such a view."""
    return Account(region, tmp_path)


def message(response: Response) -> tuple[int, str, str]:
    """Status, code and words of a registry's error."""
    error = json.loads(response.body)["errors"][0]
    return response.status, error["code"], error["message"]


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_tokens_are_random_and_end_in_twelve_hours(region: Region) -> None:
    """Two are different; each says when it ends and which registry it is for."""
    ecr = connect(region, "ecr")
    one, two = (ecr.get_authorization_token()["authorizationData"][0] for _ in range(2))
    assert one["authorizationToken"] != two["authorizationToken"]
    left = one["expiresAt"] - datetime.now(UTC)
    assert LIFE - timedelta(minutes=1) < left <= LIFE
    assert f"https://{region.account}.dkr.ecr.{REGION}.amazonaws.com" == one["proxyEndpoint"]


def test_the_registry_asks_for_a_token(account: Account) -> None:
    """Without one, or with a wrong one: 401 and where to log in; with one: 200."""
    challenge = (
        f'Basic realm="https://{account.region.account}.dkr.ecr.{REGION}.amazonaws.com/",service="ecr.amazonaws.com"'
    )
    for token in ("", "nonsense"):
        refused = account.registry("GET", "/v2/", token)
        assert (401, challenge) == (refused.status, refused.header("www-authenticate"))
    assert 200 == account.registry("GET", "/v2/", account.token()).status


def test_a_token_ends(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second before its end it is good; then ECR says so."""
    token = account.token()
    at = datetime.now(UTC) + LIFE
    monkeypatch.setattr(account.region.ecr, "_now", lambda: at - timedelta(seconds=5))
    assert 200 == account.registry("GET", "/v2/", token).status
    monkeypatch.setattr(account.region.ecr, "_now", lambda: at)
    expected = (403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
    assert expected == message(account.registry("GET", "/v2/", token))


# -- repositories ------------------------------------------------------------------------------------------------------


def test_a_repository_that_is_not_there(account: Account) -> None:
    """Its name and the registry's are in the answer."""
    answer = account.registry("HEAD", "/v2/team/app/manifests/v1", account.token())
    text = f"The repository with name 'team/app' does not exist in the registry with id '{account.region.account}'"
    assert (404, "NAME_UNKNOWN", text) == message(answer)


def test_pushes_are_in_ecr_and_pulls_are_of_what_ecr_has(account: Account) -> None:
    """A manifest that is taken is listed; a tag moves and leaves the old image untagged; deleted by API, it is gone."""
    asked: list[tuple[str, str]] = []

    def backend(request: Request) -> Response:
        asked.append((request.method, request.path))
        return Response(201 if request.method == "PUT" else 200, (("Location", f"{request.path}?x"),))

    account.region.registry.connect(backend)
    ecr = connect(account.region, "ecr")
    ecr.create_repository(repositoryName="app")
    token, me = account.token(), account.region.account
    manifests = [json.dumps({"layers": [{"digest": f"sha256:{n}", "size": n}]}).encode() for n in (5, 7)]
    digests = [f"sha256:{hashlib.sha256(m).hexdigest()}" for m in manifests]
    media = {"content-type": "application/vnd.oci.image.manifest.v1+json"}
    for manifest in manifests:
        taken = account.registry("PUT", "/v2/app/manifests/v1", token, body=manifest, headers=media)
        assert (201, "/v2/app/manifests/v1?x") == (taken.status, taken.header("location"))
    listed = {i["imageDigest"]: i for i in ecr.describe_images(repositoryName="app")["imageDetails"]}
    assert {digests[0]: (None, 5), digests[1]: (["v1"], 7)} == {
        d: (i.get("imageTags") or None, i["imageSizeInBytes"]) for d, i in listed.items()
    }
    assert 200 == account.registry("GET", "/v2/app/manifests/v1", token).status
    assert ("GET", f"/v2/{me}/app/manifests/{digests[1]}") == asked[-1]
    ecr.batch_delete_image(repositoryName="app", imageIds=[{"imageDigest": digests[1]}])
    gone = account.registry("GET", "/v2/app/manifests/v1", token)
    assert (404, "MANIFEST_UNKNOWN", "Requested image not found") == message(gone)


def test_immutable_tags_stay(account: Account) -> None:
    """Another manifest for a tag is refused before the registry is asked."""
    account.region.registry.connect(lambda _: Response(201))
    connect(account.region, "ecr").create_repository(repositoryName="app", imageTagMutability="IMMUTABLE")
    token = account.token()
    assert 201 == account.registry("PUT", "/v2/app/manifests/v1", token, body=b'{"layers": []}').status
    refused = account.registry("PUT", "/v2/app/manifests/v1", token, body=b'{"layers": [ ]}')
    assert (400, "TAG_INVALID") == message(refused)[:2]


def test_aws_s_own_registry_is_read_by_everybody_and_written_by_nobody(account: Account) -> None:
    """And another customer's is not even read."""
    account.region.registry.connect(lambda _: Response(200))
    account.region.ecr.create(ACCOUNT, "eks/pause")
    token = account.token()
    assert 200 == account.registry("GET", "/v2/eks/pause/blobs/sha256:0", token, ACCOUNT).status
    for number, method in ((ACCOUNT, "POST"), ("999999999999", "GET")):
        refused = account.registry(method, "/v2/eks/pause/blobs/uploads/", token, number)
        assert (403, "DENIED") == message(refused)[:2]


@pytest.mark.parametrize(
    "path", ["/v2/app/blobs/../../x", "/v2/app/manifests/..", "/v2/../app/blobs/a", "/v2/A/tags/list"]
)
def test_paths_lead_nowhere_else(account: Account, path: str) -> None:
    """What is no name, tag, digest or upload does not reach the registry."""
    connect(account.region, "ecr").create_repository(repositoryName="app")
    assert (404, "UNSUPPORTED") == message(account.registry("GET", path, account.token()))[:2]


# -- S3 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10, BIG])
def test_objects_come_back_as_they_went(account: Account, size: int) -> None:
    """Small ones, and ones that go by way of a file; whole and in part; boto3 sends them in chunks with a checksum."""
    bucket = account.bucket("b")
    content = bytes(range(251)) * (size // 251) + b"x" * (size % 251)
    etag = account.s3.put_object(Bucket=bucket, Key="a/b c", Body=content)["ETag"]
    assert f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"' == etag
    got = account.s3.get_object(Bucket=bucket, Key="a/b c")
    assert (content, size, etag) == (got["Body"].read(), got["ContentLength"], got["ETag"])
    assert size == account.s3.head_object(Bucket=bucket, Key="a/b c")["ContentLength"]
    if size:
        part = account.s3.get_object(Bucket=bucket, Key="a/b c", Range="bytes=3-7")
        assert (content[3:8], f"bytes 3-7/{size}") == (part["Body"].read(), part["ContentRange"])
        assert content[-4:] == account.s3.get_object(Bucket=bucket, Key="a/b c", Range="bytes=-4")["Body"].read()
        with pytest.raises(ClientError, match="InvalidRange"):
            account.s3.get_object(Bucket=bucket, Key="a/b c", Range=f"bytes={size}-")


def test_a_large_object_goes_in_parts(account: Account) -> None:
    """Parts by way of memory and of files make one object."""
    bucket, parts = account.bucket("b"), [b"a" * BIG, b"b" * 100]
    upload = account.s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    sent = [
        {
            "PartNumber": n,
            "ETag": account.s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=n, Body=p)["ETag"],
        }
        for n, p in enumerate(parts, 1)
    ]
    account.s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": sent})
    assert b"".join(parts) == account.s3.get_object(Bucket=bucket, Key="k")["Body"].read()


def _presigned(account: Account, bucket: str, seconds: int) -> Request:
    url = urlsplit(
        boto3.client(
            "s3",
            region_name=REGION,
            aws_access_key_id=account.who.access_key_id,
            aws_secret_access_key=account.who.secret_access_key,
            aws_session_token=account.who.session_token,
            config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
            endpoint_url=f"https://s3.{REGION}.amazonaws.com",
        ).generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=seconds)
    )
    return Request("GET", url.path, url.query, {"host": url.netloc}, peer=("192.0.2.1", 1))


def test_a_presigned_url_is_checked(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives the object; changed, it gives nothing; and it ends."""
    bucket = account.bucket("b")
    account.s3.put_object(Bucket=bucket, Key="k", Body=b"content")
    good = _presigned(account, bucket, 60)
    assert good.headers["host"].startswith(bucket)
    assert (200, b"content") == (account.region.handle(good).status, account.region.handle(good).body)
    changed = account.region.handle(replace(good, query=good.query.replace("Expires=60", "Expires=90")))
    assert (403, True) == (changed.status, b"SignatureDoesNotMatch" in changed.body)
    other = account.region.handle(replace(good, path="/other"))
    assert 403 == other.status

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=61)

    monkeypatch.setattr("islanding.lab.region.admission.datetime", Later)
    late = account.region.handle(good)
    assert (403, True) == (late.status, b"<Code>AccessDenied</Code><Message>Request has expired" in late.body)


def test_nobody_in_particular_is_refused(account: Account) -> None:
    """Without a signature: no object and no list; unless the object is everybody's."""
    bucket = account.bucket("b")
    account.s3.put_object(Bucket=bucket, Key="mine", Body=b"x")
    account.s3.put_object(Bucket=bucket, Key="everybody's", Body=b"x", ACL="public-read")
    host = {"host": f"{bucket}.s3.{REGION}.amazonaws.com"}
    seen = {
        path: account.region.handle(Request("GET", path, headers=host)).status
        for path in ("/", "/mine", "/everybody's")
    }
    assert {"/": 403, "/mine": 403, "/everybody's": 200} == seen


def test_signed_chunks_are_checked() -> None:
    """A body in signed chunks is put together; with one byte changed it is refused."""
    claim = Claim("AKIA", "20260101", REGION, "s3", ("host",), "seed", "20260101T000000Z", presigned=False, token=None)

    def chunk(data: bytes, signatures: ChunkSignatures) -> bytes:
        with pytest.raises(AwsError):
            signatures.check(hashlib.sha256(data).hexdigest(), "")
        return b"%x;chunk-signature=%b\r\n%b\r\n" % (len(data), vars(signatures)["_last"].encode(), data)

    signer = ChunkSignatures(claim, "secret")
    sent = b"".join(chunk(data, signer) for data in (b"hello", b"world", b""))
    headers = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "content-encoding": "aws-chunked"}
    request = Request("PUT", "/b/k", headers=headers, body=sent)
    got = awschunked.decoded(request, ChunkSignatures(claim, "secret"))
    assert (b"helloworld", {}) == (got.body, got.headers)
    with pytest.raises(AwsError, match="does not match"):
        awschunked.decoded(replace(request, body=sent.replace(b"world", b"w0rld")), ChunkSignatures(claim, "secret"))
    with pytest.raises(AwsError, match="number of bytes"):
        awschunked.decoded(replace(request, body=sent[:90]), ChunkSignatures(claim, "secret"))


# -- doors and the guard -----------------------------------------------------------------------------------------------


def test_the_guard_is_asked_and_the_way_is_recorded(account: Account) -> None:
    """It sees who asks for what by which way, and what it raises is the answer, in the service's own form."""
    bucket = account.bucket("b")
    seen: list[tuple[str, str, str]] = []

    def guard(_: Request, principal: Any, service: str, operation: str, via: Via) -> None:
        seen.append((service, operation, via.endpoint))
        assert principal.account == account.region.account
        raise AwsError("AccessDenied", "no VPC endpoint policy allows it", 403)

    account.via = Via("vpce-1", "vpc-1")
    token = account.token()
    account.region.guard = guard
    with pytest.raises(ClientError, match="no VPC endpoint policy allows it"):
        account.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    denied = account.registry("GET", "/v2/app/manifests/v1", token)
    assert (403, "DENIED", "no VPC endpoint policy allows it") == message(denied)
    assert [("s3", "PutObject", "vpce-1"), ("ecr.dkr", "BatchGetImage", "")] == seen


def test_a_door_answers_for_its_services(region: Region) -> None:
    """What is for another service is refused as AWS refuses it."""
    headers = {"host": f"sts.{REGION}.amazonaws.com", "content-type": "application/x-www-form-urlencoded"}
    refused = region.handle(Request("POST", "/", headers=headers, body=b"Action=AssumeRoleWithSAML"), ("ecr.api",))
    assert (403, True) == (refused.status, b"correct service: 'ecr'" in refused.body)


def test_other_services_are_found(account: Account) -> None:
    """CloudFormation, Auto Scaling, IAM, load balancing and Route 53 answer at their names."""
    connect(account.region, "cloudformation").list_stacks()
    connect(account.region, "autoscaling").describe_auto_scaling_groups()
    assert "Operator" in [r["RoleName"] for r in connect(account.region, "iam").list_roles()["Roles"]]
    connect(account.region, "elbv2").describe_load_balancers()
    connect(account.region, "route53").list_hosted_zones()
    connect(account.region, "ssm").describe_parameters()


def test_archives_can_be_read(tmp_path: Path) -> None:
    """Nothing is left open by a window into a file."""
    from islanding.lab.region.s3 import Window

    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("x")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    with (
        tarfile.open(tmp_path / "a.tar") as tar,
        Window(str(tmp_path / "a.tar"), tar.getmember("x").offset_data, 5) as w,
    ):
        assert (b"hello", 1, b"ell", b"") == (w.read(), w.seek(1), w.read(3), (w.seek(9), w.read())[1])
