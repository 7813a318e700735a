"""A VPC with a subnet on an Outpost: two routers, joined by the service link, and the site by the local gateway."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from islanding.lab.plan import Namespace, NetworkPlan, Rule, joined, without
from islanding.lab.plan import Route as KernelRoute
from islanding.lab.script import changes, script
from islanding.lab.vpc import labels
from islanding.lab.vpc.desired import INGRESS_TABLE, LOCAL_TABLE, VOID, desired
from islanding.lab.vpc.outside import BEYOND, OutpostLink, Outside
from islanding.lab.vpc.state import Ec2State, InternetGateway, Route, RouteTable, Subnet
from tests.unit.plan_support import PlayedKernel
from tests.unit.vpc_support import VPC, aws_id, card, odd_states, plain

ARN = "arn:aws:outposts:x:111122223333:outpost/op-0a1b2c3d4e5f60718"
GATEWAY = "lgw-0a1b2c3d4e5f60718"
PART = f"op-0a1b2c3d4e5f60718-{VPC}"
LINK = OutpostLink(ARN, ("ond", "10.20.0.1"), ("edge", "203.0.113.1"), "ond", GATEWAY, (("10.0.1.0/24", "10.0.2.5"),))
OUTSIDE = Outside(outposts=(LINK,))
AROUND = NetworkPlan(namespaces=(Namespace("ond"), Namespace("edge")))
ACROSS = labels.interface("o", PART)
TABLE = aws_id("rtb", 9)
WORKER = card(5, subnet=aws_id("subnet", 9), addresses=("10.0.2.5",), source_dest_check=False)


def with_outpost(*routes: tuple[str, str]) -> Ec2State:
    """A VPC with an instance in the Region and one on the Outpost, whose subnet has a route table with these routes."""
    made = plain(card(10), WORKER, internet_gateways=(InternetGateway(aws_id("igw", 1), VPC),))
    table = RouteTable(TABLE, VPC, subnets=frozenset({WORKER.subnet}), routes=frozenset(Route(*r) for r in routes))
    subnet = Subnet(WORKER.subnet, VPC, "10.0.2.0/24", outpost=ARN)
    return replace(made, subnets=(*made.subnets, subnet), route_tables=(*made.route_tables, table))


def routed(plan: NetworkPlan, netns: str, table: int) -> dict[str, tuple[str, str]]:
    """Next hop and device of each destination in one table of a namespace."""
    return {r.destination: (r.via, r.device) for r in plan.routes if (r.netns, r.table) == (netns, table)}


@settings(max_examples=60, deadline=None)
@given(odd_states)
def test_no_state_raises_with_every_subnet_on_an_outpost(state: Ec2State) -> None:
    """Dangling ids and ranges that are none do no harm there either."""
    moved = replace(state, subnets=tuple(replace(s, outpost=ARN) for s in state.subnets))
    PlayedKernel().play(script(joined([AROUND, desired(moved, OUTSIDE)])))


def test_each_interface_hangs_on_the_router_of_its_place() -> None:
    """The Outpost's instance on the Outpost's router, the other one on the Region's."""
    plan = desired(with_outpost(), OUTSIDE)
    ports = {link.b.netns: link.a.netns for link in plan.links if link.b.netns.startswith("i-")}
    assert {aws_id("i", 5): PART, aws_id("i", 10): VPC} == ports


def test_an_outpost_that_nobody_has_joined_is_in_the_region() -> None:
    """Without a link there is one router."""
    plan = desired(with_outpost(), Outside())
    assert PART not in {space.name for space in plan.namespaces}


def test_the_two_routers_lead_to_each_other() -> None:
    """The rest of the VPC lies across the service link, as the Outpost's subnet does for the Region."""
    plan = desired(with_outpost(), OUTSIDE)
    here, there = routed(plan, PART, LOCAL_TABLE), routed(plan, VPC, LOCAL_TABLE)
    assert (BEYOND, "region") == here["10.0.0.0/16"]
    assert ("", VOID) == here["10.0.2.0/24"]
    assert (BEYOND, ACROSS) == there["10.0.2.0/24"]
    assert ("", VOID) == there["10.0.0.0/16"]
    assert "10.0.2.5/32" not in there


def test_the_tunnels_underlay_is_that_of_the_devices() -> None:
    """Each end is made where the underlay's routes are, and sent to its router."""
    todo = script(joined([AROUND, desired(with_outpost(), OUTSIDE)]))
    assert [f"link add region netns {PART}"] == [" ".join(line.split()[:5]) for line in todo.send["ond"]]
    assert [f"link add {ACROSS} netns {VPC}"] == [" ".join(line.split()[:5]) for line in todo.send["edge"]]


def test_a_tunnel_goes_before_its_router() -> None:
    """Its number is free at home at once, though the namespace goes in the background."""
    before = joined([AROUND, desired(with_outpost(), OUTSIDE)])
    assert "link del region" in changes(without(before, PART), before).remove[PART]


def test_routes_of_the_outposts_table_go_where_their_target_is() -> None:
    """Pods' ranges to their worker there, the site by the local gateway, gateways across the service link."""
    routes = ("10.42.1.0/24", aws_id("i", 5)), ("192.168.10.0/24", GATEWAY), ("0.0.0.0/0", aws_id("igw", 1))
    plan = desired(with_outpost(*routes), OUTSIDE)
    number = labels.table_numbers([aws_id("rtb", 1), TABLE])[TABLE]
    port = labels.interface("e", WORKER.id)
    wanted = {
        "10.42.1.0/24": ("10.0.2.5", port),
        "192.168.10.0/24": (BEYOND, "lgw"),
        "default": (BEYOND, "region"),
    }
    assert wanted == routed(plan, PART, number)
    there = routed(plan, VPC, number)
    assert (BEYOND, ACROSS) == there["10.42.1.0/24"]
    assert (BEYOND, "ext") == there["default"]
    assert Rule(VPC, ACROSS, number, source="10.0.2.0/24", preference=200) in plan.rules


def test_the_local_gateways_table_leads_to_an_interface() -> None:
    """What comes from the site for the Region's subnet goes to the instance that forwards it, and never through."""
    plan = desired(with_outpost(), OUTSIDE)
    assert {"10.0.1.0/24": ("10.0.2.5", labels.interface("e", WORKER.id))} == routed(plan, PART, INGRESS_TABLE)
    assert KernelRoute("ond", "10.0.2.0/24", via=BEYOND, device=ACROSS) in plan.routes
    body = next(t.body for t in plan.tables if (t.netns, t.name) == (PART, "vpc"))
    assert 'iifname "lgw" oifname "region" drop' in body


def test_the_resolver_is_in_the_region() -> None:
    """The Outpost's router asks nobody itself; the Region's lets those across the service link ask."""
    bodies = {t.netns: t.body for t in desired(with_outpost(), OUTSIDE).tables if t.name == "vpc"}
    assert "dport 53" not in bodies[PART]
    assert "dport 80" in bodies[PART]
    (line,) = [line for line in bodies[VPC].splitlines() if "dport 53" in line]
    assert f'"{ACROSS}"' in line
