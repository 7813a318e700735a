"""The pure parts of a diagnosis never fail: whatever the view, the policy or the packets hold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from islanding.aws import view as v
from islanding.aws.policy import Asked, Decision, Judgement, judge
from islanding.diagnosis import Status, explain_path
from islanding.diagnosis.hops import ORDER
from islanding.diagnosis.packets import fold, parse

VPCS = st.sampled_from(["vpc-1", "vpc-2", ""])
SUBNETS = st.sampled_from(["subnet-1", "subnet-2", "gone"])
CIDRS = st.sampled_from(
    ["10.0.0.0/16", "10.0.1.0/24", "0.0.0.0/0", "10.1.0.0/16", "52.219.0.0/16", "fd00::/8", "", "x"]
)
ADDRESSES = st.sampled_from(["10.0.1.4", "10.0.1.5", "10.1.0.4", "10.0.1.0/40", "", "203.0.113.1"])
GROUPS = st.sampled_from(["sg-1", "sg-2", "gone"])
PORTS = st.sampled_from([None, -1, 0, 22, 443, 1024, 65535])
PROTOCOLS = st.sampled_from(["tcp", "6", "-1", "udp", "", "x"])
STATES = st.sampled_from(["available", "active", "pending", "deleted", "running", "stopped", "blackhole", ""])
TARGETS = ["local", "igw-1", "nat-1", "pcx-1", "pcx-9", "vpce-1", "eni-1", "tgw-1", "", "x"]
NAMES = [f"com.amazonaws.eu-west-1.{name}" for name in ("s3", "ecr.api", "ecr.dkr", "")]
NAMES += ["com.amazonaws", ""]
POLICIES = st.sampled_from(
    ["", "{", "[]", '{"Statement": 1}', '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}']
)


def many(item: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    """A few of them."""
    return st.lists(item, max_size=3).map(tuple)


RULES = st.builds(v.GroupRule, PROTOCOLS, PORTS, PORTS, many(st.one_of(CIDRS, GROUPS, st.just("pl-1"))))
ROUTES = st.builds(v.Route, st.one_of(CIDRS, st.just("pl-1")), st.sampled_from(TARGETS), STATES)
ENTRIES = st.builds(v.AclEntry, st.integers(1, 9), st.booleans(), st.booleans(), PROTOCOLS, CIDRS, PORTS, PORTS)
VIEWS = st.builds(
    v.View,
    region=st.just("eu-west-1"),
    account=st.sampled_from(["123456789012", ""]),
    vpcs=many(
        st.builds(v.Vpc, VPCS, st.just(""), many(CIDRS), st.booleans(), st.booleans(), st.just(""), many(ADDRESSES))
    ),
    subnets=many(st.builds(v.Subnet, SUBNETS, VPCS, CIDRS)),
    route_tables=many(
        st.builds(v.RouteTable, st.just("rtb-1"), VPCS, st.just(""), st.booleans(), many(SUBNETS), many(ROUTES))
    ),
    prefix_lists=many(st.builds(v.PrefixList, st.just("pl-1"), st.sampled_from(NAMES), many(CIDRS))),
    groups=many(st.builds(v.Group, GROUPS, VPCS, st.just(""), many(RULES), many(RULES))),
    acls=many(st.builds(v.Acl, st.just("acl-1"), VPCS, st.just(""), many(SUBNETS), many(ENTRIES))),
    peerings=many(st.builds(v.Peering, st.just("pcx-1"), VPCS, VPCS, STATES)),
    endpoints=many(
        st.builds(
            v.Endpoint,
            st.just("vpce-1"),
            VPCS,
            st.sampled_from(["Gateway", "Interface", ""]),
            st.sampled_from(NAMES),
            st.just(""),
            STATES,
            many(SUBNETS),
            many(st.just("rtb-1")),
            many(st.sampled_from(["eni-1", "eni-2"])),
            many(GROUPS),
            st.booleans(),
            POLICIES,
        )
    ),
    interfaces=many(
        st.builds(
            v.Interface,
            st.sampled_from(["eni-1", "eni-2"]),
            VPCS,
            SUBNETS,
            many(ADDRESSES),
            many(GROUPS),
            st.sampled_from(["i-1", ""]),
            ADDRESSES,
            st.sampled_from(["", "Amazon EKS c"]),
        )
    ),
    instances=many(st.builds(v.Instance, st.just("i-1"), st.just("w"), STATES, VPCS, SUBNETS, ADDRESSES)),
    nat_gateways=many(st.builds(v.NatGateway, st.just("nat-1"), VPCS, SUBNETS, STATES)),
    internet_gateways=many(st.builds(v.InternetGateway, st.just("igw-1"), VPCS)),
    clusters=many(
        st.builds(
            v.Cluster,
            st.just("c"),
            st.sampled_from(["", "https://c.eks.amazonaws.com", "https://[", "x"]),
            STATES,
            VPCS,
        )
    ),
    bucket_policies=many(st.tuples(st.just("prod-eu-west-1-starport-layer-bucket"), POLICIES)),
    gaps=many(st.sampled_from(["ec2.describe_vpc_endpoints: denied", "ec2.describe_instances: denied"])),
)
ASKED = st.one_of(
    st.sampled_from(
        ["ecr.api", "ecr.dkr", "s3", "ec2", "cluster", "cluster/c", "image-pull", "node-join", "10.0.1.5:22"]
    ),
    st.sampled_from(["https://[", "host:99999999", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1", ""]),
    st.text(max_size=30),
)


@settings(max_examples=300, deadline=None)
@given(VIEWS, ASKED)
def test_any_view_gives_a_chain(view: v.View, asked: str) -> None:
    """Hops come in their order, and whatever fails names an object to blame; nothing raises."""
    found = explain_path(view, "i-1", asked)

    assert [hop.name for hop in found.hops] == sorted((h.name for h in found.hops), key=ORDER.index)
    assert all(hop.blame is not None for hop in found.hops if hop.status is Status.FAILS)
    assert found.message
    assert found.event()["failing"] == (found.failing.name if found.failing else "")
    assert found.lines()


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.sampled_from(["Allow", "Deny", "*", "s3:*", "arn:aws:s3:::b"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["Effect", "Action", "Resource", "Principal", "Condition", "Statement", "AWS", "StringEquals"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_policy_is_judged(document: object) -> None:
    """Whatever a policy document holds, the evaluator comes to one of its decisions."""
    found = judge({"Statement": document}, Asked("s3:GetObject", "arn:aws:s3:::b/k"))

    assert isinstance(found, Judgement)
    assert found.decision in Decision


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), VIEWS)
def test_any_answer_of_the_instance_is_folded_in(text: str, view: v.View) -> None:
    """Whatever the commands printed, the diagnosis is still one."""
    found = explain_path(view, "i-1", "ecr.api")
    answer = f"{text}\nname-exit 0\n{text}\ncurl-exit 28\n"

    assert fold(found, parse(answer)).target == found.target
