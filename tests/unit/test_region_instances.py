"""EC2 instances of the Region, their Outpost, and what they can ask the metadata service."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from islanding.lab.region.http import Request, Response
from islanding.lab.region.metadata import InstanceIdentity, Metadata
from islanding.lab.region.seed import SessionCredentials
from islanding.lab.region.server import Region
from tests.unit.region_support import REGION, connect, fresh_region

OUTPOST = f"arn:aws:outposts:{REGION}:111122223333:outpost/op-0123456789abcdef0"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJmyxyo8rVLxX4OcLf6gH3AtoxQjPcbyfT1U4sf1qPz lab"


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region of an account of its own, with one Outpost."""
    for made in fresh_region(tmp_path):
        made.add_outpost("op-0123456789abcdef0", "rack", OUTPOST, "os-1", f"{REGION}a")
        yield made


@pytest.fixture
def worker(region: Region) -> str:
    """The id of an instance on the Outpost, with name, key, role and user data."""
    ec2 = connect(region, "ec2")
    region.seed.create_role("Node")
    region.seed.create_instance_profile("NodeProfile", "Node")
    ec2.import_key_pair(KeyName="lab", PublicKeyMaterial=KEY.encode())
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a", OutpostArn=OUTPOST)
    made = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        InstanceType="m5.large",
        SubnetId=subnet["Subnet"]["SubnetId"],
        PrivateIpAddress="10.0.1.20",
        KeyName="lab",
        UserData="#!/bin/sh\necho ß\n",
        IamInstanceProfile={"Name": "NodeProfile"},
        MetadataOptions={"HttpTokens": "required"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "worker-1"}]}],
    )
    instance: str = made["Instances"][0]["InstanceId"]
    return instance


def test_the_typed_view_has_what_a_machine_needs(region: Region, worker: str) -> None:
    """Name, address, DNS name, subnet, role, key, user data and Outpost, without an API call."""
    (state,) = region.instances()

    assert state.id == worker
    assert (state.name, state.state, state.private_address) == ("worker-1", "running", "10.0.1.20")
    assert state.private_dns_name == f"ip-10-0-1-20.{REGION}.compute.internal"
    assert (state.subnet_cidr, state.vpc_cidr, state.zone) == ("10.0.1.0/24", "10.0.0.0/16", f"{REGION}a")
    assert (state.role, state.key_name, state.outpost_arn) == ("Node", "lab", OUTPOST)
    assert state.public_key.split()[:2] == KEY.split()[:2]
    assert state.user_data.decode() == "#!/bin/sh\necho ß\n"
    assert state.mac.count(":") == 5


def test_calls_show_in_the_typed_view(region: Region, worker: str) -> None:
    """Stop, start, reboot and terminate are seen at once; a reboot by its count."""
    ec2 = connect(region, "ec2")
    seen = []
    for call in ("stop_instances", "start_instances", "reboot_instances", "terminate_instances"):
        getattr(ec2, call)(InstanceIds=[worker])
        (state,) = region.instances()
        seen.append((state.state, state.reboots))

    assert seen == [("stopped", 0), ("running", 0), ("running", 1), ("terminated", 1)]
    assert region.identity("10.0.1.20") is None


def test_the_outpost_is_in_ec2s_own_answers(region: Region, worker: str) -> None:
    """DescribeSubnets and DescribeInstances give the Outpost's ARN."""
    ec2 = connect(region, "ec2")
    subnets = ec2.describe_subnets()["Subnets"]
    instance = ec2.describe_instances(InstanceIds=[worker])["Reservations"][0]["Instances"][0]

    assert [s["OutpostArn"] for s in subnets if "OutpostArn" in s] == [OUTPOST]
    assert instance["OutpostArn"] == OUTPOST


