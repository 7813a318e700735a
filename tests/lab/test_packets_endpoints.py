"""VPC endpoints by packets: gateway endpoints by route tables, interface endpoints by interfaces; flow counters."""

from __future__ import annotations

import pytest

from islanding.lab.vpc.outside import AWS, Outside
from tests.lab import packets
from tests.lab.packets import OPEN, SILENT, World
from tests.unit.region_support import REGION

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)
S3 = Outside().s3[0]
S3_NAME = f"com.amazonaws.{REGION}.s3"


class Closed:
    """A VPC without internet: one subnet, one instance that may open everything."""

    def __init__(self, world: World, number: int = 0) -> None:
        self.world = world
        self.vpc = world.vpc(f"10.{number}.0.0/16")
        self.subnet = world.subnet(self.vpc, f"10.{number}.1.0/24")
        self.group = world.group(self.vpc)
        self.address = f"10.{number}.1.10"
        self.instance = world.instance(self.subnet, self.group, self.address)
        self.table = world.main_table(self.vpc)

    def gateway_endpoint(self) -> str:
        """A gateway endpoint for S3 that serves; its id."""
        made = self.world.ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName=S3_NAME, VpcEndpointType="Gateway", RouteTableIds=[self.table]
        )
        endpoint = str(made["VpcEndpoint"]["VpcEndpointId"])
        self.world.serve(endpoint, 443, S3)
        return endpoint

    def interface_endpoint(self, group: str) -> tuple[str, str, str]:
        """An interface endpoint that serves; its id, its interface's id and address."""
        made = self.world.ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName=f"com.amazonaws.{REGION}.sts", VpcEndpointType="Interface",
            SubnetIds=[self.subnet], SecurityGroupIds=[group], PrivateDnsEnabled=False,
        )["VpcEndpoint"]  # fmt: skip
        self.world.settle()
        card = str(made["NetworkInterfaceIds"][0])
        found = self.world.ec2.describe_network_interfaces(NetworkInterfaceIds=[card])["NetworkInterfaces"][0]
        self.world.serve(card, 443)
        return str(made["VpcEndpointId"]), card, str(found["PrivateIpAddress"])


@pytest.fixture
def closed(world: World) -> Closed:
    """A VPC without internet."""
    return Closed(world)


def test_a_gateway_endpoint_serves_by_its_route_tables(world: World, closed: Closed) -> None:
    """Allowed with the association, and the caller's own address is seen; denied without, allowed again, gone."""
    assert SILENT == world.tcp(closed.instance, S3, 443)
    endpoint = closed.gateway_endpoint()
    assert closed.address == world.seen_as(closed.instance, S3, 443)
    world.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, RemoveRouteTableIds=[closed.table])
    assert SILENT == world.tcp(closed.instance, S3, 443)
    world.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[closed.table])
    assert OPEN == world.tcp(closed.instance, S3, 443)
    world.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert SILENT == world.tcp(closed.instance, S3, 443)


def test_a_gateway_endpoint_goes_before_the_default_route(world: World, closed: Closed) -> None:
    """With a way to the internet too, S3 is reached through the endpoint, and by the internet once that is gone."""
    world.serve(AWS, 443, S3)
    gateway = world.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    world.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=closed.vpc)
    public = world.elastic(world.card(closed.instance))
    world.route(closed.table, "0.0.0.0/0", GatewayId=gateway)
    assert public == world.seen_as(closed.instance, S3, 443)
    endpoint = closed.gateway_endpoint()
    assert closed.address == world.seen_as(closed.instance, S3, 443)
    world.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert public == world.seen_as(closed.instance, S3, 443)


def test_a_gateway_endpoint_is_not_reached_across_peering(world: World, closed: Closed) -> None:
    """Whatever route the other VPC has; and within the VPC only with a group that lets S3's prefix list out."""
    other = Closed(world, 1)
    peering = world.peer(closed.vpc, other.vpc)
    closed.gateway_endpoint()
    world.route(other.table, "52.219.0.0/16", VpcPeeringConnectionId=peering)
    assert SILENT == world.tcp(other.instance, S3, 443)
    assert OPEN == world.tcp(closed.instance, S3, 443)


def test_a_group_can_let_out_to_the_prefix_list_of_s3_alone(world: World, closed: Closed) -> None:
    """Denied without an egress rule, allowed with one for AWS's own list, denied when it is revoked."""
    closed.gateway_endpoint()
    lists = world.ec2.describe_managed_prefix_lists()["PrefixLists"]
    s3 = next(found["PrefixListId"] for found in lists if found["PrefixListName"] == S3_NAME)
    group = world.group(closed.vpc, egress=False)
    instance = world.instance(closed.subnet, group, "10.0.1.20")
    assert SILENT == world.tcp(instance, S3, 443)
    rule = packets.permission(s3, "tcp", 443)
    world.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=rule)
    assert OPEN == world.tcp(instance, S3, 443)
    world.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rule)
    assert SILENT == world.tcp(instance, S3, 443)


def test_an_interface_endpoint_is_behind_its_group(world: World, closed: Closed) -> None:
    """Denied by the group, allowed by its rule, silent on other ports, reached by peering, gone with the endpoint."""
    group = world.group(closed.vpc)
    endpoint, _, address = closed.interface_endpoint(group)
    assert SILENT == world.tcp(closed.instance, address, 443)
    world.allow(group, "10.0.0.0/8", protocol="-1", port=-1)
    assert closed.address == world.seen_as(closed.instance, address, 443)
    assert SILENT == world.tcp(closed.instance, address, 8443)
    assert SILENT == world.ping(closed.instance, address)
    other = Closed(world, 1)
    world.peer(closed.vpc, other.vpc)
    assert OPEN == world.tcp(other.instance, address, 443)
    world.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert SILENT == world.tcp(closed.instance, address, 443)


def test_flows_are_counted_by_endpoint_and_outlive_other_changes(world: World, closed: Closed) -> None:
    """Nothing before the first packet; a connection counts for its endpoint alone; refused packets do not count."""
    gateway = closed.gateway_endpoint()
    assert {gateway: (0, 0)} == world.plane.counters()
    world.seen_as(closed.instance, S3, 443)
    before, size = world.plane.counters()[gateway]
    assert before >= 5
    assert size >= before * 40
    group = world.group(closed.vpc)
    interface, _, address = closed.interface_endpoint(group)
    assert (before, size) <= world.plane.counters()[gateway]
    assert SILENT == world.tcp(closed.instance, address, 443)
    assert (0, 0) == world.plane.counters()[interface]
    world.allow(group, port=443)
    other = Closed(world, 1)
    another = other.gateway_endpoint()
    world.seen_as(closed.instance, address, 443)
    seen = world.plane.counters()
    assert seen[interface][0] >= 5
    assert (0, 0) == seen[another]
