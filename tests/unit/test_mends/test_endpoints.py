"""VPC endpoints: interfaces, groups, private DNS, policies, names, routes, as DescribeVpcEndpoints and others show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from islanding.lab.vpc.service_names import endpoint_names
from islanding.lab.vpc.snapshot import snapshot
from tests.unit.region_support import REGION
from tests.unit.test_mends.support import ZONES, Account, refusal

ECR = f"com.amazonaws.{REGION}.ecr.api"
S3 = f"com.amazonaws.{REGION}.s3"


def groups(card: dict[str, Any]) -> list[str]:
    """Ids of an interface's groups."""
    return [group["GroupId"] for group in card["Groups"]]


def test_an_endpoint_has_an_interface_in_each_subnet(account: Account) -> None:
    """With the lowest free address, the groups given, and the marks by which AWS's interfaces are known."""
    account.run()
    endpoint = account.endpoint(SecurityGroupIds=[account.group])
    ids = account.described(endpoint)["NetworkInterfaceIds"]
    cards = account.ec2.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
    cards.sort(key=lambda card: str(card["PrivateIpAddress"]))

    assert [card["PrivateIpAddress"] for card in cards] == ["10.0.1.5", "10.0.2.4"]
    assert [card["SubnetId"] for card in cards] == account.subnets
    assert [groups(card) for card in cards] == [[account.group]] * 2
    assert {card["InterfaceType"] for card in cards} == {"vpc_endpoint"}
    assert {card["RequesterManaged"] for card in cards} == {True}
    assert {card["Status"] for card in cards} == {"in-use"}
    assert {card["Description"] for card in cards} == {f"VPC Endpoint Interface {endpoint}"}


def test_without_groups_it_has_the_default_one(account: Account) -> None:
    """That of the VPC, on the endpoint and on its interfaces."""
    named = [{"Name": "vpc-id", "Values": [account.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    default = account.ec2.describe_security_groups(Filters=named)["SecurityGroups"][0]["GroupId"]
    endpoint = account.endpoint()

    assert [g["GroupId"] for g in account.described(endpoint)["Groups"]] == [default]
    assert [groups(card) for card in account.cards(interface_type="vpc_endpoint")] == [[default]] * 2


def test_its_interfaces_go_with_it(account: Account) -> None:
    """And nobody else can delete them."""
    endpoint = account.endpoint()
    cards = account.described(endpoint)["NetworkInterfaceIds"]

    assert refusal(account.ec2.delete_network_interface, NetworkInterfaceId=cards[0])[0] != ""
    account.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert account.cards(vpc_id=account.vpc) == []
    assert snapshot(account.region.account, REGION).endpoints == ()


def test_private_dns_is_switched_off_and_on(account: Account) -> None:
    """It is on unless it is refused, and each change is shown and reaches the data plane."""
    endpoint = account.endpoint()
    seen = []
    for wanted in (None, False, True):
        if wanted is not None:
            account.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PrivateDnsEnabled=wanted)
        shown = account.described(endpoint)["PrivateDnsEnabled"]
        seen.append((shown, snapshot(account.region.account, REGION).endpoints[0].private_dns))

    assert seen == [(True, True), (False, False), (True, True)]


def test_another_change_leaves_private_dns_alone(account: Account) -> None:
    """Off stays off when groups change."""
    endpoint = account.endpoint(PrivateDnsEnabled=False)
    account.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSecurityGroupIds=[account.group])

    assert account.described(endpoint)["PrivateDnsEnabled"] is False


def test_subnets_come_and_go(account: Account) -> None:
    """Interfaces and zonal names follow."""
    endpoint = account.endpoint(SubnetIds=account.subnets[:1])
    account.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSubnetIds=[account.subnets[1]])
    both = {card["SubnetId"] for card in account.cards(interface_type="vpc_endpoint")}
    account.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, RemoveSubnetIds=[account.subnets[0]])
    left = account.cards(interface_type="vpc_endpoint")
    found = account.described(endpoint)

    assert both == set(account.subnets)
    assert [card["SubnetId"] for card in left] == [account.subnets[1]] == found["SubnetIds"]
    assert [card["NetworkInterfaceId"] for card in left] == found["NetworkInterfaceIds"]
    names = endpoint_names(endpoint, ECR, REGION, (ZONES[1],))
    assert {entry["DnsName"] for entry in found["DnsEntries"]} >= set(names)


