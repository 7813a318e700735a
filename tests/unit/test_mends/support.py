"""An account with a VPC for tests of what moto's calls lack: helpers that call the Region through boto3 only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from islanding.lab.region.server import Region
from tests.unit.region_support import REGION, connect

IMAGE = "ami-12c6146b"  # one of moto's own
ZONES = (f"{REGION}a", f"{REGION}c")


class Account:
    """A VPC 10.0.0.0/16 with subnets 10.0.1.0/24 in one zone and 10.0.2.0/24 in another, and a security group."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self.ec2: Any = connect(region, "ec2")
        self.vpc = self.make_vpc("10.0.0.0/16")
        self.subnets = [self.subnet(f"10.0.{i}.0/24", zone) for i, zone in enumerate(ZONES, 1)]
        self.group = self.make_group("nodes")

    def make_vpc(self, cidr: str) -> str:
        """A VPC with both DNS attributes."""
        vpc = str(self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"])
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
        self.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        return vpc

    def make_group(self, name: str, vpc: str = "") -> str:
        """A security group."""
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc or self.vpc)
        return str(made["GroupId"])

    def subnet(self, cidr: str, zone: str = ZONES[0], vpc: str = "") -> str:
        """A subnet."""
        made = self.ec2.create_subnet(VpcId=vpc or self.vpc, CidrBlock=cidr, AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    def run(self, count: int = 1, **more: Any) -> list[Any]:
        """Instances of the first subnet as RunInstances describes them."""
        wanted = {"ImageId": IMAGE, "InstanceType": "t3.small", "SubnetId": self.subnets[0]} | more
        return list(self.ec2.run_instances(MinCount=count, MaxCount=count, **wanted)["Instances"])

    def card(self, subnet: str = "", **more: Any) -> Any:
        """A network interface of its own."""
        made = self.ec2.create_network_interface(SubnetId=subnet or self.subnets[0], **more)
        return made["NetworkInterface"]

    def cards(self, **filters: str) -> list[Any]:
        """Network interfaces by filters, whose names are written with _ for - and __ for a dot."""
        given = [
            {"Name": name.replace("__", ".").replace("_", "-"), "Values": [value]} for name, value in filters.items()
        ]
        return list(self.ec2.describe_network_interfaces(Filters=given)["NetworkInterfaces"])

    def endpoint(self, service: str = "ecr.api", **more: Any) -> str:
        """An interface endpoint in both subnets."""
        wanted = {"VpcId": self.vpc, "VpcEndpointType": "Interface", "SubnetIds": self.subnets} | more
        made = self.ec2.create_vpc_endpoint(ServiceName=f"com.amazonaws.{REGION}.{service}", **wanted)
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def described(self, endpoint: str) -> Any:
        """An endpoint as DescribeVpcEndpoints has it."""
        return self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]

    def table(self) -> str:
        """A route table."""
        return str(self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])

    def routes(self, table: str) -> dict[str, str]:
        """State of each route that is not local, by destination."""
        found = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        return {
            r.get("DestinationCidrBlock") or r["DestinationPrefixListId"]: r["State"]
            for r in found
            if r.get("GatewayId") != "local"
        }


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """Code and message with which a call is refused; fails when it is not."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]
        return str(found.get("Code")), str(found.get("Message"))
    raise AssertionError("the call was not refused")