def test_a_subnet_on_an_unknown_outpost_is_refused(region: Region) -> None:
    """EC2 knows only Outposts that exist."""
    ec2 = connect(region, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    with pytest.raises(ClientError, match="does not exist"):
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", OutpostArn=f"{OUTPOST}x")


def test_the_outposts_api(region: Region) -> None:
    """List and get give the Outpost by id and by ARN; an unknown one is NotFoundException."""
    outposts = connect(region, "outposts")
    listed = outposts.list_outposts()["Outposts"]

    assert [o["OutpostId"] for o in listed] == ["op-0123456789abcdef0"]
    assert outposts.get_outpost(OutpostId="op-0123456789abcdef0")["Outpost"]["LifeCycleStatus"] == "ACTIVE"
    assert outposts.get_outpost(OutpostId=OUTPOST)["Outpost"]["AvailabilityZone"] == f"{REGION}a"
    assert outposts.get_outpost_instance_types(OutpostId="op-0123456789abcdef0")["InstanceTypes"]
    assert [s["SiteId"] for s in outposts.list_sites()["Sites"]] == ["os-1"]
    with pytest.raises(outposts.exceptions.NotFoundException):
        outposts.get_outpost(OutpostId="op-ffffffffffffffff0")


def test_hooks_run_after_changes_only(region: Region) -> None:
    """A hook sees what changed something and succeeded; what it raises is recorded and not told to the caller."""
    seen: list[tuple[str, str]] = []

    def fail(service: str, operation: str) -> None:
        raise RuntimeError(operation)

    region.after_mutation(lambda service, operation: seen.append((service, operation)))
    region.after_mutation(fail)
    ec2 = connect(region, "ec2")
    ec2.describe_vpcs()
    ec2.create_vpc(CidrBlock="10.9.0.0/16")
    with pytest.raises(ClientError):
        ec2.delete_vpc(VpcId="vpc-00000000")

    assert seen == [("ec2", "CreateVpc")]
    assert region.errors == ["hook after ec2:CreateVpc: RuntimeError: CreateVpc"]
    region.errors.clear()


def test_the_log_names_the_caller_and_no_secret(region: Region, tmp_path: Path) -> None:
    """Each call is one line with principal and operation; secrets, tokens and signatures are not in the file."""
    who = region.seed.assume("Operator", "taro")
    connect(region, "eks", who).list_clusters()
    text = (tmp_path / "region.jsonl").read_text()
    line = json.loads(text.splitlines()[-1])

    assert (line["service"], line["operation"], line["status"]) == ("eks", "ListClusters", 200)
    assert (line["principal"], line["source"]) == (who.arn, "192.0.2.1")
    assert line["access_key_id"] == who.access_key_id
    assert who.secret_access_key not in text
    assert who.session_token not in text
    assert "Signature" not in text


class Imds:
    """A caller of the metadata service at one address, with a clock that the test turns."""

    def __init__(self, region: Region, address: str = "10.0.1.20") -> None:
        self.now = 1000.0
        self.address = address
        self.service = Metadata(region.identity, lambda: self.now)
        self.token = self.ask(
            "PUT", "/latest/api/token", **{"x-aws-ec2-metadata-token-ttl-seconds": "60"}
        ).body.decode()

    def ask(self, method: str, path: str, address: str = "", **headers: str) -> Response:
        return self.service.handle(Request(method, path, "", headers, b"", (address or self.address, 1)))

    def get(self, path: str) -> str:
        reply = self.ask("GET", path, **{"x-aws-ec2-metadata-token": self.token})
        assert reply.status == 200, (path, reply.status)
        return reply.body.decode()


def test_metadata_of_an_instance(region: Region, worker: str) -> None:
    """Leaves and listings as cloud-init and the SDKs ask for them."""
    imds = Imds(region)
    mac = region.instances()[0].mac
    document = json.loads(imds.get("/latest/dynamic/instance-identity/document"))

    assert imds.get("/latest/meta-data/instance-id") == worker
    assert imds.get("/2021-03-23/meta-data/local-ipv4") == "10.0.1.20"
    assert imds.get("/latest/meta-data/network/interfaces/macs/") == f"{mac}/"
    assert imds.get(f"/latest/meta-data/network/interfaces/macs/{mac}/subnet-ipv4-cidr-block") == "10.0.1.0/24"
    assert imds.get("/latest/meta-data/placement/") == "availability-zone\noutpost-arn\nregion"
    assert imds.get("/latest/meta-data/public-keys/") == "0=lab"
    assert imds.get("/latest/meta-data/public-keys/0/openssh-key").startswith("ssh-ed25519 ")
    assert imds.get("/latest/user-data") == "#!/bin/sh\necho ß\n"
    assert "2021-03-23" in imds.get("/").splitlines()
    assert imds.get("/latest/").splitlines() == ["dynamic/", "meta-data/", "user-data"]
    assert (document["instanceId"], document["region"], document["accountId"]) == (worker, REGION, region.account)


def test_every_listed_path_can_be_read(region: Region, worker: str) -> None:
    """A crawl as cloud-init makes it meets no dead end."""
    imds = Imds(region)
    pending, leaves = ["/latest/meta-data/", "/latest/dynamic/"], 0
    while pending:
        path = pending.pop()
        for name in imds.get(path).splitlines():
            if name.endswith("/"):
                pending.append(path + name)
            elif path.endswith("public-keys/"):
                pending.append(f"{path}{name.split('=')[0]}/")
            else:
                imds.get(path + name)
                leaves += 1

    assert leaves > 20


def test_credentials_of_the_instance_pass_sts(region: Region, worker: str) -> None:
    """The role's credentials name the instance as their session, and are the same until they grow old."""
    imds = Imds(region)
    role = imds.get("/latest/meta-data/iam/security-credentials/")
    got = json.loads(imds.get(f"/latest/meta-data/iam/security-credentials/{role}"))
    again = json.loads(imds.get(f"/latest/meta-data/iam/security-credentials/{role}"))
    identity = region.identity("10.0.1.20")
    assert identity is not None
    assert identity.credentials is not None
    who: SessionCredentials = identity.credentials()
    caller = connect(region, "sts", replace(who, secret_access_key=got["SecretAccessKey"])).get_caller_identity()

    assert role == "Node"
    assert got["AccessKeyId"] == again["AccessKeyId"] == who.access_key_id
    assert caller["Arn"] == f"arn:aws:sts::{region.account}:assumed-role/Node/{worker}"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/latest/meta-data/instance-id", {}, 401),  # IMDSv1
        ("GET", "/latest/meta-data/instance-id", {"x-aws-ec2-metadata-token": "bm9uc2Vuc2U="}, 401),
        ("PUT", "/latest/api/token", {}, 400),
        ("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "21601"}, 400),
        ("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "\xb2"}, 400),
        ("PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "60", "x-forwarded-for": "a"}, 403),
    ],
)
def test_what_imdsv2_refuses(
    region: Region, worker: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """No token, a false one, a time to live out of range, and a proxied call."""
    assert Imds(region).ask(method, path, **headers).status == status


def test_a_token_is_for_one_instance_and_one_time(region: Region, worker: str) -> None:
    """After its time, and from another address, a token is worth nothing; strangers get nothing at all."""
    imds = Imds(region)
    token = {"x-aws-ec2-metadata-token": imds.token}
    path = "/latest/meta-data/instance-id"
    known = region.identity("10.0.1.20")
    imds.service = Metadata(lambda address: known if address != "10.0.1.99" else None, lambda: imds.now)
    imds.token = imds.ask("PUT", "/latest/api/token", **{"x-aws-ec2-metadata-token-ttl-seconds": "60"}).body.decode()
    token = {"x-aws-ec2-metadata-token": imds.token}
    own = imds.ask("GET", path, **token).status
    other = imds.ask("GET", path, address="10.0.1.21", **token).status
    stranger = imds.ask("GET", path, address="10.0.1.99", **token).status
    imds.now += 61
    late = imds.ask("GET", path, **token).status

    assert (own, other, stranger, late) == (200, 401, 404, 401)


def test_metadata_over_a_socket(region: Region, worker: str) -> None:
    """The service works over a real connection that stays open, and tells the TTL back."""
    known = region.identity("10.0.1.20")
    listener = socket.create_server(("127.0.0.1", 0))
    server = region.serve_metadata(listener, lambda _address: known)
    port = listener.getsockname()[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    reply = connection.getresponse()
    token, ttl = reply.read().decode(), reply.headers["X-aws-ec2-metadata-token-ttl-seconds"]
    ours = connection.sock
    connection.request("GET", "/latest/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token})
    body = connection.getresponse().read().decode()
    same = connection.sock is ours
    connection.close()
    server.close()

    assert (ttl, body, same) == ("60", worker, True)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_an_instance_without_role_or_data_has_no_such_paths(region: Region) -> None:
    """No role: no iam folder; no user data: 404; no token needed unless required, but a false one is refused."""
    ec2 = connect(region, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")["Subnet"]["SubnetId"]
    arguments: dict[str, Any] = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}
    ec2.run_instances(SubnetId=subnet, PrivateIpAddress="10.0.1.20", **arguments)
    imds = Imds(region)
    token = {"x-aws-ec2-metadata-token": imds.token}

    assert imds.ask("GET", "/latest/meta-data/local-ipv4").body == b"10.0.1.20"  # IMDSv1: HttpTokens is optional
    assert imds.ask("GET", "/latest/meta-data/local-ipv4", **{"x-aws-ec2-metadata-token": "bm8="}).status == 401
    assert "iam/" not in imds.get("/latest/meta-data/").splitlines()
    assert imds.ask("GET", "/latest/user-data", **token).status == 404
    assert isinstance(region.identity("10.0.1.20"), InstanceIdentity)
