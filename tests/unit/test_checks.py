"""What is checked before anything is built: each lack alone is found and named, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from islanding import planning, stackconf
from islanding.aws import calls, checks, offer, preflight
from islanding.aws.checks import Ground, lacks
from islanding.aws.offer import EIP, VPC, Offer
from islanding.errors import IslandingError
from islanding.lab.region.server import Region
from islanding.paths import content_dir
from islanding.stackconf import StacksConf
from tests.unit.region_support import connect, fresh_region

CLOSED = content_dir("fixtures") / "closed-vpc"
AROUND = {
    "workstation": {"address": "203.0.113.77"},
    "key": {"name": "mine"},
    "image": {"operator": "ami-12c6146b", "worker": "ami-12c6146b"},
}
ZONES = frozenset({"ap-northeast-1a", "ap-northeast-1c"})
OFFER = Offer(
    zones={"ap-northeast-1a": "apne1-az4", "ap-northeast-1c": "apne1-az1", "ap-northeast-1d": "apne1-az2"},
    types={"t3.small": (3, 4), "t3.medium": (3, 6), "m5.large": (3, 10)},
    offered={"t3.small": ZONES, "t3.medium": ZONES, "m5.large": ZONES},
    names=frozenset({"mine", "ami-12c6146b"}),
    used={VPC: 1, EIP: 0},
    quotas={},
)
GROUND = Ground(
    vpc="vpc-1",
    cidrs=("10.0.0.0/16",),
    dns_support=True,
    dns_hostnames=True,
    dhcp_options="dopt-1",
    resolvers=("AmazonProvidedDNS",),
    zones={"subnet-a": "r-1a", "subnet-c": "r-1c"},
    free={"subnet-a": 200, "subnet-c": 200},
    instance_type="t3.medium",
    offered=frozenset({"r-1a", "r-1c"}),
)


# -- an existing VPC ---------------------------------------------------------------------------------------------------


def test_nothing_is_lacking() -> None:
    """A VPC with all that is needed passes."""
    assert lacks(GROUND) == ()


@pytest.mark.parametrize(
    ("ground", "expected"),
    [
        (replace(GROUND, dns_support=False), [("dns-support", "vpc-1", "lack")]),
        (replace(GROUND, dns_hostnames=False), [("dns-hostnames", "vpc-1", "lack")]),
        (replace(GROUND, resolvers=("192.0.2.53",)), [("dhcp-options", "dopt-1", "lack")]),
        (replace(GROUND, resolvers=()), [("dhcp-options", "dopt-1", "lack")]),
        (replace(GROUND, resolvers=("10.0.0.2",)), []),
        (
            replace(GROUND, zones={"subnet-a": "r-1a"}, free={"subnet-a": 200}),
            [("two-subnets", "vpc-1", "lack"), ("two-zones", "subnet-a", "lack")],
        ),
        (
            replace(GROUND, zones={"subnet-a": "r-1a", "subnet-c": "r-1a"}),
            [("two-zones", "subnet-a, subnet-c", "lack")],
        ),
        (replace(GROUND, free={"subnet-a": 5, "subnet-c": 200}), [("free-addresses", "subnet-a", "lack")]),
        (replace(GROUND, free={"subnet-a": 6, "subnet-c": 200}), [("few-addresses", "subnet-a", "advice")]),
        (replace(GROUND, free={"subnet-a": 16, "subnet-c": 200}), []),
        (replace(GROUND, offered=frozenset({"r-1a"})), [("instance-type", "subnet-c", "lack")]),
    ],
)
def test_each_lack_of_a_vpc(ground: Ground, expected: list[tuple[str, str, str]]) -> None:
    """One thing that is missing is named with the object that lacks it, and nothing else is."""
    assert [(lack.name, lack.object, lack.level) for lack in lacks(ground)] == expected


# -- a VPC that is still to be made ------------------------------------------------------------------------------------

FIRST, SECOND = "FirstWorkerSubnet in 1-infrastructure.yaml", "SecondWorkerSubnet in 1-infrastructure.yaml"
OWN_DNS = """\
Resources:
  Dns: {Type: AWS::EC2::DHCPOptions, Properties: {DomainNameServers: [192.0.2.53]}}
  Use:
    Type: AWS::EC2::VPCDHCPOptionsAssociation
    Properties: {VpcId: !Ref ClosedVpc, DhcpOptionsId: !Ref Dns}
