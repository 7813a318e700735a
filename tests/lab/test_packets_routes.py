"""Route tables, internet gateways, NAT gateways, peering and VPN gateways by packets."""

from __future__ import annotations

import pytest

from islanding.lab import kernel
from islanding.lab.vpc.outside import BEYOND, ELSEWHERE, INTERNET, WORKSTATION, Outside
from tests.lab import packets
from tests.lab.packets import OPEN, SILENT, World

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)
HOST = Outside().elsewhere
USER = Outside().workstation


class Office:
    """A VPC with two subnets and an instance in each that lets everything in."""

    def __init__(self, world: World, number: int = 0) -> None:
        self.world = world
        self.vpc = world.vpc(f"10.{number}.0.0/16")
        self.left, self.right = (world.subnet(self.vpc, f"10.{number}.{n}.0/24") for n in (1, 2))
        self.group = world.group(self.vpc)
        world.allow(self.group, protocol="-1", port=-1)
        self.a = world.instance(self.left, self.group, f"10.{number}.1.10")
        self.b = world.instance(self.right, self.group, f"10.{number}.2.10")
        self.at_a, self.at_b = f"10.{number}.1.10", f"10.{number}.2.10"
        self.table = world.main_table(self.vpc)
        for instance in (self.a, self.b):
            world.serve(instance)

    def internet_gateway(self) -> str:
        """An attached internet gateway; its id."""
        gateway = str(self.world.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
        self.world.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        return gateway

    def table_for(self, subnet: str) -> str:
        """A new route table of its own for a subnet; its id."""
        table = str(self.world.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])
        self.world.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        return table


@pytest.fixture
def office(world: World) -> Office:
    """A VPC with two subnets; beside it, hosts of the internet that answer."""
    world.serve(ELSEWHERE)
    world.serve(WORKSTATION)
    return Office(world)


def test_subnets_of_a_vpc_reach_each_other_and_no_other_vpc(world: World, office: Office) -> None:
    """By the local route, with nothing to be done; two VPCs that are not peered are strangers."""
    other = Office(world, 1)
    assert OPEN == world.tcp(office.a, office.at_b)
    assert office.at_a == world.seen_as(office.a, office.at_b)
    assert OPEN == world.ping(office.b, office.at_a)
    assert SILENT == world.tcp(office.a, other.at_a)
    assert SILENT == world.ping(office.a, other.at_a)


def test_an_address_that_nobody_has_is_silent(world: World, office: Office) -> None:
    """In one's own subnet, in another one, in none, and beyond the VPC: no ICMP error, no dead ARP."""
    nobody = ("10.0.1.99", "10.0.2.99", "10.0.77.1", "10.77.0.1", HOST)
    assert {SILENT} == {world.tcp(office.a, address) for address in nobody}
    assert {SILENT} == {world.udp(office.a, address) for address in nobody}
    assert {SILENT} == {world.ping(office.a, address) for address in nobody}
    # ARP is answered for it: a kernel that hears nothing for three seconds tells its programs "No route to host".
    assert [True] == ["lladdr" in known for known in kernel.show(office.a, "neigh", "show", "to", "10.0.1.99")]


def test_an_instance_that_goes_away_is_silent(world: World, office: Office) -> None:
    """Stopped: silence, and its connections hang; started again: it answers under the same address."""
    world.ec2.stop_instances(InstanceIds=[office.b])
    assert SILENT == world.tcp(office.a, office.at_b)
    world.ec2.start_instances(InstanceIds=[office.b])
    world.serve(office.b)
    assert OPEN == world.tcp(office.a, office.at_b)
    world.ec2.terminate_instances(InstanceIds=[office.b])
    assert SILENT == world.tcp(office.a, office.at_b)
    assert SILENT == world.ping(office.a, office.at_b)


