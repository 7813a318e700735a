"""Reads a view of a Region's network through describe calls, page by page; it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from islanding.aws import view as v
from islanding.aws.calls import reader
from islanding.aws.paging import pages
from islanding.model import Site

Client = Callable[[str], Any]  # service name -> botocore client


def look(site: Site) -> v.View:
    """The view of the site's account and Region; raises IslandingError for a lab that names no endpoint of its own."""
    clients: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in clients:
            clients[service] = reader(site, service)
        return clients[service]

    return read_view(client, site.aws.region, site.aws.account)


def read_view(client: Client, region: str, account: str) -> v.View:
    """The view that `client(service)` gives; what is denied or fails is named in the view's `gaps`, never raised."""
    gaps: list[str] = []

    def items(service: str, operation: str, key: str) -> list[Any]:
        try:
            return list(pages(client(service), operation, key))
        except Exception as error:  # any refusal is a gap of the view, told with AWS's words
            gaps.append(f"{service}.{operation}: {error}")
            return []

    ec2 = "ec2"
    options = {o["DhcpOptionsId"]: o for o in items(ec2, "describe_dhcp_options", "DhcpOptions")}
    instances = [i for r in items(ec2, "describe_instances", "Reservations") for i in r["Instances"]]
    roles = _roles(instances, client, gaps)
    return v.View(
        region=region,
        account=account,
        vpcs=tuple(_vpc(raw, options, client, gaps) for raw in items(ec2, "describe_vpcs", "Vpcs")),
        subnets=tuple(_subnet(raw) for raw in items(ec2, "describe_subnets", "Subnets")),
        route_tables=tuple(_table(raw) for raw in items(ec2, "describe_route_tables", "RouteTables")),
        prefix_lists=tuple(_prefix_list(raw) for raw in items(ec2, "describe_prefix_lists", "PrefixLists")),
        groups=tuple(_group(raw) for raw in items(ec2, "describe_security_groups", "SecurityGroups")),
        acls=tuple(_acl(raw) for raw in items(ec2, "describe_network_acls", "NetworkAcls")),
        peerings=tuple(
            _peering(raw) for raw in items(ec2, "describe_vpc_peering_connections", "VpcPeeringConnections")
        ),
        endpoints=tuple(
            _endpoint(raw)
            for raw in items(ec2, "describe_vpc_endpoints", "VpcEndpoints")
            if str(raw.get("State")).lower() != "deleted"  # such a one may still be listed for a while
        ),
        interfaces=tuple(_interface(raw) for raw in items(ec2, "describe_network_interfaces", "NetworkInterfaces")),
        instances=tuple(_instance(raw, roles) for raw in instances),
        nat_gateways=tuple(
            v.NatGateway(raw["NatGatewayId"], raw.get("VpcId", ""), raw.get("SubnetId", ""), raw.get("State", ""))
            for raw in items(ec2, "describe_nat_gateways", "NatGateways")
        ),
        internet_gateways=tuple(
            v.InternetGateway(raw["InternetGatewayId"], next((a["VpcId"] for a in raw.get("Attachments", [])), ""))
            for raw in items(ec2, "describe_internet_gateways", "InternetGateways")
        ),
        clusters=tuple(_clusters(items("eks", "list_clusters", "clusters"), client, gaps)),
        bucket_policies=tuple(_policies(items("s3", "list_buckets", "Buckets"), client, gaps)),
        gaps=tuple(gaps),
    )


def _name(raw: dict[str, Any]) -> str:
    return next((str(tag["Value"]) for tag in raw.get("Tags") or [] if tag.get("Key") == "Name"), "")


