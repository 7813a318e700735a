"""VPCs, ACLs, peering, gateways and addresses: what moto loses, keeps or lets pass when they change."""

from __future__ import annotations

from tests.unit.test_mends.support import Account, refusal


def gateway(account: Account) -> str:
    """An internet gateway that is attached."""
    made = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=account.vpc)
    return str(made)


def acl_entry(account: Account, acl: str, number: int) -> None:
    """An entry that allows everything in."""
    account.ec2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=number, Protocol="-1", RuleAction="allow", Egress=False, CidrBlock="0.0.0.0/0"
    )


def test_an_acl_has_at_most_twenty_entries_a_direction(account: Account) -> None:
    """The quota of the VPC guide."""
    acl = account.ec2.create_network_acl(VpcId=account.vpc)["NetworkAcl"]["NetworkAclId"]
    for number in range(1, 21):
        acl_entry(account, acl, number)

    assert refusal(acl_entry, account=account, acl=acl, number=21)[0] == "NetworkAclEntryLimitExceeded"


def test_what_is_not_in_an_acl_is_not_deleted(account: Account) -> None:
    """Neither an entry, nor an association, nor a VPC's first ACL."""
    ec2 = account.ec2
    mine = [{"Name": "vpc-id", "Values": [account.vpc]}]
    default = ec2.describe_network_acls(Filters=mine)["NetworkAcls"][0]["NetworkAclId"]
    codes = [
        refusal(ec2.delete_network_acl_entry, NetworkAclId=default, RuleNumber=77, Egress=False)[0],
        refusal(ec2.replace_network_acl_association, AssociationId="aclassoc-00000000", NetworkAclId=default)[0],
        refusal(ec2.delete_network_acl, NetworkAclId=default)[0],
    ]

    assert codes == ["InvalidNetworkAclEntry.NotFound", "InvalidAssociationID.NotFound", "InvalidParameterValue"]


def test_a_failed_move_to_another_acl_leaves_the_old_one(account: Account) -> None:
    """moto takes the association away before it looks for the new ACL."""
    ec2, mine = account.ec2, [{"Name": "association.subnet-id", "Values": [account.subnets[0]]}]
    before = ec2.describe_network_acls(Filters=mine)["NetworkAcls"][0]
    association = next(
        a["NetworkAclAssociationId"] for a in before["Associations"] if a["SubnetId"] == account.subnets[0]
    )
    refusal(ec2.replace_network_acl_association, AssociationId=association, NetworkAclId="acl-00000000")

    assert ec2.describe_network_acls(Filters=mine)["NetworkAcls"][0]["NetworkAclId"] == before["NetworkAclId"]


def test_what_a_subnet_was_associated_with_forgets_it(account: Account) -> None:
    """Else a route table could never be deleted."""
    table = account.table()
    account.ec2.associate_route_table(RouteTableId=table, SubnetId=account.subnets[0])
    account.ec2.delete_subnet(SubnetId=account.subnets[0])
    acls = account.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [account.vpc]}])["NetworkAcls"]

    assert [a["SubnetId"] for acl in acls for a in acl["Associations"]] == [account.subnets[1]]
    assert account.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Associations"] == []
    account.ec2.delete_route_table(RouteTableId=table)


def test_a_subnet_is_in_a_zone_of_the_region(account: Account) -> None:
    """One of them unless asked; moto takes us-east-1a."""
    made = account.ec2.create_subnet(VpcId=account.vpc, CidrBlock="10.0.7.0/24")["Subnet"]["AvailabilityZone"]

    assert made.startswith("ap-northeast-1")
    assert refusal(account.subnet, cidr="10.0.8.0/24", zone="us-east-1a")[0] == "InvalidParameterValue"


def test_a_deleted_vpc_takes_its_peering_along(account: Account) -> None:
    """And its first ACL; its DHCP options stay, and only then can be deleted."""
    ec2, other = account.ec2, account.make_vpc("10.9.0.0/16")
    options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": ["corp"]}])
    identity = options["DhcpOptions"]["DhcpOptionsId"]
    ec2.associate_dhcp_options(DhcpOptionsId=identity, VpcId=other)
    made = ec2.create_vpc_peering_connection(VpcId=account.vpc, PeerVpcId=other)["VpcPeeringConnection"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=made["VpcPeeringConnectionId"])
    used = refusal(ec2.delete_dhcp_options, DhcpOptionsId=identity)[0]
    ec2.delete_vpc(VpcId=other)
    left = ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]

    assert used == "DependencyViolation"
    assert [p["Status"]["Code"] for p in left] == ["deleted"]
    assert ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [other]}])["NetworkAcls"] == []
    ec2.delete_dhcp_options(DhcpOptionsId=identity)