def test_a_public_address_works_both_ways_with_gateway_and_route(world: World, office: Office) -> None:
    """Allowed with the route to the internet gateway, denied without it, allowed again."""
    gateway = office.internet_gateway()
    public = world.elastic(world.card(office.a))
    assert SILENT == world.tcp(office.a, HOST)
    world.route(office.table, "0.0.0.0/0", GatewayId=gateway)
    assert public == world.seen_as(office.a, HOST)
    assert USER == world.seen_as(WORKSTATION, public)
    world.ec2.delete_route(RouteTableId=office.table, DestinationCidrBlock="0.0.0.0/0")
    assert SILENT == world.tcp(office.a, HOST)
    assert SILENT == world.tcp(WORKSTATION, public)
    world.route(office.table, "0.0.0.0/0", GatewayId=gateway)
    assert OPEN == world.tcp(office.a, HOST)
    assert OPEN == world.tcp(WORKSTATION, public)


def test_without_a_public_address_there_is_no_internet(world: World, office: Office) -> None:
    """The route alone is not enough; an elastic address is, until it is taken away."""
    world.route(office.table, "0.0.0.0/0", GatewayId=office.internet_gateway())
    address = world.ec2.allocate_address(Domain="vpc", Address=world.free_public())
    assert SILENT == world.tcp(office.a, HOST)
    made = world.ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=world.card(office.a))
    assert address["PublicIp"] == world.seen_as(office.a, HOST)
    assert SILENT == world.tcp(office.b, HOST)
    assert world.arrives(office.a, HOST, at=ELSEWHERE)
    assert not world.arrives(office.b, HOST, at=ELSEWHERE)
    world.ec2.disassociate_address(AssociationId=made["AssociationId"])
    assert SILENT == world.tcp(office.a, HOST)
    assert SILENT == world.tcp(WORKSTATION, address["PublicIp"])


def test_private_addresses_cannot_be_reached_from_the_internet(world: World, office: Office) -> None:
    """Not even by somebody on the internet with a route to the gateway; the public address can."""
    world.route(office.table, "0.0.0.0/0", GatewayId=office.internet_gateway())
    public = world.elastic(world.card(office.a))
    routes = kernel.show(INTERNET, "route")
    port = next(route["dev"] for route in routes if route["dst"] == public)
    kernel.run_inside(INTERNET, ["ip", "route", "add", "10.0.0.0/16", "via", BEYOND, "dev", port, "onlink"])
    assert SILENT == world.tcp(WORKSTATION, office.at_a)
    assert OPEN == world.tcp(WORKSTATION, public)


def test_a_subnet_with_its_own_route_table_leaves_the_main_one(world: World, office: Office) -> None:
    """Its own table counts from the association on, and the main one again after it."""
    gateway = office.internet_gateway()
    world.route(office.table, "0.0.0.0/0", GatewayId=gateway)
    world.elastic(world.card(office.a))
    assert OPEN == world.tcp(office.a, HOST)
    table = str(world.ec2.create_route_table(VpcId=office.vpc)["RouteTable"]["RouteTableId"])
    made = world.ec2.associate_route_table(RouteTableId=table, SubnetId=office.left)
    assert SILENT == world.tcp(office.a, HOST)
    world.ec2.disassociate_route_table(AssociationId=made["AssociationId"])
    assert OPEN == world.tcp(office.a, HOST)


def test_the_most_specific_route_counts(world: World, office: Office) -> None:
    """A narrower route to a dead target hides the wide one; its going heals."""
    gateway = office.internet_gateway()
    world.elastic(world.card(office.a))
    world.route(office.table, "0.0.0.0/0", GatewayId=gateway)
    dead = world.ec2.create_network_interface(SubnetId=office.left)["NetworkInterface"]["NetworkInterfaceId"]
    world.route(office.table, "198.51.100.0/24", NetworkInterfaceId=dead)
    assert SILENT == world.tcp(office.a, HOST)
    assert OPEN == world.tcp(office.a, USER)
    world.ec2.delete_route(RouteTableId=office.table, DestinationCidrBlock="198.51.100.0/24")
    assert OPEN == world.tcp(office.a, HOST)


