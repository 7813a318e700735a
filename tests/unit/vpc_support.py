"""States of AWS for tests of the data plane: a plain one, and strategies for every odd one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hypothesis import strategies as st

from islanding.lab.vpc import state
from islanding.lab.vpc.state import (
    Acl,
    AclEntry,
    Ec2State,
    GroupRule,
    Instance,
    Interface,
    Route,
    RouteTable,
    SecurityGroup,
    Subnet,
    Vpc,
)


def aws_id(kind: str, number: int) -> str:
    """An id as EC2 gives it."""
    return f"{kind}-{number:017x}"


VPC, OTHER = aws_id("vpc", 1), aws_id("vpc", 2)
ANY = frozenset({GroupRule("-1", cidr="0.0.0.0/0")})


def card(number: int, owner: str = "", vpc: str = VPC, **more: Any) -> Interface:
    """An interface in the first subnet of a VPC; by default that of the instance of the same number."""
    network = 0 if vpc == VPC else 1
    values = {
        "id": aws_id("eni", number), "vpc": vpc, "subnet": aws_id("subnet", network + 1),
        "mac": f"02:00:00:00:00:{number:02x}", "addresses": (f"10.{network}.1.{number}",),
        "groups": (aws_id("sg", network + 1),), "owner": owner or aws_id("i", number),
    }  # fmt: skip
    return Interface(**{**values, **more})


def plain(*cards: Interface, **more: Any) -> Ec2State:
    """Two VPCs with one subnet and one group each, and an instance for each card whose owner is one."""
    owners = sorted({c.owner for c in cards if c.owner.startswith("i-")})
    made = Ec2State(
        vpcs=(Vpc(VPC, ("10.0.0.0/16",)), Vpc(OTHER, ("10.1.0.0/16",))),
        subnets=(
            Subnet(aws_id("subnet", 1), VPC, "10.0.1.0/24"),
            Subnet(aws_id("subnet", 2), OTHER, "10.1.1.0/24"),
        ),
        interfaces=cards,
        instances=tuple(Instance(owner, running=True) for owner in owners),
        groups=(
            SecurityGroup(aws_id("sg", 1), VPC, frozenset(), ANY),
            SecurityGroup(aws_id("sg", 2), OTHER, frozenset(), ANY),
        ),
        route_tables=(
            RouteTable(aws_id("rtb", 1), VPC, main=True, routes=frozenset({Route("10.0.0.0/16", "local")})),
            RouteTable(aws_id("rtb", 2), OTHER, main=True, routes=frozenset({Route("10.1.0.0/16", "local")})),
        ),
        acls=tuple(
            Acl(aws_id("acl", n), vpc, frozenset({aws_id("subnet", n)}), (line(100, egress=True), line(100)))
            for n, vpc in ((1, VPC), (2, OTHER))
        ),
    )
    return replace(made, **more)


def full() -> Ec2State:
    """Two peered VPCs with one of everything."""
    nat, endpoint = aws_id("eni", 30), aws_id("eni", 31)
    routes = (("0.0.0.0/0", "igw"), ("10.1.0.0/16", "pcx"), ("192.168.0.0/16", "vgw"), ("172.16.0.0/12", "nat"))
    made = plain(
        card(10, public=(("10.0.1.10", "52.1.1.10"),)),
        card(11),
        card(12, owner=aws_id("i", 11), device=1),
        card(10, id=aws_id("eni", 20), vpc=OTHER, owner=aws_id("i", 20)),
        card(30, owner=nat, kind="nat_gateway", public=(("10.0.1.30", "52.1.1.30"),)),
        card(31, owner=endpoint, kind="vpc_endpoint"),
        card(32, owner="eks-one"),
        services=(state.ServiceHost("eks-one", "52.1.1.32"),),
        peerings=(state.Peering(aws_id("pcx", 1), VPC, OTHER, "active"),),
        endpoints=(
            state.Endpoint(
                aws_id("vpce", 1), VPC, "gateway", "com.amazonaws.x.s3", route_tables=frozenset({aws_id("rtb", 1)})
            ),
            state.Endpoint(aws_id("vpce", 2), VPC, "interface", "com.amazonaws.x.sts", interfaces=(endpoint,)),
        ),
        internet_gateways=(state.InternetGateway(aws_id("igw", 1), VPC),),
        nat_gateways=(state.NatGateway(aws_id("nat", 1), aws_id("subnet", 1), nat, "52.1.1.30"),),
        vpn_gateways=(state.VpnGateway(aws_id("vgw", 1), VPC),),
    )
    main = made.route_tables[0]
    more = replace(main, routes=main.routes | {Route(to, aws_id(kind, 1)) for to, kind in routes})
    return replace(made, route_tables=(more, *made.route_tables[1:]))


def line(number: int, *, egress: bool = False, allow: bool = True) -> AclEntry:
    """A line of an ACL that is for everything."""
    return AclEntry(number, egress, allow, "-1", "0.0.0.0/0")


_IDS = [
    aws_id(kind, n)
    for kind in ("vpc", "subnet", "eni", "i", "sg", "rtb", "pcx", "igw", "nat", "vgw", "vpce")
    for n in (1, 2)
]
_ODD = ["", "internet", "aws", "eks-one", "a/b", "..", "x" * 300, "Zürich", "local"]
_CIDRS = [
    "10.0.0.0/16",
    "10.0.1.0/24",
    "10.1.0.0/16",
    "10.0.1.7/24",
    "0.0.0.0/0",
    "10.0.1.5/32",
    "10.0.0.0/33",
    "::/0",
    "x",
    "",
]
_ADDRESSES = ["10.0.1.5", "10.0.1.6", "10.0.1.1", "10.1.0.9", "52.1.1.1", "52.1.1.2", "::1", "", "none"]
_WORDS = ["interface", "nat_gateway", "-1", "tcp", "17", "icmp", "999", "no such"]


def _of(kind: str) -> st.SearchStrategy[str]:
    """Ids, mostly of one kind."""
    mine = [i for i in _IDS if i.startswith(f"{kind}-")]
    return st.sampled_from([*mine * 20, *_IDS, *_ODD])


_cidrs, _addresses, _words = st.sampled_from(_CIDRS), st.sampled_from(_ADDRESSES), st.sampled_from(_WORDS)
_states = st.sampled_from(["active", "available", "deleted"])
_numbers = st.one_of(st.none(), st.integers(-2, 70000))


def _tuples(items: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most).map(tuple)


def _sets(items: st.SearchStrategy[Any]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(items, max_size=3)


_rules = st.builds(
    GroupRule, _words, _numbers, _numbers, cidr=_cidrs, group=st.one_of(st.just(""), _of("sg")), prefix_list=_of("pl")
)
_entries = st.builds(AclEntry, st.integers(-1, 40000), st.booleans(), st.booleans(), _words, _cidrs, _numbers, _numbers)
_targets = st.one_of(*(_of(kind) for kind in ("igw", "nat", "pcx", "eni", "i", "vgw", "vpce")))
_routes = st.builds(Route, _cidrs, _targets)

_owners = st.one_of(_of("i"), _of("eni"), st.just("eks-one"))

_oddities: st.SearchStrategy[Ec2State] = st.builds(
    Ec2State,
    vpcs=_tuples(st.builds(Vpc, _of("vpc"), _tuples(_cidrs), st.booleans())),
    subnets=_tuples(st.builds(Subnet, _of("subnet"), _of("vpc"), _cidrs)),
    interfaces=_tuples(
        st.builds(
            Interface, _of("eni"), _of("vpc"), _of("subnet"), st.sampled_from(["", "02:00:00:00:00:01", "zz"]),
            _tuples(_addresses), _tuples(_of("sg")), _owners, st.integers(-1, 5), _words,
            _tuples(st.tuples(_addresses, _addresses)), st.booleans(),
        ),
        5,
    ),
    instances=_tuples(st.builds(Instance, _of("i"), st.booleans())),
    services=_tuples(st.builds(state.ServiceHost, st.sampled_from(["eks-one", *_ODD]), _addresses)),
    groups=_tuples(st.builds(SecurityGroup, _of("sg"), _of("vpc"), _sets(_rules), _sets(_rules))),
    route_tables=_tuples(
        st.builds(RouteTable, _of("rtb"), _of("vpc"), st.booleans(), _sets(_of("subnet")), _sets(_routes))
    ),
    acls=_tuples(st.builds(Acl, _of("acl"), _of("vpc"), _sets(_of("subnet")), _tuples(_entries))),
    peerings=_tuples(st.builds(state.Peering, _of("pcx"), _of("vpc"), _of("vpc"), _states)),
    endpoints=_tuples(
        st.builds(
            state.Endpoint, _of("vpce"), _of("vpc"), st.sampled_from(["gateway", "interface"]),
            st.sampled_from(["com.amazonaws.x.s3", "", "sts"]), _states, _sets(_of("rtb")), _tuples(_of("eni")),
        )
    ),
    internet_gateways=_tuples(st.builds(state.InternetGateway, _of("igw"), _of("vpc"))),
    nat_gateways=_tuples(st.builds(state.NatGateway, _of("nat"), _of("subnet"), _of("eni"), _addresses, _states)),
    vpn_gateways=_tuples(st.builds(state.VpnGateway, _of("vgw"), _of("vpc"))),
)  # fmt: skip


def _mixed(odd: Ec2State, *, first: bool) -> Ec2State:
    """A plain state with odd things before or behind its own."""
    base = full()
    both = (odd, base) if first else (base, odd)
    return Ec2State(**{f.name: getattr(both[0], f.name) + getattr(both[1], f.name) for f in fields(Ec2State)})


odd_states = st.one_of(_oddities, st.builds(_mixed, _oddities, first=st.booleans()))
