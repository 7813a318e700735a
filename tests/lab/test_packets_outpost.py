"""The Outpost's part of a VPC: across the service link, out by the local gateway, and by itself when it is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding import siteconf
from islanding.lab import kernel, outpost_stacks, underlay
from islanding.lab.underlay import CND, EDGE, OND
from islanding.lab.vpc.outside import ELSEWHERE
from tests.lab import packets
from tests.lab.packets import OPEN, SILENT, World

CONF = siteconf.load(siteconf.find("outpost-local"))
ARN = outpost_stacks.outpost_arn(CONF)
LAN, SUBNET = str(CONF.lan.cidr), str(CONF.outpost.subnet)
DESK = CONF.desks[0]
AT_DESK = str(DESK.address)
AT_A, AT_B, AT_C = "10.2.0.10", "10.2.1.11", "10.2.1.12"  # in the Region, and two on the Outpost
HOST = underlay.outside(CONF, ARN).elsewhere
# What the routers' BGP sessions bring, here by hand: (namespace, destination, next hop), the service link's first.
NEAR, FAR = underlay.peer_addresses("service-link")
SERVICE_LINK = ((OND, f"{underlay.ANCHOR}/32", FAR), (CND, str(CONF.outpost.service_link_cidr), NEAR))
TO_OND, TO_CND = underlay.peer_addresses("local-gateway")
BESIDES = (
    (OND, LAN, TO_CND),
    (CND, SUBNET, TO_OND),
    (CND, f"{underlay.ANCHOR}/32", underlay.peer_addresses("wan")[1]),
    (EDGE, str(CONF.outpost.service_link_cidr), underlay.peer_addresses("wan")[0]),
)

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An account with an Outpost, on the network that lies around it."""
    around = underlay.site_plan(CONF)
    kernel.apply(around)
    for netns, destination, via in (*SERVICE_LINK, *BESIDES):
        kernel.run_inside(netns, ["ip", "route", "add", destination, "via", via])
    for world in packets.world(tmp_path, underlay.outside(CONF, ARN), around):
        outpost = CONF.outpost
        world.region.add_outpost(outpost.id, outpost.name, ARN, "site", CONF.region.zone)
        yield world


class Place:
    """A VPC with an instance in the Region and two on the Outpost, which let TCP 8080 in from anywhere."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.vpc = world.vpc(str(CONF.region.vpc_cidr))
        self.region = world.subnet(self.vpc, str(CONF.region.region_subnet))
        self.outpost = world.subnet(self.vpc, SUBNET, OutpostArn=ARN, AvailabilityZone=CONF.region.zone)
        self.table = str(world.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])
        world.ec2.associate_route_table(RouteTableId=self.table, SubnetId=self.outpost)
        self.group = world.group(self.vpc)
        world.allow(self.group)
        self.a = world.instance(self.region, self.group, AT_A)
        self.b = world.instance(self.outpost, self.group, AT_B)
        self.c = world.instance(self.outpost, self.group, AT_C)
        for netns in (self.a, self.b, self.c, DESK.name, ELSEWHERE):
            world.serve(netns)

    def to_the_lan(self) -> None:
        """Give the Outpost's subnet its route to the site."""
        self.world.route(self.table, LAN, LocalGatewayId=underlay.local_gateway_id(CONF))


@pytest.fixture
def place(world: World) -> Place:
    """The three instances."""
    return Place(world)


def withdraw() -> None:
    """Have both devices lose the routes of the service link, as they do when its session goes."""
    for netns, destination, _ in SERVICE_LINK:
        kernel.run_inside(netns, ["ip", "route", "del", destination])


def announce() -> None:
    """Bring them back."""
    for netns, destination, via in SERVICE_LINK:
        kernel.run_inside(netns, ["ip", "route", "add", destination, "via", via])


def test_a_vpc_is_one_network_on_both_sides_of_the_service_link(world: World, place: Place) -> None:
    """Each sees the other by its own address; groups count across it: allowed, denied, allowed again."""
    assert AT_A == world.seen_as(place.a, AT_B)
    assert AT_B == world.seen_as(place.b, AT_A)
    assert AT_B == world.seen_as(place.b, AT_C)
    other = world.group(place.vpc)
    world.regroup(world.card(place.b), other)
    assert SILENT == world.tcp(place.a, AT_B)
    assert SILENT == world.tcp(place.c, AT_B)
    world.allow(other, place.group)
    assert OPEN == world.tcp(place.a, AT_B)
    assert OPEN == world.tcp(place.c, AT_B)