def test_groups_change_on_the_interfaces_too(account: Account) -> None:
    """One added, one removed."""
    other = account.make_group("endpoints")
    endpoint = account.endpoint(SecurityGroupIds=[account.group])
    account.ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint, AddSecurityGroupIds=[other], RemoveSecurityGroupIds=[account.group]
    )

    assert [g["GroupId"] for g in account.described(endpoint)["Groups"]] == [other]
    assert [groups(card) for card in account.cards(interface_type="vpc_endpoint")] == [[other]] * 2


def test_a_policy_is_set_and_reset(account: Account) -> None:
    """Full access is what an endpoint has at first, and again after ResetPolicy."""
    endpoint = account.endpoint()
    default = account.described(endpoint)["PolicyDocument"]
    narrow = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}
    account.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PolicyDocument=json.dumps(narrow))
    changed = account.described(endpoint)["PolicyDocument"]
    account.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, ResetPolicy=True)

    assert json.loads(default)["Statement"][0]["Effect"] == "Allow"
    assert json.loads(changed) == narrow
    assert account.described(endpoint)["PolicyDocument"] == default


def test_its_names_are_those_that_the_resolver_knows(account: Account) -> None:
    """Regional first, then one for each zone."""
    endpoint = account.endpoint()
    entries = [entry["DnsName"] for entry in account.described(endpoint)["DnsEntries"]]

    names = endpoint_names(endpoint, ECR, REGION, ZONES)
    assert entries[0] == names[0]
    assert set(entries) >= set(names)


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("service-name", ECR, 1), ("service-name", "com.amazonaws.x", 0), ("vpc-endpoint-type", "Interface", 1),
        ("vpc-endpoint-type", "Gateway", 1), ("vpc-endpoint-state", "available", 2), ("vpc-id", "vpc-0", 0),
    ],
)  # fmt: skip
def test_filters_filter(account: Account, name: str, value: str, count: int) -> None:
    """Those that tools use with DescribeVpcEndpoints."""
    account.endpoint()
    account.ec2.create_vpc_endpoint(VpcId=account.vpc, ServiceName=S3, VpcEndpointType="Gateway")
    found = account.ec2.describe_vpc_endpoints(Filters=[{"Name": name, "Values": [value]}])

    assert len(found["VpcEndpoints"]) == count


def test_a_service_that_is_not_there_is_refused(account: Account) -> None:
    """As is one of another Region."""
    codes = [
        refusal(
            account.ec2.create_vpc_endpoint, VpcId=account.vpc, ServiceName=name, VpcEndpointType="Interface",
            SubnetIds=account.subnets,
        )[0]
        for name in (f"com.amazonaws.{REGION}.nosuch", "com.amazonaws.us-east-1.ecr.api")
    ]  # fmt: skip

    assert codes == ["InvalidServiceName"] * 2


def test_a_gateway_endpoint_is_a_route_while_it_is_associated(account: Account) -> None:
    """The route to the prefix list is in just the tables of the endpoint, until it is deleted."""
    one, other = account.table(), account.table()
    made = account.ec2.create_vpc_endpoint(VpcId=account.vpc, ServiceName=S3, RouteTableIds=[one])["VpcEndpoint"]
    endpoint = made["VpcEndpointId"]
    seen = [(len(account.routes(one)), len(account.routes(other)))]
    account.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[other], RemoveRouteTableIds=[one])
    seen.append((len(account.routes(one)), len(account.routes(other))))
    target = account.ec2.describe_route_tables(RouteTableIds=[other])["RouteTables"][0]["Routes"][-1]
    account.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    seen.append((len(account.routes(one)), len(account.routes(other))))

    assert seen == [(1, 0), (0, 1), (0, 0)]
    assert target["GatewayId"] == endpoint
    assert target["DestinationPrefixListId"].startswith("pl-")


def test_two_endpoints_cannot_have_the_same_private_name(account: Account) -> None:
    """The second one is refused in AWS's words; without private DNS it is not."""
    account.endpoint()
    code, message = refusal(account.endpoint)

    assert code == "InvalidParameter"
    assert "private-dns-enabled cannot be set because there is already a conflicting DNS domain for" in message
    assert f"api.ecr.{REGION}.amazonaws.com in the VPC {account.vpc}" in message
    second = account.endpoint(PrivateDnsEnabled=False)
    assert refusal(account.ec2.modify_vpc_endpoint, VpcEndpointId=second, PrivateDnsEnabled=True)[1] == message


def test_private_dns_needs_both_attributes_of_the_vpc(account: Account) -> None:
    """Refused when either is off."""
    account.ec2.modify_vpc_attribute(VpcId=account.vpc, EnableDnsHostnames={"Value": False})
    code, message = refusal(account.endpoint)

    assert code == "InvalidParameter"
    assert "enableDnsSupport and enableDnsHostnames" in message
