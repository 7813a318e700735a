"""Network interfaces: hot plug, secondary addresses, source check, power; what an instance finds in its namespace."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from islanding.lab import kernel
from islanding.lab.namespaces import NETNS
from islanding.lab.vpc.outside import ELSEWHERE, Outside
from islanding.lab.vpc.state import ServiceHost
from tests.lab import packets
from tests.lab.packets import OPEN, SILENT, World

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)
HOST = Outside().elsewhere


class Yard:
    """A VPC with three subnets, two instances in the first, one in the second, all open."""

    def __init__(self, world: World) -> None:
        self.vpc = world.vpc("10.0.0.0/16")
        self.subnets = [world.subnet(self.vpc, f"10.0.{n}.0/24") for n in (1, 2, 3)]
        self.group = world.group(self.vpc)
        world.allow(self.group, protocol="-1", port=-1)
        self.a = world.instance(self.subnets[0], self.group, "10.0.1.10")
        self.b = world.instance(self.subnets[0], self.group, "10.0.1.11")
        self.c = world.instance(self.subnets[1], self.group, "10.0.2.10")
        self.table = world.main_table(self.vpc)


@pytest.fixture
def yard(world: World) -> Yard:
    """Three instances."""
    return Yard(world)


def links(netns: str) -> dict[str, dict[str, Any]]:
    """The interfaces of a namespace but lo."""
    return {link["ifname"]: link for link in kernel.show(netns, "addr") if link["ifname"] != "lo"}


def plain(netns: str) -> dict[str, list[str]]:
    """Addresses of each interface."""
    return {n: [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]] for n, link in links(netns).items()}


def new_card(world: World, yard: Yard, address: str) -> tuple[str, str]:
    """An interface in the first subnet that is not attached; its id and MAC."""
    made = world.ec2.create_network_interface(
        SubnetId=yard.subnets[0], PrivateIpAddress=address, Groups=[yard.group]
    )["NetworkInterface"]  # fmt: skip
    return str(made["NetworkInterfaceId"]), str(made["MacAddress"])


def test_an_instance_finds_what_dhcp_would_have_told_it(world: World, yard: Yard) -> None:
    """Device 0 with its address, prefix, MAC, jumbo frames and the default route; IPv6 is off."""
    card = world.ec2.describe_network_interfaces(NetworkInterfaceIds=[world.card(yard.a)])["NetworkInterfaces"][0]
    found = links(yard.a)
    assert {"eth0": ["10.0.1.10/24"]} == plain(yard.a)
    assert (card["MacAddress"], 9001) == (found["eth0"]["address"], found["eth0"]["mtu"])
    assert "UP" in found["eth0"]["flags"]
    routes = {route["dst"]: route.get("gateway", "") for route in kernel.show(yard.a, "route")}
    assert {"default": "10.0.1.1", "10.0.1.0/24": ""} == routes
    assert [] == kernel.show(yard.a, "-6", "addr")


def test_jumbo_frames_pass_inside_and_do_not_to_the_internet(world: World, yard: Yard) -> None:
    """9001 bytes between subnets, 1500 towards the internet gateway, of which the sender is told."""
    gateway = world.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    world.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=yard.vpc)
    world.route(yard.table, "0.0.0.0/0", GatewayId=gateway)
    world.elastic(world.card(yard.a))
    world.serve(yard.c)
    world.serve(ELSEWHERE)
    for address, largest in (("10.0.2.10", 8949), (HOST, 1448)):
        with world.connection(yard.a, address) as made:
            made.sendall(b"x" * 100)
            made.recv(100)
            # TCP_MAXSEG: bytes of payload, 52 (with time stamps) less than the path's MTU
            assert largest == made.getsockopt(6, 2)


def test_a_card_is_plugged_in_and_out_while_the_instance_runs(world: World, yard: Yard) -> None:
    """Left down for the machine, with its MAC; when raised, its address answers; taken out, it is gone."""
    card, mac = new_card(world, yard, "10.0.1.50")
    world.serve(yard.a)
    assert SILENT == world.tcp(yard.b, "10.0.1.50")
    made = world.ec2.attach_network_interface(NetworkInterfaceId=card, InstanceId=yard.a, DeviceIndex=1)
    found = links(yard.a)["eth1"]
    assert (mac, 9001, []) == (found["address"], found["mtu"], found["addr_info"])
    assert "UP" not in found["flags"]
    assert SILENT == world.tcp(yard.b, "10.0.1.50")
    kernel.run_inside(yard.a, ["ip", "addr", "add", "10.0.1.50/32", "dev", "eth1"])
    kernel.run_inside(yard.a, ["ip", "link", "set", "eth1", "up"])
    kernel.run_inside(
        yard.a, ["ip", "route", "add", "default", "via", "10.0.1.1", "dev", "eth1", "onlink", "table", "1"]
    )
    kernel.run_inside(yard.a, ["ip", "rule", "add", "from", "10.0.1.50", "lookup", "1"])
    assert OPEN == world.tcp(yard.b, "10.0.1.50")
    world.ec2.detach_network_interface(AttachmentId=made["AttachmentId"])
    assert ["eth0"] == list(links(yard.a))
    assert SILENT == world.tcp(yard.b, "10.0.1.50")
    assert OPEN == world.tcp(yard.b, "10.0.1.10")


def test_secondary_addresses_are_delivered_without_arp(world: World, yard: Yard) -> None:
    """To the interface that has them, whether or not it answers ARP; not before, and not after."""
    card = world.card(yard.a)
    world.serve(yard.a)
    # As a node does for its pods: the address is on no interface that could answer for it.
    kernel.run_inside(yard.a, ["ip", "addr", "add", "10.0.1.60/32", "dev", "lo"])
    kernel.run_inside(yard.a, ["sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=8"])
    assert SILENT == world.tcp(yard.b, "10.0.1.60")
    world.ec2.assign_private_ip_addresses(NetworkInterfaceId=card, PrivateIpAddresses=["10.0.1.60"])
    assert OPEN == world.tcp(yard.b, "10.0.1.60")
    assert OPEN == world.tcp(yard.c, "10.0.1.60")
    assert {"eth0": ["10.0.1.10/24"]} == plain(yard.a)
    world.ec2.unassign_private_ip_addresses(NetworkInterfaceId=card, PrivateIpAddresses=["10.0.1.60"])
    assert SILENT == world.tcp(yard.b, "10.0.1.60")


def test_foreign_source_addresses_are_dropped_unless_the_check_is_off(world: World, yard: Yard) -> None:
    """A made-up address reaches nobody; a router whose check is off carries others' packets, by a route to it."""
    world.serve(yard.c)
    kernel.run_inside(yard.a, ["ip", "addr", "add", "10.0.3.10/32", "dev", "lo"])
    assert world.arrives(yard.a, "10.0.2.10", at=yard.c)
    assert not world.arrives(yard.a, "10.0.2.10", at=yard.c, source="10.0.3.10")
    # Behind `a` lies 172.20.0.0/16, as behind an instance that routes.
    kernel.run_inside(yard.a, ["ip", "addr", "add", "172.20.0.1/32", "dev", "lo"])
    world.serve(yard.a)
    world.route(yard.table, "172.20.0.0/16", NetworkInterfaceId=world.card(yard.a))
    assert SILENT == world.tcp(yard.c, "172.20.0.1")
    world.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=world.card(yard.a), SourceDestCheck={"Value": False}
    )
    assert OPEN == world.tcp(yard.c, "172.20.0.1")
    assert OPEN == world.tcp(yard.a, "10.0.2.10", source="172.20.0.1")
    assert world.arrives(yard.a, "10.0.2.10", at=yard.c, source="10.0.3.10")
    world.ec2.modify_network_interface_attribute(NetworkInterfaceId=world.card(yard.a), SourceDestCheck={"Value": True})
    assert SILENT == world.tcp(yard.c, "172.20.0.1")


