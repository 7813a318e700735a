"""A closed network in a Region of this process: the bench on which the faults on AWS objects are tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from islanding.aws import calls
from islanding.faults import Fault, Plan
from islanding.lab.region.server import Region
from islanding.model import AwsAccess, Site
from islanding.undo import UndoLog
from tests.unit.region_support import REGION, connect, fresh_region
from tests.unit.test_faults.bench import Bench, make_bench

_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": [f"arn:aws:s3:::prod-{REGION}-starport-layer-bucket/*", "arn:aws:s3:::mine/*"],
        }
    ],
}


@dataclass
class Network:
    """A VPC with endpoints, peered with another, and an Auto Scaling group; `site` describes it."""

    bench: Bench
    region: Region
    site: Site
    ids: dict[str, str]

    def client(self, service: str = "ec2") -> Any:
        return connect(self.region, service)

    def record(self, fault: Fault) -> Plan:
        """Plan a fault and put its undo on disk, as a run does before it applies anything."""
        plan = fault.plan(self.site)
        declared: Any = fault
        UndoLog.for_site(self.site.id).planned(
            id=plan.id,
            kind=plan.kind,
            params=asdict(declared),
            plan=plan.model_dump(mode="json"),
            site_id=self.site.id,
            site_file=Path(self.site.folder) / "site.json",
            max_seconds=60.0,
        )
        return plan

    def state(self) -> dict[str, Any]:
        """All of EC2's state that faults touch, with ids that AWS gives anew replaced by what they stand for."""
        ec2 = self.client()
        new = {
            one["VpcEndpointId"]: f"endpoint {one['ServiceName']}"
            for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]
        } | {
            one["VpcPeeringConnectionId"]: f"peering {one['Status']['Code']}"
            for one in ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
        }
        seen = {
            "endpoints": [_endpoint(one) for one in ec2.describe_vpc_endpoints()["VpcEndpoints"] if _is_there(one)],
            "tables": ec2.describe_route_tables()["RouteTables"],
            "rules": [
                {k: v for k, v in rule.items() if k not in ("SecurityGroupRuleId", "SecurityGroupRuleArn")}
                for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]
            ],
            "acls": [_acl(one) for one in ec2.describe_network_acls()["NetworkAcls"]],
            "peerings": [
                one
                for one in ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
                if one["Status"]["Code"] == "active"
            ],
            "attributes": [
                ec2.describe_vpc_attribute(VpcId=self.ids["vpc"], Attribute=name[0].lower() + name[1:])[name]
                for name in ("EnableDnsSupport", "EnableDnsHostnames")
            ],
        }
        text = json.dumps(seen, default=str)
        for id, name in new.items():
            text = text.replace(id, name)
        return dict(_sorted(json.loads(text)))


