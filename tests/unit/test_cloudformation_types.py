"""Resource types of CloudFormation: each is made with all its properties, described by its own service, and deleted."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from islanding.lab.region.cloudformation.resource import REGISTRY
from tests.unit.region_support import fresh_region
from tests.unit.stacks_support import VPC, Stacks

IMAGE = "ami-12c6146b"
TAGS = [{"Key": "marked", "Value": "yes"}]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJj0t8dZ0o0o0o0o0o0o0o0o0o0o0o0o0o0o0o0o0o0 x"
SCRIPT = base64.b64encode(b"#!/bin/sh\necho booted\n").decode()
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
DISK = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": "9", "VolumeType": "gp3", "Encrypted": "true"}}]


def of(kind: str, **properties: Any) -> dict[str, Any]:
    """A resource of an AWS type."""
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(name: str) -> dict[str, str]:
    """What another resource's Ref gives."""
    return {"Ref": name}


SUBNET = of("EC2::Subnet", VpcId=ref("Net"), CidrBlock="10.0.1.0/24", AvailabilityZone="ap-northeast-1a")
GROUP = of("EC2::SecurityGroup", GroupDescription="x", VpcId=ref("Net"))
BASE = {"Net": VPC, "Sub": SUBNET, "Group": GROUP}
TABLE = of("EC2::RouteTable", VpcId=ref("Net"), Tags=TAGS)
GATEWAY = of("EC2::InternetGateway", Tags=TAGS)
ATTACHED = of("EC2::VPCGatewayAttachment", VpcId=ref("Net"), InternetGatewayId=ref("Igw"))
ROLE = of("IAM::Role", AssumeRolePolicyDocument=TRUST)
LAMBDA = of(
    "IAM::Role",
    AssumeRolePolicyDocument={
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    },
)
MACHINE = of("EC2::Instance", ImageId=IMAGE, InstanceType="t3.small", SubnetId=ref("Sub"))
LAUNCH = of("EC2::LaunchTemplate", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "t3.small"})

