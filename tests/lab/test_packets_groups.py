"""Security groups by packets: allowed, denied, allowed again, by the AWS call alone."""

from __future__ import annotations

import pytest

from tests.lab import packets
from tests.lab.packets import OPEN, REFUSED, SILENT, World

pytestmark = pytest.mark.lab


private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)


@pytest.fixture
def pair(world: World) -> Pair:
    """A client and a server in one subnet, with a group each that lets nothing in."""
    return Pair(world)


class Pair:
    """Two instances in one subnet."""

    def __init__(self, world: World) -> None:
        self.vpc = world.vpc("10.0.0.0/16")
        subnet = world.subnet(self.vpc, "10.0.1.0/24")
        self.near, self.far = world.group(self.vpc), world.group(self.vpc)
        self.client = world.instance(subnet, self.near, "10.0.1.10")
        self.server = world.instance(subnet, self.far, "10.0.1.11")
        self.address = "10.0.1.11"
        world.serve(self.server)
        world.serve(self.server, port=9090)


def test_a_rule_lets_in_and_its_revocation_shuts_out(world: World, pair: Pair) -> None:
    """Denied without a rule, allowed with one, denied again, allowed again; in silence, also within one subnet."""
    assert SILENT == world.tcp(pair.client, pair.address)
    world.allow(pair.far)
    assert OPEN == world.tcp(pair.client, pair.address)
    world.revoke(pair.far)
    assert SILENT == world.tcp(pair.client, pair.address)
    world.allow(pair.far)
    assert OPEN == world.tcp(pair.client, pair.address)


def test_a_rule_is_for_its_protocol_and_ports(world: World, pair: Pair) -> None:
    """TCP 8080 is not TCP 9090, nor UDP 8080, nor ICMP; each gets in by its own rule."""
    world.allow(pair.far)
    client, address = pair.client, pair.address
    assert (SILENT, SILENT, SILENT) == (
        world.tcp(client, address, 9090), world.udp(client, address), world.ping(client, address),
    )  # fmt: skip
    world.allow(pair.far, port=9090)
    world.allow(pair.far, protocol="udp")
    world.allow(pair.far, protocol="icmp", port=-1)
    assert (OPEN, OPEN, OPEN) == (
        world.tcp(client, address, 9090), world.udp(client, address), world.ping(client, address),
    )  # fmt: skip


def test_an_icmp_rule_is_for_its_type(world: World, pair: Pair) -> None:
    """Type 0 (echo reply) lets no echo request in, type 8 does."""
    for kind, expected in ((0, SILENT), (8, OPEN)):
        everything = [{"IpProtocol": "icmp", "FromPort": kind, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        world.ec2.authorize_security_group_ingress(GroupId=pair.far, IpPermissions=everything)
        assert expected == world.ping(pair.client, pair.address)


def test_a_closed_port_that_a_rule_allows_is_refused_by_the_instance(world: World, pair: Pair) -> None:
    """Silence is the network's; an instance that is reached answers for itself."""
    world.allow(pair.far, port=7070)
    assert REFUSED == world.tcp(pair.client, pair.address, 7070)


def test_a_rule_is_for_its_sources(world: World, pair: Pair) -> None:
    """A CIDR block that does not hold the client lets nothing in."""
    world.allow(pair.far, "10.0.1.12/32")
    assert SILENT == world.tcp(pair.client, pair.address)
    world.allow(pair.far, "10.0.1.8/30")
    assert OPEN == world.tcp(pair.client, pair.address)


def test_a_group_can_be_the_source(world: World, pair: Pair) -> None:
    """Members get in; one that leaves the group does not, and does again when it is back."""
    world.allow(pair.far, pair.near)
    assert OPEN == world.tcp(pair.client, pair.address)
    card, other = world.card(pair.client), world.group(pair.vpc)
    world.regroup(card, other)
    assert SILENT == world.tcp(pair.client, pair.address)
    world.regroup(card, pair.near)
    assert OPEN == world.tcp(pair.client, pair.address)


def test_groups_hold_on_the_way_out_too(world: World, pair: Pair) -> None:
    """Without an egress rule nothing leaves, whatever the receiver allows; with one it does."""
    world.allow(pair.far)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    world.ec2.revoke_security_group_egress(GroupId=pair.near, IpPermissions=everything)
    assert SILENT == world.tcp(pair.client, pair.address)
    world.ec2.authorize_security_group_egress(
        GroupId=pair.near, IpPermissions=packets.permission(pair.far, "tcp", 8080)
    )
    assert OPEN == world.tcp(pair.client, pair.address)


def test_answers_need_no_rule(world: World, pair: Pair) -> None:
    """The receiver's group lets nothing out, and its answers leave all the same."""
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    world.ec2.revoke_security_group_egress(GroupId=pair.far, IpPermissions=everything)
    world.allow(pair.far)
    assert "10.0.1.10" == world.seen_as(pair.client, pair.address)
    assert SILENT == world.tcp(pair.server, "10.0.1.10")


def test_a_tracked_connection_survives_its_rule(world: World, pair: Pair) -> None:
    """After the rule is revoked the old connection goes on; a new one is not let in."""
    world.allow(pair.far)
    with world.connection(pair.client, pair.address) as old:
        old.sendall(b"1")
        assert b"10.0.1.10" == old.recv(100)
        world.revoke(pair.far)
        assert SILENT == world.tcp(pair.client, pair.address)
        old.sendall(b"2")
        assert b"10.0.1.10" == old.recv(100)


def test_a_prefix_list_can_be_the_source(world: World, pair: Pair) -> None:
    """A customer's list lets in what is in it, from when an entry is added until it is removed."""
    made = world.ec2.create_managed_prefix_list(
        PrefixListName="clients", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "10.9.0.0/16"}]
    )["PrefixList"]
    world.allow(pair.far, made["PrefixListId"])
    assert SILENT == world.tcp(pair.client, pair.address)
    world.ec2.modify_managed_prefix_list(PrefixListId=made["PrefixListId"], AddEntries=[{"Cidr": "10.0.1.10/32"}])
    assert OPEN == world.tcp(pair.client, pair.address)
    world.ec2.modify_managed_prefix_list(PrefixListId=made["PrefixListId"], RemoveEntries=[{"Cidr": "10.0.1.10/32"}])
    assert SILENT == world.tcp(pair.client, pair.address)


def test_a_group_of_a_peered_vpc_can_be_the_source(world: World, pair: Pair) -> None:
    """As long as the peering connection is active; the address of the other VPC's member is what counts."""
    other = world.vpc("10.1.0.0/16")
    group = world.group(other)
    world.instance(world.subnet(other, "10.1.1.0/24"), group, "10.1.1.10")
    client = world.instance(world.subnet(other, "10.1.2.0/24"), group, "10.1.2.10")
    world.peer(pair.vpc, other)
    world.allow(pair.far, group)
    assert OPEN == world.tcp(client, pair.address)
    world.revoke(pair.far, group)
    assert SILENT == world.tcp(client, pair.address)
