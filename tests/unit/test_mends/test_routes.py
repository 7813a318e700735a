"""Routes become blackholes when what they lead to is gone, as DescribeRouteTables says on AWS."""

from __future__ import annotations

from tests.unit.test_mends.support import Account, refusal

FAR = "192.168.0.0/16"


def gateway(account: Account) -> str:
    """An internet gateway that is attached."""
    made = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=account.vpc)
    return str(made)


def peering(account: Account) -> str:
    """A connection that is accepted."""
    other = account.make_vpc(FAR)
    made = account.ec2.create_vpc_peering_connection(VpcId=account.vpc, PeerVpcId=other)["VpcPeeringConnection"]
    account.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=made["VpcPeeringConnectionId"])
    return str(made["VpcPeeringConnectionId"])


def test_a_deleted_peering_leaves_a_blackhole(account: Account) -> None:
    """Active while it is, and not after."""
    table, connection = account.table(), peering(account)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock=FAR, VpcPeeringConnectionId=connection)
    before = account.routes(table)
    account.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=connection)

    assert (before, account.routes(table)) == ({FAR: "active"}, {FAR: "blackhole"})


def test_a_detached_internet_gateway_leaves_a_blackhole_until_it_is_back(account: Account) -> None:
    """Attached again it forwards again."""
    table, igw = account.table(), gateway(account)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    seen = [account.routes(table)["0.0.0.0/0"]]
    account.ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=account.vpc)
    seen.append(account.routes(table)["0.0.0.0/0"])
    account.ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=account.vpc)
    seen.append(account.routes(table)["0.0.0.0/0"])

    assert seen == ["active", "blackhole", "active"]


def test_a_deleted_internet_gateway_leaves_a_blackhole(account: Account) -> None:
    """The route stays in the table."""
    table, igw = account.table(), gateway(account)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    account.ec2.detach_internet_gateway(InternetGatewayId=igw, VpcId=account.vpc)
    account.ec2.delete_internet_gateway(InternetGatewayId=igw)

    assert account.routes(table) == {"0.0.0.0/0": "blackhole"}


def test_a_deleted_nat_gateway_leaves_a_blackhole_and_no_interface(account: Account) -> None:
    """Its address is let go too."""
    gateway(account)
    table, eip = account.table(), account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = account.ec2.create_nat_gateway(SubnetId=account.subnets[0], AllocationId=eip)["NatGateway"]["NatGatewayId"]
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    before, cards = account.routes(table), account.cards(vpc_id=account.vpc)
    account.ec2.delete_nat_gateway(NatGatewayId=nat)

    assert (before, account.routes(table)) == ({"0.0.0.0/0": "active"}, {"0.0.0.0/0": "blackhole"})
    assert [card["PrivateIpAddress"] for card in cards] == ["10.0.1.4"]
    assert account.cards(vpc_id=account.vpc) == []
    account.ec2.release_address(AllocationId=eip)


def test_a_deleted_interface_leaves_a_blackhole(account: Account) -> None:
    """As does one that is detached."""
    table, card = account.table(), account.card()["NetworkInterfaceId"]
    instance = account.run()[0]["InstanceId"]
    attachment = account.ec2.attach_network_interface(NetworkInterfaceId=card, InstanceId=instance, DeviceIndex=1)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock=FAR, NetworkInterfaceId=card)
    seen = [account.routes(table)[FAR]]
    account.ec2.detach_network_interface(AttachmentId=attachment["AttachmentId"])
    seen.append(account.routes(table)[FAR])
    account.ec2.delete_network_interface(NetworkInterfaceId=card)
    seen.append(account.routes(table)[FAR])

    assert seen == ["active", "blackhole", "blackhole"]


def test_a_destination_has_one_route(account: Account) -> None:
    """The second is refused; ReplaceRoute changes it."""
    table, igw = account.table(), gateway(account)
    account.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    found = refusal(account.ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)

    assert found[0] == "RouteAlreadyExists"
