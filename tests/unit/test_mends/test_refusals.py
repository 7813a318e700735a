"""What EC2 refuses, in its words, and what has to be gone before a thing can be deleted."""

from __future__ import annotations

import pytest

from islanding.lab.region import mends
from tests.unit.region_support import REGION, connect
from tests.unit.test_mends.support import IMAGE, Account, refusal


def gateway(account: Account) -> str:
    """An internet gateway that is attached."""
    made = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=account.vpc)
    return str(made)


def test_a_subnet_with_interfaces_stays(account: Account) -> None:
    """It goes when they are gone."""
    subnet = account.subnets[0]
    card = account.card()["NetworkInterfaceId"]
    found = refusal(account.ec2.delete_subnet, SubnetId=subnet)
    account.ec2.delete_network_interface(NetworkInterfaceId=card)
    account.ec2.delete_subnet(SubnetId=subnet)

    assert found == ("DependencyViolation", f"The subnet '{subnet}' has dependencies and cannot be deleted.")


def test_a_subnet_with_an_endpoint_stays(account: Account) -> None:
    """An endpoint's interface is one as any other."""
    account.endpoint()

    assert refusal(account.ec2.delete_subnet, SubnetId=account.subnets[0])[0] == "DependencyViolation"


def test_a_group_in_use_stays(account: Account) -> None:
    """Used by an instance, and by nothing any more."""
    instance = account.run(SecurityGroupIds=[account.group])[0]["InstanceId"]
    found = refusal(account.ec2.delete_security_group, GroupId=account.group)
    account.ec2.terminate_instances(InstanceIds=[instance])
    account.ec2.delete_security_group(GroupId=account.group)

    assert found == ("DependencyViolation", f"resource {account.group} has a dependent object")


def test_a_group_that_another_one_names_stays(account: Account) -> None:
    """Until the rule is revoked."""
    other = account.make_group("others")
    rule = [{
        "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": account.group}],
    }]  # fmt: skip
    account.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=rule)
    found = refusal(account.ec2.delete_security_group, GroupId=account.group)
    account.ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=rule)
    account.ec2.delete_security_group(GroupId=account.group)

    assert found == ("DependencyViolation", f"resource {account.group} has a dependent object")


def test_a_vpc_goes_when_it_is_empty(account: Account) -> None:
    """Subnets, groups, gateways and endpoints keep it."""
    ec2, vpc = account.ec2, account.vpc
    igw = gateway(account)
    seen = [refusal(ec2.delete_vpc, VpcId=vpc)]
    for subnet in account.subnets:
        ec2.delete_subnet(SubnetId=subnet)
    seen.append(refusal(ec2.delete_vpc, VpcId=vpc))
    ec2.delete_security_group(GroupId=account.group)
    seen.append(refusal(ec2.delete_vpc, VpcId=vpc))
    ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    ec2.delete_vpc(VpcId=vpc)

    assert seen == [("DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted.")] * 3
    assert ec2.describe_vpcs()["Vpcs"] == []


def test_a_gateway_with_public_addresses_stays_attached(account: Account) -> None:
    """Until they are disassociated."""
    igw = gateway(account)
    eip = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    instance = account.run()[0]["InstanceId"]
    association = account.ec2.associate_address(AllocationId=eip, InstanceId=instance)["AssociationId"]
    detached = refusal(account.ec2.detach_internet_gateway, InternetGatewayId=igw, VpcId=account.vpc)
    released = refusal(account.ec2.release_address, AllocationId=eip)
    deleted = refusal(account.ec2.delete_internet_gateway, InternetGatewayId=igw)
    account.ec2.disassociate_address(AssociationId=association)
    account.ec2.release_address(AllocationId=eip)
    account.ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=account.vpc)

    assert (detached[0], deleted[0]) == ("DependencyViolation", "DependencyViolation")
    assert "has some mapped public address(es)" in detached[1]
    assert released[0] == "InvalidIPAddress.InUse"


def test_a_route_table_that_is_associated_stays(account: Account) -> None:
    """As does the main one."""
    table = account.table()
    association = account.ec2.associate_route_table(RouteTableId=table, SubnetId=account.subnets[0])["AssociationId"]
    main = next(
        t["RouteTableId"] for t in account.ec2.describe_route_tables()["RouteTables"]
        if any(a["Main"] for a in t["Associations"])
    )  # fmt: skip
    seen = [refusal(account.ec2.delete_route_table, RouteTableId=t)[0] for t in (table, main)]
    account.ec2.disassociate_route_table(AssociationId=association)
    account.ec2.delete_route_table(RouteTableId=table)

    assert seen == ["DependencyViolation"] * 2


