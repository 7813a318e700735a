"""The CloudFormation templates of all reference sites: valid by AWS's own schemas, and as closed as they say."""

from __future__ import annotations

from importlib import import_module
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from islanding import planning, stackconf
from islanding.paths import content_dir
from islanding.planning import Plan
from islanding.stackconf import StacksConf

FIXTURES = content_dir("fixtures")
TEMPLATES = sorted(path for path in FIXTURES.glob("*/*.yaml") if "AWSTemplateFormatVersion" in path.read_text())


@pytest.fixture(scope="module")
def closed() -> Plan:
    """What the stacks of closed-vpc will make."""
    folder = FIXTURES / "closed-vpc"
    conf = stackconf.load(folder / "site.yaml")
    assert isinstance(conf, StacksConf)
    return planning.plan(conf, folder, {"workstation": {"address": "203.0.113.77"}})


def test_all_templates_are_valid() -> None:
    """cfn-lint finds nothing in any template: no error, no warning."""
    assert {"1-infrastructure.yaml", "2-control-plane.yaml", "3-workers.yaml"} <= {path.name for path in TEMPLATES}
    assert [finding for path in TEMPLATES for finding in lint(path)] == []


def test_cfn_lint_finds_what_is_wrong(tmp_path: Path) -> None:
    """A property that AWS does not know is found: the test above can fail."""
    wrong = tmp_path / "t.yaml"
    wrong.write_text("Resources:\n  A: {Type: AWS::EC2::VPC, Properties: {CidrBlok: 10.0.0.0/16}}\n")

    assert any("CidrBlok" in finding for finding in lint(wrong))


def lint(path: Path) -> list[str]:
    """What cfn-lint says of a template, in the Region that the sites are in; its schemas are its own: no network."""
    api = import_module("cfnlint.api")  # takes seconds, and has no types

    found = api.lint_by_config({"templates": [str(path)], "regions": ["ap-northeast-1"]})
    return [f"{path.name}:{one.linenumber}: {one.rule.id} {one.message}" for one in found]


def routes(plan: Plan, subnet: str) -> dict[str, str]:
    """Destinations and targets of the route table that a subnet is associated with."""
    table = next(
        one.text("RouteTableId")
        for one in plan.of("AWS::EC2::SubnetRouteTableAssociation")
        if one.text("SubnetId") == f"<infrastructure.{subnet}>"
    )
    targets = ("GatewayId", "NatGatewayId", "VpcPeeringConnectionId", "TransitGatewayId")
    return {
        one.text("DestinationCidrBlock"): next(one.text(t) for t in targets if one.text(t))
        for one in plan.of("AWS::EC2::Route")
        if one.text("RouteTableId") == table
    }


def test_the_closed_vpc_has_no_way_out(closed: Plan) -> None:
    """No internet gateway at the closed VPC; workers have no route, and the operator only the one to the bastion."""
    attached = [one.text("VpcId") for one in closed.of("AWS::EC2::VPCGatewayAttachment")]

    assert attached == ["<infrastructure.BastionVpc>"]
    assert list(closed.of("AWS::EC2::NatGateway")) == []
    assert routes(closed, "FirstWorkerSubnet") == {}
    assert routes(closed, "SecondWorkerSubnet") == {}
    assert routes(closed, "OperatorSubnet") == {"10.10.0.0/26": "<infrastructure.Peering>"}
    assert routes(closed, "BastionSubnet") == {
        "0.0.0.0/0": "<infrastructure.InternetGateway>",
        "10.20.255.0/24": "<infrastructure.Peering>",
    }


def test_endpoints_are_those_that_nodes_need(closed: Plan) -> None:
    """S3 by the route tables; EC2 and both of ECR in every worker subnet, with private DNS."""
    workers = ["<infrastructure.FirstWorkerSubnet>", "<infrastructure.SecondWorkerSubnet>"]
    found = {one.text("ServiceName").split(".", 3)[3]: one for one in closed.of("AWS::EC2::VPCEndpoint")}

    assert sorted(found) == ["ec2", "ecr.api", "ecr.dkr", "s3"]
    assert found["s3"].items("RouteTableIds") == ["<infrastructure.WorkerRoutes>", "<infrastructure.OperatorRoutes>"]
    for name in ("ec2", "ecr.api", "ecr.dkr"):
        assert (found[name].items("SubnetIds"), found[name].text("PrivateDnsEnabled")) == (workers, "true")


def test_nobody_is_let_in_from_everywhere(closed: Plan) -> None:
    """No security group opens a port to the world; the bastion's only rule is SSH from one address."""
    rules = [
        (group.id, rule)
        for group in closed.of("AWS::EC2::SecurityGroup")
        for rule in group.properties.get("SecurityGroupIngress", [])
    ]
    wide = [id_ for id_, rule in rules if IPv4Network(rule["CidrIp"]).prefixlen < 16]

    assert (len(rules), wide) == (3, [])
    assert [rule["CidrIp"] for id_, rule in rules if id_ == "BastionGroup"] == ["203.0.113.77/32"]


def test_metadata_needs_a_token(closed: Plan) -> None:
    """Nodes take IMDSv2 only, with two hops, as pods on the node's network need."""
    (template,) = closed.of("AWS::EC2::LaunchTemplate")

    assert template.properties["LaunchTemplateData"]["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
    }


def test_what_faults_may_touch_says_so(closed: Plan) -> None:
    """The group of the nodes passes its mark on to the instances, or no fault could be applied on a real account."""
    (group,) = closed.of("AWS::AutoScaling::AutoScalingGroup")
    mark = {"Key": "islanding:faults", "Value": "allowed", "PropagateAtLaunch": True}

    assert mark in group.properties["Tags"]


@pytest.mark.parametrize(
    ("type_", "marked"),
    [
        ("AWS::EC2::VPC", {"ClosedVpc"}),
        ("AWS::EC2::VPCPeeringConnection", {"Peering"}),
        ("AWS::EC2::Subnet", {"FirstWorkerSubnet", "SecondWorkerSubnet"}),
        ("AWS::EC2::RouteTable", {"BastionRoutes", "OperatorRoutes", "WorkerRoutes"}),
        ("AWS::EC2::SecurityGroup", {"BastionGroup", "EndpointGroup", "ControlPlaneGroup", "NodeGroup"}),
        ("AWS::EC2::VPCEndpoint", {"S3Endpoint", "Ec2Endpoint", "RegistryApiEndpoint", "RegistryEndpoint"}),
        ("AWS::EC2::Instance", set()),
    ],
)
def test_each_thing_that_a_fault_touches_is_marked(closed: Plan, type_: str, marked: set[str]) -> None:
    """What cases break bears the mark, and nothing else does: the machines that lead people in are not broken."""
    mark = {"Key": "islanding:faults", "Value": "allowed"}

    assert marked == {one.id for one in closed.of(type_) if mark in one.properties.get("Tags", [])}
