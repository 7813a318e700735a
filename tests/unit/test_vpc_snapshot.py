"""What moto holds, as a typed state: read through nothing but AWS calls made before, robust to what dangles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from islanding.lab.region.server import Region
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.snapshot import snapshot
from islanding.lab.vpc.state import (
    DhcpOptions,
    Ec2State,
    GroupRule,
    HostedZone,
    Instance,
    Interface,
    InternetGateway,
    Peering,
    Record,
    Route,
    ServiceHost,
    VpnGateway,
)
from tests.unit.region_support import REGION, connect, fresh_region

IMAGE = "ami-12c6146b"


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A fresh account."""
    yield from fresh_region(tmp_path)


class Account:
    """A VPC with a subnet and a group."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.ec2: Any = connect(region, "ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        self.group = self.ec2.create_security_group(GroupName="g", Description="g", VpcId=self.vpc)["GroupId"]

    def state(self, **more: Any) -> Ec2State:
        """What is there now."""
        return snapshot(self.region.account, REGION, **more)

    def instance(self) -> tuple[str, str]:
        """A running instance; its id and its interface's."""
        made = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=self.subnet, SecurityGroupIds=[self.group]
        )["Instances"][0]
        return made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def interface(self, identity: str, **more: Any) -> Interface:
        """One interface of the state."""
        return next(i for i in self.state(**more).interfaces if i.id == identity)


@pytest.fixture
def account(region: Region) -> Account:
    """A VPC."""
    return Account(region)


def test_a_vpc_has_its_ranges_and_dns_attributes(account: Account) -> None:
    """The primary range first, then those added; DNS attributes and DHCP options as they are set."""
    ec2 = account.ec2
    ec2.associate_vpc_cidr_block(VpcId=account.vpc, CidrBlock="10.9.0.0/16")
    ec2.modify_vpc_attribute(VpcId=account.vpc, EnableDnsSupport={"Value": False})
    ec2.modify_vpc_attribute(VpcId=account.vpc, EnableDnsHostnames={"Value": True})
    options = ec2.create_dhcp_options(
        DhcpConfigurations=[
            {"Key": "domain-name", "Values": ["corp.example"]},
            {"Key": "domain-name-servers", "Values": ["10.0.0.53", "AmazonProvidedDNS"]},
        ]
    )["DhcpOptions"]["DhcpOptionsId"]
    ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=account.vpc)
    vpc = account.state().vpcs[0]
    assert (account.vpc, ("10.0.0.0/16", "10.9.0.0/16"), False, True) == (
        vpc.id, vpc.cidrs, vpc.dns_support, vpc.dns_hostnames,
    )  # fmt: skip
    assert DhcpOptions(("10.0.0.53", "AmazonProvidedDNS"), "corp.example") == vpc.dhcp


def test_the_default_vpc_is_not_there_until_something_is_in_it(account: Account) -> None:
    """One that was asked for costs nothing while it is empty."""
    default = account.ec2.create_default_vpc()["Vpc"]["VpcId"]
    assert [account.vpc] == [vpc.id for vpc in account.state().vpcs]
    account.ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)
    assert {account.vpc, default} == {vpc.id for vpc in account.state().vpcs}


def test_an_instance_is_there_while_it_runs(account: Account) -> None:
    """Its interface stays its own when it is stopped; what is terminated does not run."""
    instance, card = account.instance()
    assert Instance(instance, running=True) in account.state().instances
    assert (instance, 0, (account.group,)) == (
        account.interface(card).owner, account.interface(card).device, account.interface(card).groups,
    )  # fmt: skip
    account.ec2.stop_instances(InstanceIds=[instance])
    assert Instance(instance, running=False) in account.state().instances
    account.ec2.start_instances(InstanceIds=[instance])
    account.ec2.terminate_instances(InstanceIds=[instance])
    assert Instance(instance, running=True) not in account.state().instances


def test_an_interface_has_all_its_addresses_the_primary_one_first(account: Account) -> None:
    """Elastic addresses by the private one that they are for."""
    _, card = account.instance()
    first = account.interface(card).addresses[0]
    account.ec2.assign_private_ip_addresses(NetworkInterfaceId=card, PrivateIpAddresses=["10.0.1.200"])
    gateway = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=account.vpc)
    eip = account.ec2.allocate_address(Domain="vpc", Address="203.0.113.200")
    account.ec2.associate_address(AllocationId=eip["AllocationId"], NetworkInterfaceId=card)
    found = account.interface(card)
    assert ((first, "10.0.1.200"), ((first, "203.0.113.200"),)) == (found.addresses, found.public)


def test_a_services_interfaces_are_plugged_into_its_host_in_its_order(account: Account) -> None:
    """Whatever their ids are."""
    cards = [account.ec2.create_network_interface(SubnetId=account.subnet) for _ in range(3)]
    ids = [card["NetworkInterface"]["NetworkInterfaceId"] for card in cards]
    host = ServiceHost("eks-one", "52.1.1.1")
    more = {"services": (host,), "owners": dict.fromkeys(reversed(ids), "eks-one")}
    found = [account.interface(i, **more) for i in ids]
    assert [("eks-one", 2), ("eks-one", 1), ("eks-one", 0)] == [(i.owner, i.device) for i in found]
    assert (host,) == account.state(**more).services


