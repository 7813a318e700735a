"""What VPC resolvers answer, and the configuration that makes dnsmasq answer it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.vpc import names, resolvers, service_names, zones
from islanding.lab.vpc.names import ClusterEndpoint
from islanding.lab.vpc.state import DhcpOptions, Ec2State, Endpoint, HostedZone, Interface, Record, Subnet, Vpc
from islanding.lab.vpc.zones import Answers

REGION = "ap-northeast-1"
API, S3, ELSEWHERE = "52.94.0.10", "52.219.0.10", "198.51.100.10"
PUBLIC = names.public_names(REGION, API, S3, {"elsewhere.example": ELSEWHERE})
AWS = f"{REGION}.amazonaws.com"
VPC = Vpc("vpc-a", ("10.0.0.0/16",), dns_hostnames=True)
OTHER = Vpc("vpc-b", ("10.1.0.0/16",), dns_hostnames=True)
CARD = Interface("eni-e", "vpc-a", "subnet-a", "02:00:00:00:00:01", ("10.0.1.9",), owner="eni-e", kind="vpc_endpoint")
NODE = Interface(
    "eni-n", "vpc-a", "subnet-a", "02:00:00:00:00:02", ("10.0.1.5", "10.0.1.6"), public=(("10.0.1.5", "203.0.113.5"),)
)
STATE = Ec2State(vpcs=(VPC, OTHER), subnets=(Subnet("subnet-a", "vpc-a", "10.0.1.0/24", f"{REGION}a"),))


def endpoint(service: str, *, private_dns: bool = True, state: str = "available") -> Endpoint:
    """An interface endpoint in the first VPC."""
    return Endpoint(
        f"vpce-{service.replace('.', '-')}", "vpc-a", "interface", f"com.amazonaws.{REGION}.{service}", state,
        interfaces=("eni-e",), private_dns=private_dns,
    )  # fmt: skip


def told(state: Ec2State, vpc: Vpc | None, *clusters: ClusterEndpoint) -> Answers:
    """Everything that somebody in a VPC, or outside, is told."""
    return names.answers(state, REGION, PUBLIC, clusters, vpc)


def look(answers: Answers, name: str) -> list[str]:
    """The addresses of a name as a resolver would find them: an exact one first, then the closest pattern."""
    if exact := [address for address, known in answers.hosts if known == name]:
        return exact
    around = [pattern[1:] for pattern, _ in answers.below if name.endswith(pattern[1:])]
    around += [f".{zone}" for zone in answers.zones if name == zone or name.endswith(f".{zone}")]
    closest = max(around, key=len, default="")
    return [address for pattern, address in answers.below if closest and pattern == f"*{closest}"]


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("ec2", f"ec2.{AWS}"),
        ("ecr.api", f"api.ecr.{AWS}"),
        ("ecr.dkr", f"123456789012.dkr.ecr.{AWS}"),
        ("s3", f"a-bucket.s3.{AWS}"),
        ("logs", f"logs.{AWS}"),
        ("sts", f"sts.{AWS}"),
        ("elasticloadbalancing", f"elasticloadbalancing.{AWS}"),
        ("eks-auth", f"eks-auth.{REGION}.api.aws"),
    ],
)
def test_private_dns_of_an_endpoint_takes_over_the_services_name(service: str, name: str) -> None:
    """In its VPC alone, and only while it is there with private DNS on."""
    public = [S3 if service == "s3" else API]
    state = replace(STATE, interfaces=(CARD,), endpoints=(endpoint(service),))
    assert [["10.0.1.9"], public, public] == [look(told(state, where), name) for where in (VPC, OTHER, None)]
    for lost in (endpoint(service, private_dns=False), endpoint(service, state="deleted")):
        assert public == look(told(replace(state, endpoints=(lost,)), VPC), name)
    assert public == look(told(replace(state, vpcs=(replace(VPC, dns_hostnames=False),)), replace(
        VPC, dns_hostnames=False)), name)  # fmt: skip


def test_other_services_keep_their_public_addresses() -> None:
    """Also in a VPC without internet; what AWS does not have does not exist."""
    answers = told(replace(STATE, interfaces=(CARD,), endpoints=(endpoint("ec2"),)), VPC)
    assert [[API], [S3], [ELSEWHERE], []] == [
        look(answers, name) for name in (f"eks.{AWS}", f"b.s3.{AWS}", "elsewhere.example", f"no-such.{AWS}")
    ]


def test_an_endpoints_own_names_are_known_to_everybody() -> None:
    """The regional and the zonal one, with and without private DNS."""
    state = replace(STATE, interfaces=(CARD,), endpoints=(endpoint("ecr.api", private_dns=False),))
    own = service_names.endpoint_names("vpce-ecr-api", f"com.amazonaws.{REGION}.ecr.api", REGION, (f"{REGION}a",))
    assert [2, f".api.ecr.{REGION}.vpce.amazonaws.com"] == [len(own), own[0][own[0].index(".api") :]]
    assert own[1].startswith(own[0].split(".")[0] + f"-{REGION}a.")
    assert [["10.0.1.9"]] * 6 == [look(told(state, where), name) for where in (VPC, OTHER, None) for name in own]


def test_instances_have_their_names_in_their_own_vpc() -> None:
    """The private one both ways, for every address; the public one leads to the private address inside."""
    state = replace(STATE, interfaces=(NODE, CARD))
    private, public = f"ip-10-0-1-5.{REGION}.compute.internal", f"ec2-203-0-113-5.{REGION}.compute.amazonaws.com"
    inside, beside, outside = (told(state, where) for where in (VPC, OTHER, None))
    assert [["10.0.1.5"], [], []] == [look(answers, private) for answers in (inside, beside, outside)]
    assert [["10.0.1.5"], ["203.0.113.5"], ["203.0.113.5"]] == [look(a, public) for a in (inside, beside, outside)]
    first: dict[str, str] = {}
    for address, name in inside.hosts:
        first.setdefault(address, name)
    assert [private, f"ip-10-0-1-6.{REGION}.compute.internal"] == [first["10.0.1.5"], first["10.0.1.6"]]


def test_a_clusters_endpoint() -> None:
    """Private inside; a cluster with private access only resolves to its private addresses for everybody."""
    name = f"abc.gr7.{REGION}.eks.amazonaws.com"
    both = ClusterEndpoint(name.upper(), "vpc-a", ("10.0.1.20", "10.0.2.20"), ("203.0.113.9",))
    only, open_to_all = replace(both, public=()), replace(both, private=())
    seen = {c: [look(told(STATE, where, c), name) for where in (VPC, OTHER)] for c in (both, only, open_to_all)}
    assert [[["10.0.1.20", "10.0.2.20"], ["203.0.113.9"]], [["10.0.1.20", "10.0.2.20"]] * 2, [["203.0.113.9"]] * 2] == [
        seen[cluster] for cluster in (both, only, open_to_all)
    ]


def zone(name: str, *records: Record) -> HostedZone:
    """A private hosted zone of the first VPC."""
    return HostedZone(name, frozenset({"vpc-a"}), frozenset(records))


def test_the_most_specific_zone_hides_the_others() -> None:
    """A private zone hides the public names in it, a narrower zone those of a wider one, for its own VPCs only."""
    wide = zone("example.", Record("a.example.", "A", ("10.0.0.1",)), Record("x.corp.example.", "A", ("10.0.0.2",)))
    narrow = zone("corp.example.", Record("y.corp.example.", "A", ("10.0.0.3",)))
    buckets = zone(f"s3.{AWS}", Record(f"mine.s3.{AWS}", "A", ("10.0.0.4",)))
    state = replace(STATE, zones=(wide, narrow, buckets))
    seen = ["a.example", "x.corp.example", "y.corp.example", "elsewhere.example", f"mine.s3.{AWS}", f"other.s3.{AWS}"]
    assert [["10.0.0.1"], [], ["10.0.0.3"], [], ["10.0.0.4"], []] == [look(told(state, VPC), name) for name in seen]
    assert [[], [], [], [ELSEWHERE], [S3], [S3]] == [look(told(state, OTHER), name) for name in seen]


def test_records_of_every_kind() -> None:
    """A wildcard, IPv6, TXT, PTR; an alias to a listed name is one, to any other it is its addresses."""
    made = zone(
        "example.",
        Record("a.example.", "A", ("10.0.0.1",)),
        Record("a.example.", "AAAA", ("fd00::1",)),
        Record("\\052.w.example.", "A", ("10.0.0.2",)),
        Record("alias.example.", "CNAME", ("a.example.",)),
        Record("far.example.", "CNAME", (f"eks.{AWS}.",)),
        Record("flat.example.", "CNAME", ("b.w.example.",)),
        Record("loop.example.", "CNAME", ("loop2.example.",)),
        Record("loop2.example.", "CNAME", ("loop.example.",)),
        Record("t.example.", "TXT", ('"v=1; a, \\"b\\""',)),
        Record("p.example.", "PTR", ("a.example.",)),
    )
    answers = told(replace(STATE, zones=(made,)), VPC)
    assert {("10.0.0.1", "a.example"), ("fd00::1", "a.example"), ("10.0.0.2", "flat.example")} <= set(answers.hosts)
    assert ("*.w.example", "10.0.0.2") in answers.below
    assert {("alias.example", "a.example"), ("far.example", f"eks.{AWS}")} == set(answers.aliases)
    assert (("t.example", 'v=1; a, "b"'),) == answers.texts
    assert (("p.example", "a.example"),) == answers.pointers


def test_where_resolvers_are() -> None:
    """At the second address and the link-local one; none without DNS support; the public one always."""
    state = replace(STATE, vpcs=(VPC, replace(OTHER, dns_support=False)))
    made = {resolver.netns: resolver.addresses for resolver in names.resolvers(state, REGION, PUBLIC)}
    assert {"vpc-a": ("10.0.0.2", "169.254.169.253"), "aws": ("52.94.0.53",)} == made


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (DhcpOptions(), [f"search {REGION}.compute.internal", "nameserver 10.0.0.2"]),
        (DhcpOptions(("AmazonProvidedDNS", "10.0.9.9"), "corp.example"), [
            "search corp.example", "nameserver 10.0.0.2", "nameserver 10.0.9.9"]),
        (DhcpOptions(("10.0.9.9",)), ["nameserver 10.0.9.9"]),
    ],
)  # fmt: skip
def test_dhcp_options_are_what_an_instance_asks(options: DhcpOptions, lines: list[str]) -> None:
    """The VPC's own resolver, or those that the options name, and the domain that they search."""
    said = names.resolv_conf(replace(VPC, dhcp=options), REGION).decode().splitlines()
    assert lines == [line for line in said if not line.startswith("options")]


