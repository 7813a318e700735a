"""C-17: what a VPC must have is checked before anything is built in it, and each lack is named."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from islanding.aws import checks, group, subnets
from islanding.aws.calls import call, delete, until_settled
from islanding.model import Site

RANGE = "10.99.0.0/24"
MARK = "islanding:scratch"  # tag of what a case makes and deletes
Evidence = Callable[[str, str], None]


@dataclass
class Scratch:
    """A VPC of its own, without anything in it, as good as the site's own: what a lack is tried on."""

    site: Site
    token: str
    vpc: str
    subnets: list[str]
    instance_type: str
    made: list[str] = field(default_factory=list)  # every subnet: a list of AWS's may not show the last one yet

    def lacks(self, expected: list[str]) -> list[str]:
        """The names of what is missing, advice left out; looked at again while AWS may not show what was changed."""

        def look() -> list[str]:
            found = checks.check(self.site, self.vpc, self.subnets, self.instance_type)
            return sorted(str(lack.name) for lack in found if lack.level == "lack")

        return until_settled(self.site, look, lambda found: found == expected)

    def ec2(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """A call of EC2."""
        return call(self.site, "ec2", operation, arguments)

    def subnet(self, cidr: str, zone: str) -> str:
        """One more subnet."""
        self.made.append(subnets.made(self.site, self.vpc, cidr, zone))
        return self.made[-1]

    def delete(self) -> None:
        """The VPC, all that is in it and its DHCP options; also what was made by a call whose reply was lost.

        What AWS still holds to be in it is waited for.
        """
        for subnet in self.made:
            delete(self.site, "ec2", "delete_subnet", SubnetId=subnet)
        delete(self.site, "ec2", "delete_vpc", VpcId=self.vpc)
        marked = [{"Name": f"tag:{MARK}", "Values": [self.token]}]
        for vpc in {one["VpcId"] for one in self.ec2("describe_vpcs", Filters=marked)["Vpcs"]} - {self.vpc}:
            delete(self.site, "ec2", "delete_vpc", VpcId=vpc)
        for options in self.ec2("describe_dhcp_options", Filters=marked)["DhcpOptions"]:
            delete(self.site, "ec2", "delete_dhcp_options", DhcpOptionsId=options["DhcpOptionsId"])


@pytest.fixture
def scratch(site: Site) -> Iterator[Scratch]:
    """A VPC with all that is needed; deleted at the end with what is in it."""
    zones = _zones(site)
    token = secrets.token_hex(8)
    wanted = {"CidrBlock": RANGE, "TagSpecifications": _tags("vpc", token)}
    vpc = call(site, "ec2", "create_vpc", wanted)["Vpc"]["VpcId"]
    made = Scratch(site, token, vpc, [], group.template(site)["InstanceType"])
    try:
        made.ec2("modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
        made.subnets = [made.subnet("10.99.0.0/27", zones[0]), made.subnet("10.99.0.32/27", zones[1])]
        yield made
    finally:
        made.delete()


def _tags(kind: str, token: str) -> list[dict[str, Any]]:
    """What a thing is made with, so that it is found again when the reply was lost."""
    return [{"ResourceType": kind, "Tags": [{"Key": MARK, "Value": token}]}]


def _zones(site: Site) -> list[str]:
    ids = site.facts["worker_subnet_ids"].split(",")
    found = call(site, "ec2", "describe_subnets", {"SubnetIds": ids})["Subnets"]
    return sorted(str(one["AvailabilityZone"]) for one in found)


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-17")
def test_the_site_lacks_nothing(site: Site, evidence: Evidence) -> None:
    """The VPC that the site was built in passes every check."""
    subnets = site.facts["worker_subnet_ids"].split(",")
    found = checks.check(site, site.facts["vpc_id"], subnets, group.template(site)["InstanceType"])
    evidence("what is missing", "\n".join(map(str, found)) or "nothing")
    assert not found


# Each lack: what is done to a good VPC, and the names of what the check then misses.
@contextmanager
def _no_dns_support(scratch: Scratch) -> Iterator[None]:
    scratch.ec2("modify_vpc_attribute", VpcId=scratch.vpc, EnableDnsSupport={"Value": False})
    yield
    scratch.ec2("modify_vpc_attribute", VpcId=scratch.vpc, EnableDnsSupport={"Value": True})


@contextmanager
def _no_dns_hostnames(scratch: Scratch) -> Iterator[None]:
    scratch.ec2("modify_vpc_attribute", VpcId=scratch.vpc, EnableDnsHostnames={"Value": False})
    yield
    scratch.ec2("modify_vpc_attribute", VpcId=scratch.vpc, EnableDnsHostnames={"Value": True})


@contextmanager
def _dhcp_options(scratch: Scratch) -> Iterator[None]:
    before = scratch.ec2("describe_vpcs", VpcIds=[scratch.vpc])["Vpcs"][0]["DhcpOptionsId"]
    servers = [{"Key": "domain-name-servers", "Values": ["192.0.2.53"]}]
    wanted = {"DhcpConfigurations": servers, "TagSpecifications": _tags("dhcp-options", scratch.token)}
    made = scratch.ec2("create_dhcp_options", **wanted)["DhcpOptions"]["DhcpOptionsId"]
    scratch.ec2("associate_dhcp_options", VpcId=scratch.vpc, DhcpOptionsId=made)
    yield
    scratch.ec2("associate_dhcp_options", VpcId=scratch.vpc, DhcpOptionsId=before or "default")


@contextmanager
def _one_subnet(scratch: Scratch) -> Iterator[None]:
    kept, scratch.subnets = scratch.subnets, scratch.subnets[:1]
    yield
    scratch.subnets = kept


@contextmanager
def _one_zone(scratch: Scratch) -> Iterator[None]:
    kept = scratch.subnets
    scratch.subnets = [kept[0], scratch.subnet("10.99.0.64/27", _zones(scratch.site)[0])]
    yield
    scratch.subnets = kept


@contextmanager
def _full_subnet(scratch: Scratch) -> Iterator[None]:
    small = scratch.subnet("10.99.0.128/28", _zones(scratch.site)[1])
    filled = scratch.ec2("create_network_interface", SubnetId=small, SecondaryPrivateIpAddressCount=7)
    kept, scratch.subnets = scratch.subnets, [scratch.subnets[0], small]
    try:
        yield
    finally:  # or the subnet could not be deleted
        scratch.subnets = kept
        scratch.ec2("delete_network_interface", NetworkInterfaceId=filled["NetworkInterface"]["NetworkInterfaceId"])


@contextmanager
def _type_not_offered(scratch: Scratch) -> Iterator[None]:
    kept, scratch.instance_type = scratch.instance_type, "t3.enormous"
    yield
    scratch.instance_type = kept


LACKS = {
    "vpc-without-dns-support": (_no_dns_support, ["dns-support"]),
    "vpc-without-dns-hostnames": (_no_dns_hostnames, ["dns-hostnames"]),
    "dhcp-options-with-another-resolver": (_dhcp_options, ["dhcp-options"]),
    "one-subnet": (_one_subnet, ["two-subnets", "two-zones"]),
    "one-zone": (_one_zone, ["two-zones"]),
    "subnet-with-three-addresses": (_full_subnet, ["free-addresses"]),
    "instance-type-not-offered": (_type_not_offered, ["instance-type", "instance-type"]),
}


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-17")
@pytest.mark.parametrize("lack", LACKS)
def test_ground_with(lack: str, scratch: Scratch, site: Site, evidence: Evidence) -> None:
    """A VPC that is good passes; with one thing missing the check names that thing and no other."""
    breaks, names = LACKS[lack]
    assert scratch.lacks([]) == []
    with ExitStack() as broken:
        broken.enter_context(breaks(scratch))
        named = scratch.lacks(names)
        found = checks.check(site, scratch.vpc, scratch.subnets, scratch.instance_type)
        evidence("what is missing", "\n".join(map(str, found)))
        assert named == names
    assert scratch.lacks([]) == []
