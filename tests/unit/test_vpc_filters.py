"""Groups, ACLs and translation as nftables text: what AWS allows is there, in AWS's order, and nothing more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from islanding.lab.vpc import filters, labels
from islanding.lab.vpc.index import Index
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.state import Ec2State, Endpoint, GroupRule, InternetGateway, Peering
from tests.unit.vpc_support import OTHER, VPC, aws_id, card, line, plain

OUTSIDE = Outside(region="x")
SG, PORT = aws_id("sg", 1), labels.interface("e", aws_id("eni", 10))


def text(state: Ec2State) -> str:
    """The first VPC's filter."""
    index = Index(state)
    return filters.body(index, OUTSIDE, index.parts[VPC])


def chain(state: Ec2State, name: str) -> list[str]:
    """The lines of one chain."""
    lines = text(state).splitlines()
    begun = lines.index(f"chain {name} {{") + 1
    return lines[begun : lines.index("}", begun)]


def with_rules(*rules: GroupRule) -> Ec2State:
    """One instance whose group lets in what the rules say."""
    state = plain(card(10))
    return replace(state, groups=(replace(state.groups[0], ingress=frozenset(rules)), *state.groups[1:]))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (GroupRule("tcp", 80, 90, cidr="10.0.0.0/8"), ["tcp dport 80-90 ip saddr 10.0.0.0/8 return"]),
        (GroupRule("6", 22, 22, cidr="0.0.0.0/0"), ["tcp dport 22 return"]),
        (GroupRule("udp", cidr="0.0.0.0/0"), ["meta l4proto udp return"]),
        (GroupRule("tcp", 0, 65535, cidr="0.0.0.0/0"), ["meta l4proto tcp return"]),
        (GroupRule("-1", cidr="10.1.2.3/16"), ["meta nfproto ipv4 ip saddr 10.1.0.0/16 return"]),
        (GroupRule("icmp", -1, -1, cidr="0.0.0.0/0"), ["meta l4proto icmp return"]),
        (GroupRule("icmp", 3, 4, cidr="0.0.0.0/0"), ["meta l4proto icmp icmp type 3 icmp code 4 return"]),
        (GroupRule("50", cidr="0.0.0.0/0"), ["meta l4proto 50 return"]),
        (GroupRule("tcp", 443, 443, group=SG), [f"tcp dport 443 ip saddr @{labels.word('members', SG)} return"]),
        (
            GroupRule("tcp", 443, 443, prefix_list="com.amazonaws.x.s3"),
            [f"tcp dport 443 ip saddr {OUTSIDE.s3_range} return"],
        ),
        (GroupRule("tcp", 443, 443, prefix_list="pl-unknown"), []),
        (GroupRule("tcp", 90, 80, cidr="0.0.0.0/0"), []),
        (GroupRule("nonsense", cidr="0.0.0.0/0"), []),
        (GroupRule("tcp", 1, 2, cidr="::/0"), []),
    ],
)
def test_a_rule_of_a_group_is_a_line_that_lets_pass(rule: GroupRule, expected: list[str]) -> None:
    """And what nftables or IPv4 does not know lets nothing pass; behind all lines everything is dropped."""
    assert [*expected, "drop"] == chain(with_rules(rule), labels.word("in", SG))


def test_interfaces_in_several_groups_may_do_what_any_of_them_allows() -> None:
    """One chain for the combination, with the lines of all."""
    state = with_rules(GroupRule("tcp", 1, 1, cidr="0.0.0.0/0"))
    second = replace(state.groups[0], id=aws_id("sg", 9), ingress=frozenset({GroupRule("tcp", 2, 2, cidr="0.0.0.0/0")}))
    both = (SG, second.id)
    state = replace(state, interfaces=(card(10, groups=both),), groups=(*state.groups, second))
    assert ["tcp dport 1 return", "tcp dport 2 return", "drop"] == chain(state, labels.word("in", *both))


def test_an_interface_without_a_known_group_gets_and_sends_nothing() -> None:
    """A dangling id allows nothing."""
    state = plain(card(10, groups=(aws_id("sg", 77),)))
    for direction in ("in", "out"):
        assert ["drop"] == chain(state, labels.word(direction, aws_id("sg", 77)))