# Of each type: what it needs, its properties, and how its own service describes it: (service, operation, argument that
# takes its id, and words that must be in the answer). An empty operation: there is none that takes the id.
Case = tuple[dict[str, Any], dict[str, Any], tuple[str, str, str], tuple[str, ...]]
CASES: dict[str, Case] = {
    "EC2::VPC": (
        {},
        {"CidrBlock": "10.7.0.0/16", "EnableDnsHostnames": "true", "InstanceTenancy": "default", "Tags": TAGS},
        ("ec2", "describe_vpcs", "VpcIds"),
        ("10.7.0.0/16", "marked"),
    ),
    "EC2::VPCCidrBlock": (
        BASE,
        {"VpcId": ref("Net"), "CidrBlock": "10.1.0.0/16"},
        ("ec2", "describe_vpcs", ""),
        ("10.1.0.0/16",),
    ),
    "EC2::DHCPOptions": (
        {},
        {"DomainName": "in.example", "DomainNameServers": ["10.0.0.9"], "NtpServers": ["10.0.0.8"], "Tags": TAGS},
        ("ec2", "describe_dhcp_options", "DhcpOptionsIds"),
        ("in.example", "10.0.0.9", "10.0.0.8"),
    ),
    "EC2::VPCDHCPOptionsAssociation": (
        {**BASE, "Dhcp": of("EC2::DHCPOptions", DomainName="in.example")},
        {"VpcId": ref("Net"), "DhcpOptionsId": ref("Dhcp")},
        ("ec2", "describe_vpcs", ""),
        ("dopt-",),
    ),
    "EC2::Subnet": (
        BASE,
        {"VpcId": ref("Net"), "CidrBlock": "10.0.2.0/24", "MapPublicIpOnLaunch": "true", "Tags": TAGS},
        ("ec2", "describe_subnets", "SubnetIds"),
        ("'MapPublicIpOnLaunch': True", "marked"),
    ),
    "EC2::RouteTable": (
        BASE,
        {"VpcId": ref("Net"), "Tags": TAGS},
        ("ec2", "describe_route_tables", "RouteTableIds"),
        ("marked",),
    ),
    "EC2::SubnetRouteTableAssociation": (
        {**BASE, "Table": TABLE},
        {"SubnetId": ref("Sub"), "RouteTableId": ref("Table")},
        ("ec2", "describe_route_tables", ""),
        ("{id}",),
    ),
    "EC2::Route": (
        {**BASE, "Table": TABLE, "Igw": GATEWAY, "Attached": ATTACHED},
        {"RouteTableId": ref("Table"), "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": ref("Igw")},
        ("ec2", "describe_route_tables", ""),
        ("'DestinationCidrBlock': '0.0.0.0/0'",),
    ),
    "EC2::InternetGateway": (
        {},
        {"Tags": TAGS},
        ("ec2", "describe_internet_gateways", "InternetGatewayIds"),
        ("marked",),
    ),
    "EC2::VPCGatewayAttachment": (
        {**BASE, "Igw": GATEWAY},
        {"VpcId": ref("Net"), "InternetGatewayId": ref("Igw")},
        ("ec2", "describe_internet_gateways", ""),
        ("'State': 'available'",),
    ),
    "EC2::VPNGateway": (
        {},
        {"Type": "ipsec.1", "AmazonSideAsn": "65001", "Tags": TAGS},
        ("ec2", "describe_vpn_gateways", "VpnGatewayIds"),
        ("65001", "marked"),
    ),
    "EC2::NatGateway": (
        {**BASE, "Igw": GATEWAY, "Attached": ATTACHED, "Eip": of("EC2::EIP", Domain="vpc")},
        {"SubnetId": ref("Sub"), "AllocationId": {"Fn::GetAtt": "Eip.AllocationId"}, "Tags": TAGS},
        ("ec2", "describe_nat_gateways", "NatGatewayIds"),
        ("marked", "'State': 'available'"),
    ),
    "EC2::VPCPeeringConnection": (
        {**BASE, "Other": of("EC2::VPC", CidrBlock="10.2.0.0/16")},
        {"VpcId": ref("Net"), "PeerVpcId": ref("Other"), "Tags": TAGS},
        ("ec2", "describe_vpc_peering_connections", "VpcPeeringConnectionIds"),
        ("'Code': 'active'", "marked"),
    ),
    "EC2::VPCEndpoint": (
        BASE,
        {
            "VpcId": ref("Net"), "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.ecr.api"},
            "VpcEndpointType": "Interface", "SubnetIds": [ref("Sub")], "SecurityGroupIds": [ref("Group")],
            "PrivateDnsEnabled": "false", "PolicyDocument": POLICY, "Tags": TAGS,
        },
        ("ec2", "describe_vpc_endpoints", "VpcEndpointIds"),
        ("'PrivateDnsEnabled': False", "s3:GetObject", "marked", "'State': 'available'"),
    ),
    "EC2::SecurityGroup": (
        BASE,
        {
            "GroupName": "doors", "GroupDescription": "all doors", "VpcId": ref("Net"), "Tags": TAGS,
            "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": "22", "ToPort": 22, "CidrIp": "10.8.0.0/16"}],
            "SecurityGroupEgress": [{"IpProtocol": -1, "CidrIp": "10.9.0.0/16", "Description": "out"}],
        },
        ("ec2", "describe_security_groups", "GroupIds"),
        ("doors", "all doors", "10.8.0.0/16", "10.9.0.0/16", "'Description': 'out'", "marked"),
    ),
    "EC2::SecurityGroupIngress": (
        BASE,
        {
            "GroupId": ref("Group"), "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
            "SourceSecurityGroupId": ref("Group"), "Description": "each other",
        },
        ("ec2", "describe_security_groups", ""),
        ("443", "each other"),
    ),
    "EC2::SecurityGroupEgress": (
        BASE,
        {"GroupId": ref("Group"), "IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "CidrIp": "10.0.0.2/32"},
        ("ec2", "describe_security_group_rules", "SecurityGroupRuleIds"),
        ("'ToPort': 53", "10.0.0.2/32"),
    ),
    "EC2::NetworkAcl": (
        BASE,
        {"VpcId": ref("Net"), "Tags": TAGS},
        ("ec2", "describe_network_acls", "NetworkAclIds"),
        ("marked",),
    ),
    "EC2::NetworkAclEntry": (
        {**BASE, "Acl": of("EC2::NetworkAcl", VpcId=ref("Net"))},
        {
            "NetworkAclId": ref("Acl"), "RuleNumber": "77", "Protocol": 6, "RuleAction": "deny", "Egress": "true",
            "CidrBlock": "10.0.0.0/8", "PortRange": {"From": "80", "To": 81},
        },
        ("ec2", "describe_network_acls", ""),
        ("'RuleNumber': 77", "'To': 81"),
    ),
    "EC2::SubnetNetworkAclAssociation": (
        {**BASE, "Acl": of("EC2::NetworkAcl", VpcId=ref("Net"))},
        {"SubnetId": ref("Sub"), "NetworkAclId": ref("Acl")},
        ("ec2", "describe_network_acls", ""),
        ("{id}",),
    ),
    "EC2::Instance": (
        {**BASE, "Role": ROLE, "Profile": of("IAM::InstanceProfile", Roles=[ref("Role")])},
        {
            "ImageId": IMAGE, "InstanceType": "t3.small", "SubnetId": ref("Sub"), "SecurityGroupIds": [ref("Group")],
            "IamInstanceProfile": ref("Profile"), "PrivateIpAddress": "10.0.1.77", "UserData": SCRIPT,
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": "2"}, "SourceDestCheck": "false",
            "BlockDeviceMappings": DISK, "CreditSpecification": {"CPUCredits": "standard"}, "Tags": TAGS,
        },
        ("ec2", "describe_instances", "InstanceIds"),
        (
            "10.0.1.77", "'HttpTokens': 'required'", "'HttpPutResponseHopLimit': 2", "'SourceDestCheck': False",
            "'Name': 'running'", "marked",
        ),
    ),
    "EC2::EIP": ({}, {"Domain": "vpc", "Tags": TAGS}, ("ec2", "describe_addresses", "PublicIps"), ("marked",)),
    "EC2::EIPAssociation": (
        {**BASE, "Igw": GATEWAY, "Attached": ATTACHED, "Eip": of("EC2::EIP"),
         "Machine": {**MACHINE, "DependsOn": "Attached"}},
        {"AllocationId": {"Fn::GetAtt": "Eip.AllocationId"}, "InstanceId": ref("Machine")},
        ("ec2", "describe_addresses", ""),
        ("{id}",),
    ),
    "EC2::NetworkInterface": (
        BASE,
        {
            "SubnetId": ref("Sub"), "PrivateIpAddress": "10.0.1.88", "Description": "second", "Tags": TAGS,
            "GroupSet": [ref("Group")], "SecondaryPrivateIpAddressCount": "2", "SourceDestCheck": "false",
        },
        ("ec2", "describe_network_interfaces", "NetworkInterfaceIds"),
        ("10.0.1.88", "second", "'SourceDestCheck': False", "marked"),
    ),
    "EC2::NetworkInterfaceAttachment": (
        {**BASE, "Machine": MACHINE, "Card": of("EC2::NetworkInterface", SubnetId=ref("Sub"))},
        {"InstanceId": ref("Machine"), "NetworkInterfaceId": ref("Card"), "DeviceIndex": "1",
         "DeleteOnTermination": "true"},
        ("ec2", "describe_network_interfaces", ""),
        ("{id}",),
    ),
    "EC2::KeyPair": (
        {},
        {"KeyName": "mine", "PublicKeyMaterial": KEY, "Tags": TAGS},
        ("ec2", "describe_key_pairs", "KeyNames"),
        ("mine", "marked"),
    ),
    "EC2::LaunchTemplate": (
        {},
        {
            "LaunchTemplateName": "nodes", "VersionDescription": "the first",
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": TAGS}],
            "LaunchTemplateData": {
                "ImageId": IMAGE, "InstanceType": "t3.small", "UserData": SCRIPT, "BlockDeviceMappings": DISK,
                "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": "2"},
            },
        },
        ("ec2", "describe_launch_template_versions", "LaunchTemplateId"),
        ("the first", "required", SCRIPT, "gp3"),
    ),
    "EC2::FlowLog": (
        {**BASE, "Logs": of("Logs::LogGroup", LogGroupName="flows"), "Role": ROLE},
        {
            "ResourceId": ref("Net"), "ResourceType": "VPC", "TrafficType": "REJECT", "LogGroupName": ref("Logs"),
            "DeliverLogsPermissionArn": {"Fn::GetAtt": "Role.Arn"}, "Tags": TAGS,
        },
        ("ec2", "describe_flow_logs", "FlowLogIds"),
        ("REJECT", "marked"),
    ),
    "AutoScaling::LaunchConfiguration": (
        BASE,
        {
            "ImageId": IMAGE, "InstanceType": "t3.small", "SecurityGroups": [ref("Group")], "UserData": SCRIPT,
            "AssociatePublicIpAddress": "false", "BlockDeviceMappings": DISK,
        },
        ("autoscaling", "describe_launch_configurations", "LaunchConfigurationNames"),
        ("t3.small", "gp3", "'AssociatePublicIpAddress': False"),
    ),
    "AutoScaling::AutoScalingGroup": (
        {**BASE, "Launch": LAUNCH},
        {
            "AutoScalingGroupName": "workers", "MinSize": "1", "MaxSize": "3", "DesiredCapacity": "2",
            "VPCZoneIdentifier": [ref("Sub")], "Cooldown": "7", "HealthCheckGracePeriod": "33",
            "TerminationPolicies": ["OldestInstance"], "NewInstancesProtectedFromScaleIn": "true",
            "LaunchTemplate": {
                "LaunchTemplateId": ref("Launch"), "Version": {"Fn::GetAtt": "Launch.LatestVersionNumber"},
            },
            "Tags": [{**TAGS[0], "PropagateAtLaunch": "true"}],
        },
        ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroupNames"),
        ("'DesiredCapacity': 2", "'DefaultCooldown': 7", "'HealthCheckGracePeriod': 33", "OldestInstance",
         "'NewInstancesProtectedFromScaleIn': True", "marked", "'LifecycleState': 'InService'"),
    ),
    "IAM::Role": (
        {},
        {
            "RoleName": "reader", "AssumeRolePolicyDocument": TRUST, "Path": "/x/", "MaxSessionDuration": "7200",
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"], "Description": "reads",
            "Policies": [{"PolicyName": "inner", "PolicyDocument": POLICY}], "Tags": TAGS,
        },
        ("iam", "get_role", "RoleName"),
        ("reader", "/x/", "7200", "reads", "marked"),
    ),
    "IAM::InstanceProfile": (
        {"Role": ROLE},
        {"InstanceProfileName": "reader", "Path": "/x/", "Roles": [ref("Role")]},
        ("iam", "get_instance_profile", "InstanceProfileName"),
        ("/x/", "RoleName"),
    ),
    "IAM::Policy": (
        {"Role": {"Type": "AWS::IAM::Role", "Properties": {**ROLE["Properties"], "RoleName": "reader"}}},
        {"PolicyName": "inner", "PolicyDocument": POLICY, "Roles": [ref("Role")]},
        ("iam", "get_account_authorization_details", ""),
        ("'PolicyName': '{id}'",),
    ),
    "IAM::ManagedPolicy": (
        {"Role": ROLE},
        {"ManagedPolicyName": "own", "PolicyDocument": POLICY, "Description": "d", "Roles": [ref("Role")]},
        ("iam", "get_policy", "PolicyArn"),
        ("'AttachmentCount': 1",),
    ),
    "S3::Bucket": (
        {},
        {
            "BucketName": "things-of-mine", "VersioningConfiguration": {"Status": "Enabled"}, "Tags": TAGS,
            "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true"},
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        },
        ("s3", "get_bucket_versioning", "Bucket"),
        ("Enabled",),
    ),
    "S3::BucketPolicy": (
        {"Bucket": of("S3::Bucket", BucketName="things-of-mine")},
        {
            "Bucket": ref("Bucket"),
            "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
                "Resource": "arn:aws:s3:::things-of-mine/*",
            }]},
        },
        ("s3", "get_bucket_policy", "=things-of-mine"),
        ("s3:DeleteObject",),
    ),
    "ECR::Repository": (
        {},
        {
            "RepositoryName": "team/web", "ImageTagMutability": "IMMUTABLE", "Tags": TAGS, "EmptyOnDelete": "true",
            "ImageScanningConfiguration": {"ScanOnPush": "true"},
        },
        ("ecr", "describe_repositories", "repositoryNames"),
        ("IMMUTABLE", "'scanOnPush': True"),
    ),
    "Lambda::Function": (
        {"Role": LAMBDA},
        {
            "FunctionName": "things", "Runtime": "python3.13", "Handler": "index.handler", "Timeout": "7",
            "Role": {"Fn::GetAtt": "Role.Arn"}, "Code": {"ZipFile": "def handler(*_): pass"}, "MemorySize": "256",
            "Environment": {"Variables": {"SECONDS": "60"}}, "Tags": TAGS,
        },
        ("lambda", "get_function", "FunctionName"),
        ("'Timeout': 7", "'MemorySize': 256", "'SECONDS': '60'", "marked"),
    ),
    "Scheduler::Schedule": (
        {"Role": ROLE},
        {
            "Name": "each-minute", "ScheduleExpression": "rate(1 minute)", "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": "arn:aws:lambda:ap-northeast-1:111122223333:function:things",
                "RoleArn": {"Fn::GetAtt": "Role.Arn"}, "Input": "{}", "RetryPolicy": {"MaximumRetryAttempts": "0"},
            },
        },
        ("scheduler", "get_schedule", "Name"),
        ("rate(1 minute)", "'MaximumRetryAttempts': 0"),
    ),
    "Logs::LogGroup": (
        {},
        {"LogGroupName": "things", "RetentionInDays": "7", "Tags": TAGS},
        ("logs", "describe_log_groups", "logGroupNamePrefix"),
        ("'retentionInDays': 7",),
    ),
    "Route53::HostedZone": (
        BASE,
        {
            "Name": "in.example", "VPCs": [{"VPCId": ref("Net"), "VPCRegion": ref("AWS::Region")}],
            "HostedZoneConfig": {"Comment": "ours"}, "HostedZoneTags": TAGS,
        },
        ("route53", "get_hosted_zone", "Id"),
        ("'PrivateZone': True", "ours", "vpc-"),
    ),
    "Route53::RecordSet": (
        {"Zone": of("Route53::HostedZone", Name="in.example")},
        {
            "HostedZoneId": ref("Zone"), "Name": "db.in.example", "Type": "A", "TTL": "60",
            "ResourceRecords": ["10.0.0.9"],
        },
        ("route53", "list_resource_record_sets", "@Zone"),
        ("10.0.0.9", "'TTL': 60"),
    ),
}  # fmt: skip


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Stacks]:
    """CloudFormation of a Region of its own."""
    for region in fresh_region(tmp_path):
        yield Stacks(region)


