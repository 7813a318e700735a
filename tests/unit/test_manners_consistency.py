"""Eventual consistency in the Region, as callers meet it: what was just made or changed may not be seen yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from islanding.lab.region.manners import Manners
from islanding.lab.region.manners.call import Chances
from islanding.lab.region.manners.consistency import Consistency
from islanding.lab.region.server import Region
from tests.unit.region_support import connect, fresh_region


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region without manners."""
    yield from fresh_region(tmp_path)


def looks(region: Region, vpc: str) -> tuple[list[str], list[bool]]:
    """Twenty looks at a VPC by its id (the error's code, or none), and whether lists of all hold it."""
    client = connect(region, "ec2", attempts=1)
    codes = []
    for _ in range(20):
        try:
            client.describe_vpcs(VpcIds=[vpc])
            codes.append("")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    return codes, [vpc in json.dumps(client.describe_vpcs()["Vpcs"]) for _ in range(20)]


def test_what_was_just_made_may_be_unseen_for_a_while(region: Region) -> None:
    """Some looks find it and some do not, until the delay is over: then all do."""
    now = [0.0]
    manner = Consistency(2.0, Chances(1), lambda: now[0])
    vars(region)["_manners"] = Manners([manner])
    vpc = connect(region, "ec2", attempts=1).create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    young = looks(region, vpc)
    now[0] = 2.5
    old = looks(region, vpc)

    assert set(young[0]) == {"", "InvalidVpcID.NotFound"}
    assert set(young[1]) == {True, False}
    assert (set(old[0]), set(old[1])) == ({""}, {True})


def test_what_was_changed_once_is_known_to_changes(region: Region) -> None:
    """The first change of what is new may be refused; after one that was not, none is, and reads still may be."""
    now = [0.0]
    vars(region)["_manners"] = Manners([Consistency(2.0, Chances(1), lambda: now[0])])
    client, seen, reads = connect(region, "ec2", attempts=1), [], []
    vpc = client.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    for _ in range(40):
        try:
            client.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
            seen.append("changed")
        except ClientError as error:
            seen.append(error.response["Error"]["Code"])
        reads += looks(region, vpc)[0][:1]

    first = seen.index("changed")
    assert {"changed"} == set(seen[first:])
    assert {"InvalidVpcID.NotFound"} >= set(seen[:first])
    assert {"", "InvalidVpcID.NotFound"} == set(reads)


def test_a_read_may_tell_of_the_state_before(region: Region) -> None:
    """An attribute that was changed reads as it was, now and then, and after the delay as it is."""
    now = [0.0]
    manner = Consistency(2.0, Chances(1), lambda: now[0])
    vars(region)["_manners"] = Manners([manner])
    client = connect(region, "ec2", attempts=1)
    vpc = region.sessions.own_client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]

    def seen() -> bool:
        reply = client.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")
        return bool(reply["EnableDnsSupport"]["Value"])

    before = seen()
    client.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
    young = {seen() for _ in range(20)}
    now[0] = 4.0
    old = {seen() for _ in range(20)}

    assert (before, young, old) == (True, {True, False}, {False})
