"""The wanted network for a state of AWS: no state whatever raises, and each part is where AWS has it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from islanding.lab.plan import Link, NetworkPlan
from islanding.lab.plan import Route as KernelRoute
from islanding.lab.script import changes, script
from islanding.lab.vpc import labels
from islanding.lab.vpc.desired import LOCAL_TABLE, desired
from islanding.lab.vpc.outside import BEYOND, Outside
from islanding.lab.vpc.state import (
    Ec2State,
    Endpoint,
    Instance,
    InternetGateway,
    NatGateway,
    Peering,
    Route,
    RouteTable,
    ServiceHost,
    Subnet,
    VpnGateway,
)
from tests.unit.plan_support import PlayedKernel
from tests.unit.vpc_support import OTHER, VPC, aws_id, card, odd_states, plain

OUTSIDE = Outside()
PORT = labels.interface("e", aws_id("eni", 10))


def with_routes(state: Ec2State, *routes: tuple[str, str]) -> Ec2State:
    """The state with more routes in the first VPC's main table."""
    main = state.route_tables[0]
    more = replace(main, routes=main.routes | {Route(*route) for route in routes})
    return replace(state, route_tables=(more, *state.route_tables[1:]))


def routed(plan: NetworkPlan, table: str = aws_id("rtb", 1)) -> dict[str, tuple[str, str]]:
    """Next hop and device of each destination in a route table of the first VPC."""
    number = labels.table_numbers([table])[table]
    return {r.destination: (r.via, r.device) for r in plan.routes if (r.netns, r.table) == (VPC, number)}


def link_of(plan: NetworkPlan, netns: str, interface: str = "eth0") -> Link:
    """The link with that far end."""
    return next(link for link in plan.links if (link.b.netns, link.b.interface) == (netns, interface))


@settings(max_examples=150, deadline=None)
@given(odd_states)
def test_no_state_raises_and_the_kernel_would_take_every_plan(state: Ec2State) -> None:
    """Dangling ids, ranges that are none, names that no namespace can have: what is planned hangs together."""
    PlayedKernel().play(script(desired(state, OUTSIDE)))


@settings(max_examples=75, deadline=None)
@given(odd_states, odd_states)
def test_from_any_state_to_any_other_the_kernel_would_take_the_changes(old: Ec2State, new: Ec2State) -> None:
    """And holds what it would hold after a new start."""
    before, after = desired(old, OUTSIDE), desired(new, OUTSIDE)
    kernel = PlayedKernel().play(script(before)).play(changes(after, before))
    assert PlayedKernel().play(script(after)) == kernel


def test_nobody_has_the_routers_address() -> None:
    """The first address of a subnet is its router's: a host that had it too could have no route by it."""
    taken = replace(card(10), addresses=("10.0.1.1", "10.0.1.10"))
    assert desired(plain(taken), OUTSIDE) == desired(plain(card(10)), OUTSIDE)


def test_a_plan_is_the_same_for_the_same_state() -> None:
    """Names and numbers come from ids alone, so that nothing is remade for an order in which moto lists things."""
    state = plain(card(10), card(11))
    turned = replace(state, interfaces=state.interfaces[::-1], instances=state.instances[::-1], vpcs=state.vpcs[::-1])
    assert not changes(desired(turned, OUTSIDE), desired(state, OUTSIDE))


def test_each_address_is_delivered_to_its_interface_by_mac() -> None:
    """A /32 route and a permanent neighbour for every address, secondary ones too."""
    plan = desired(plain(card(10, addresses=("10.0.1.10", "10.0.1.20"))), OUTSIDE)
    for address in ("10.0.1.10", "10.0.1.20"):
        assert KernelRoute(VPC, f"{address}/32", device=PORT, table=LOCAL_TABLE) in plan.routes
        assert (PORT, address, "02:00:00:00:00:0a") in {
            (n.interface, n.address, n.mac) for n in plan.neighbours if n.netns == VPC
        }


def test_an_instance_has_a_namespace_while_it_runs() -> None:
    """With device 0 addressed and a default route; stopped, neither namespace nor link nor route is there."""
    state = plain(card(10))
    plan, host = desired(state, OUTSIDE), aws_id("i", 10)
    assert (host, "eth0", "10.0.1.10/24") in plan.addresses
    assert KernelRoute(host, "default", via="10.0.1.1", device="eth0") in plan.routes
    stopped = desired(replace(state, instances=(Instance(host, running=False),)), OUTSIDE)
    assert host not in {n.name for n in stopped.namespaces}
    assert not [r for r in stopped.routes if r.destination == "10.0.1.10/32"]


