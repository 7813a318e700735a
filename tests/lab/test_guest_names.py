"""What instances are told by their VPC's resolver, asked from inside their namespaces over the real data plane."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from islanding.lab import dns
from islanding.lab.namespaces import in_netns
from islanding.lab.vpc import names, service_names
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.resolvers import Resolvers
from islanding.lab.vpc.state import Ec2State
from tests.lab import packets
from tests.lab.packets import World
from tests.unit.region_support import REGION

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)
OUTSIDE = Outside()
EC2 = f"ec2.{REGION}.amazonaws.com"
PUBLIC = names.public_names(REGION, OUTSIDE.api, OUTSIDE.s3[0], {"elsewhere.example": OUTSIDE.elsewhere})


@dataclass
class Office:
    """A VPC with DNS, an instance in it, and an interface endpoint for EC2."""

    world: World
    vpc: str
    subnet: str
    group: str
    instance: str

    def endpoint(self, *, private_dns: bool = True) -> str:
        """An interface endpoint for EC2; its id."""
        made = self.world.ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName=f"com.amazonaws.{REGION}.ec2", VpcEndpointType="Interface",
            SubnetIds=[self.subnet], SecurityGroupIds=[self.group], PrivateDnsEnabled=private_dns,
        )  # fmt: skip
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def address(self, endpoint: str) -> str:
        """The address of an endpoint's network interface."""
        found = self.world.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
        ids = found["NetworkInterfaceIds"]
        cards = self.world.ec2.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
        return str(cards[0]["PrivateIpAddress"])

    def ask(self, name: str, kind: str = "A", server: str = "10.0.0.2", timeout: float = 2.0) -> dns.Answer:
        """What the instance is told."""
        with in_netns(self.instance, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asked:
            return dns.ask(asked, (server, 53), name, kind, timeout)


@pytest.fixture
def resolvers(world: World, tmp_path: Path) -> Iterator[Resolvers]:
    """Resolvers that end with the test."""
    made = Resolvers(tmp_path / "dns", tmp_path)
    yield made
    made.close()


@pytest.fixture
def office(world: World, resolvers: Resolvers) -> Office:
    """The VPC with its resolver, which follows what EC2 says."""

    def follow(state: Ec2State) -> None:
        resolvers.follow(names.resolvers(state, REGION, PUBLIC, everybody=("aws", OUTSIDE.resolver)))

    world.plane.on_plan(follow)
    vpc = world.vpc("10.0.0.0/16")
    world.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = world.subnet(vpc, "10.0.1.0/24", AvailabilityZone=f"{REGION}a")
    group = world.group(vpc)
    instance = world.instance(subnet, group, "10.0.1.10")
    return Office(world, vpc, subnet, group, instance)


def own_names(endpoint: str) -> tuple[str, ...]:
    """The regional and the zonal name of an endpoint."""
    return service_names.endpoint_names(endpoint, f"com.amazonaws.{REGION}.ec2", REGION, (f"{REGION}a",))


def test_the_name_of_a_service_follows_its_endpoint(office: Office) -> None:
    """The endpoint's address at both of the resolver's, at once; the public one as soon as the endpoint is gone."""
    assert (OUTSIDE.api,) == office.ask(EC2).data
    endpoint = office.endpoint()
    inside = office.address(endpoint)
    assert [(inside,)] * 4 == [
        office.ask(EC2).data,
        office.ask(EC2, server=names.LINK_LOCAL).data,
        *(office.ask(name).data for name in own_names(endpoint)),
    ]
    office.world.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert (OUTSIDE.api,) == office.ask(EC2).data
    assert dns.Answer(dns.NO_SUCH_NAME) == office.ask(own_names(endpoint)[0])


def test_without_private_dns_an_endpoint_has_its_own_names_only(office: Office) -> None:
    """The service's name leads to the public address, to which there is no way."""
    endpoint = office.endpoint(private_dns=False)
    assert (OUTSIDE.api,) == office.ask(EC2).data
    assert [(office.address(endpoint),)] * 2 == [office.ask(name).data for name in own_names(endpoint)]


def test_private_dns_is_switched_off_and_on(office: Office) -> None:
    """By ModifyVpcEndpoint, at once."""
    endpoint = office.endpoint()
    seen = []
    for wanted in (False, True):
        office.world.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=wanted)
        seen.append(office.ask(EC2).data)
    assert [(OUTSIDE.api,), (office.address(endpoint),)] == seen


