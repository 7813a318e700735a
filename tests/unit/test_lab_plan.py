"""The wanted network as tool input: each part once, in an order that works; a difference does as a new start does."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.plan import (
    IFNAMSIZ,
    Bridge,
    End,
    Link,
    Namespace,
    Neighbour,
    NetworkPlan,
    Route,
    Rule,
    Sink,
    Table,
    Tunnel,
    joined,
    without,
)
from islanding.lab.script import SILENCE, changes, raising, script
from tests.unit.plan_support import PlayedKernel


def test_a_link_is_made_between_its_namespaces_and_each_end_raised_in_its_own() -> None:
    """One `link add` outside, then addresses and `up` inside; a MAC is given when the link is made."""
    made = script(
        NetworkPlan(links=(Link(End("left", "a", ("10.0.0.1/30",)), End("right", "b", mac="02:00:00:00:00:01")),))
    )
    assert ["link add a netns left type veth peer name b netns right address 02:00:00:00:00:01"] == made.create
    assert {"left": ["addr add 10.0.0.1/30 dev a", "link set a up"], "right": ["link set b up"]} == made.inside


def test_a_port_joins_its_switch_after_the_switch_is_there() -> None:
    """A bridge is made before links that are its ports, whatever their order in the plan."""
    plan = NetworkPlan(
        bridges=(Bridge("n", "sw", ("10.0.0.1/24",)),), links=(Link(End("n", "p", bridge="sw"), End("m", "e")),)
    )
    lines = script(plan).inside["n"]
    assert lines.index("link add sw type bridge forward_delay 0") < lines.index("link set p master sw")


@pytest.mark.parametrize(
    ("route", "line"),
    [
        (Route("n", "default"), "route replace blackhole default"),
        (Route("n", "default", via="10.0.0.1"), "route replace default via 10.0.0.1"),
        (Route("n", "10.1.0.0/16", device="e"), "route replace 10.1.0.0/16 dev e"),
        (
            Route("n", "10.1.0.0/16", via="10.0.0.1", device="e", table=7),
            "route replace 10.1.0.0/16 via 10.0.0.1 dev e onlink table 7",
        ),
        (Route("n", "default", metric=9), "route replace blackhole default metric 9"),
    ],
)
def test_a_route_is_said_as_iproute2_reads_it(route: Route, line: str) -> None:
    """Neither next hop nor device means blackhole: packets are dropped without an answer, as in AWS."""
    assert [line] == script(NetworkPlan(routes=(route,))).inside["n"]


def test_a_rule_looks_in_its_table_for_what_comes_in_by_its_interface() -> None:
    """The table's number is its preference too."""
    assert ["rule add pref 100 iif lgw lookup 100"] == script(NetworkPlan(rules=(Rule("n", "lgw", 100),))).inside["n"]


def test_only_a_router_forwards_and_only_a_silent_one_keeps_quiet() -> None:
    """Forwarding and ICMP errors are off and on where the plan says so."""
    made = script(NetworkPlan(namespaces=(Namespace("r", forward=True, silent=True), Namespace("h"))))
    assert (True, False) == tuple("net.ipv4.ip_forward=1" in made.sysctls[name] for name in "rh")
    assert {"r": SILENCE} == made.nft


def test_a_tunnel_carries_what_an_outpost_leaves_to_instances() -> None:
    """VXLAN between two ends, MTU 1300."""
    lines = script(NetworkPlan(tunnels=(Tunnel("n", "tun", 100, "10.0.0.1", "10.0.0.2", "169.254.0.1/30"),))).inside[
        "n"
    ]
    assert "link add tun type vxlan id 100 local 10.0.0.1 remote 10.0.0.2 dstport 4789" in lines
    assert "link set tun mtu 1300 up" in lines


@given(st.text(max_size=20))
def test_a_name_that_the_kernel_refuses_is_refused_before(name: str) -> None:
    """1 to 15 characters, no slash or blank, and not a word that iproute2 takes for a command."""
    refused = not 0 < len(name) <= IFNAMSIZ or "/" in name or " " in name or name in ("up", "down")
    plan = NetworkPlan(links=(Link(End("a", name), End("b", "e")),))
    if refused:
        with pytest.raises(ValueError, match="refuses an interface"):
            script(plan)
    else:
        assert 1 == len(script(plan).create)


_names = st.text("abcdefgh", min_size=1, max_size=4)


@given(st.lists(st.tuples(_names, _names), max_size=8, unique=True), st.lists(_names, max_size=5))
def test_nothing_of_a_plan_is_lost(pairs: list[tuple[str, str]], spaces: list[str]) -> None:
    """A line for each link, and one place for each namespace that the plan names."""
    plan = NetworkPlan(
        namespaces=tuple(map(Namespace, spaces)),
        links=tuple(Link(End(a, "x"), End(b, "y")) for a, b in pairs),
    )
    made = script(plan)
    assert len(pairs) == len(made.create)
    assert {*spaces, *(end for pair in pairs for end in pair)} == set(made.inside)
    assert set(spaces) == set(made.sysctls)


T = TypeVar("T")
SPACES = "abcd"
PAIRS = [(x, y) for x in SPACES for y in SPACES if x < y]


