"""What the metadata service tells of network interfaces, and its options, live from EC2's state."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from islanding.lab.region.http import HttpServer, Request, Response
from islanding.lab.region.metadata import Metadata
from islanding.lab.region.server import Region
from islanding.wait import wait_until
from tests.unit.region_support import REGION, connect, fresh_region

MACS = "/latest/meta-data/network/interfaces/macs/"


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region of an account of its own."""
    yield from fresh_region(tmp_path)


class Vpc:
    """A VPC with one instance at 10.0.1.20."""

    def __init__(self, region: Region, **more: Any) -> None:
        self.region = region
        self.ec2 = connect(region, "ec2")
        self.id = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.ec2.associate_vpc_cidr_block(VpcId=self.id, CidrBlock="100.64.0.0/16")
        made = self.ec2.create_subnet(VpcId=self.id, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")
        self.subnet = made["Subnet"]["SubnetId"]
        self.group = self.ec2.create_security_group(GroupName="node", Description="node", VpcId=self.id)["GroupId"]
        self.instance = self.ec2.run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=self.subnet,
            PrivateIpAddress="10.0.1.20", SecurityGroupIds=[self.group], **more,
        )["Instances"][0]["InstanceId"]  # fmt: skip
        self.service = Metadata(lambda address: region.identity(address, self.id))

    def ask(self, method: str, path: str, address: str = "10.0.1.20", **headers: str) -> Response:
        """One request, as it comes from an address in this VPC."""
        return self.service.handle(Request(method, path, "", headers, b"", (address, 1)))

    def get(self, path: str) -> str:
        """A path that must be there."""
        reply = self.ask("GET", path)
        assert 200 == reply.status, path
        return reply.body.decode()


def test_every_interface_is_told_of_as_it_is_now(region: Region) -> None:
    """What ipamd reads of an interface that it has just attached, and of its addresses."""
    vpc = Vpc(region)
    made = vpc.ec2.create_network_interface(
        SubnetId=vpc.subnet, Groups=[vpc.group],
        PrivateIpAddresses=[{"PrivateIpAddress": "10.0.1.30", "Primary": True},
                            {"PrivateIpAddress": "10.0.1.31", "Primary": False}],
    )["NetworkInterface"]  # fmt: skip
    assert 1 == len(vpc.get(MACS).splitlines())
    vpc.ec2.attach_network_interface(
        NetworkInterfaceId=made["NetworkInterfaceId"], InstanceId=vpc.instance, DeviceIndex=1
    )
    macs = vpc.get(MACS).splitlines()
    assert 2 == len(macs)
    assert [] == [mac for mac in macs if not mac.endswith("/")]
    second = f"{MACS}{made['MacAddress']}/"
    assert {
        "device-number": "1",
        "interface-id": made["NetworkInterfaceId"],
        "local-ipv4s": "10.0.1.30\n10.0.1.31",
        "mac": made["MacAddress"],
        "security-group-ids": vpc.group,
        "subnet-id": vpc.subnet,
        "subnet-ipv4-cidr-block": "10.0.1.0/24",
        "vpc-id": vpc.id,
        "vpc-ipv4-cidr-block": "10.0.0.0/16",
        "vpc-ipv4-cidr-blocks": "10.0.0.0/16\n100.64.0.0/16",
    }.items() <= {name: vpc.get(second + name) for name in vpc.get(second).splitlines()}.items()
    assert "10.0.1.20" == vpc.get("/latest/meta-data/local-ipv4")


def test_a_secondary_address_belongs_to_the_instance(region: Region) -> None:
    """A pod that asks with its own address is told of its node."""
    vpc = Vpc(region)
    card = vpc.ec2.describe_network_interfaces()["NetworkInterfaces"][0]["NetworkInterfaceId"]
    vpc.ec2.assign_private_ip_addresses(NetworkInterfaceId=card, PrivateIpAddresses=["10.0.1.77"])
    assert vpc.instance == vpc.ask("GET", "/latest/meta-data/instance-id", "10.0.1.77").body.decode()
    assert 404 == vpc.ask("GET", "/latest/meta-data/instance-id", "10.0.1.78").status


def test_two_vpcs_may_have_the_same_addresses(region: Region) -> None:
    """Each VPC's service tells of its own instance."""
    first, second = Vpc(region), Vpc(region)
    path = "/latest/meta-data/instance-id"
    assert [first.instance, second.instance] == [vpc.get(path) for vpc in (first, second)]


def test_a_public_address(region: Region) -> None:
    """Is told of while it is associated."""
    vpc = Vpc(region)
    assert 404 == vpc.ask("GET", "/latest/meta-data/public-ipv4").status
    gateway = vpc.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    vpc.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc.id)
    address = vpc.ec2.allocate_address(Domain="vpc")
    vpc.ec2.associate_address(InstanceId=vpc.instance, AllocationId=address["AllocationId"])
    public = vpc.get("/latest/meta-data/public-ipv4")
    assert address["PublicIp"] == public
    name = f"ec2-{public.replace('.', '-')}.{REGION}.compute.amazonaws.com"
    assert name == vpc.get("/latest/meta-data/public-hostname")


def test_metadata_options(region: Region) -> None:
    """The hop limit counts for the token's reply alone; a service that is off says 403 and nothing else."""
    vpc = Vpc(region, MetadataOptions={"HttpPutResponseHopLimit": 2})
    token = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    assert [2, 0] == [
        vpc.ask("PUT", "/latest/api/token", **token).hops, vpc.ask("GET", "/latest/meta-data/mac").hops,
    ]  # fmt: skip
    vpc.ec2.modify_instance_metadata_options(InstanceId=vpc.instance, HttpPutResponseHopLimit=1, HttpEndpoint="enabled")
    assert 1 == vpc.ask("PUT", "/latest/api/token", **token).hops
    vpc.ec2.modify_instance_metadata_options(InstanceId=vpc.instance, HttpEndpoint="disabled")
    assert (403, 403) == (vpc.ask("PUT", "/latest/api/token", **token).status, vpc.ask("GET", "/latest/").status)


@pytest.mark.parametrize("path", ["spot/instance-action", "spot/termination-time", "events/recommendations/rebalance"])
def test_what_an_instance_on_demand_does_not_have(region: Region, path: str) -> None:
    """Nothing is about to end it."""
    vpc = Vpc(region)
    assert 404 == vpc.ask("GET", f"/latest/meta-data/{path}").status
    assert "[]" == vpc.get("/latest/meta-data/events/maintenance/scheduled")


def test_a_replys_hops_are_set_on_its_connection() -> None:
    """And taken back for the next reply on the same connection."""
    seen: list[str] = []
    served = socket.create_server(("127.0.0.1", 0))
    replies = iter([Response(200, hops=1), Response(200)])
    server = HttpServer(served, lambda _: next(replies), name="hops", on_error=seen.append)
    server.start()

    def ttl(sock: socket.socket) -> int:
        return sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)

    with socket.create_connection(served.getsockname(), timeout=5) as client:
        default = ttl(client)
        for expected in (1, default):
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            (connection,) = wait_until("the connection", lambda: list(server._open), timeout=2)
            assert expected == ttl(connection)
    server.close()
    assert [] == seen