def _vpc(raw: dict[str, Any], options: dict[str, Any], client: Client, gaps: list[str]) -> v.Vpc:
    def attribute(name: str, key: str, *, otherwise: bool) -> bool:
        try:
            reply = client("ec2").describe_vpc_attribute(VpcId=raw["VpcId"], Attribute=name)
            return bool(reply[key]["Value"])
        except Exception as error:  # a gap of the view, as above
            gaps.append(f"ec2.describe_vpc_attribute {raw['VpcId']} {name}: {error}")
            return otherwise

    blocks = [a["CidrBlock"] for a in raw.get("CidrBlockAssociationSet") or []]
    given = options.get(raw.get("DhcpOptionsId", ""), {})
    servers = [
        value["Value"] if isinstance(value, dict) else value
        for line in given.get("DhcpConfigurations") or []
        if line.get("Key") == "domain-name-servers"
        for value in line.get("Values") or []
    ]
    return v.Vpc(
        id=raw["VpcId"],
        name=_name(raw),
        cidrs=tuple(dict.fromkeys([raw["CidrBlock"], *blocks])),
        dns_support=attribute("enableDnsSupport", "EnableDnsSupport", otherwise=True),
        dns_hostnames=attribute("enableDnsHostnames", "EnableDnsHostnames", otherwise=True),
        dhcp_options=raw.get("DhcpOptionsId", ""),
        dhcp_servers=tuple(map(str, servers)) or ("AmazonProvidedDNS",),
    )


def _subnet(raw: dict[str, Any]) -> v.Subnet:
    return v.Subnet(
        raw["SubnetId"],
        raw["VpcId"],
        raw["CidrBlock"],
        _name(raw),
        raw.get("AvailabilityZone", ""),
        int(raw.get("AvailableIpAddressCount") or 0),
    )


_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "VpcPeeringConnectionId",
    "TransitGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "EgressOnlyInternetGatewayId",
)


def _table(raw: dict[str, Any]) -> v.RouteTable:
    routes = []
    for route in raw.get("Routes") or []:
        destination = route.get("DestinationCidrBlock") or route.get("DestinationPrefixListId") or ""
        target = next((str(route[key]) for key in _TARGETS if route.get(key)), "")
        if destination:  # IPv6 routes have neither
            routes.append(v.Route(destination, target, route.get("State", "active")))
    associations = raw.get("Associations") or []
    return v.RouteTable(
        raw["RouteTableId"],
        raw["VpcId"],
        _name(raw),
        any(a.get("Main") for a in associations),
        tuple(a["SubnetId"] for a in associations if a.get("SubnetId")),
        tuple(routes),
    )


def _prefix_list(raw: dict[str, Any]) -> v.PrefixList:
    return v.PrefixList(raw["PrefixListId"], raw.get("PrefixListName", ""), tuple(raw.get("Cidrs") or ()))


def _rules(raws: list[dict[str, Any]]) -> tuple[v.GroupRule, ...]:
    return tuple(
        v.GroupRule(
            str(raw.get("IpProtocol", "-1")),
            raw.get("FromPort"),
            raw.get("ToPort"),
            tuple(
                [r["CidrIp"] for r in raw.get("IpRanges") or []]
                + [p["GroupId"] for p in raw.get("UserIdGroupPairs") or [] if p.get("GroupId")]
                + [p["PrefixListId"] for p in raw.get("PrefixListIds") or []]
            ),
        )
        for raw in raws
    )


def _group(raw: dict[str, Any]) -> v.Group:
    return v.Group(
        raw["GroupId"],
        raw.get("VpcId", ""),
        raw.get("GroupName", ""),
        _rules(raw.get("IpPermissions") or []),
        _rules(raw.get("IpPermissionsEgress") or []),
    )


def _acl(raw: dict[str, Any]) -> v.Acl:
    entries = [
        v.AclEntry(
            int(entry["RuleNumber"]),
            bool(entry["Egress"]),
            entry["RuleAction"] == "allow",
            str(entry["Protocol"]),
            entry["CidrBlock"],
            (entry.get("PortRange") or {}).get("From"),
            (entry.get("PortRange") or {}).get("To"),
        )
        for entry in raw.get("Entries") or []
        if entry.get("CidrBlock")
    ]
    subnets = tuple(a["SubnetId"] for a in raw.get("Associations") or [] if a.get("SubnetId"))
    return v.Acl(raw["NetworkAclId"], raw["VpcId"], _name(raw), subnets, tuple(sorted(entries, key=lambda e: e.number)))