def test_without_the_service_link_the_outpost_is_by_itself(world: World, place: Place) -> None:
    """Region and Outpost are silent to each other; within the Outpost, and to the site, nothing is lost."""
    place.to_the_lan()
    assert [OPEN, OPEN] == [world.tcp(place.a, AT_B), world.tcp(place.b, AT_A)]
    withdraw()
    assert [SILENT, SILENT] == [world.tcp(place.a, AT_B), world.tcp(place.b, AT_A)]
    assert not world.arrives(place.b, AT_A, at=place.a)
    assert [OPEN, OPEN] == [world.tcp(place.b, AT_C), world.tcp(place.c, AT_B)]
    assert [OPEN, OPEN] == [world.tcp(DESK.name, AT_B), world.tcp(place.b, AT_DESK)]
    announce()
    assert [OPEN, OPEN] == [world.tcp(place.a, AT_B), world.tcp(place.b, AT_A)]


def test_a_connection_across_the_service_link_outlives_a_short_cut(world: World, place: Place) -> None:
    """It is silent meanwhile, and goes on where it was."""
    with world.connection(place.a, AT_B) as made:
        made.sendall(b"?")
        assert AT_A == made.recv(100).decode()
        withdraw()
        made.sendall(b"?")
        with pytest.raises(TimeoutError):
            made.recv(100)
        announce()
        made.settimeout(10)  # TCP sends it again, later each time
        assert AT_A == made.recv(100).decode()


def test_aws_changes_reach_the_outpost_though_it_is_cut_off(world: World, place: Place) -> None:
    """What a call changes while the link is down counts at once within the Outpost, and across it when it is back."""
    withdraw()
    world.revoke(place.group)
    assert SILENT == world.tcp(place.c, AT_B)
    world.allow(place.group)
    assert OPEN == world.tcp(place.c, AT_B)
    new = world.instance(place.outpost, place.group, "10.2.1.13")
    world.serve(new)
    assert OPEN == world.tcp(place.c, "10.2.1.13")
    assert SILENT == world.tcp(place.a, "10.2.1.13")
    announce()
    assert OPEN == world.tcp(place.a, "10.2.1.13")


def test_the_local_gateway_carries_with_its_route_alone(world: World, place: Place) -> None:
    """Both ways, by the addresses that both have (direct VPC routing); denied without the route, allowed again."""
    assert [SILENT, SILENT] == [world.tcp(DESK.name, AT_B), world.tcp(place.b, AT_DESK)]
    place.to_the_lan()
    assert AT_DESK == world.seen_as(DESK.name, AT_B)
    assert AT_B == world.seen_as(place.b, AT_DESK)
    world.ec2.delete_route(RouteTableId=place.table, DestinationCidrBlock=LAN)
    assert [SILENT, SILENT] == [world.tcp(DESK.name, AT_B), world.tcp(place.b, AT_DESK)]
    place.to_the_lan()
    assert [OPEN, OPEN] == [world.tcp(DESK.name, AT_B), world.tcp(place.b, AT_DESK)]


def test_groups_count_for_what_comes_from_the_site(world: World, place: Place) -> None:
    """The site's LAN is a range like any other."""
    place.to_the_lan()
    world.revoke(place.group)
    assert SILENT == world.tcp(DESK.name, AT_B)
    world.allow(place.group, LAN)
    assert OPEN == world.tcp(DESK.name, AT_B)
    assert SILENT == world.tcp(place.a, AT_B)


def test_the_site_does_not_reach_the_region_by_the_local_gateway(world: World, place: Place) -> None:
    """Nor does the Region reach the site: direct VPC routing is for the Outpost's subnet alone."""
    place.to_the_lan()
    kernel.run_inside(CND, ["ip", "route", "add", str(CONF.region.region_subnet), "via", TO_OND])  # the customer's own
    world.allow(place.group, protocol="udp", port=5353)
    assert world.arrives(DESK.name, AT_B, at=place.b)
    assert not world.arrives(DESK.name, AT_A, at=place.a)
    world.route(world.main_table(place.vpc), LAN, LocalGatewayId=underlay.local_gateway_id(CONF))
    assert SILENT == world.tcp(place.a, AT_DESK)
    assert OPEN == world.tcp(place.b, AT_DESK)


def test_the_outposts_way_to_the_internet_is_the_regions(world: World, place: Place) -> None:
    """By the service link to the VPC's internet gateway: gone with the link, and back with it."""
    gateway = str(world.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
    world.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=place.vpc)
    public = world.elastic(world.card(place.b))
    assert SILENT == world.tcp(place.b, HOST)
    world.route(place.table, "0.0.0.0/0", GatewayId=gateway)
    assert public == world.seen_as(place.b, HOST)
    assert OPEN == world.tcp(ELSEWHERE, public)
    withdraw()
    assert SILENT == world.tcp(place.b, HOST)
    announce()
    assert public == world.seen_as(place.b, HOST)