def test_peering_is_made_once_and_deleted_once(account: Account) -> None:
    """Filters tell one connection from another."""
    ec2, one, two = account.ec2, account.make_vpc("10.8.0.0/16"), account.make_vpc("10.9.0.0/16")
    ids = [
        ec2.create_vpc_peering_connection(VpcId=account.vpc, PeerVpcId=peer)["VpcPeeringConnection"]
        ["VpcPeeringConnectionId"] for peer in (one, two)
    ]  # fmt: skip
    again = refusal(ec2.create_vpc_peering_connection, VpcId=one, PeerVpcId=account.vpc)[0]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=ids[0])

    def found(name: str, value: str) -> list[str]:
        given = [{"Name": name, "Values": [value]}]
        answer = ec2.describe_vpc_peering_connections(Filters=given)["VpcPeeringConnections"]
        return [p["VpcPeeringConnectionId"] for p in answer]

    shown = [found("status-code", "active"), found("accepter-vpc-info.vpc-id", two), found("status-code", "failed")]
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=ids[0])

    assert again == "VpcPeeringConnectionAlreadyExists"
    assert shown == [[ids[0]], [ids[1]], []]
    assert refusal(ec2.delete_vpc_peering_connection, VpcPeeringConnectionId=ids[0])[0] == "InvalidStateTransition"


def test_an_elastic_address_moves_from_one_instance_to_another(account: Account) -> None:
    """The first one has it no more."""
    gateway(account)
    eip = account.ec2.allocate_address(Domain="vpc")
    one, two = (instance["InstanceId"] for instance in account.run(2))
    for instance in (one, two):
        account.ec2.associate_address(AllocationId=eip["AllocationId"], InstanceId=instance, AllowReassociation=True)
    public = {
        i["InstanceId"]: i.get("PublicIpAddress")
        for r in account.ec2.describe_instances()["Reservations"] for i in r["Instances"]
    }  # fmt: skip

    assert public == {one: None, two: eip["PublicIp"]}


def test_gateways_need_each_other(account: Account) -> None:
    """No NAT gateway without an internet gateway, one of these for a VPC, no public address in a VPC without."""
    eip = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    instance = account.run()[0]["InstanceId"]
    nat = {"SubnetId": account.subnets[0], "AllocationId": eip}
    codes = [
        refusal(account.ec2.create_nat_gateway, **nat)[0],
        refusal(account.ec2.associate_address, AllocationId=eip, InstanceId=instance)[0],
    ]
    gateway(account)
    codes.append(refusal(gateway, account=account)[0])
    made = account.ec2.create_nat_gateway(**nat)["NatGateway"]["NatGatewayAddresses"][0]
    card = account.cards(network_interface_id=made["NetworkInterfaceId"])[0]

    assert codes == ["Gateway.NotAttached", "Gateway.NotAttached", "InvalidParameterValue"]
    assert (card["InterfaceType"], card["Status"], card["PrivateIpAddress"]) == ("nat_gateway", "in-use", "10.0.1.5")
    assert made["PrivateIp"] == "10.0.1.5"