ODD = st.sampled_from(["", ".", "*", "*.", "*.x", "a b", "x/y", "é", "a.example", "sub.a.example", "-", "_x", "a" * 300,
                       "x\ny", "10.0.0.1", "fd00::1%eth0", "300.1.1.1", "vpc-a", "vpc-b", "eni-e", "a..b"])  # fmt: skip
texts = st.one_of(ODD, st.text(max_size=12))
states = st.builds(
    Ec2State,
    vpcs=st.lists(st.builds(Vpc, texts, st.lists(texts, max_size=2).map(tuple), st.booleans(), st.booleans()),
                  max_size=3).map(tuple),
    subnets=st.lists(st.builds(Subnet, texts, texts, texts, texts), max_size=2).map(tuple),
    interfaces=st.lists(
        st.builds(Interface, texts, texts, texts, texts, st.lists(texts, max_size=2).map(tuple),
                  public=st.lists(st.tuples(texts, texts), max_size=2).map(tuple)), max_size=3).map(tuple),
    endpoints=st.lists(
        st.builds(Endpoint, texts, texts, st.sampled_from(["gateway", "interface"]),
                  st.one_of(texts, st.just(f"com.amazonaws.{REGION}.s3")),
                  interfaces=st.lists(texts, max_size=2).map(tuple), private_dns=st.booleans()), max_size=3).map(tuple),
    zones=st.lists(
        st.builds(HostedZone, texts, st.frozensets(texts, max_size=2), st.frozensets(
            st.builds(Record, texts, st.sampled_from(["A", "AAAA", "CNAME", "TXT", "PTR", "MX", ""]),
                      st.lists(texts, max_size=2).map(tuple)), max_size=4)), max_size=3).map(tuple),
)  # fmt: skip