def described(stacks: Stacks, way: tuple[str, str, str], ids: dict[str, str]) -> str:
    """What the resource's own service says of it."""
    service, operation, argument = way
    client = stacks.client(service)
    if argument == "@Zone":
        return str(getattr(client, operation)(HostedZoneId=ids["Zone"]))
    if argument.startswith("="):
        return str(getattr(client, operation)(Bucket=argument[1:]))
    many = argument.endswith(("Ids", "Ips", "Names")) and argument != ""
    return str(getattr(client, operation)(**({argument: [ids["It"]] if many else ids["It"]} if argument else {})))


def test_every_type_has_its_case() -> None:
    """No type can be added without being made here."""
    assert sorted(f"AWS::{name}" for name in CASES) == sorted(REGISTRY)


@pytest.mark.parametrize("name", CASES)
def test_a_type_is_made_as_asked_and_deleted(stacks: Stacks, name: str) -> None:
    """The stack is complete, the service itself shows what was asked for, and after deletion no resource is left."""
    needs, properties, way, words = CASES[name]
    before = inventory(stacks)

    stack = stacks.create("one", {"Resources": {**needs, "It": of(name, **properties)}})
    reasons = stacks.reasons("one", "CREATE_FAILED")
    shown = described(stacks, way, stacks.ids("one")) if stack["StackStatus"] == "CREATE_COMPLETE" else ""
    wanted = [word.replace("{id}", stacks.ids("one").get("It", "")) for word in words]
    deleted = stacks.delete("one")

    assert (stack["StackStatus"], reasons) == ("CREATE_COMPLETE", {})
    assert [word for word in wanted if word not in shown] == []
    assert (deleted["StackStatus"], stacks.reasons(stack["StackId"], "DELETE_FAILED")) == ("DELETE_COMPLETE", {})
    assert inventory(stacks) == before


