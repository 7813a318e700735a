"""The view of a Region's network: what describe calls say, typed; refusals become gaps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from islanding.aws.calls import reader
from islanding.aws.look import read_view
from islanding.errors import IslandingError
from islanding.lab.region.server import Region
from islanding.model import Site
from tests.unit.region_support import REGION, connect, fresh_region
from tests.unit.sites_for_tests import save_site


class Buckets:
    """S3 as far as a view asks it."""

    @staticmethod
    def can_paginate(_operation: str) -> bool:
        return False

    @staticmethod
    def list_buckets() -> dict[str, Any]:
        return {"Buckets": [{"Name": "closed-data"}, {"Name": "open-data"}]}

    @staticmethod
    def get_bucket_policy(Bucket: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if Bucket == "open-data":
            raise RuntimeError("An error occurred (NoSuchBucketPolicy) when calling the GetBucketPolicy operation")
        return {"Policy": '{"Statement": []}'}


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region of an account of its own."""
    yield from fresh_region(tmp_path)


def test_the_view_holds_what_was_made(region: Region) -> None:
    """VPC attributes, DHCP, peering, gateways, routes, rules with groups, endpoint policy, bucket policy, roles."""
    clients: dict[str, Any] = {"s3": Buckets}

    def client(service: str) -> Any:
        return clients.setdefault(service, connect(region, service))

    ec2 = client("ec2")
    near, far = (ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"] for block in ("10.0.0.0/16", "10.1.0.0/16"))
    options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name-servers", "Values": ["10.0.0.9"]}])
    ec2.associate_dhcp_options(DhcpOptionsId=options["DhcpOptions"]["DhcpOptionsId"], VpcId=near)
    subnet = ec2.create_subnet(VpcId=near, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    peering = ec2.create_vpc_peering_connection(VpcId=near, PeerVpcId=far)["VpcPeeringConnection"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering["VpcPeeringConnectionId"])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=far)
    table = ec2.create_route_table(VpcId=near)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_route(
        RouteTableId=table,
        DestinationCidrBlock="10.1.0.0/16",
        VpcPeeringConnectionId=peering["VpcPeeringConnectionId"],
    )
    one, two = (ec2.create_security_group(GroupName=n, Description=n, VpcId=near)["GroupId"] for n in ("one", "two"))
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": two}]}
    ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=[rule])

    view = read_view(client, REGION, region.account)

    assert () == view.gaps
    vpc = view.vpc(near)
    assert vpc is not None
    assert (("10.0.0.0/16",), True, False, ("10.0.0.9",)) == (
        vpc.cidrs,
        vpc.dns_support,
        vpc.dns_hostnames,
        vpc.dhcp_servers,
    )
    found = view.subnet(subnet)
    assert found is not None
    served = view.table_of(found)
    assert served is not None
    assert {("10.0.0.0/16", "local"), ("10.1.0.0/16", peering["VpcPeeringConnectionId"])} == {
        (route.destination, route.target) for route in served.routes
    }
    assert ["active"] == [p.status for p in view.peerings]
    assert (gateway, far) in [(g.id, g.vpc) for g in view.internet_gateways]
    group = view.group(one)
    assert group is not None
    assert [("tcp", 22, 22, (two,))] == [(r.protocol, r.low, r.high, r.peers) for r in group.ingress]
    assert (("closed-data", '{"Statement": []}'),) == view.bucket_policies
    acl = view.acl_of(subnet)
    assert acl is not None
    assert any(entry.allow and entry.egress for entry in acl.entries)


def test_a_refusal_is_a_gap_and_not_an_error() -> None:
    """Whoever may not list endpoints gets a view that says so."""

    def client(service: str) -> Any:
        raise RuntimeError(f"{service}: not authorized")

    view = read_view(client, REGION, "111122223333")

    assert () == view.endpoints
    assert any("ec2.describe_vpc_endpoints: ec2: not authorized" in gap for gap in view.gaps)


def test_a_lab_without_an_endpoint_is_not_read(tmp_path: Path) -> None:
    """A lab's diagnosis never asks a real account."""
    site = Site.load(save_site(tmp_path / "s", name="closed"))

    with pytest.raises(IslandingError, match="names no AWS endpoint"):
        reader(site, "ec2")
