"""Resource types that lead out of a VPC: gateways, peering connections, endpoints."""

from __future__ import annotations

from typing import Any

from islanding.lab.region.cloudformation.network import retag, tagged, tags
from islanding.lab.region.cloudformation.resource import (
    Context,
    Made,
    Properties,
    chosen,
    document,
    listed,
    resource_type,
    truth,
)
from islanding.lab.region.cloudformation.template import invalid
from islanding.lab.region.errors import AwsError

# -- gateways and peering ----------------------------------------------------------------------------------------------


def _internet_gateway(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").create_internet_gateway(**tags("internet-gateway", p))["InternetGateway"]
    return Made(made["InternetGatewayId"], {"InternetGatewayId": made["InternetGatewayId"]})


resource_type(
    "AWS::EC2::InternetGateway", "Tags", _internet_gateway,
    lambda c, i, _p: c.clients("ec2").delete_internet_gateway(InternetGatewayId=i), tagged, "Tags",
)  # fmt: skip


def _attachment(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    if ("InternetGatewayId" in p) == ("VpnGatewayId" in p):
        raise invalid("Exactly one of InternetGatewayId, VpnGatewayId must be specified")
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


resource_type("AWS::EC2::VPCGatewayAttachment", "InternetGatewayId VpnGatewayId !VpcId", _attachment, _detachment)


def _vpn_gateway(c: Context, p: Properties) -> Made:
    wanted = chosen(p, "Type")
    if "AmazonSideAsn" in p:
        wanted["AmazonSideAsn"] = int(p["AmazonSideAsn"])
    made = c.clients("ec2").create_vpn_gateway(**wanted, **tags("vpn-gateway", p))["VpnGateway"]
    return Made(made["VpnGatewayId"], {"VPNGatewayId": made["VpnGatewayId"]})


resource_type(
    "AWS::EC2::VPNGateway", "!Type AmazonSideAsn Tags", _vpn_gateway,
    lambda c, i, _p: c.clients("ec2").delete_vpn_gateway(VpnGatewayId=i), tagged, "Tags",
)  # fmt: skip


def _nat_gateway(c: Context, p: Properties) -> Made:
    wanted = chosen(p, "SubnetId AllocationId ConnectivityType")
    made = c.clients("ec2").create_nat_gateway(**wanted, **tags("natgateway", p))["NatGateway"]
    c.begin(made["NatGatewayId"])
    return Made(made["NatGatewayId"], {"NatGatewayId": made["NatGatewayId"]})


def _nat_ready(c: Context, identity: str) -> bool:
    found = c.clients("ec2").describe_nat_gateways(NatGatewayIds=[identity])["NatGateways"][0]
    if found["State"] == "failed":
        raise AwsError("NotStabilized", f"{identity} failed: {found.get('FailureMessage', '')}")
    return str(found["State"]) == "available"


resource_type(
    "AWS::EC2::NatGateway", "!SubnetId AllocationId ConnectivityType Tags", _nat_gateway,
    lambda c, i, _p: c.clients("ec2").delete_nat_gateway(NatGatewayId=i), tagged, "Tags", _nat_ready,
)  # fmt: skip


def _peering(c: Context, p: Properties) -> Made:
    """A connection within one account is accepted by CloudFormation itself (its guide, VPCPeeringConnection)."""
    ec2 = c.clients("ec2")
    wanted = chosen(p, "VpcId PeerVpcId PeerOwnerId PeerRegion")
    made = ec2.create_vpc_peering_connection(**wanted, **tags("vpc-peering-connection", p))["VpcPeeringConnection"]
    identity = c.begin(str(made["VpcPeeringConnectionId"]))
    if str(p.get("PeerOwnerId", c.account)) == c.account:
        ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identity)
    status = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[identity])["VpcPeeringConnections"][0][
        "Status"
    ]
    if status["Code"] == "failed":
        raise AwsError("InvalidParameterValue", f"{identity} failed: {status.get('Message', '')}")
    return Made(identity, {"Id": identity})


resource_type(
    "AWS::EC2::VPCPeeringConnection", "!VpcId !PeerVpcId PeerOwnerId PeerRegion Tags", _peering,
    lambda c, i, _p: c.clients("ec2").delete_vpc_peering_connection(VpcPeeringConnectionId=i), tagged, "Tags",
)  # fmt: skip


# -- endpoints ---------------------------------------------------------------------------------------------------------

_ENDPOINT = (
    "!VpcId !ServiceName VpcEndpointType RouteTableIds SubnetIds SecurityGroupIds PrivateDnsEnabled PolicyDocument Tags"
)


def _endpoint(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(p, "VpcId ServiceName VpcEndpointType RouteTableIds SubnetIds SecurityGroupIds")
    if "PrivateDnsEnabled" in p:
        wanted["PrivateDnsEnabled"] = truth(p["PrivateDnsEnabled"])
    if "PolicyDocument" in p:
        wanted["PolicyDocument"] = document(p["PolicyDocument"])
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
        wanted |= {"PolicyDocument": document(given)} if given else {"ResetPolicy": True}
    c.clients("ec2").modify_vpc_endpoint(
        VpcEndpointId=made.id, **{k: v for k, v in wanted.items() if v not in ([], None)}
    )
    retag(c, made.id, old, new)
    return made


def _endpoint_gone(c: Context, identity: str, _p: Properties) -> None:
    left = c.clients("ec2").delete_vpc_endpoints(VpcEndpointIds=[identity]).get("Unsuccessful") or []
    if left:
        raise AwsError(left[0]["Error"]["Code"], left[0]["Error"]["Message"])


resource_type(
    "AWS::EC2::VPCEndpoint", _ENDPOINT, _endpoint, _endpoint_gone, _endpoint_changed,
    "RouteTableIds SubnetIds SecurityGroupIds PrivateDnsEnabled PolicyDocument Tags",
)  # fmt: skip