@st.composite
def plans(draw: st.DrawFn) -> NetworkPlan:
    """A plan that hangs together: everything lies in a namespace, and on an interface, of the plan."""
    spaces = draw(st.lists(st.sampled_from(SPACES), unique=True))
    pairs = [p for p in draw(st.lists(st.sampled_from(PAIRS), unique=True)) if set(p) <= set(spaces)]
    macs = st.sampled_from(["", "02:00:00:00:00:01"])
    links = [Link(End(x, f"{x}{y}", mac=draw(macs)), End(y, f"{y}{x}")) for x, y in pairs]
    ends = [(e.netns, e.interface) for link in links for e in (link.a, link.b)]
    sinks = [Sink(name, "void") for name in spaces if draw(st.booleans())]
    there = [*ends, *((sink.netns, sink.name) for sink in sinks)]

    def some(items: list[T]) -> list[T]:
        return draw(st.lists(st.sampled_from(items), max_size=6, unique=True)) if items else []

    numbers = st.integers(1, 3)
    on = [(*at, f"10.0.0.{draw(numbers)}/32") for at in some(there)]
    neighbours = [Neighbour(*at, f"10.0.0.{draw(numbers)}", "02:00:00:00:00:09") for at in some(there)]
    routes = [Route(n, f"10.{draw(numbers)}.0.0/16", device=i, table=draw(numbers)) for n, i in some(there)]
    routes += [Route(n, f"10.{draw(numbers)}.0.0/16", table=draw(numbers)) for n in some(spaces)]
    rules = [Rule(n, i, draw(numbers)) for n, i in some(there)]
    tables = [Table(n, draw(st.sampled_from("tu")), f"chain {draw(numbers)}\n") for n in spaces if draw(st.booleans())]
    plan = NetworkPlan(
        namespaces=tuple(Namespace(n, forward=draw(st.booleans())) for n in spaces),
        links=tuple(links),
        addresses=tuple(on),
        routes=tuple(routes),
        rules=tuple(rules),
        sinks=tuple(sinks),
        neighbours=tuple({(n.netns, n.interface, n.address): n for n in neighbours}.values()),
        tables=tuple(tables),
    )
    return joined([plan])


@given(plans(), plans())
def test_a_difference_gives_the_same_as_a_new_start(old: NetworkPlan, new: NetworkPlan) -> None:
    """Played on a kernel that holds the old plan, the changes give what the new plan's script gives on an empty one."""
    assert PlayedKernel().play(script(new)) == PlayedKernel().play(script(old)).play(changes(new, old))


@given(plans())
def test_there_is_nothing_to_do_between_equals(plan: NetworkPlan) -> None:
    """The difference of a plan to itself is empty, and from a plan to nothing leaves nothing."""
    assert not changes(plan, plan)
    assert PlayedKernel() == PlayedKernel().play(script(plan)).play(changes(NetworkPlan(), plan))


@given(plans(), st.sampled_from(SPACES))
def test_a_namespace_can_be_taken_out_and_put_back(plan: NetworkPlan, name: str) -> None:
    """As for a power cycle: what is left hangs together, and afterwards everything is as before."""
    rest = without(plan, name)
    kernel = PlayedKernel().play(script(plan)).play(changes(rest, plan))
    assert PlayedKernel().play(script(rest)) == kernel
    assert name not in kernel.namespaces
    assert PlayedKernel().play(script(plan)) == kernel.play(changes(plan, rest))


def test_a_lost_link_is_deleted_by_the_end_that_stays() -> None:
    """First, by itself: a namespace goes in the background, and its cable would go on carrying packets."""
    link = Link(End("a", "x"), End("b", "y"))
    old = NetworkPlan(namespaces=(Namespace("a"), Namespace("b")), links=(link,))
    todo = changes(NetworkPlan(namespaces=(Namespace("b"),)), old)
    assert ({"b": ["link del y"]}, ["a"]) == (todo.remove, todo.delete)


def test_a_cards_end_can_be_left_down() -> None:
    """It is made with its MAC and MTU, and nobody raises it, now or later."""
    plan = NetworkPlan(
        namespaces=(Namespace("r", proxy=True), Namespace("i")),
        links=(Link(End("r", "e", mtu=9001), End("i", "eth1", mac="02:00:00:00:00:01", mtu=9001, down=True)),),
    )
    made = script(plan)
    expected = "link add e mtu 9001 netns r type veth peer name eth1 mtu 9001 netns i address 02:00:00:00:00:01"
    assert [expected] == made.create
    delay = "ntable change name arp_cache dev e proxy_delay 0"
    assert {"r": ["link set lo up", "link set e up", delay], "i": ["link set lo up"]} == made.inside
    assert [("r", "link set e up"), ("r", delay)] == raising(plan)


def test_a_counting_table_is_emptied_and_not_deleted() -> None:
    """Its named counters go on counting; any other table is replaced."""
    made = changes(
        NetworkPlan(tables=(Table("n", "f", "y\n", counting=True),)), NetworkPlan(tables=(Table("n", "f", "x\n"),))
    )
    assert {"n": "table inet f\nflush table inet f\ntable inet f {\ny\n}\n"} == made.nft
    made = changes(NetworkPlan(tables=(Table("n", "f", "y\n"),)), NetworkPlan())
    assert {"n": "table inet f\ndelete table inet f\ntable inet f {\ny\n}\n"} == made.nft


def test_of_two_routes_to_one_destination_the_first_counts() -> None:
    """In one table of one namespace; in another table it is another route."""
    first, second, other = (Route("n", "10.0.0.0/8", device=d, table=t) for d, t in (("a", 1), ("b", 1), ("b", 2)))
    assert (first, other) == joined([NetworkPlan(routes=(first,)), NetworkPlan(routes=(second, other))]).routes