def test_rules_of_a_group_have_one_far_side_each(account: Account) -> None:
    """CIDR blocks, groups and prefix lists: AWS's own by its name, a customer's by what is in it."""
    lists = account.ec2.describe_managed_prefix_lists()["PrefixLists"]
    s3 = next(p["PrefixListId"] for p in lists if p["PrefixListName"] == f"com.amazonaws.{REGION}.s3")
    own = account.ec2.create_managed_prefix_list(
        PrefixListName="own", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": "10.7.0.0/16"}]
    )["PrefixList"]["PrefixListId"]
    account.ec2.authorize_security_group_ingress(
        GroupId=account.group,
        IpPermissions=[
            {
                "IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.8.0.0/16"}],
                "UserIdGroupPairs": [{"GroupId": account.group}],
                "PrefixListIds": [{"PrefixListId": s3}, {"PrefixListId": own}],
            }
        ],
    )  # fmt: skip
    group = next(g for g in account.state().groups if g.id == account.group)
    assert {
        GroupRule("tcp", 1, 2, cidr="10.8.0.0/16"),
        GroupRule("tcp", 1, 2, group=account.group),
        GroupRule("tcp", 1, 2, prefix_list=f"com.amazonaws.{REGION}.s3"),
        GroupRule("tcp", 1, 2, cidr="10.7.0.0/16", prefix_list=own),
    } == group.ingress
    assert {GroupRule("-1", cidr="0.0.0.0/0")} == group.egress
    assert f"com.amazonaws.{REGION}.s3" in Outside(region=REGION).prefix_lists


def test_routes_have_the_targets_that_ec2_shows(account: Account) -> None:
    """Local, gateways, peering, interfaces; the peering connection's status is its own."""
    ec2 = account.ec2
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    peering = ec2.create_vpc_peering_connection(VpcId=account.vpc, PeerVpcId=other)["VpcPeeringConnection"]
    igw = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=account.vpc)
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=account.vpc)
    _, card = account.instance()
    table = ec2.create_route_table(VpcId=account.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=account.subnet)
    pcx = peering["VpcPeeringConnectionId"]
    targets = {"GatewayId": igw, "VpcPeeringConnectionId": pcx, "NetworkInterfaceId": card}
    for number, (kind, target) in enumerate(targets.items()):
        ec2.create_route(RouteTableId=table, DestinationCidrBlock=f"172.{16 + number}.0.0/16", **{kind: target})
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="172.30.0.0/16", GatewayId=vgw)
    state = account.state()
    found = next(t for t in state.route_tables if t.id == table)
    expected = {f"172.{16 + number}.0.0/16": target for number, target in enumerate(targets.values())}
    assert {**expected, "10.0.0.0/16": "local", "172.30.0.0/16": vgw} == {r.destination: r.target for r in found.routes}
    assert (False, frozenset({account.subnet})) == (found.main, found.subnets)
    assert (Peering(pcx, account.vpc, other, "pending-acceptance"),) == state.peerings
    assert InternetGateway(igw, account.vpc) in state.internet_gateways
    assert (VpnGateway(vgw, account.vpc),) == state.vpn_gateways


def test_acls_have_their_lines_in_order(account: Account) -> None:
    """ICMP lines by type and code."""
    acl = account.ec2.create_network_acl(VpcId=account.vpc)["NetworkAcl"]["NetworkAclId"]
    for number, more in ((200, {"Protocol": "6", "PortRange": {"From": 1, "To": 9}}), (100, {"Protocol": "-1"})):
        account.ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=number, RuleAction="allow", Egress=False, CidrBlock="10.0.0.0/8", **more
        )
    account.ec2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=50, RuleAction="deny", Egress=False, CidrBlock="0.0.0.0/0", Protocol="1"
    )
    lines = ec2_backends[account.region.account][REGION].network_acls[acl].network_acl_entries
    vars(next(entry for entry in lines if entry.rule_number == 50)).update(icmp_type=8, icmp_code=-1)
    found = next(a for a in account.state().acls if a.id == acl)
    assert [(50, False, "1", 8, -1), (100, True, "-1", None, None), (200, True, "6", 1, 9)] == [
        (e.number, e.allow, e.protocol, e.low, e.high) for e in found.entries
    ]


def test_a_private_zone_has_its_records_and_vpcs(account: Account) -> None:
    """A public zone is not the VPC's concern."""
    route53: Any = connect(account.region, "route53")
    zone = route53.create_hosted_zone(
        Name="corp.example",
        CallerReference="1",
        VPC={"VPCRegion": REGION, "VPCId": account.vpc},
        HostedZoneConfig={"PrivateZone": True},
    )["HostedZone"]["Id"]
    route53.create_hosted_zone(Name="public.example", CallerReference="2")
    record = {"Name": "db.corp.example", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.1.9"}]}
    changed = {"Action": "CREATE", "ResourceRecordSet": record}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [changed]})
    zones: tuple[HostedZone, ...] = account.state().zones
    assert ["corp.example."] == [z.name for z in zones]
    assert frozenset({account.vpc}) == zones[0].vpcs
    assert Record("db.corp.example.", "A", ("10.0.1.9",)) in zones[0].records


def test_what_dangles_is_left_out(account: Account) -> None:
    """An interface whose subnet is half gone hides no other one, and a route to nothing has an empty target."""
    _, card = account.instance()
    _, whole = account.instance()
    ec2 = ec2_backends[account.region.account][REGION]
    ec2.enis[card].subnet = None
    assert whole in {i.id for i in account.state().interfaces}
    assert card not in {i.id for i in account.state().interfaces}
    table = next(t for t in ec2.route_tables.values() if t.vpc_id == account.vpc)
    route = next(iter(table.routes))
    route.local, route.gateway = False, None
    found = next(t for t in account.state().route_tables if t.id == table.id)
    assert frozenset({Route("10.0.0.0/16", "")}) == found.routes