def test_a_private_hosted_zone_hides_the_public_names_below_it(office: Office) -> None:
    """For the VPCs that it is associated with; what it does not hold does not exist there."""
    route53 = office.world.client("route53")
    zone = route53.create_hosted_zone(
        Name="elsewhere.example", CallerReference="1", VPC={"VPCRegion": REGION, "VPCId": office.vpc},
        HostedZoneConfig={"PrivateZone": True},
    )["HostedZone"]["Id"]  # fmt: skip
    record = {"Name": "db.elsewhere.example", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.1.99"}]}
    change = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)
    assert ("10.0.1.99",) == office.ask("db.elsewhere.example").data
    assert dns.Answer(dns.NO_ERROR) == office.ask("elsewhere.example")
    assert dns.Answer(dns.NO_SUCH_NAME) == office.ask("www.elsewhere.example")


def test_names_of_instances_and_of_the_internet(office: Office) -> None:
    """An instance's private name both ways, and a public one although the VPC has no way to the internet."""
    name = f"ip-10-0-1-10.{REGION}.compute.internal"
    assert ("10.0.1.10",) == office.ask(name).data
    assert (name,) == office.ask("10.1.0.10.in-addr.arpa", "PTR").data
    assert (OUTSIDE.elsewhere,) == office.ask("elsewhere.example").data
    assert dns.Answer(dns.NO_SUCH_NAME) == office.ask("nowhere.example")
    assert dns.Answer(dns.NO_ERROR) == office.ask(EC2, "AAAA")
    assert dns.Answer(dns.NO_ERROR) == office.ask(f"any-bucket.s3.{REGION}.amazonaws.com", "AAAA")


def test_dns_attributes_of_the_vpc(office: Office) -> None:
    """Without host names: no private names; without support: silence; and all back again."""
    ec2, name = office.world.ec2, f"ip-10-0-1-10.{REGION}.compute.internal"
    ec2.modify_vpc_attribute(VpcId=office.vpc, EnableDnsHostnames={"Value": False})
    assert ((), (OUTSIDE.api,)) == (office.ask(name).data, office.ask(EC2).data)
    ec2.modify_vpc_attribute(VpcId=office.vpc, EnableDnsSupport={"Value": False})
    with pytest.raises(TimeoutError):
        office.ask(EC2, timeout=0.5)
    ec2.modify_vpc_attribute(VpcId=office.vpc, EnableDnsSupport={"Value": True})
    ec2.modify_vpc_attribute(VpcId=office.vpc, EnableDnsHostnames={"Value": True})
    assert ("10.0.1.10",) == office.ask(name).data


def test_no_question_is_lost_while_names_change(office: Office) -> None:
    """Two who ask all the time get an answer to each question, and none takes long."""
    ended = threading.Event()
    late: list[OSError] = []
    answered: set[tuple[str, ...]] = set()

    def keep_asking() -> None:
        while not ended.is_set():
            try:
                answered.add(office.ask(EC2, timeout=5.0).data)
            except OSError as error:
                late.append(error)

    asking = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in asking:
        thread.start()
    for _ in range(6):
        office.world.ec2.delete_vpc_endpoints(VpcEndpointIds=[office.endpoint()])
    ended.set()
    for thread in asking:
        thread.join()
    assert [] == late
    assert len(answered) > 1