def test_further_cards_are_left_down_and_bare() -> None:
    """With their MAC, as ethN by device index; the machine does the rest."""
    plan = desired(plain(card(10), card(11, owner=aws_id("i", 10), device=2)), OUTSIDE)
    end = link_of(plan, aws_id("i", 10), "eth2").b
    assert (True, "02:00:00:00:00:0b", 9001) == (end.down, end.mac, end.mtu)
    assert not [a for a in plan.addresses if a[:2] == (aws_id("i", 10), "eth2")]


@pytest.mark.parametrize(
    ("target", "more", "expected"),
    [
        (aws_id("igw", 1), {"internet_gateways": (InternetGateway(aws_id("igw", 1), VPC),)}, (BEYOND, "ext")),
        (aws_id("igw", 1), {"internet_gateways": (InternetGateway(aws_id("igw", 1), OTHER),)}, ("", "")),
        (aws_id("igw", 1), {}, ("", "")),
        (
            aws_id("pcx", 1),
            {"peerings": (Peering(aws_id("pcx", 1), OTHER, VPC, "active"),)},
            (BEYOND, labels.interface("p", aws_id("pcx", 1))),
        ),
        (aws_id("pcx", 1), {"peerings": (Peering(aws_id("pcx", 1), VPC, OTHER, "pending-acceptance"),)}, ("", "")),
        (aws_id("pcx", 1), {"peerings": (Peering(aws_id("pcx", 1), VPC, OTHER, "deleted"),)}, ("", "")),
        (
            aws_id("vgw", 1),
            {"vpn_gateways": (VpnGateway(aws_id("vgw", 1), VPC),)},
            (BEYOND, labels.interface("v", aws_id("vgw", 1))),
        ),
        (aws_id("vgw", 1), {"vpn_gateways": (VpnGateway(aws_id("vgw", 1)),)}, ("", "")),
        (aws_id("eni", 10), {}, ("10.0.1.10", PORT)),
        (aws_id("i", 10), {}, ("10.0.1.10", PORT)),
        (aws_id("eni", 99), {}, ("", "")),
        (
            aws_id("nat", 1),
            {"nat_gateways": (NatGateway(aws_id("nat", 1), aws_id("subnet", 1), aws_id("eni", 10)),)},
            ("10.0.1.10", PORT),
        ),
        (
            aws_id("nat", 1),
            {"nat_gateways": (NatGateway(aws_id("nat", 1), aws_id("subnet", 1), aws_id("eni", 10), state="deleted"),)},
            ("", ""),
        ),
    ],
)
def test_a_route_goes_to_its_target_or_into_a_blackhole(
    target: str, more: dict[str, object], expected: tuple[str, str]
) -> None:
    """Every kind of target, there and gone."""
    state = with_routes(replace(plain(card(10)), **more), ("172.16.0.0/12", target))  # type: ignore[arg-type]  # fields are given by name, whatever they are
    assert {"172.16.0.0/12": expected} == routed(desired(state, OUTSIDE))


def test_a_subnet_is_served_by_its_own_table_or_the_main_one() -> None:
    """What comes in by an interface looks in its subnet's table."""
    state, own = plain(card(10)), aws_id("rtb", 9)
    tables = (*state.route_tables, RouteTable(own, VPC, subnets=frozenset({aws_id("subnet", 1)})))
    numbers = labels.table_numbers([aws_id("rtb", 1), own])
    for found, expected in ((state, aws_id("rtb", 1)), (replace(state, route_tables=tables), own)):
        rules = {r.table for r in desired(found, OUTSIDE).rules if r.interface == PORT}
        assert {numbers[expected]} == rules


def test_a_route_inside_the_vpc_goes_before_the_local_one_but_not_for_its_own_subnet() -> None:
    """To another subnet by a middlebox: asked first from outside that subnet."""
    right = aws_id("subnet", 3)
    state = plain(card(10), card(11), card(12, subnet=right, addresses=("10.0.2.12",)))
    state = replace(state, subnets=(*state.subnets, Subnet(right, VPC, "10.0.2.0/24")))
    plan = desired(with_routes(state, ("10.0.2.0/24", aws_id("eni", 10))), OUTSIDE)
    number = labels.table_numbers([aws_id("rtb", 1)])[aws_id("rtb", 1)] + 1
    assert KernelRoute(VPC, "10.0.2.0/24", via="10.0.1.10", device=PORT, table=number) in plan.routes
    first = {r.interface for r in plan.rules if (r.netns, r.table) == (VPC, number)}
    assert {PORT, labels.interface("e", aws_id("eni", 11))} == first


