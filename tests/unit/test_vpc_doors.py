"""Where the Region's doors are: public addresses, gateway and interface endpoints, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.region import hostnames
from islanding.lab.region.hostnames import Target
from islanding.lab.vpc.door import Door
from islanding.lab.vpc.doors import doors
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.state import Ec2State, Endpoint, Interface, Subnet, Vpc

OUTSIDE = Outside()
PUBLIC = (Door("aws", OUTSIDE.api), Door("aws", OUTSIDE.s3[0], services=("s3",)))
CARD = Interface("eni-1", "vpc-1", "subnet-1", "02:00:00:00:00:01", ("10.0.1.5",), owner="eni-1", kind="vpc_endpoint")
STS = Endpoint("vpce-1", "vpc-1", "interface", "com.amazonaws.ap-northeast-1.sts", interfaces=("eni-1",))
S3 = Endpoint("vpce-2", "vpc-1", "gateway", "com.amazonaws.ap-northeast-1.s3")
STATE = Ec2State(
    vpcs=(Vpc("vpc-1", ("10.0.0.0/16",)),),
    subnets=(Subnet("subnet-1", "vpc-1", "10.0.1.0/24"),),
    interfaces=(CARD,),
    endpoints=(STS, S3),
)


def test_the_public_addresses_are_always_doors() -> None:
    """Without any VPC there are the two of the internet, S3's for S3 alone."""
    assert PUBLIC == doors(Ec2State(), OUTSIDE)


def test_endpoints_have_doors_for_their_service_alone() -> None:
    """A gateway endpoint at S3's address in its own namespace, an interface endpoint at its interface's."""
    expected = (
        *PUBLIC,
        Door("vpce-2", OUTSIDE.s3[0], "vpce-2", ("s3",)),
        Door("eni-1", "10.0.1.5", "vpce-1", ("sts",)),
    )
    assert expected == doors(STATE, OUTSIDE)


@pytest.mark.parametrize(
    "endpoint",
    [
        replace(STS, state="pending"),
        replace(STS, state="deleted"),
        replace(STS, interfaces=()),
        replace(STS, service="com.amazonaws.vpce.ap-northeast-1.vpce-svc-1"),
        replace(S3, state="deleting"),
        replace(S3, vpc="vpc-9"),
        replace(S3, service="com.amazonaws.ap-northeast-1.dynamodb"),
    ],
)
def test_an_endpoint_that_does_not_serve_has_no_door(endpoint: Endpoint) -> None:
    """Pending, deleted, without interfaces, of somebody else's service, in no VPC."""
    assert PUBLIC == doors(replace(STATE, endpoints=(endpoint,)), OUTSIDE)


@given(
    st.builds(
        Endpoint,
        id=st.text(max_size=5),
        vpc=st.sampled_from(["vpc-1", "", "x"]),
        kind=st.sampled_from(["gateway", "interface"]),
        service=st.text(max_size=8) | st.just("com.amazonaws.r.s3"),
        interfaces=st.tuples(st.sampled_from(["eni-1", "", "y"])),
    ),
    st.builds(replace, st.just(CARD), addresses=st.lists(st.text(max_size=4), max_size=2).map(tuple)),
)
def test_no_state_makes_it_raise(endpoint: Endpoint, card: Interface) -> None:
    """Whatever dangles or is no address is left out."""
    found = doors(replace(STATE, endpoints=(endpoint, STS), interfaces=(card,)), OUTSIDE)
    assert PUBLIC == found[:2]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("sts.ap-northeast-1.amazonaws.com", Target("sts", region="ap-northeast-1")),
        ("sts.amazonaws.com", Target("sts")),
        ("api.ecr.ap-northeast-1.amazonaws.com:443", Target("ecr.api", region="ap-northeast-1")),
        ("ecr.ap-northeast-1.api.aws", Target("ecr.api", region="ap-northeast-1")),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com", Target("ecr.dkr", "123456789012", region="us-east-1")),
        ("s3.ap-northeast-1.amazonaws.com", Target("s3", region="ap-northeast-1")),
        ("a.b.s3.ap-northeast-1.amazonaws.com", Target("s3", bucket="a.b", region="ap-northeast-1")),
        ("a.s3.amazonaws.com", Target("s3", bucket="a")),
        ("a.s3.dualstack.ap-northeast-1.amazonaws.com", Target("s3", bucket="a", region="ap-northeast-1")),
        ("vpce-0a-1b.api.ecr.us-east-1.vpce.amazonaws.com", Target("ecr.api", region="us-east-1")),
        ("vpce-0a-1b-us-east-1a.sts.us-east-1.vpce.amazonaws.com", Target("sts", region="us-east-1")),
        ("a.bucket.vpce-0a-1b.s3.us-east-1.vpce.amazonaws.com", Target("s3", bucket="a", region="us-east-1")),
        ("bucket.vpce-0a-1b.s3.us-east-1.vpce.amazonaws.com", Target("s3", region="us-east-1")),
        ("127.0.0.1:1234", Target()),
        ("", Target()),
        ("amazonaws.com", Target()),
        ("example.org", Target()),
    ],
)
def test_what_a_host_name_stands_for(host: str, expected: Target) -> None:
    """Service, account, bucket and Region in public, private and endpoints' own names."""
    assert expected == hostnames.target(host)


@given(st.text(max_size=40).map(lambda text: f"{text}.amazonaws.com") | st.text(max_size=20))
def test_no_host_name_makes_it_raise(host: str) -> None:
    """Whatever a caller writes into the header."""
    assert isinstance(hostnames.target(host), Target)


def test_certificates_are_of_a_door_s_service() -> None:
    """One endpoint's certificate has no other service's name; the public one has all."""
    one = hostnames.certificate_names("ap-northeast-1", ("ecr.dkr",))
    everything = hostnames.certificate_names("ap-northeast-1")
    assert "*.dkr.ecr.ap-northeast-1.amazonaws.com" in one
    assert not [name for name in one if "dkr.ecr" not in name]
    assert {"*.s3.ap-northeast-1.amazonaws.com", "iam.amazonaws.com", *one} <= set(everything)