"""
CLOSED_VPC = "ClosedVpc in 1-infrastructure.yaml"
Lacking = Callable[..., list[str]]


@pytest.fixture
def lacking(tmp_path: Path) -> Lacking:
    """What closed-vpc lacks, with other parameters, text replaced in its templates, or in a Region that has less."""
    for file in CLOSED.iterdir():
        shutil.copy(file, tmp_path)

    def found(
        parameters: dict[str, str] | None = None,
        *,
        replaced: tuple[str, str] = ("", ""),
        given: Offer = OFFER,
        level: str = "lack",
    ) -> list[str]:
        for file in tmp_path.glob("[123]*.yaml"):
            file.write_text((CLOSED / file.name).read_text().replace(*replaced))
        conf = stackconf.load(tmp_path / "site.yaml")
        assert isinstance(conf, StacksConf)
        for key, value in (parameters or {}).items():
            stack, _, name = key.partition(".")
            next(one for one in conf.stacks if one.name == stack).parameters[name] = value
        plan = planning.plan(conf, tmp_path, AROUND, tuple(given.zones or ()))
        return [str(lack) for lack in preflight.missing(plan, given, conf) if lack.level == level]

    return found


def test_closed_vpc_lacks_nothing(lacking: Lacking) -> None:
    """The reference site as it is passes, without advice."""
    assert (lacking(), lacking(level="advice")) == ([], [])


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (
            "infrastructure.SecondZone",
            "ap-northeast-1a",
            f"two-zones: {FIRST}, {SECOND}: the subnets are all in ap-northeast-1a, and 2 zones are needed",
        ),
        (
            "infrastructure.SecondZone",
            "ap-northeast-1b",
            f"zone: {SECOND}: there is no zone ap-northeast-1b for this account; there are ap-northeast-1a, ap-northea",
        ),
        (
            "infrastructure.SecondZone",
            "ap-northeast-1d",
            "instance-type: Template in 3-workers.yaml: t3.medium is not offered in ap-northeast-1d",
        ),
        (
            "infrastructure.FirstWorkerCidr",
            "10.20.0.0/28",
            f"room: {FIRST}: 11 addresses can be had, and 45 are needed (6 for the cluster, 3 for endpoints, 36 for no",
        ),
        (
            "workers.MaxSize",
            "500",
            f"room: {FIRST}: 4091 addresses can be had, and 4509 are needed (6 for the cluster, 3 for endpoints, 4500 ",
        ),
        (
            "infrastructure.FirstWorkerCidr",
            "10.21.0.0/20",
            f"range: {FIRST}: 10.21.0.0/20 lies outside ClosedVpc, 10.20.0.0/16",
        ),
        (
            "infrastructure.SecondWorkerCidr",
            "10.20.8.0/21",
            f"range: {SECOND}: 10.20.8.0/21 overlaps 10.20.0.0/20 of FirstWorkerSubnet",
        ),
        (
            "infrastructure.BastionVpcCidr",
            "10.20.0.0/16",
            "range: Peering in 1-infrastructure.yaml: 10.20.0.0/16 and 10.20.0.0/16 overlap: such VPCs cannot be pee",
        ),
        (
            "infrastructure.InstanceType",
            "t9.huge",
            "instance-type: Bastion in 1-infrastructure.yaml: there is no instance type t9.huge in this Region",
        ),
        (
            "infrastructure.KeyName",
            "other",
            "key-pair: parameter KeyName of stack infrastructure: there is no key pair 'other' in this Region",
        ),
        (
            "workers.ImageId",
            "ami-0123456789abcdef0",
            "image: parameter ImageId of stack workers: there is no image 'ami-0123456789abcdef0' in this Region",
        ),
    ],
)
def test_each_lack_of_parameters(lacking: Lacking, parameter: str, value: str, expected: str) -> None:
    """What a parameter makes impossible is named by the resource of the template, with what to do."""
    found = lacking({parameter: value})

    assert [text for text in found if text.startswith(expected)], found


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        (
            ("EnableDnsSupport: true", "EnableDnsSupport: false"),
            f"dns-support: {CLOSED_VPC}: enableDnsSupport is false",
        ),
        (("      EnableDnsHostnames: true\n", ""), f"dns-hostnames: {CLOSED_VPC}: enableDnsHostnames is false"),
        (
            ('!Join [",", [!Ref FirstWorkerSubnet, !Ref SecondWorkerSubnet]]', "!Ref FirstWorkerSubnet"),
            f"two-subnets: {CLOSED_VPC}: 1 of the subnets are in this VPC",
        ),
        (
            ("Resources:\n", OWN_DNS),
            "dhcp-options: Dns in 1-infrastructure.yaml: domain-name-servers are 192.0.2.53, and not AmazonProvidedDNS",
        ),
    ],
)
def test_each_lack_of_templates(lacking: Lacking, replaced: tuple[str, str], expected: str) -> None:
    """What a template lacks is found in it, before any of it is made."""
    found = lacking(replaced=replaced)

    assert [text for text in found if text.startswith(expected)], found


def test_service_range_beside_the_vpc(lacking: Lacking) -> None:
    """Services may not have addresses of the VPC's own."""
    assert f"service-range: {CLOSED_VPC}: 172.20.0.0/20 overlaps the cluster's service range 172.20.0.0/16" in lacking(
        {"infrastructure.ClosedVpcCidr": "172.20.0.0/20"}
    )