def inventory(stacks: Stacks) -> dict[str, list[str]]:
    """The ids of everything that a stack could have left behind."""
    ec2, iam = stacks.client("ec2"), stacks.client("iam")
    alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    machines = [i for r in ec2.describe_instances(Filters=alive)["Reservations"] for i in r["Instances"]]
    return {
        "vpcs": [v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"]],
        "dhcp": [d["DhcpOptionsId"] for d in ec2.describe_dhcp_options()["DhcpOptions"]],
        "gateways": [g["InternetGatewayId"] for g in ec2.describe_internet_gateways()["InternetGateways"]],
        "cards": [n["NetworkInterfaceId"] for n in ec2.describe_network_interfaces()["NetworkInterfaces"]],
        "addresses": [a["PublicIp"] for a in ec2.describe_addresses()["Addresses"]],
        "keys": [k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]],
        "templates": [t["LaunchTemplateId"] for t in ec2.describe_launch_templates()["LaunchTemplates"]],
        "machines": [i["InstanceId"] for i in machines],
        # AWSServiceRole is CloudFormation's own.
        "roles": [r["RoleName"] for r in iam.list_roles()["Roles"] if not r["RoleName"].startswith("AWSServiceRole")],
        "profiles": [p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]],
        "policies": [p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]],
        "buckets": [b["Name"] for b in stacks.client("s3").list_buckets()["Buckets"]],
        "repositories": [r["repositoryName"] for r in stacks.client("ecr").describe_repositories()["repositories"]],
        "logs": [g["logGroupName"] for g in stacks.client("logs").describe_log_groups()["logGroups"]],
        "functions": [f["FunctionName"] for f in stacks.client("lambda").list_functions()["Functions"]],
        "schedules": [s["Name"] for s in stacks.client("scheduler").list_schedules()["Schedules"]],
        "zones": [z["Id"] for z in stacks.client("route53").list_hosted_zones()["HostedZones"]],
    }
