"""Resource types of networks: VPCs, subnets, routes, gateways, peering, groups, ACLs, endpoints, DHCP options."""

from __future__ import annotations

import json
from typing import Any

from islanding.lab.region.cloudformation.resource import Context, Made, Properties, chosen, listed, resource_type, truth
from islanding.lab.region.errors import AwsError


def tags(kind: str, properties: Properties) -> dict[str, Any]:
    """The tags of an EC2 resource, for the call that makes it."""
    given = [{"Key": str(t["Key"]), "Value": str(t["Value"])} for t in properties.get("Tags") or []]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": given}]} if given else {}


def _retag(context: Context, resource: str, old: Properties, new: Properties) -> None:
    ec2 = context.clients("ec2")
    before = {str(t["Key"]): str(t["Value"]) for t in old.get("Tags") or []}
    after = {str(t["Key"]): str(t["Value"]) for t in new.get("Tags") or []}
    if gone := [{"Key": k} for k in before if k not in after]:
        ec2.delete_tags(Resources=[resource], Tags=gone)
    if after:
        ec2.create_tags(Resources=[resource], Tags=[{"Key": k, "Value": v} for k, v in after.items()])


# -- VPC and DHCP --------------------------------------------------------------------------------------------------------


def _vpc(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    made = ec2.create_vpc(**chosen(p, "CidrBlock InstanceTenancy"), **tags("vpc", p))["Vpc"]
    _vpc_attributes(c, made["VpcId"], p)
    return _vpc_made(c, made["VpcId"])


def _vpc_attributes(c: Context, vpc: str, p: Properties) -> None:
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        if attribute in p:
            c.clients("ec2").modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": truth(p[attribute])}})


def _vpc_made(c: Context, vpc: str) -> Made:
    ec2 = c.clients("ec2")
    mine = [{"Name": "vpc-id", "Values": [vpc]}]
    groups = ec2.describe_security_groups(Filters=[*mine, {"Name": "group-name", "Values": ["default"]}])
    acls = ec2.describe_network_acls(Filters=mine)["NetworkAcls"]
    found = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    attributes = {
        "VpcId": vpc,
        "CidrBlock": found["CidrBlock"],
        "DefaultSecurityGroup": groups["SecurityGroups"][0]["GroupId"] if groups["SecurityGroups"] else "",
        "DefaultNetworkAcl": acls[0]["NetworkAclId"] if acls else "",
    }
    return Made(vpc, attributes)


def _vpc_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    _vpc_attributes(c, made.id, new)
    _retag(c, made.id, old, new)
    return made


resource_type(
    "AWS::EC2::VPC", "CidrBlock EnableDnsSupport EnableDnsHostnames InstanceTenancy Tags", _vpc,
    lambda c, i, _p: c.clients("ec2").delete_vpc(VpcId=i), _vpc_changed, "EnableDnsSupport EnableDnsHostnames Tags",
)  # fmt: skip


def _cidr_block(c: Context, p: Properties) -> Made:
    answer = c.clients("ec2").associate_vpc_cidr_block(**chosen(p, "VpcId CidrBlock"))
    return Made(answer["CidrBlockAssociation"]["AssociationId"])


resource_type(
    "AWS::EC2::VPCCidrBlock", "VpcId CidrBlock", _cidr_block,
    lambda c, i, _p: c.clients("ec2").disassociate_vpc_cidr_block(AssociationId=i),
)  # fmt: skip


def _dhcp(c: Context, p: Properties) -> Made:
    keys = {
        "DomainName": "domain-name", "DomainNameServers": "domain-name-servers", "NtpServers": "ntp-servers",
        "NetbiosNameServers": "netbios-name-servers", "NetbiosNodeType": "netbios-node-type",
    }  # fmt: skip
    options = [
        {"Key": theirs, "Values": [str(v) for v in listed(p[ours])]} for ours, theirs in keys.items() if ours in p
    ]
    made = c.clients("ec2").create_dhcp_options(DhcpConfigurations=options, **tags("dhcp-options", p))
    return Made(made["DhcpOptions"]["DhcpOptionsId"])


def _dhcp_association(c: Context, p: Properties) -> Made:
    c.clients("ec2").associate_dhcp_options(DhcpOptionsId=p["DhcpOptionsId"], VpcId=p["VpcId"])
    return Made(f"{p['DhcpOptionsId']}|{p['VpcId']}")


resource_type(
    "AWS::EC2::DHCPOptions", "DomainName DomainNameServers NtpServers NetbiosNameServers NetbiosNodeType Tags", _dhcp,
    lambda c, i, _p: c.clients("ec2").delete_dhcp_options(DhcpOptionsId=i),
)  # fmt: skip
resource_type(
    "AWS::EC2::VPCDHCPOptionsAssociation", "DhcpOptionsId VpcId", _dhcp_association,
    lambda c, _i, p: c.clients("ec2").associate_dhcp_options(DhcpOptionsId="default", VpcId=p["VpcId"]),
)  # fmt: skip


# -- subnets and routes --------------------------------------------------------------------------------------------------


def _subnet(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(p, "VpcId CidrBlock AvailabilityZone OutpostArn")
    made = ec2.create_subnet(**wanted, **tags("subnet", p))["Subnet"]
    if truth(p.get("MapPublicIpOnLaunch", False)):
        ec2.modify_subnet_attribute(SubnetId=made["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    attributes = {k: str(made[k]) for k in ("AvailabilityZone", "VpcId", "CidrBlock", "SubnetId") if k in made}
    return Made(made["SubnetId"], attributes | {"OutpostArn": str(p.get("OutpostArn", ""))})


def _subnet_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    public = truth(new.get("MapPublicIpOnLaunch", False))
    c.clients("ec2").modify_subnet_attribute(SubnetId=made.id, MapPublicIpOnLaunch={"Value": public})
    _retag(c, made.id, old, new)
    return made


resource_type(
    "AWS::EC2::Subnet", "VpcId CidrBlock AvailabilityZone MapPublicIpOnLaunch OutpostArn Tags", _subnet,
    lambda c, i, _p: c.clients("ec2").delete_subnet(SubnetId=i), _subnet_changed, "MapPublicIpOnLaunch Tags",
)  # fmt: skip


def _route_table(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").create_route_table(VpcId=p["VpcId"], **tags("route-table", p))["RouteTable"]
    return Made(made["RouteTableId"], {"RouteTableId": made["RouteTableId"]})


def _tagged(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    _retag(c, made.id, old, new)
    return made


resource_type(
    "AWS::EC2::RouteTable", "VpcId Tags", _route_table,
    lambda c, i, _p: c.clients("ec2").delete_route_table(RouteTableId=i), _tagged, "Tags",
)  # fmt: skip


def _association(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").associate_route_table(SubnetId=p["SubnetId"], RouteTableId=p["RouteTableId"])
    return Made(made["AssociationId"], {"Id": made["AssociationId"]})


resource_type(
    "AWS::EC2::SubnetRouteTableAssociation", "SubnetId RouteTableId", _association,
    lambda c, i, _p: c.clients("ec2").disassociate_route_table(AssociationId=i),
)  # fmt: skip

_TARGETS = (
    "GatewayId NatGatewayId VpcPeeringConnectionId InstanceId NetworkInterfaceId TransitGatewayId LocalGatewayId"
    " VpcEndpointId"
)


def _route(c: Context, p: Properties) -> Made:
    c.clients("ec2").create_route(**chosen(p, f"RouteTableId DestinationCidrBlock {_TARGETS}"))
    return Made(f"{p['RouteTableId']}|{p['DestinationCidrBlock']}")


def _route_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    c.clients("ec2").replace_route(**chosen(new, f"RouteTableId DestinationCidrBlock {_TARGETS}"))
    return made


resource_type(
    "AWS::EC2::Route", f"RouteTableId DestinationCidrBlock {_TARGETS}", _route,
    lambda c, _i, p: c.clients("ec2").delete_route(**chosen(p, "RouteTableId DestinationCidrBlock")),
    _route_changed, _TARGETS,
)  # fmt: skip


# -- gateways and peering ------------------------------------------------------------------------------------------------


def _internet_gateway(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").create_internet_gateway(**tags("internet-gateway", p))["InternetGateway"]
    return Made(made["InternetGatewayId"], {"InternetGatewayId": made["InternetGatewayId"]})


resource_type(
    "AWS::EC2::InternetGateway", "Tags", _internet_gateway,
    lambda c, i, _p: c.clients("ec2").delete_internet_gateway(InternetGatewayId=i), _tagged, "Tags",
)  # fmt: skip


def _attachment(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    if "InternetGatewayId" in p:
        ec2.attach_internet_gateway(**chosen(p, "InternetGatewayId VpcId"))
    else:
        ec2.attach_vpn_gateway(**chosen(p, "VpnGatewayId VpcId"))
    return Made(f"{p.get('InternetGatewayId') or p.get('VpnGatewayId')}|{p['VpcId']}")


def _detachment(c: Context, _i: str, p: Properties) -> None:
    ec2 = c.clients("ec2")
    if "InternetGatewayId" in p:
        ec2.detach_internet_gateway(**chosen(p, "InternetGatewayId VpcId"))
    else:
        ec2.detach_vpn_gateway(**chosen(p, "VpnGatewayId VpcId"))


resource_type("AWS::EC2::VPCGatewayAttachment", "InternetGatewayId VpnGatewayId VpcId", _attachment, _detachment)


def _vpn_gateway(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").create_vpn_gateway(**chosen(p, "Type AmazonSideAsn"), **tags("vpn-gateway", p))[
        "VpnGateway"
    ]
    return Made(made["VpnGatewayId"], {"VPNGatewayId": made["VpnGatewayId"]})


resource_type(
    "AWS::EC2::VPNGateway", "Type AmazonSideAsn Tags", _vpn_gateway,
    lambda c, i, _p: c.clients("ec2").delete_vpn_gateway(VpnGatewayId=i), _tagged, "Tags",
)  # fmt: skip


def _nat_gateway(c: Context, p: Properties) -> Made:
    wanted = chosen(p, "SubnetId AllocationId ConnectivityType")
    made = c.clients("ec2").create_nat_gateway(**wanted, **tags("natgateway", p))["NatGateway"]
    return Made(made["NatGatewayId"], {"NatGatewayId": made["NatGatewayId"]})


resource_type(
    "AWS::EC2::NatGateway", "SubnetId AllocationId ConnectivityType Tags", _nat_gateway,
    lambda c, i, _p: c.clients("ec2").delete_nat_gateway(NatGatewayId=i), _tagged, "Tags",
)  # fmt: skip


def _peering(c: Context, p: Properties) -> Made:
    """A connection within one account is accepted by CloudFormation itself (its guide, VPCPeeringConnection)."""
    ec2 = c.clients("ec2")
    wanted = chosen(p, "VpcId PeerVpcId PeerOwnerId PeerRegion")
    made = ec2.create_vpc_peering_connection(**wanted, **tags("vpc-peering-connection", p))["VpcPeeringConnection"]
    identity = str(made["VpcPeeringConnectionId"])
    if str(p.get("PeerOwnerId", c.account)) == c.account:
        ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identity)
    status = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[identity])["VpcPeeringConnections"][0][
        "Status"
    ]
    if status["Code"] == "failed":
        raise AwsError("InvalidParameterValue", f"{identity} failed: {status.get('Message', '')}")
    return Made(identity, {"Id": identity})


resource_type(
    "AWS::EC2::VPCPeeringConnection", "VpcId PeerVpcId PeerOwnerId PeerRegion PeerRoleArn Tags", _peering,
    lambda c, i, _p: c.clients("ec2").delete_vpc_peering_connection(VpcPeeringConnectionId=i), _tagged, "Tags",
)  # fmt: skip


# -- endpoints -----------------------------------------------------------------------------------------------------------

_ENDPOINT = (
    "VpcId ServiceName VpcEndpointType RouteTableIds SubnetIds SecurityGroupIds PrivateDnsEnabled PolicyDocument Tags"
)


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _endpoint(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(p, "VpcId ServiceName VpcEndpointType RouteTableIds SubnetIds SecurityGroupIds")
    if "PrivateDnsEnabled" in p:
        wanted["PrivateDnsEnabled"] = truth(p["PrivateDnsEnabled"])
    if "PolicyDocument" in p:
        wanted["PolicyDocument"] = _document(p["PolicyDocument"])
    made = ec2.create_vpc_endpoint(**wanted, **tags("vpc-endpoint", p))["VpcEndpoint"]
    entries = ",".join(f"{e.get('HostedZoneId', '')}:{e['DnsName']}" for e in made.get("DnsEntries") or [])
    cards = ",".join(made.get("NetworkInterfaceIds") or [])
    return Made(
        made["VpcEndpointId"], {"Id": made["VpcEndpointId"], "DnsEntries": entries, "NetworkInterfaceIds": cards}
    )


def _endpoint_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    wanted: dict[str, Any] = {}
    for name, add, remove in (
        ("RouteTableIds", "AddRouteTableIds", "RemoveRouteTableIds"),
        ("SubnetIds", "AddSubnetIds", "RemoveSubnetIds"),
        ("SecurityGroupIds", "AddSecurityGroupIds", "RemoveSecurityGroupIds"),
    ):
        before, after = listed(old.get(name) or []), listed(new.get(name) or [])
        wanted |= {add: [v for v in after if v not in before], remove: [v for v in before if v not in after]}
    if old.get("PrivateDnsEnabled") != new.get("PrivateDnsEnabled"):
        wanted["PrivateDnsEnabled"] = truth(new.get("PrivateDnsEnabled", False))
    if old.get("PolicyDocument") != new.get("PolicyDocument"):
        given = new.get("PolicyDocument")
        wanted |= {"PolicyDocument": _document(given)} if given else {"ResetPolicy": True}
    c.clients("ec2").modify_vpc_endpoint(
        VpcEndpointId=made.id, **{k: v for k, v in wanted.items() if v not in ([], None)}
    )
    _retag(c, made.id, old, new)
    return made


def _endpoint_gone(c: Context, identity: str, _p: Properties) -> None:
    left = c.clients("ec2").delete_vpc_endpoints(VpcEndpointIds=[identity]).get("Unsuccessful") or []
    if left:
        raise AwsError(left[0]["Error"]["Code"], left[0]["Error"]["Message"])


resource_type(
    "AWS::EC2::VPCEndpoint", _ENDPOINT, _endpoint, _endpoint_gone, _endpoint_changed,
    "RouteTableIds SubnetIds SecurityGroupIds PrivateDnsEnabled PolicyDocument Tags",
)  # fmt: skip