def test_a_nat_gateway_gives_a_private_subnet_the_way_out_alone(world: World, office: Office) -> None:
    """Seen under its elastic address; nothing can be opened from outside; gone with the gateway."""
    gateway = office.internet_gateway()
    public = office.table_for(office.left)
    world.route(public, "0.0.0.0/0", GatewayId=gateway)
    address = world.ec2.allocate_address(Domain="vpc", Address=world.free_public())
    made = world.ec2.create_nat_gateway(SubnetId=office.left, AllocationId=address["AllocationId"])
    nat = made["NatGateway"]["NatGatewayId"]
    world.settle()
    assert SILENT == world.tcp(office.b, HOST)
    world.route(office.table, "0.0.0.0/0", NatGatewayId=nat)
    assert address["PublicIp"] == world.seen_as(office.b, HOST)
    assert OPEN == world.udp(office.b, HOST)
    assert OPEN == world.ping(office.b, HOST)
    assert SILENT == world.tcp(WORKSTATION, address["PublicIp"])
    assert SILENT == world.ping(WORKSTATION, address["PublicIp"])
    world.ec2.delete_nat_gateway(NatGatewayId=nat)
    assert SILENT == world.tcp(office.b, HOST)


def test_a_peering_connection_carries_when_it_is_accepted_and_routed(world: World, office: Office) -> None:
    """Denied while it waits for acceptance, and without a route back; allowed with both; denied when it is deleted."""
    other = Office(world, 1)
    made = world.ec2.create_vpc_peering_connection(VpcId=office.vpc, PeerVpcId=other.vpc)["VpcPeeringConnection"]
    peering = made["VpcPeeringConnectionId"]
    world.route(office.table, "10.1.0.0/16", VpcPeeringConnectionId=peering)
    world.route(other.table, "10.0.0.0/16", VpcPeeringConnectionId=peering)
    assert SILENT == world.tcp(office.a, other.at_a)
    world.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    assert office.at_a == world.seen_as(office.a, other.at_a)
    assert other.at_b == world.seen_as(other.b, office.at_b)
    world.ec2.delete_route(RouteTableId=other.table, DestinationCidrBlock="10.0.0.0/16")
    assert SILENT == world.tcp(office.a, other.at_a)
    world.route(other.table, "10.0.0.0/16", VpcPeeringConnectionId=peering)
    assert OPEN == world.tcp(office.a, other.at_a)
    world.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)
    assert SILENT == world.tcp(office.a, other.at_a)


def test_peering_gives_no_transit(world: World, office: Office) -> None:
    """Neither to a third VPC, nor to the internet, whatever the routes of the first and of the middle one say."""
    middle, third = Office(world, 1), Office(world, 2)
    first = world.peer(office.vpc, middle.vpc)
    second = world.peer(middle.vpc, third.vpc)
    gateway = middle.internet_gateway()
    world.route(middle.table, "0.0.0.0/0", GatewayId=gateway)
    world.route(office.table, "10.2.0.0/16", VpcPeeringConnectionId=first)
    world.route(third.table, "10.0.0.0/16", VpcPeeringConnectionId=second)
    world.route(office.table, "0.0.0.0/0", VpcPeeringConnectionId=first)
    assert OPEN == world.tcp(office.a, middle.at_a)
    assert OPEN == world.tcp(middle.a, third.at_a)
    assert SILENT == world.tcp(office.a, third.at_a)
    assert SILENT == world.tcp(office.a, HOST)


def test_a_vpn_gateway_is_an_edge_router_that_the_vpc_routes_to(world: World, office: Office) -> None:
    """With the attachment and a route (static, or learnt) the customer's network is there; without either it is not."""
    gateway = world.ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    world.ec2.attach_vpn_gateway(VpnGatewayId=gateway, VpcId=office.vpc)
    # The customer's side is somebody else's plan: here one address on the edge router itself.
    kernel.run_inside(gateway, ["ip", "addr", "add", "192.168.7.7/32", "dev", "lo"])
    world.serve(gateway)
    customer = "192.168.7.7"
    assert SILENT == world.tcp(office.a, customer)
    world.route(office.table, "192.168.0.0/16", GatewayId=gateway)
    assert office.at_a == world.seen_as(office.a, customer)
    assert OPEN == world.tcp(gateway, office.at_a, source=customer)
    world.ec2.delete_route(RouteTableId=office.table, DestinationCidrBlock="192.168.0.0/16")
    assert SILENT == world.tcp(office.a, customer)
    world.plane.set_outside(Outside(learnt=((gateway, ("192.168.7.0/24",)),)))
    assert OPEN == world.tcp(office.a, customer)
    world.ec2.detach_vpn_gateway(VpnGatewayId=gateway, VpcId=office.vpc)
    assert SILENT == world.tcp(office.a, customer)