def test_zone_where_no_cluster_can_be(lacking: Lacking) -> None:
    """A zone that has EC2 but no EKS is named by its id, since names differ from account to account."""
    given = replace(OFFER, zones={**(OFFER.zones or {}), "ap-northeast-1c": "use1-az3"})

    assert lacking(given=given) == [
        f"zone: {SECOND}: ap-northeast-1c is use1-az3 for this account, where EKS makes no cluster: take another zone"
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (replace(OFFER, used={VPC: 3}), []),
        (replace(OFFER, used={VPC: 4}), ["VPCs in this Region: 4 are used and 2 more are wanted, of 5"]),
        (replace(OFFER, used={VPC: 4}, quotas={VPC: 20}), []),
        (
            replace(OFFER, used={EIP: 5}),
            ["Elastic IP addresses in this Region: 5 are used and 1 more are wanted, of 5"],
        ),
    ],
)
def test_quotas(lacking: Lacking, given: Offer, expected: list[str]) -> None:
    """VPCs and public addresses that the account may not have any more are counted, by its own quota if it is known."""
    assert lacking(given=given) == [f"quota: {what}: have the quota raised, or delete some" for what in expected]


def test_room_for_the_loss_of_a_zone_is_advice(lacking: Lacking) -> None:
    """A subnet that holds its share of nodes but not all of them is no lack."""
    small = {"infrastructure.FirstWorkerCidr": "10.20.0.0/26"}

    assert lacking(small) == []
    assert lacking(small, level="advice") == [
        f"room-for-all: {FIRST}: 59 addresses can be had, and 81 are needed when all nodes are in this zone"
    ]


def test_what_could_not_be_read_is_said(lacking: Lacking) -> None:
    """A call that is refused leaves its rules out and is told; it neither passes nor fails anything."""
    given = Offer(unread=("zones: AccessDenied",))

    assert lacking({"infrastructure.SecondZone": "ap-northeast-1b"}, given=given) == []
    assert lacking(given=given, level="advice") == ["not-checked: this Region: zones: AccessDenied"]