def test_a_first_group_lets_in_what_comes_from_itself(account: Account) -> None:
    """And protocols have one way to be written."""
    named = [{"Name": "vpc-id", "Values": [account.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    default = account.ec2.describe_security_groups(Filters=named)["SecurityGroups"][0]
    rule = {"IpProtocol": "6", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
    account.ec2.authorize_security_group_ingress(GroupId=account.group, IpPermissions=[rule])
    found = account.ec2.describe_security_groups(GroupIds=[account.group])["SecurityGroups"][0]["IpPermissions"]

    pairs = default["IpPermissions"][0]["UserIdGroupPairs"]
    assert [pair["GroupId"] for pair in pairs] == [default["GroupId"]]
    assert [permission["IpProtocol"] for permission in found] == ["tcp"]
    assert refusal(account.ec2.delete_security_group, GroupId=default["GroupId"])[0] == "CannotDelete"


def test_routes_and_associations_stay_within_the_vpc(account: Account) -> None:
    """A gateway that is not attached, a subnet of another VPC, a second table for a subnet, the local route."""
    ec2, table, second = account.ec2, account.table(), account.table()
    loose = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    far = account.subnet("10.9.1.0/24", vpc=account.make_vpc("10.9.0.0/16"))
    ec2.associate_route_table(RouteTableId=table, SubnetId=account.subnets[0])
    codes = [
        refusal(ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=loose)[0],
        refusal(ec2.associate_route_table, RouteTableId=table, SubnetId=far)[0],
        refusal(ec2.associate_route_table, RouteTableId=second, SubnetId=account.subnets[0])[0],
        refusal(ec2.delete_route, RouteTableId=table, DestinationCidrBlock="10.0.0.0/16")[0],
    ]
    main = ec2.describe_route_tables(
        Filters=[{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": [account.vpc]}]
    )["RouteTables"]

    assert codes == ["InvalidParameterValue"] * 2 + ["Resource.AlreadyAssociated", "InvalidParameterValue"]
    assert len(main) == 1
    assert main[0]["RouteTableId"] not in (table, second)
    association = main[0]["Associations"][0]["RouteTableAssociationId"]
    assert refusal(ec2.disassociate_route_table, AssociationId=association)[0] == "InvalidParameterValue"


def test_interfaces_of_services_and_first_ones_are_not_detached(account: Account) -> None:
    """Nor is what is attached attached once more, or an interface of a service deleted."""
    ec2 = account.ec2
    instance = account.run()[0]
    first = instance["NetworkInterfaces"][0]
    again = refusal(
        ec2.attach_network_interface, NetworkInterfaceId=first["NetworkInterfaceId"],
        InstanceId=instance["InstanceId"], DeviceIndex=1,
    )  # fmt: skip
    detached = refusal(ec2.detach_network_interface, AttachmentId=first["Attachment"]["AttachmentId"])

    assert (again[0], detached[0]) == ("InvalidNetworkInterface.InUse", "OperationNotPermitted")


def test_a_terminated_instance_is_not_started(account: Account) -> None:
    """Nor stopped or rebooted."""
    instance = account.run()[0]["InstanceId"]
    account.ec2.terminate_instances(InstanceIds=[instance])
    calls = (account.ec2.start_instances, account.ec2.stop_instances, account.ec2.reboot_instances)

    assert [refusal(call, InstanceIds=[instance])[0] for call in calls] == ["IncorrectInstanceState"] * 3


def test_tags_end_with_what_bears_them(account: Account) -> None:
    """DescribeTags tells nothing of what was deleted: an endpoint, an ACL, a group, a subnet and the rest of a VPC."""
    ec2 = account.ec2
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    card = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    service = f"com.amazonaws.{account.region.region}.s3"
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service)["VpcEndpoint"]["VpcEndpointId"]
    all_of_them = [vpc, table, subnet, group, acl, card, gateway, endpoint]
    ec2.create_tags(Resources=all_of_them, Tags=[{"Key": "islanding:faults", "Value": "allowed"}])
    bear = [{"Name": "key", "Values": ["islanding:faults"]}]
    assert sorted(all_of_them) == sorted(tag["ResourceId"] for tag in ec2.describe_tags(Filters=bear)["Tags"])

    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    ec2.delete_network_interface(NetworkInterfaceId=card)
    ec2.delete_network_acl(NetworkAclId=acl)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_vpc(VpcId=vpc)

    assert [] == ec2.describe_tags(Filters=bear)["Tags"]


def test_dhcp_options_are_found_by_the_tags_they_were_made_with(account: Account) -> None:
    """Tags are given at the making, found by a filter, and gone with the options."""
    tags = [{"Key": "made-by", "Value": "me"}]
    servers = [{"Key": "domain-name-servers", "Values": ["192.0.2.53"]}]
    made = account.ec2.create_dhcp_options(
        DhcpConfigurations=servers, TagSpecifications=[{"ResourceType": "dhcp-options", "Tags": tags}]
    )["DhcpOptions"]
    account.ec2.create_dhcp_options(DhcpConfigurations=servers)
    mine = [{"Name": "tag:made-by", "Values": ["me"]}]
    found = account.ec2.describe_dhcp_options(Filters=mine)["DhcpOptions"]
    account.ec2.delete_dhcp_options(DhcpOptionsId=made["DhcpOptionsId"])
    left = account.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [made["DhcpOptionsId"]]}])["Tags"]

    assert made["Tags"] == tags
    assert [one["DhcpOptionsId"] for one in found] == [made["DhcpOptionsId"]]
    assert left == []
