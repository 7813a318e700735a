"""What routers say, read: each table that can be printed gives back what was printed, and no text is a surprise."""

from __future__ import annotations

import json
from contextlib import suppress
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.routers import ios_xe, junos
from islanding.routers.driver import End, Hop, Neighbor, RouterError
from islanding.routers.frr import Frr
from tests.unit.test_routers.fake_router import DIALOGUES, turns

PEER = "169.254.10.1"
ADDRESSES = st.ip_addresses(v=4).map(str)
STATES = st.sampled_from(["Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"])
NETWORKS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)).map(lambda one: IPv4Network(one, strict=False)),
    unique=True,
    max_size=8,
)
HOPS = st.lists(ADDRESSES, min_size=1, max_size=3, unique=True)
NAME = st.from_regex(r"[A-Za-z][\w-]{0,30}", fullmatch=True)


@given(st.lists(st.tuples(NETWORKS, st.booleans(), HOPS, st.booleans()), max_size=4))
def test_ios_routes_are_read_as_they_are_printed(table: list[tuple[list[IPv4Network], bool, list[str], bool]]) -> None:
    """With lengths in the heading or beside the prefix, several hops, wrapped lines, and other protocols between."""
    lines, expected = ["Gateway of last resort is not set", ""], []
    for networks, same, hops, wrapped in table:
        for network in networks:
            if same:
                lines.append(f"      10.0.0.0/{network.prefixlen} is subnetted, 1 subnets")
            shown = str(network.network_address) if same else str(network)
            first = f"B        {shown}"
            vias = [f"[20/0] via {hop}, 00:12:30" for hop in hops]
            lines += [f"{first} ", f"           {vias[0]}"] if wrapped else [f"{first} {vias[0]}"]
            lines += [f"                    {via}" for via in vias[1:]]
            expected += [Hop(str(network), hop) for hop in hops]
        lines += ["S        192.0.2.0/24 [1/0] via 192.0.2.1", "                   [1/0] via 192.0.2.9"]

    assert expected == ios_xe.hops("\r\n".join(lines))


@given(STATES, st.booleans(), st.none() | ADDRESSES, st.none() | NAME)
def test_an_ios_neighbor_is_read_as_it_is_printed(
    state: str, shut: bool, local: str | None, listed: str | None
) -> None:
    """State, shutdown, our address and the inbound list, each when it is there."""
    text = f"BGP neighbor is {PEER},  remote AS 65001, external link\n" + " Administratively shut down\n" * shut
    text += f"  BGP version 4\n  BGP state = {state}, up for 00:00:01\n"
    text += f"  Incoming update prefix filter list is {listed}\n" if listed else ""
    text += f"Local host: {local}, Local port: 179\n" if local else ""

    assert Neighbor(state, shut, local or "", (listed,) if listed else ()) == ios_xe.neighbor(text, PEER)
    assert ios_xe.neighbor(text, "169.254.10.11") == Neighbor("")


@given(st.lists(st.tuples(NETWORKS, st.booleans(), HOPS), max_size=4))
def test_junos_routes_are_read_as_they_are_printed(table: list[tuple[list[IPv4Network], bool, list[str]]]) -> None:
    """Active routes only, with each hop; a prefix too long for its column has a line of its own."""
    lines, expected = ["", "inet.0: 9 destinations, 9 routes (9 active, 0 holddown, 0 hidden)", ""], []
    for networks, active, hops in table:
        for network in networks:
            entry = f"{'*' if active else ' '}[BGP/170] 00:12:30, localpref 100"
            prefix = str(network)
            lines += [f"{prefix:<18} {entry}"] if len(prefix) < 18 else [prefix, f"{'':<19}{entry}"]
            lines.append("                      AS path: 65001 I, validation-state: unverified")
            lines += [
                f"                    {'>' if not n else ' '}  to {hop} via ge-0/0/1.0" for n, hop in enumerate(hops)
            ]
            expected += [Hop(prefix, hop, "ge-0/0/1.0") for hop in hops if active]

    assert expected == junos.hops("\n".join(lines))


@given(STATES, st.none() | ADDRESSES, st.lists(NAME, max_size=3), NAME, st.booleans())
def test_a_junos_neighbor_is_read_as_it_is_printed(
    state: str, local: str | None, policies: list[str], group: str, master: bool
) -> None:
    """State, our address, policies in order and the group, which counts in the default routing instance only."""
    text = (
        f"Peer: {PEER}{'+179' * bool(local)} AS 65001 Local: {f'{local}+51000' if local else 'unspecified'} AS 65000\n"
    )
    text += f"  Group: {group}   Routing-Instance: {'master' if master else 'red'}\n"
    text += f"  Type: External    State: {state}    Flags: <>\n"
    text += f"  Export: [ OUT ] Import: [ {' '.join(policies)} ]\n" if policies else "  Export: [ OUT ]\n"

    expected = Neighbor(state, local=local or "", inbound=tuple(policies), group=group if master else "")
    assert expected == junos.neighbor(text, PEER)
    assert junos.neighbor(text, "169.254.10.11") == Neighbor("")


@given(NETWORKS, HOPS, st.booleans())
def test_frr_routes_are_those_in_the_kernel(networks: list[IPv4Network], hops: list[str], fib: bool) -> None:
    """A hop that is not forwarded to is none."""
    shown = {
        str(n): [{"nexthops": [{"ip": hop, "interfaceName": "sl", **({"fib": True} if fib else {})} for hop in hops]}]
        for n in networks
    }
    expected = [Hop(str(network), hop, "sl") for network in networks for hop in hops if fib]

    assert expected == Frr().hops(lambda _: json.dumps(shown), ipv6=False)


@given(st.text(st.sampled_from("B >*[]/0123456789.:abcdefPeer StaBGviaton=,\n"), max_size=300))
def test_no_text_is_a_surprise(text: str) -> None:
    """Whatever a router prints is read or refused in words, never a traceback."""
    for read in (ios_xe.hops, junos.hops, ios_xe.access_groups):
        read(text)
    for head in ("", f"BGP neighbor is {PEER}, ", f"Peer: {PEER} AS 1 Local: 1.2.3.4 AS 2\n"):
        for neighbor in (ios_xe.neighbor, junos.neighbor):
            with suppress(RouterError):
                neighbor(head + text, PEER)
    with suppress(RouterError):
        Frr().neighbor(lambda _: text, End(65000, PEER, "sl"))


@pytest.mark.parametrize("driver", ["ios-xe", "junos"])
def test_published_examples_are_read(driver: str) -> None:
    """What the vendors' documentation shows, as far as the faults need it."""
    neighbor, routes = [one.answer for one in turns((DIALOGUES / f"{driver}-before.txt").read_text())][:2]
    seen = (ios_xe if driver == "ios-xe" else junos).neighbor(neighbor, PEER)
    hops = (ios_xe if driver == "ios-xe" else junos).hops(routes)

    assert ("Established", False, "169.254.10.2") == (seen.state, seen.shut, seen.local)
    assert [("10.20.0.0/26", PEER)] == [(hop.prefix, hop.via) for hop in hops]


def test_an_answer_without_a_state_is_an_error() -> None:
    """A neighbor that is there has a state; an answer that was cut off says nothing."""
    with pytest.raises(RouterError, match="has no BGP state"):
        ios_xe.neighbor(f"BGP neighbor is {PEER},  remote AS 65001\n", PEER)
    with pytest.raises(RouterError, match="has no state"):
        junos.neighbor(f"Peer: {PEER} AS 65001 Local: unspecified AS 65000\n", PEER)