def _sorted(value: Any) -> Any:
    """Lists in one order: AWS promises none."""
    if isinstance(value, dict):
        return {key: _sorted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(inner) for inner in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


def _is_there(endpoint: dict[str, Any]) -> bool:
    return bool(endpoint["State"] != "deleted")


def _endpoint(raw: dict[str, Any]) -> dict[str, Any]:
    gone = ("NetworkInterfaceIds", "CreationTimestamp", "DnsEntries")  # AWS gives these anew
    left = {key: value for key, value in raw.items() if key not in gone}
    return {**left, "PolicyDocument": json.loads(raw["PolicyDocument"])}


def _acl(raw: dict[str, Any]) -> dict[str, Any]:
    links = [{"SubnetId": link["SubnetId"], "NetworkAclId": link["NetworkAclId"]} for link in raw["Associations"]]
    return {**raw, "Associations": links}


@contextmanager
def closed_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A closed network; every call of the faults goes to its Region."""
    monkeypatch.setenv("ISLANDING_STATE", str(folder / "state"))
    region = next(regions := fresh_region(folder))
    bench = make_bench(folder)
    clients: dict[str, Any] = {}

    def client(_access: AwsAccess, service: str) -> Any:
        return clients.setdefault(service, connect(region, service))

    monkeypatch.setattr(calls, "client", client)
    ids = _build(connect(region, "ec2"), connect(region, "autoscaling"))
    access = AwsAccess(region=REGION, account=region.account, env={"AWS_ENDPOINT_URL": "https://region.test"})
    facts = {
        "vpc_id": ids["vpc"],
        "worker_route_table_id": ids["table"],
        "worker_subnet_ids": f"{ids['subnet-0']}, {ids['subnet-1']}",
        "endpoint_group_id": ids["group"],
        "worker_group_id": ids["workers"],
        "asg": "workers",
    }
    site = bench.site.model_copy(update={"aws": access, "facts": facts})
    site.save(Path(site.folder) / "site.json")
    bench.site = site
    yield Network(bench, region, site, ids)
    next(regions, None)


def _build(ec2: Any, autoscaling: Any) -> dict[str, str]:
    ids: dict[str, str] = {}
    vpcs = [ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"] for block in ("10.7.0.0/16", "10.8.0.0/16")]
    ids["vpc"], ids["other"] = vpcs
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpcs[0], **{name: {"Value": True}})
    for n in range(2):
        ids[f"subnet-{n}"] = ec2.create_subnet(
            VpcId=vpcs[0], CidrBlock=f"10.7.{n}.0/24", AvailabilityZone=f"{REGION}{'ac'[n]}"
        )["Subnet"]["SubnetId"]
    for key, vpc in (("table", vpcs[0]), ("other-table", vpcs[1])):
        ids[key] = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    for key in ("group", "workers"):
        ids[key] = ec2.create_security_group(VpcId=vpcs[0], GroupName=key, Description=key)["GroupId"]
    _rules(ec2, ids)
    subnets = [ids["subnet-0"], ids["subnet-1"]]
    for service in ("ecr.api", "ecr.dkr", "ec2"):
        ids[service] = ec2.create_vpc_endpoint(
            VpcId=vpcs[0], ServiceName=f"com.amazonaws.{REGION}.{service}", VpcEndpointType="Interface",
            SubnetIds=subnets, SecurityGroupIds=[ids["group"]], PrivateDnsEnabled=True,
            TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "Name", "Value": service}]}],
        )["VpcEndpoint"]["VpcEndpointId"]  # fmt: skip
    ids["s3"] = ec2.create_vpc_endpoint(
        VpcId=vpcs[0], ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway",
        RouteTableIds=[ids["table"]], PolicyDocument=json.dumps(_POLICY),
    )["VpcEndpoint"]["VpcEndpointId"]  # fmt: skip
    _peer(ec2, ids)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    autoscaling.create_launch_configuration(LaunchConfigurationName="workers", ImageId=image, InstanceType="t3.small")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="workers", LaunchConfigurationName="workers", MinSize=2, MaxSize=3, DesiredCapacity=2,
        VPCZoneIdentifier=",".join(subnets),
        Tags=[{"Key": "islanding:faults", "Value": "allowed", "PropagateAtLaunch": True}],
    )  # fmt: skip
    ec2.create_tags(Resources=list(ids.values()), Tags=[{"Key": "islanding:faults", "Value": "allowed"}])
    return ids


def _rules(ec2: Any, ids: dict[str, str]) -> None:
    lists = ec2.describe_managed_prefix_lists()["PrefixLists"]
    s3 = next(one["PrefixListId"] for one in lists if one["PrefixListName"].endswith(".s3"))
    ec2.authorize_security_group_ingress(
        GroupId=ids["group"],
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
             "IpRanges": [{"CidrIp": "10.7.0.0/16", "Description": "from the VPC"}, {"CidrIp": "10.8.0.0/24"}]},
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
             "UserIdGroupPairs": [{"GroupId": ids["workers"], "Description": "from the workers"}]},
            {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "10.7.0.0/16"}]},
        ],
    )  # fmt: skip
    ec2.authorize_security_group_egress(
        GroupId=ids["workers"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
                        "PrefixListIds": [{"PrefixListId": s3, "Description": "to S3"}]}],
    )  # fmt: skip


def _peer(ec2: Any, ids: dict[str, str]) -> None:
    asked = ec2.create_vpc_peering_connection(
        VpcId=ids["other"], PeerVpcId=ids["vpc"],
        TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": [{"Key": "Name", "Value": "bastion"}]}],
    )  # fmt: skip
    ids["peering"] = asked["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=ids["peering"])
    for table, block in (("table", "10.8.0.0/16"), ("other-table", "10.7.0.0/16")):
        ec2.create_route(RouteTableId=ids[table], DestinationCidrBlock=block, VpcPeeringConnectionId=ids["peering"])
