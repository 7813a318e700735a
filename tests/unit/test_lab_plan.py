"""The wanted network as tool input: every part of a plan appears once, where it belongs, in an order that works."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.plan import (
    IFNAMSIZ,
    SILENCE,
    Bridge,
    End,
    Link,
    Namespace,
    NetworkPlan,
    Route,
    Rule,
    Tunnel,
    script,
)


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
        (Route("n", "default"), "route add blackhole default"),
        (Route("n", "default", via="10.0.0.1"), "route add default via 10.0.0.1"),
        (Route("n", "10.1.0.0/16", device="e"), "route add 10.1.0.0/16 dev e"),
        (
            Route("n", "10.1.0.0/16", via="10.0.0.1", device="e", table=7),
            "route add 10.1.0.0/16 via 10.0.0.1 dev e onlink table 7",
        ),
        (Route("n", "default", metric=9), "route add blackhole default metric 9"),
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


@given(st.lists(st.tuples(_names, _names), max_size=8), st.lists(_names, max_size=5))
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