def test_members_of_a_group_are_those_of_the_vpc_and_of_its_active_peers() -> None:
    """With all their addresses; a stopped instance's are not among them."""
    other = card(20, vpc=OTHER, groups=(SG,))
    state = replace(with_rules(GroupRule("-1", group=SG)), interfaces=(card(10), other, card(11)))
    running = tuple(replace(i, running=i.id != aws_id("i", 11)) for i in plain(card(10), card(11), other).instances)
    state = replace(state, instances=running)
    members = f"set {labels.word('members', SG)} {{ type ipv4_addr; elements = {{ "
    assert f"{members}10.0.1.10 }}; }}" in text(state)
    peered = replace(state, peerings=(Peering(aws_id("pcx", 1), OTHER, VPC, "active"),))
    assert f"{members}10.0.1.10, 10.1.1.20 }}; }}" in text(peered)


def test_lines_of_an_acl_are_in_their_order_and_not_within_the_subnet() -> None:
    """By number, each direction by itself, and at the end nothing passes."""
    state = plain(card(10))
    entries = (line(200), line(100, allow=False), line(50, egress=True))
    state = replace(state, acls=(replace(state.acls[0], entries=entries),))
    subnet = aws_id("subnet", 1)
    within = f'iifname {{ "{PORT}" }} return'
    everything = "meta nfproto ipv4 "
    assert [within, f"{everything}drop", f"{everything}return", "drop"] == chain(state, labels.word("aclin", subnet))
    assert [f'oifname {{ "{PORT}" }} return', f"{everything}return", "drop"] == chain(
        state, labels.word("aclout", subnet)
    )


def test_the_resolver_answers_only_with_dns_support() -> None:
    """At both its addresses; the metadata service in any case."""
    state = plain(card(10))
    silent = replace(state, vpcs=(replace(state.vpcs[0], dns_support=False), state.vpcs[1]))
    assert [True, False] == [any("th dport 53" in each for each in chain(s, "services")) for s in (state, silent)]
    assert [True, True] == [any("tcp dport 80" in each for each in chain(s, "services")) for s in (state, silent)]


def test_public_addresses_are_translated_one_to_one_where_there_is_a_gateway() -> None:
    """Both ways; without an internet gateway there is nothing to translate."""
    state = plain(card(10, public=(("10.0.1.10", "52.1.1.1"),)))
    attached = replace(state, internet_gateways=(InternetGateway(aws_id("igw", 1), VPC),))
    assert 'iifname "ext" dnat ip to ip daddr map { 52.1.1.1 : 10.0.1.10 }' in text(attached)
    assert 'oifname "ext" snat ip to ip saddr map { 10.0.1.10 : 52.1.1.1 }' in text(attached)
    assert "snat ip to" not in text(state)


def test_the_source_check_is_for_those_that_have_it() -> None:
    """Not for a NAT gateway, nor for an interface whose check is off."""
    state = plain(card(10), card(11, source_dest_check=False), card(12, kind="nat_gateway", owner=aws_id("eni", 12)))
    checked = [each for each in chain(state, "arriving") if "drop" in each]
    assert [f'iifname {{ "{PORT}" }} iifname . ip saddr != @owned drop'] == checked


def test_each_endpoint_has_its_counter() -> None:
    """A gateway endpoint by its own port, an interface endpoint by all its interfaces' ports."""
    own = [card(n, owner=aws_id("eni", n), kind="vpc_endpoint") for n in (10, 11)]
    gateway = Endpoint(aws_id("vpce", 1), VPC, "gateway", "com.amazonaws.x.s3")
    interface = Endpoint(aws_id("vpce", 2), VPC, "interface", "x", interfaces=tuple(c.id for c in own))
    index = Index(plain(*own, endpoints=(gateway, interface)))
    ports = [labels.interface("e", c.id) for c in own]
    expected = [(gateway.id, labels.interface("g", gateway.id)), *((interface.id, port) for port in ports)]
    assert expected == filters.endpoint_ports(index, VPC)
    lines = filters.flows(index, VPC).splitlines()
    assert 2 == len([each for each in lines if each.startswith("counter ")])
    assert 6 == len([each for each in lines if " counter name " in each])