def test_what_comes_by_peering_or_from_outside_sees_local_addresses_only() -> None:
    """No rule sends it to a route table: there is no transit."""
    state = replace(
        plain(card(10)),
        peerings=(Peering(aws_id("pcx", 1), VPC, OTHER, "active"),),
        internet_gateways=(InternetGateway(aws_id("igw", 1), VPC),),
        vpn_gateways=(VpnGateway(aws_id("vgw", 1), VPC),),
    )
    rules = [(r.interface, r.table) for r in desired(state, OUTSIDE).rules if r.netns == VPC]
    assert {"", PORT} == {interface for interface, _ in rules}
    assert [LOCAL_TABLE] == [table for interface, table in rules if not interface]


def test_a_gateway_endpoint_is_in_its_route_tables_alone() -> None:
    """S3's range leads to its namespace, which has S3's addresses; in another table there is no such route."""
    endpoint = Endpoint(
        aws_id("vpce", 1), VPC, "gateway", "com.amazonaws.x.s3", route_tables=frozenset({aws_id("rtb", 1)})
    )
    other = RouteTable(aws_id("rtb", 9), VPC)
    state = plain(card(10), endpoints=(endpoint,))
    state = replace(state, route_tables=(*state.route_tables, other))
    plan = desired(state, OUTSIDE)
    assert {OUTSIDE.s3_range: (BEYOND, labels.interface("g", endpoint.id))} == routed(plan)
    assert {} == routed(plan, other.id)
    assert (endpoint.id, "eth0", f"{OUTSIDE.s3[0]}/32") in plan.addresses
    gone = desired(replace(state, endpoints=(replace(endpoint, state="deleted"),)), OUTSIDE)
    assert ({}, False) == (routed(gone), endpoint.id in {n.name for n in gone.namespaces})


def test_learnt_prefixes_are_routed_to_the_gateway_that_learnt_them_and_static_routes_win() -> None:
    """In every route table of its VPC."""
    gateway = aws_id("vgw", 1)
    state = with_routes(
        plain(card(10), vpn_gateways=(VpnGateway(gateway, VPC),)), ("192.168.1.0/24", aws_id("eni", 10))
    )
    outside = Outside(learnt=((gateway, ("192.168.0.0/24", "192.168.1.0/24", "nonsense")),))
    edge = (BEYOND, labels.interface("v", gateway))
    assert {"192.168.0.0/24": edge, "192.168.1.0/24": ("10.0.1.10", PORT)} == routed(desired(state, outside))


def test_public_addresses_are_routed_to_the_vpc_whose_gateway_is_there() -> None:
    """From the internet to the VPC's router; without a gateway, or for a stopped instance, to nowhere."""
    state = plain(card(10, public=(("10.0.1.10", "52.1.1.1"),)))
    attached = replace(state, internet_gateways=(InternetGateway(aws_id("igw", 1), VPC),))
    stopped = replace(attached, instances=())

    def found(state: Ec2State) -> list[str]:
        return [r.device for r in desired(state, OUTSIDE).routes if r.destination == "52.1.1.1/32"]

    assert ([], [labels.interface("x", VPC)], []) == (found(state), found(attached), found(stopped))


def test_a_services_machine_answers_by_the_way_one_came() -> None:
    """A table for each interface, chosen by the source address; the VPC by the first; the rest by its public one."""
    name = "eks-one"
    cards = [card(n, owner=name, device=d) for n, d in ((10, 0), (11, 1))]
    plan = desired(plain(*cards, services=(ServiceHost(name, "52.1.1.1"),)), OUTSIDE)
    assert {("10.0.1.10", 300), ("10.0.1.11", 301)} == {(r.source, r.table) for r in plan.rules if r.netns == name}
    routes = {(r.destination, r.table): r.device for r in plan.routes if r.netns == name}
    expected = {("default", 0): "pub0", ("10.0.0.0/16", 0): "eth0", ("default", 300): "eth0", ("default", 301): "eth1"}
    assert expected == routes
    assert (name, "pub0", "52.1.1.1/32") in plan.addresses
