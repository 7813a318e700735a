"""Resource types of networks: VPCs, DHCP options, subnets, route tables and routes."""

from __future__ import annotations

from typing import Any

from islanding.lab.region.cloudformation.resource import (
    Context,
    Made,
    Properties,
    chosen,
    listed,
    resource_type,
    tag_list,
    truth,
)
from islanding.lab.region.cloudformation.template import invalid


def tags(kind: str, properties: Properties) -> dict[str, Any]:
    """The tags of an EC2 resource, for the call that makes it."""
    given = tag_list(properties)
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": given}]} if given else {}


def retag(context: Context, resource: str, old: Properties, new: Properties) -> None:
    """Bring the tags of an EC2 resource from those of old properties to those of new ones."""
    ec2 = context.clients("ec2")
    before = {str(t["Key"]): str(t["Value"]) for t in old.get("Tags") or []}
    after = {str(t["Key"]): str(t["Value"]) for t in new.get("Tags") or []}
    if gone := [{"Key": k} for k in before if k not in after]:
        ec2.delete_tags(Resources=[resource], Tags=gone)
    if after:
        ec2.create_tags(Resources=[resource], Tags=[{"Key": k, "Value": v} for k, v in after.items()])


# -- VPC and DHCP ------------------------------------------------------------------------------------------------------


def _vpc(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    made = ec2.create_vpc(**chosen(p, "CidrBlock InstanceTenancy"), **tags("vpc", p))["Vpc"]
    c.begin(made["VpcId"])
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
    retag(c, made.id, old, new)
    return made


resource_type(
    "AWS::EC2::VPC", "!CidrBlock EnableDnsSupport EnableDnsHostnames InstanceTenancy Tags", _vpc,
    lambda c, i, _p: c.clients("ec2").delete_vpc(VpcId=i), _vpc_changed, "EnableDnsSupport EnableDnsHostnames Tags",
)  # fmt: skip


def _cidr_block(c: Context, p: Properties) -> Made:
    answer = c.clients("ec2").associate_vpc_cidr_block(**chosen(p, "VpcId CidrBlock"))
    return Made(answer["CidrBlockAssociation"]["AssociationId"])


resource_type(
    "AWS::EC2::VPCCidrBlock", "!VpcId !CidrBlock", _cidr_block,
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
    "AWS::EC2::VPCDHCPOptionsAssociation", "!DhcpOptionsId !VpcId", _dhcp_association,
    lambda c, _i, p: c.clients("ec2").associate_dhcp_options(DhcpOptionsId="default", VpcId=p["VpcId"]),
)  # fmt: skip


# -- subnets and routes ------------------------------------------------------------------------------------------------


def _subnet(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(p, "VpcId CidrBlock AvailabilityZone OutpostArn")
    made = ec2.create_subnet(**wanted, **tags("subnet", p))["Subnet"]
    c.begin(made["SubnetId"])
    if truth(p.get("MapPublicIpOnLaunch", False)):
        ec2.modify_subnet_attribute(SubnetId=made["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    attributes = {k: str(made[k]) for k in ("AvailabilityZone", "VpcId", "CidrBlock", "SubnetId") if k in made}
    return Made(made["SubnetId"], attributes | {"OutpostArn": str(p.get("OutpostArn", ""))})


def _subnet_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    public = truth(new.get("MapPublicIpOnLaunch", False))
    c.clients("ec2").modify_subnet_attribute(SubnetId=made.id, MapPublicIpOnLaunch={"Value": public})
    retag(c, made.id, old, new)
    return made


resource_type(
    "AWS::EC2::Subnet", "!VpcId !CidrBlock AvailabilityZone MapPublicIpOnLaunch OutpostArn Tags", _subnet,
    lambda c, i, _p: c.clients("ec2").delete_subnet(SubnetId=i), _subnet_changed, "MapPublicIpOnLaunch Tags",
)  # fmt: skip


def _route_table(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").create_route_table(VpcId=p["VpcId"], **tags("route-table", p))["RouteTable"]
    return Made(made["RouteTableId"], {"RouteTableId": made["RouteTableId"]})


def tagged(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    """A change that only concerns tags."""
    retag(c, made.id, old, new)
    return made


resource_type(
    "AWS::EC2::RouteTable", "!VpcId Tags", _route_table,
    lambda c, i, _p: c.clients("ec2").delete_route_table(RouteTableId=i), tagged, "Tags",
)  # fmt: skip


def _association(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").associate_route_table(SubnetId=p["SubnetId"], RouteTableId=p["RouteTableId"])
    return Made(made["AssociationId"], {"Id": made["AssociationId"]})


resource_type(
    "AWS::EC2::SubnetRouteTableAssociation", "!SubnetId !RouteTableId", _association,
    lambda c, i, _p: c.clients("ec2").disassociate_route_table(AssociationId=i),
)  # fmt: skip

_TARGETS = (
    "GatewayId NatGatewayId VpcPeeringConnectionId InstanceId NetworkInterfaceId TransitGatewayId LocalGatewayId"
    " VpcEndpointId"
)


def _route(c: Context, p: Properties) -> Made:
    if sum(target in p for target in _TARGETS.split()) != 1:
        raise invalid(f"Exactly one of {', '.join(_TARGETS.split())} must be specified")
    c.clients("ec2").create_route(**chosen(p, f"RouteTableId DestinationCidrBlock {_TARGETS}"))
    return Made(f"{p['RouteTableId']}|{p['DestinationCidrBlock']}")


def _route_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    c.clients("ec2").replace_route(**chosen(new, f"RouteTableId DestinationCidrBlock {_TARGETS}"))
    return made


resource_type(
    "AWS::EC2::Route", f"!RouteTableId !DestinationCidrBlock {_TARGETS}", _route,
    lambda c, _i, p: c.clients("ec2").delete_route(**chosen(p, "RouteTableId DestinationCidrBlock")),
    _route_changed, _TARGETS,
)  # fmt: skip
