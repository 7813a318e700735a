"""Network ACLs by packets: stateless, in their order, between subnets and not within one."""

from __future__ import annotations

from typing import Any

import pytest

from islanding.lab.vpc.outside import METADATA, RESOLVER
from tests.lab import packets
from tests.lab.packets import OPEN, SILENT, World

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)


class Halves:
    """A VPC with two subnets, two instances in the left one, and an ACL of its own for the right one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.vpc = world.vpc("10.0.0.0/16")
        left, self.right = (world.subnet(self.vpc, f"10.0.{n}.0/24") for n in (1, 2))
        group = world.group(self.vpc)
        world.allow(group, protocol="-1", port=-1)
        self.a = world.instance(left, group, "10.0.1.10")
        self.server = world.instance(self.right, group, "10.0.2.10")
        self.beside = world.instance(self.right, group, "10.0.2.11")
        world.serve(self.server)
        world.serve(self.server, 9090)
        self.acl = str(world.ec2.create_network_acl(VpcId=self.vpc)["NetworkAcl"]["NetworkAclId"])

    def associate(self, acl: str) -> None:
        """Give the right subnet another ACL."""
        mine = [{"Name": "association.subnet-id", "Values": [self.right]}]
        acls = self.world.ec2.describe_network_acls(Filters=mine)["NetworkAcls"]
        association = next(
            a["NetworkAclAssociationId"] for x in acls for a in x["Associations"] if a["SubnetId"] == self.right
        )
        self.world.ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)

    def line(
        self, number: int, action: str, *, egress: bool, ports: tuple[int, int] | None = None, cidr: str = "0.0.0.0/0"
    ) -> None:
        """A line of the ACL."""
        more: dict[str, Any] = {"Protocol": "-1"}
        if ports:
            more = {"Protocol": "6", "PortRange": {"From": ports[0], "To": ports[1]}}
        self.world.ec2.create_network_acl_entry(
            NetworkAclId=self.acl, RuleNumber=number, RuleAction=action, Egress=egress, CidrBlock=cidr, **more
        )

    def drop(self, number: int, *, egress: bool) -> None:
        """Take a line back."""
        self.world.ec2.delete_network_acl_entry(NetworkAclId=self.acl, RuleNumber=number, Egress=egress)


@pytest.fixture
def halves(world: World) -> Halves:
    """Two subnets."""
    return Halves(world)


def test_an_empty_acl_cuts_its_subnet_off_but_not_within(world: World, halves: Halves) -> None:
    """Nothing passes between subnets, everything within; back with the default ACL."""
    default = world.ec2.describe_network_acls(
        Filters=[{"Name": "vpc-id", "Values": [halves.vpc]}, {"Name": "default", "Values": ["true"]}]
    )["NetworkAcls"][0]["NetworkAclId"]
    assert OPEN == world.tcp(halves.a, "10.0.2.10")
    halves.associate(halves.acl)
    assert SILENT == world.tcp(halves.a, "10.0.2.10")
    assert SILENT == world.ping(halves.a, "10.0.2.10")
    assert OPEN == world.tcp(halves.beside, "10.0.2.10")
    halves.associate(default)
    assert OPEN == world.tcp(halves.a, "10.0.2.10")


def test_an_acl_has_no_memory(world: World, halves: Halves) -> None:
    """A way in alone is not enough: the answer needs a line for the client's ephemeral ports."""
    halves.associate(halves.acl)
    halves.line(100, "allow", egress=False, ports=(8080, 8080))
    assert SILENT == world.tcp(halves.a, "10.0.2.10")
    halves.line(100, "allow", egress=True, ports=(1024, 65535))
    assert OPEN == world.tcp(halves.a, "10.0.2.10")
    halves.drop(100, egress=True)
    halves.line(100, "allow", egress=True, ports=(1, 1023))
    assert SILENT == world.tcp(halves.a, "10.0.2.10")


def test_the_lowest_number_that_matches_decides(world: World, halves: Halves) -> None:
    """A denial before the permission counts, one behind it does not."""
    halves.associate(halves.acl)
    halves.line(100, "allow", egress=True)
    halves.line(100, "allow", egress=False)
    halves.line(200, "deny", egress=False, ports=(8080, 8080))
    assert OPEN == world.tcp(halves.a, "10.0.2.10")
    halves.line(50, "deny", egress=False, ports=(8080, 8080), cidr="10.0.1.0/24")
    assert SILENT == world.tcp(halves.a, "10.0.2.10")
    assert OPEN == world.tcp(halves.a, "10.0.2.10", 9090)
    halves.drop(50, egress=False)
    assert OPEN == world.tcp(halves.a, "10.0.2.10")


def test_an_acl_cuts_connections_that_are_open(world: World, halves: Halves) -> None:
    """Unlike a group, it looks at every packet."""
    halves.associate(halves.acl)
    for egress in (True, False):
        halves.line(100, "allow", egress=egress)
    with world.connection(halves.a, "10.0.2.10") as old:
        old.sendall(b"1")
        assert b"10.0.1.10" == old.recv(100)
        halves.drop(100, egress=False)
        old.sendall(b"2")
        with pytest.raises(TimeoutError):
            old.recv(100)
        halves.line(100, "allow", egress=False)
        old.settimeout(10.0)  # TCP sends again by itself
        assert b"10.0.1.10" == old.recv(100)


def test_neither_acl_nor_group_is_between_an_instance_and_its_resolver_and_metadata(
    world: World, halves: Halves
) -> None:
    """With everything forbidden both answer; the resolver not without enableDnsSupport, and nothing else is there."""
    halves.associate(halves.acl)
    world.regroup(world.card(halves.server), world.group(halves.vpc, egress=False))
    resolvers = ("10.0.0.2", RESOLVER)
    for address in resolvers:
        world.serve(halves.vpc, 53, address)
    world.serve(halves.vpc, 80, METADATA)
    world.serve(halves.vpc, 53, "10.0.2.1")
    assert [OPEN, OPEN] == [world.udp(halves.server, address, 53) for address in resolvers]
    assert [OPEN, OPEN] == [world.tcp(halves.server, address, 53) for address in resolvers]
    assert OPEN == world.tcp(halves.server, METADATA, 80)
    assert SILENT == world.tcp(halves.server, METADATA, 81)
    assert SILENT == world.tcp(halves.server, "10.0.2.1", 53)
    world.ec2.modify_vpc_attribute(VpcId=halves.vpc, EnableDnsSupport={"Value": False})
    assert [SILENT, SILENT] == [world.udp(halves.server, address, 53) for address in resolvers]
    assert OPEN == world.tcp(halves.server, METADATA, 80)
    world.ec2.modify_vpc_attribute(VpcId=halves.vpc, EnableDnsSupport={"Value": True})
    assert [OPEN, OPEN] == [world.udp(halves.server, address, 53) for address in resolvers]