def _peering(raw: dict[str, Any]) -> v.Peering:
    return v.Peering(
        raw["VpcPeeringConnectionId"],
        raw.get("RequesterVpcInfo", {}).get("VpcId", ""),
        raw.get("AccepterVpcInfo", {}).get("VpcId", ""),
        raw.get("Status", {}).get("Code", ""),
        _name(raw),
    )


def _endpoint(raw: dict[str, Any]) -> v.Endpoint:
    policy = raw.get("PolicyDocument") or ""
    return v.Endpoint(
        raw["VpcEndpointId"],
        raw["VpcId"],
        raw.get("VpcEndpointType") or "Gateway",
        raw["ServiceName"],
        _name(raw),
        str(raw.get("State", "available")).lower(),
        tuple(raw.get("SubnetIds") or ()),
        tuple(raw.get("RouteTableIds") or ()),
        tuple(raw.get("NetworkInterfaceIds") or ()),
        tuple(g["GroupId"] for g in raw.get("Groups") or []),
        bool(raw.get("PrivateDnsEnabled")),
        policy if isinstance(policy, str) else json.dumps(policy),
    )


def _interface(raw: dict[str, Any]) -> v.Interface:
    addresses = [raw.get("PrivateIpAddress"), *(a.get("PrivateIpAddress") for a in raw.get("PrivateIpAddresses") or [])]
    return v.Interface(
        raw["NetworkInterfaceId"],
        raw.get("VpcId", ""),
        raw.get("SubnetId", ""),
        tuple(dict.fromkeys(str(a) for a in addresses if a)),
        tuple(g["GroupId"] for g in raw.get("Groups") or []),
        (raw.get("Attachment") or {}).get("InstanceId") or "",
        (raw.get("Association") or {}).get("PublicIp") or "",
        raw.get("Description") or "",
    )


def _roles(instances: list[dict[str, Any]], client: Client, gaps: list[str]) -> dict[str, str]:
    """The role of each instance profile, both by ARN."""
    found: dict[str, str] = {}
    for arn in sorted({i["IamInstanceProfile"]["Arn"] for i in instances if i.get("IamInstanceProfile")}):
        try:
            profile = client("iam").get_instance_profile(InstanceProfileName=arn.rpartition("/")[2])["InstanceProfile"]
            found[arn] = next((role["Arn"] for role in profile["Roles"]), "")
        except Exception as error:  # a gap of the view, as above
            gaps.append(f"iam.get_instance_profile {arn}: {error}")
    return found


def _instance(raw: dict[str, Any], roles: dict[str, str]) -> v.Instance:
    return v.Instance(
        raw["InstanceId"],
        _name(raw),
        raw.get("State", {}).get("Name", ""),
        raw.get("VpcId", ""),
        raw.get("SubnetId", ""),
        raw.get("PrivateIpAddress", ""),
        roles.get((raw.get("IamInstanceProfile") or {}).get("Arn", ""), ""),
    )


def _clusters(names: list[str], client: Client, gaps: list[str]) -> Iterator[v.Cluster]:
    for name in names:
        try:
            raw = client("eks").describe_cluster(name=name)["cluster"]
        except Exception as error:  # a gap of the view, as above
            gaps.append(f"eks.describe_cluster {name}: {error}")
            continue
        net = raw.get("resourcesVpcConfig") or {}
        yield v.Cluster(
            name,
            raw.get("endpoint") or "",
            raw.get("status") or "",
            net.get("vpcId") or "",
            tuple(net.get("subnetIds") or ()),
            tuple(net.get("securityGroupIds") or ()),
            net.get("clusterSecurityGroupId") or "",
            bool(net.get("endpointPublicAccess", True)),
            bool(net.get("endpointPrivateAccess", False)),
        )


def _policies(buckets: list[dict[str, Any]], client: Client, gaps: list[str]) -> Iterator[tuple[str, str]]:
    for bucket in buckets:
        try:
            yield bucket["Name"], client("s3").get_bucket_policy(Bucket=bucket["Name"])["Policy"]
        except Exception as error:  # no policy is the common case; anything else is a gap
            if "NoSuchBucketPolicy" not in str(error):
                gaps.append(f"s3.get_bucket_policy {bucket['Name']}: {error}")