# -- read through the API ----------------------------------------------------------------------------------------------


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A fresh Region."""
    yield from fresh_region(tmp_path)


def test_the_region_is_read(region: Region) -> None:
    """Zones, types, key pairs, images and what is used come from describe calls."""
    conf = stackconf.load(CLOSED / "site.yaml")
    assert isinstance(conf, StacksConf)
    connect(region, "ec2").create_key_pair(KeyName="mine")
    vpcs = len(connect(region, "ec2").describe_vpcs()["Vpcs"])

    read = offer.read(planning.plan(conf, CLOSED, AROUND), cache(lambda service: connect(region, service)))

    assert read.unread == ()
    assert read.zones is not None
    assert ZONES <= set(read.zones)
    assert read.types == {"t3.small": (3, 4), "t3.medium": (3, 6)}
    assert {zone for zones in (read.offered or {}).values() for zone in zones} <= set(read.zones)
    assert set(read.names or ()) == {"mine", "ami-12c6146b"}
    assert read.used == {VPC: vpcs, EIP: 0}


def test_subnets_that_are_there(region: Region) -> None:
    """Of a cluster that is put into an existing VPC, the VPC itself is looked at."""
    ec2 = connect(region, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/24")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.0.{n}/28", AvailabilityZone=f"{region.region}a") for n in (0, 16)
    ]
    ids = [one["Subnet"]["SubnetId"] for one in made]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
    ec2.create_key_pair(KeyName="mine")
    conf = stackconf.load(CLOSED / "site.yaml", {"cluster.subnets": ",".join(ids)})
    assert isinstance(conf, StacksConf)

    found = preflight.check(conf, CLOSED, cache(lambda service: connect(region, service)), AROUND)

    assert [(lack.name, lack.object) for lack in found if lack.level == "lack"] == [
        ("dns-support", vpc),
        ("dns-hostnames", vpc),
        ("two-zones", ", ".join(sorted(ids))),
    ]


def test_subnets_that_are_not_there(region: Region) -> None:
    """A subnet that does not exist is an error with AWS's own words."""
    conf = stackconf.load(CLOSED / "site.yaml", {"cluster.subnets": "subnet-0123456789abcdef0"})
    assert isinstance(conf, StacksConf)

    with pytest.raises(IslandingError, match=r"cannot be looked at: .*InvalidSubnetID.NotFound"):
        preflight.check(conf, CLOSED, cache(lambda service: connect(region, service)), AROUND)


def test_a_site_reads_the_same(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of a site's own VPC are those of a VPC that is to be used."""
    ec2 = connect(region, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/24")["Vpc"]["VpcId"]

    def call(_site: Any, _service: str, operation: str, arguments: dict[str, Any]) -> Any:
        return getattr(ec2, operation)(**arguments)

    monkeypatch.setattr(calls, "call", call)
    site: Any = None

    assert [lack.name for lack in checks.check(site, vpc, [])] == ["dns-hostnames", "two-subnets"]


@pytest.mark.parametrize("gone", [False, True])
def test_resolvers_of_options_that_may_be_gone(region: Region, gone: bool) -> None:
    """A VPC read as it was before may name options that are deleted by now: a lack by its name, and no error."""
    ec2 = connect(region, "ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/24")["Vpc"]["VpcId"]
    own = [{"Key": "domain-name-servers", "Values": ["10.9.0.2"]}]
    options = ec2.create_dhcp_options(DhcpConfigurations=own)["DhcpOptions"]["DhcpOptionsId"]
    ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=vpc)
    before = ec2.describe_vpcs(VpcIds=[vpc])
    if gone:
        ec2.associate_dhcp_options(DhcpOptionsId="default", VpcId=vpc)
        ec2.delete_dhcp_options(DhcpOptionsId=options)

    def call(_service: str, operation: str, arguments: dict[str, Any]) -> Any:
        return before if operation == "describe_vpcs" else getattr(ec2, operation)(**arguments)

    ground = checks.look_by(call, vpc, [])

    assert ground.resolvers == (() if gone else ("10.9.0.2",))
    assert ("dhcp-options" in [lack.name for lack in lacks(ground)]) is gone