def test_a_power_cycle_remakes_the_namespace_and_touches_no_other(world: World, yard: Yard) -> None:
    """What the machine had changed is gone, a process of it is left without network, the others go on."""
    world.serve(yard.b)
    kernel.run_inside(yard.a, ["ip", "link", "add", "mine", "type", "bridge"])
    left = subprocess.Popen(kernel.inside(yard.a, ["sleep", "60"]))
    try:
        before = (NETNS / yard.a).stat().st_ino
        with world.connection(yard.c, "10.0.1.11") as other:
            world.plane.replug(yard.a)
            assert before != (NETNS / yard.a).stat().st_ino
            other.sendall(b"?")
            assert b"10.0.2.10" == other.recv(100)
        assert {"eth0": ["10.0.1.10/24"]} == plain(yard.a)
        world.serve(yard.a)
        assert OPEN == world.tcp(yard.b, "10.0.1.10")
    finally:
        left.kill()
        left.wait(timeout=5)


def test_an_unplugged_instance_is_silent_until_it_is_plugged_in(world: World, yard: Yard) -> None:
    """Other changes do not plug it in again."""
    world.serve(yard.a)
    world.plane.unplug(yard.a)
    assert SILENT == world.tcp(yard.b, "10.0.1.10")
    world.allow(yard.group, port=7777)
    assert SILENT == world.tcp(yard.b, "10.0.1.10")
    world.plane.replug(yard.a)
    world.serve(yard.a)
    assert OPEN == world.tcp(yard.b, "10.0.1.10")


def test_a_services_machine_answers_by_the_way_one_came(world: World, yard: Yard) -> None:
    """By each of its interfaces, across peering too, and by its public address."""
    cards = [
        world.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=address, Groups=[yard.group])
        for subnet, address in ((yard.subnets[1], "10.0.2.200"), (yard.subnets[2], "10.0.3.200"))
    ]
    world.owners |= {card["NetworkInterface"]["NetworkInterfaceId"]: "eks-one" for card in cards}
    world.services.append(ServiceHost("eks-one", "52.94.9.9"))
    world.plane.reconcile("a service")
    world.serve("eks-one")
    world.serve(yard.a)
    world.serve(ELSEWHERE)
    other = world.vpc("10.1.0.0/16")
    group = world.group(other)
    client = world.instance(world.subnet(other, "10.1.1.0/24"), group, "10.1.1.10")
    world.peer(yard.vpc, other)
    for address in ("10.0.2.200", "10.0.3.200"):
        assert "10.0.1.10" == world.seen_as(yard.a, address)
        assert "10.1.1.10" == world.seen_as(client, address)
    assert "10.0.2.200" == world.seen_as("eks-one", "10.0.1.10")
    assert OPEN == world.tcp(ELSEWHERE, "52.94.9.9")
    assert "52.94.9.9" == world.seen_as("eks-one", HOST)