@given(states)
def test_no_state_makes_it_fail(state: Ec2State) -> None:
    """Dangling ids, addresses and names that are none: every line that dnsmasq gets is still one that it takes."""
    for resolver in names.resolvers(state, REGION, PUBLIC, [ClusterEndpoint("*", "vpc-a", ("x",), ("y",))]):
        answers = resolver.answers
        listed = [name for _, name in answers.hosts] + [pattern for pattern, _ in answers.below] + [*answers.zones]
        listed += [name for pair in answers.aliases for name in pair] + [name for name, _ in answers.texts]
        assert [] == [name for name in listed if zones.plain(name) != name]
        config = resolvers.back_config(answers, 5301, Path("/hosts"))
        assert [] == [line for line in config.splitlines() if line and "=" not in line and not line[0].isalpha()]
    for vpc in state.vpcs:
        names.resolv_conf(vpc, REGION)


def test_the_configuration_names_every_pattern_as_its_own() -> None:
    """Or an AAAA question for a name with IPv4 only would be told that there is no such name."""
    answers = Answers(
        (("10.0.0.1", "a.example"),), (("*.w.example", "10.0.0.2"),), ("example",), texts=(("t", 'a"\\'),)
    )
    lines = resolvers.back_config(answers, 5301, Path("/hosts")).splitlines()
    assert {"local=/#/", "local=/example/", "local=/*.w.example/", "address=/*.w.example/10.0.0.2",
            'txt-record=t,"a\\"\\\\"'} <= set(lines)  # fmt: skip
    assert "10.0.0.1 a.example\n192.0.2.1 mark\n" == resolvers.hosts_file(answers, "mark")


def test_questions_are_turned_to_one_port_and_answers_back() -> None:
    """Both protocols; the answers of both processes, so that an old one's last answers arrive."""
    text = resolvers.turning(5302)
    assert [2, 0] == [text.count("dport set 5302"), text.count("dport set 5301")]
    assert 2 == text.count("sport { 5301, 5302 }")