def test_peering_of_ranges_that_overlap_fails(account: Account) -> None:
    """The call is answered, the connection is `failed`, and it cannot be accepted."""
    other = account.make_vpc("10.0.128.0/17")
    made = account.ec2.create_vpc_peering_connection(VpcId=account.vpc, PeerVpcId=other)["VpcPeeringConnection"]
    identity = made["VpcPeeringConnectionId"]
    found = account.ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[identity])["VpcPeeringConnections"]

    assert found[0]["Status"]["Code"] == "failed"
    assert "overlapping CIDR range" in found[0]["Status"]["Message"]
    assert refusal(account.ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=identity)[0] != ""


def test_subnets_have_to_fit(account: Account) -> None:
    """One that overlaps, one outside."""
    seen = [refusal(account.subnet, cidr=cidr)[0] for cidr in ("10.0.1.128/25", "10.1.0.0/24")]

    assert seen == ["InvalidSubnet.Conflict", "InvalidSubnet.Range"]


def test_groups_and_rules_are_not_doubled(account: Account) -> None:
    """Names within a VPC, rules within a group; a rule that is not there cannot be revoked."""
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
    add, revoke = account.ec2.authorize_security_group_ingress, account.ec2.revoke_security_group_ingress
    add(GroupId=account.group, IpPermissions=[rule])
    codes = [
        refusal(account.make_group, name="nodes")[0],
        refusal(add, GroupId=account.group, IpPermissions=[rule])[0],
        refusal(revoke, GroupId=account.group, IpPermissions=[rule | {"ToPort": 23}])[0],
    ]

    assert codes == ["InvalidGroup.Duplicate", "InvalidPermission.Duplicate", "InvalidPermission.NotFound"]


def test_types_and_images_have_to_exist(account: Account) -> None:
    """Judged once the lab has said which there are."""
    mends.install(account.region.account, REGION, {"t3.small": (3, 4)}, {IMAGE: "amazon-eks-node-1.36"})
    codes = [
        refusal(account.run, InstanceType="z9.huge"),
        refusal(account.run, ImageId="ami-0123456789abcdef0"),
        refusal(account.run, KeyName="nobody"),
    ]

    assert [code for code, _ in codes] == ["InvalidParameterValue", "InvalidAMIID.NotFound", "InvalidKeyPair.NotFound"]
    assert len(account.run()) == 1


@pytest.mark.parametrize("operation", ["authorize_security_group_ingress", "authorize_security_group_egress"])
def test_a_rule_has_both_of_its_ports_and_such_as_there_are(account: Account, operation: str) -> None:
    """Of TCP and UDP; a rule for ICMP or for everything has no ports to be judged."""
    call, anyone = getattr(account.ec2, operation), [{"CidrIp": "0.0.0.0/0"}]
    good = {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": anyone}
    beyond = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 99999, "IpRanges": anyone}
    half = {"IpProtocol": "udp", "FromPort": 53, "IpRanges": anyone}
    call(GroupId=account.group, IpPermissions=[good])

    assert refusal(call, GroupId=account.group, IpPermissions=[good, beyond]) == (
        "InvalidPermission.Malformed",
        "TCP/UDP port (99999) out of range",
    )
    assert refusal(call, GroupId=account.group, IpPermissions=[half]) == (
        "InvalidParameterValue",
        "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
    )


def test_a_refused_call_changes_nothing_and_is_no_fault_of_ours(account: Account) -> None:
    """The Region records no error for what AWS refuses (the fixture looks)."""
    refusal(account.ec2.delete_vpc, VpcId=account.vpc)
    refusal(account.ec2.delete_vpc, VpcId="vpc-00000000")

    assert account.region.errors == []


def test_refusals_hold_for_cloudformation_too(account: Account) -> None:
    """It is made of the same calls: a stack that cannot delete what is used says so."""
    body = (
        '{"Resources": {"G": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "g", "VpcId": "'
        + account.vpc
        + '"}}}, "Outputs": {"G": {"Value": {"Fn::GetAtt": ["G", "GroupId"]}}}}'
    )
    stacks = connect(account.region, "cloudformation")
    stacks.create_stack(StackName="one", TemplateBody=body)
    stacks.get_waiter("stack_create_complete").wait(StackName="one", WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    group = stacks.describe_stacks(StackName="one")["Stacks"][0]["Outputs"][0]["OutputValue"]
    account.card(Groups=[group])

    assert refusal(account.ec2.delete_security_group, GroupId=group)[0] == "DependencyViolation"
