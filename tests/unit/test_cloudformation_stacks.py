"""Stacks: complete when they say so, rolled back when something fails, changed and deleted as on AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from islanding.lab.region.server import Region
from tests.unit.region_support import fresh_region
from tests.unit.stacks_support import VPC, Stacks, outputs

WRONG_SUBNET = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Net"}, "CidrBlock": "10.9.0.0/24"}}


def subnet(cidr: str = "10.0.1.0/24", **members: Any) -> dict[str, Any]:
    """A subnet of the VPC Net."""
    return {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Net"}, "CidrBlock": cidr}, **members}


def group(*ports: int, **more: Any) -> dict[str, Any]:
    """A security group in the VPC Net that lets these ports in."""
    rules = [{"IpProtocol": "tcp", "FromPort": p, "ToPort": p, "CidrIp": "10.0.0.0/8"} for p in ports]
    properties = {"GroupDescription": "x", "VpcId": {"Ref": "Net"}, "SecurityGroupIngress": rules, **more}
    return {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}


@pytest.fixture
def stacks(tmp_path: Path) -> Iterator[Stacks]:
    """CloudFormation of a Region of its own."""
    for region in fresh_region(tmp_path):
        yield Stacks(region)


def vpcs(stacks: Stacks) -> list[str]:
    """The VPCs that there are beside the default one."""
    return [v["VpcId"] for v in stacks.client("ec2").describe_vpcs()["Vpcs"] if not v["IsDefault"]]


def refusal(call: Any, *arguments: Any, **more: Any) -> tuple[str, str]:
    """Code and message of a refused call."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(*arguments, **more)
    answer = error.value.response["Error"]
    return answer["Code"], answer["Message"]


def ports(stacks: Stacks, group_id: str) -> list[int]:
    """The ports that a group lets in."""
    found = stacks.client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
    return sorted(rule["FromPort"] for rule in found["IpPermissions"])


# -- creation ----------------------------------------------------------------------------------------------------------


def test_a_stack_gives_out_what_it_made(stacks: Stacks) -> None:
    """Outputs, description, tags and parameters are described, and a secret parameter is not shown."""
    stack = stacks.create(
        "one",
        {
            "Description": "a network",
            "Parameters": {"Cidr": {"Type": "String"}, "Password": {"Type": "String", "NoEcho": True}},
            "Resources": {"Net": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Ref": "Cidr"}}}},
            "Outputs": {"Id": {"Value": {"Ref": "Net"}, "Description": "its id", "Export": {"Name": "net"}}},
        },
        Parameters=[
            {"ParameterKey": "Cidr", "ParameterValue": "10.3.0.0/16"},
            {"ParameterKey": "Password", "ParameterValue": "hunter2"},
        ],
        Tags=[{"Key": "team", "Value": "net"}],
    )

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Outputs"] == [
        {"OutputKey": "Id", "OutputValue": vpcs(stacks)[0], "Description": "its id", "ExportName": "net"}
    ]
    assert stack["Parameters"] == [
        {"ParameterKey": "Cidr", "ParameterValue": "10.3.0.0/16"},
        {"ParameterKey": "Password", "ParameterValue": "****"},
    ]
    assert (stack["Description"], stack["Tags"]) == ("a network", [{"Key": "team", "Value": "net"}])


def test_resources_are_made_in_the_order_of_their_references(stacks: Stacks) -> None:
    """The history has each resource after what it refers to, whatever the template's order."""
    stacks.create("one", {"Resources": {"Sub": subnet(), "Net": VPC}})

    done = [e["LogicalResourceId"] for e in stacks.events("one") if e["ResourceStatus"] == "CREATE_COMPLETE"]

    assert done == ["Net", "Sub", "one"]


def test_conditions_decide_what_is_made(stacks: Stacks) -> None:
    """A resource and an output whose condition is false are left out."""
    stack = stacks.create(
        "one",
        {
            "Conditions": {"No": {"Fn::Equals": ["a", "b"]}},
            "Resources": {"Net": VPC, "Sub": subnet(Condition="No")},
            "Outputs": {"A": {"Value": "a", "Condition": "No"}, "B": {"Value": "b"}},
        },
    )

    assert (list(stacks.ids("one")), outputs(stack)) == (["Net"], {"B": "b"})


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (
            {"Type": "AWS::SageMaker::App", "DependsOn": "Net"},
            "The lab's CloudFormation does not have the resource type AWS::SageMaker::App",
        ),
        (subnet() | {"Properties": {**subnet()["Properties"], "Ipv9": 1}}, "Encountered unsupported property Ipv9"),
        ({"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Net"}}}, "Property CidrBlock cannot be empty."),
        (
            subnet() | {"Properties": {"VpcId": {"Fn::GetAtt": "Net.Arn"}, "CidrBlock": "10.0.0.0/24"}},
            "Template error: resource Net of type AWS::EC2::VPC has no attribute Arn",
        ),
        (
            WRONG_SUBNET,
            "The CIDR '10.9.0.0/24' is invalid. (Status Code: 400; Error Code: InvalidSubnet.Range)",
        ),
    ],
    ids=["type", "property", "missing property", "attribute", "refused by the API"],
)
def test_a_failing_resource_rolls_the_stack_back(stacks: Stacks, resource: dict[str, Any], reason: str) -> None:
    """The reason stands in the events, and what had been made is gone again."""
    stack = stacks.create("one", {"Resources": {"Net": VPC, "Bad": resource}})

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.reasons("one", "CREATE_FAILED") == {"Bad": reason}
    assert vpcs(stacks) == []
    assert stacks.reasons("one", "ROLLBACK_IN_PROGRESS") == {
        "one": "The following resource(s) failed to create: [Bad]. Rollback requested by user."
    }


def test_what_was_half_made_is_deleted_too(stacks: Stacks) -> None:
    """A group whose rules are refused had been made already, and does not stay behind."""
    wrong = group(22, SecurityGroupEgress=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "10.0.0.0/99"}])
    stack = stacks.create("one", {"Resources": {"Net": VPC, "Group": wrong}})

    groups = stacks.client("ec2").describe_security_groups()["SecurityGroups"]

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ([g["GroupName"] for g in groups if g["GroupName"] != "default"], vpcs(stacks)) == ([], [])


@pytest.mark.parametrize(
    ("more", "status", "left"),
    [
        ({"DisableRollback": True}, "CREATE_FAILED", 1),
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", 1),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", 0),
    ],
)
def test_rollback_as_it_was_asked_for(stacks: Stacks, more: dict[str, Any], status: str, left: int) -> None:
    """What was made stays, or the whole stack goes, if the caller wants it so."""
    stack = stacks.create("one", {"Resources": {"Net": VPC, "Bad": WRONG_SUBNET}}, **more)

    assert (stack["StackStatus"], len(vpcs(stacks))) == (status, left)


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, str]]] = [
    (
        "wrong Ref",
        {"Resources": {"Net": {**VPC, "Properties": {"CidrBlock": {"Ref": "Nothing"}}}}},
        {},
        (
            "ValidationError",
            "Template format error: Unresolved resource dependencies [Nothing] in the Resources block of the template",
        ),
    ),
    (
        "circle",
        {"Resources": {"A": {**VPC, "DependsOn": "B"}, "B": {**VPC, "DependsOn": "A"}}},
        {},
        ("ValidationError", "Circular dependency between resources: [A, B]"),
    ),
    (
        "missing parameter",
        {"Resources": {"Net": VPC}, "Parameters": {"Cidr": {"Type": "String"}}},
        {},
        ("ValidationError", "Parameters: [Cidr] must have values"),
    ),
    (
        "named role without acknowledgement",
        {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r"}}}},
        {"Capabilities": ["CAPABILITY_IAM"]},
        ("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]"),
    ),
    (
        "role without acknowledgement",
        {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {}}}},
        {"Capabilities": []},
        ("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]"),
    ),
]


@pytest.mark.parametrize(("template", "more", "said"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_is_seen_beforehand_is_refused(
    stacks: Stacks, template: dict[str, Any], more: dict[str, Any], said: tuple[str, str]
) -> None:
    """A template or call that cannot be right makes no stack at all."""
    body = json.dumps(template)

    assert refusal(stacks.api.create_stack, StackName="one", TemplateBody=body, **more) == said
    assert stacks.api.describe_stacks()["Stacks"] == []


def test_a_name_is_taken_once(stacks: Stacks) -> None:
    """A second stack of a name is refused until the first is deleted."""
    template = {"Resources": {"Net": VPC}}
    stacks.create("one", template)
    said = refusal(stacks.create, "one", template)
    stacks.delete("one")

    assert said == ("AlreadyExistsException", "Stack [one] already exists")
    assert stacks.create("one", template)["StackStatus"] == "CREATE_COMPLETE"


# -- deletion ----------------------------------------------------------------------------------------------------------


def test_deletion_goes_backwards(stacks: Stacks) -> None:
    """What needs another resource goes before it, and the stack is found by its id only afterwards."""
    stacks.create("one", {"Resources": {"Net": VPC, "Sub": subnet(), "Group": group(22)}})
    stack = stacks.delete("one")

    done = [e["LogicalResourceId"] for e in stacks.events(stack["StackId"]) if e["ResourceStatus"] == "DELETE_COMPLETE"]

    assert (sorted(done[:2]), done[2:]) == (["Group", "Sub"], ["Net", "one"])
    assert (vpcs(stacks), stack["StackStatus"]) == ([], "DELETE_COMPLETE")
    assert refusal(stacks.api.describe_stacks, StackName="one") == (
        "ValidationError",
        "Stack with id one does not exist",
    )


def test_what_is_in_use_cannot_be_deleted(stacks: Stacks) -> None:
    """Somebody's interface holds the subnet: DELETE_FAILED with EC2's words, and a second try succeeds without it."""
    stacks.create("one", {"Resources": {"Net": VPC, "Sub": subnet()}})
    ec2 = stacks.client("ec2")
    made = ec2.create_network_interface(SubnetId=stacks.ids("one")["Sub"])["NetworkInterface"]["NetworkInterfaceId"]

    first = stacks.delete("one")
    reasons = stacks.reasons("one", "DELETE_FAILED")
    ec2.delete_network_interface(NetworkInterfaceId=made)
    second = stacks.delete("one")

    assert first["StackStatus"] == "DELETE_FAILED"
    assert first["StackStatusReason"].startswith("The following resource(s) failed to delete: [Sub")
    assert reasons["Sub"].endswith("(Status Code: 400; Error Code: DependencyViolation)")
    assert (second["StackStatus"], vpcs(stacks)) == ("DELETE_COMPLETE", [])


def test_what_somebody_else_deleted_is_gone(stacks: Stacks) -> None:
    """A resource that is not there any more does not keep a stack from being deleted."""
    stacks.create("one", {"Resources": {"Net": VPC, "Sub": subnet()}})
    stacks.client("ec2").delete_subnet(SubnetId=stacks.ids("one")["Sub"])

    assert stacks.delete("one")["StackStatus"] == "DELETE_COMPLETE"


@pytest.mark.parametrize(("policy", "left"), [("Retain", 1), ("RetainExceptOnCreate", 1), ("Delete", 0)])
def test_retained_resources_stay(stacks: Stacks, policy: str, left: int) -> None:
    """DeletionPolicy decides whether a resource outlives its stack."""
    stacks.create("one", {"Resources": {"Net": {**VPC, "DeletionPolicy": policy}}})

    assert (stacks.delete("one")["StackStatus"], len(vpcs(stacks))) == ("DELETE_COMPLETE", left)


@pytest.mark.parametrize(("policy", "left"), [("Retain", 1), ("RetainExceptOnCreate", 0)])
def test_retained_resources_after_a_failed_creation(stacks: Stacks, policy: str, left: int) -> None:
    """A creation that is rolled back retains a resource too, unless the policy says otherwise."""
    stacks.create("one", {"Resources": {"Net": {**VPC, "DeletionPolicy": policy}, "Bad": WRONG_SUBNET}})

    assert len(vpcs(stacks)) == left


# -- update ------------------------------------------------------------------------------------------------------------


def test_a_change_in_place_keeps_the_resource(stacks: Stacks) -> None:
    """Rules and tags of a group change, its id does not."""
    stacks.create("one", {"Resources": {"Net": VPC, "Group": group(22, 80)}})
    before = stacks.ids("one")
    stack = stacks.update(
        "one", {"Resources": {"Net": VPC, "Group": group(22, 443, Tags=[{"Key": "a", "Value": "b"}])}}
    )
    described = stacks.client("ec2").describe_security_groups(GroupIds=[before["Group"]])["SecurityGroups"][0]

    assert (stack["StackStatus"], stacks.ids("one")) == ("UPDATE_COMPLETE", before)
    assert (ports(stacks, before["Group"]), described["Tags"]) == ([22, 443], [{"Key": "a", "Value": "b"}])


def test_a_change_that_needs_a_new_resource_replaces_it(stacks: Stacks) -> None:
    """A subnet's new range is a new subnet; the old one is deleted afterwards."""
    stacks.create("one", {"Resources": {"Net": VPC, "Sub": subnet()}})
    before = stacks.ids("one")
    stack = stacks.update("one", {"Resources": {"Net": VPC, "Sub": subnet("10.0.2.0/24")}})
    found = stacks.client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [before["Net"]]}])["Subnets"]

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert [(s["CidrBlock"], s["SubnetId"] == before["Sub"]) for s in found] == [("10.0.2.0/24", False)]
    assert stacks.ids("one") == {**before, "Sub": found[0]["SubnetId"]}


@pytest.mark.parametrize(("policy", "left"), [("Retain", 2), ("Delete", 1)])
def test_what_was_replaced_may_be_retained(stacks: Stacks, policy: str, left: int) -> None:
    """UpdateReplacePolicy decides about the old resource, DeletionPolicy does not."""
    policies = {"UpdateReplacePolicy": policy, "DeletionPolicy": "Retain"}
    stacks.create("one", {"Resources": {"Net": VPC, "Sub": subnet(**policies)}})
    stacks.update("one", {"Resources": {"Net": VPC, "Sub": subnet("10.0.2.0/24", **policies)}})
    mine = [{"Name": "vpc-id", "Values": [stacks.ids("one")["Net"]]}]

    assert len(stacks.client("ec2").describe_subnets(Filters=mine)["Subnets"]) == left


def test_resources_come_and_go_with_the_template(stacks: Stacks) -> None:
    """What the new template adds is made, and what it leaves out is deleted."""
    stacks.create("one", {"Resources": {"Net": VPC, "Old": subnet()}})
    stacks.update("one", {"Resources": {"Net": VPC, "New": subnet("10.0.2.0/24")}})

    assert sorted(stacks.ids("one")) == ["Net", "New"]


def test_a_failed_update_is_rolled_back(stacks: Stacks) -> None:
    """Changed, new and replaced resources are as they were, with the reason in the events."""
    old = {"Resources": {"Net": VPC, "Group": group(22), "Sub": subnet()}, "Outputs": {"O": {"Value": "old"}}}
    new = {
        "Resources": {
            "Net": VPC, "Group": group(443), "Sub": subnet("10.0.2.0/24"), "More": subnet("10.0.3.0/24"),
            "Bad": {**WRONG_SUBNET, "DependsOn": ["Group", "Sub", "More"]},
        },
        "Outputs": {"O": {"Value": "new"}},
    }  # fmt: skip
    stacks.create("one", old)
    before = stacks.ids("one")
    stack = stacks.update("one", new)
    mine = [{"Name": "vpc-id", "Values": [before["Net"]]}]
    found = stacks.client("ec2").describe_subnets(Filters=mine)["Subnets"]

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.reasons("one", "UPDATE_ROLLBACK_IN_PROGRESS") == {
        "one": "The following resource(s) failed to update: [Bad]. "
    }
    assert "10.9.0.0/24" in stacks.reasons("one", "CREATE_FAILED")["Bad"]
    assert (stacks.ids("one"), ports(stacks, before["Group"])) == (before, [22])
    assert [s["CidrBlock"] for s in found] == ["10.0.1.0/24"]
    assert outputs(stack) == {"O": "old"}
    assert stacks.update("one", {**old, "Outputs": {}})["StackStatus"] == "UPDATE_COMPLETE"


def test_a_change_that_fails_half_way_is_undone(stacks: Stacks) -> None:
    """A rule had been added before the next was refused: it goes again."""
    stacks.create("one", {"Resources": {"Net": VPC, "Group": group(22)}})
    wrong = group(443)
    bad_rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.0.0.0/99"}
    wrong["Properties"]["SecurityGroupIngress"].append(bad_rule)
    stack = stacks.update("one", {"Resources": {"Net": VPC, "Group": wrong}})

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert ports(stacks, stacks.ids("one")["Group"]) == [22]


def test_an_update_without_a_change_is_refused(stacks: Stacks) -> None:
    """As on AWS, where deploying twice is an error that tools know."""
    template = {"Resources": {"Net": VPC}}
    stacks.create("one", template)

    assert refusal(stacks.update, "one", template) == ("ValidationError", "No updates are to be performed.")


def test_parameters_of_the_last_time_can_be_kept(stacks: Stacks) -> None:
    """UsePreviousValue and UsePreviousTemplate change only what is given."""
    tag = {"Tags": [{"Key": "v", "Value": {"Ref": "B"}}], "CidrBlock": {"Ref": "A"}}
    template = {
        "Parameters": {"A": {"Type": "String"}, "B": {"Type": "String"}},
        "Resources": {"Net": {"Type": "AWS::EC2::VPC", "Properties": tag}},
    }
    first = [{"ParameterKey": "A", "ParameterValue": "10.5.0.0/16"}, {"ParameterKey": "B", "ParameterValue": "1"}]
    second = [{"ParameterKey": "A", "UsePreviousValue": True}, {"ParameterKey": "B", "ParameterValue": "2"}]
    stacks.create("one", template, Parameters=first)
    stacks.api.update_stack(StackName="one", UsePreviousTemplate=True, Parameters=second)
    stack = stacks.ended("one")

    values = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}
    assert (stack["StackStatus"], values) == ("UPDATE_COMPLETE", {"A": "10.5.0.0/16", "B": "2"})


def test_a_stack_that_was_rolled_back_can_only_be_deleted(stacks: Stacks) -> None:
    """ROLLBACK_COMPLETE is not a state to go on from."""
    stacks.create("one", {"Resources": {"Net": VPC, "Bad": WRONG_SUBNET}})

    code, message = refusal(stacks.update, "one", {"Resources": {"Net": VPC}})

    assert code == "ValidationError"
    assert message.endswith("is in ROLLBACK_COMPLETE state and can not be updated.")
    assert stacks.delete("one")["StackStatus"] == "DELETE_COMPLETE"


def test_tags_of_a_stack_are_tags_of_what_it_makes(stacks: Stacks) -> None:
    """Each resource that has tags gets those of the stack; what the template says of a tag goes before."""
    own = {**VPC, "Properties": {"CidrBlock": "10.0.0.0/16", "Tags": [{"Key": "stage", "Value": "own"}]}}
    tags = [{"Key": "stage", "Value": "test"}, {"Key": "run", "Value": "1"}]
    stacks.create("one", {"Resources": {"Own": own, "Plain": VPC}}, Tags=tags)
    ids = stacks.ids("one")
    described = stacks.client("ec2").describe_vpcs(VpcIds=[ids["Own"], ids["Plain"]])["Vpcs"]
    found = {one["VpcId"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in described}

    assert found[ids["Own"]] == {"stage": "own", "run": "1"}
    assert found[ids["Plain"]] == {"stage": "test", "run": "1"}


# -- exports -----------------------------------------------------------------------------------------------------------

EXPORTER = {"Resources": {"Net": VPC}, "Outputs": {"Id": {"Value": {"Ref": "Net"}, "Export": {"Name": "net"}}}}
IMPORTER = {
    "Resources": {
        "Sub": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Fn::ImportValue": "net"}, "CidrBlock": "10.0.1.0/24"},
        }
    }
}


def test_exports_tie_stacks_together(stacks: Stacks) -> None:
    """What is imported cannot be deleted, changed or exported a second time until its user is gone."""
    stacks.create("one", EXPORTER)
    stacks.create("two", IMPORTER)
    in_use = refusal(stacks.delete, "one")
    changed = stacks.update("one", {**EXPORTER, "Outputs": {}})
    twice = stacks.create("three", EXPORTER)
    stacks.delete("two")

    assert in_use == ("ValidationError", "Export net cannot be deleted as it is in use by two")
    assert (changed["StackStatus"], stacks.reasons("one", "UPDATE_ROLLBACK_IN_PROGRESS")["one"]) == (
        "UPDATE_ROLLBACK_COMPLETE",
        "Export net cannot be updated as it is in use by two",
    )
    assert twice["StackStatus"] == "ROLLBACK_COMPLETE"
    assert [e["Name"] for e in stacks.api.list_exports()["Exports"]] == ["net"]
    assert stacks.delete("one")["StackStatus"] == "DELETE_COMPLETE"


def test_an_export_that_is_not_there_fails_its_importer(stacks: Stacks) -> None:
    """The reason names the export."""
    stacks.create("two", IMPORTER)

    assert stacks.reasons("two", "CREATE_FAILED") == {"Sub": "No export named net found."}


# -- the rest of the API -----------------------------------------------------------------------------------------------


def test_events_come_in_pages(stacks: Stacks) -> None:
    """Events come newest first, a hundred at a time, none lost and none twice."""
    many = {f"Sub{n}": subnet(f"10.0.{n}.0/24") for n in range(40)}
    stacks.create("one", {"Resources": {"Net": VPC, **many}})
    first = stacks.api.describe_stack_events(StackName="one")
    pages = list(stacks.api.get_paginator("describe_stack_events").paginate(StackName="one"))
    ids = [event["EventId"] for page in pages for event in page["StackEvents"]]

    assert (len(first["StackEvents"]), first["StackEvents"][0]["ResourceStatus"]) == (100, "CREATE_COMPLETE")
    assert (len(ids), len(set(ids))) == (2 + 3 * 41, 2 + 3 * 41)


def test_templates_are_given_back_and_looked_at(stacks: Stacks) -> None:
    """GetTemplate gives the text, ValidateTemplate its parameters, and says what is wrong with it."""
    body = json.dumps({"Resources": {"Net": VPC}, "Parameters": {"A": {"Type": "String", "Default": "x"}}})
    stacks.api.create_stack(StackName="one", TemplateBody=body)
    stacks.ended("one")
    valid = stacks.api.validate_template(TemplateBody=body)

    assert json.dumps(stacks.api.get_template(StackName="one")["TemplateBody"]) == body
    assert [(p["ParameterKey"], p["DefaultValue"]) for p in valid["Parameters"]] == [("A", "x")]
    assert refusal(stacks.api.validate_template, TemplateBody="{}")[0] == "ValidationError"


def test_a_template_may_lie_in_a_bucket(stacks: Stacks) -> None:
    """TemplateURL is read from S3 in the lab."""
    s3 = stacks.client("s3")
    s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_object(Bucket="templates", Key="a/net.json", Body=json.dumps({"Resources": {"Net": VPC}}).encode())
    url = "https://templates.s3.ap-northeast-1.amazonaws.com/a/net.json"
    stacks.api.create_stack(StackName="one", TemplateURL=url)

    assert stacks.ended("one")["StackStatus"] == "CREATE_COMPLETE"


def test_resources_are_found_by_name_and_by_id(stacks: Stacks) -> None:
    """A resource can be asked for by logical and by physical id; one that is not there is named."""
    stacks.create("one", {"Resources": {"Net": VPC}})
    physical = stacks.ids("one")["Net"]
    owner = stacks.api.describe_stack_resources(PhysicalResourceId=physical)["StackResources"]
    detail = stacks.api.describe_stack_resource(StackName="one", LogicalResourceId="Net")["StackResourceDetail"]
    listed = stacks.api.list_stack_resources(StackName="one")["StackResourceSummaries"]

    assert [o["StackName"] for o in owner] == ["one"]
    assert (detail["PhysicalResourceId"], detail["ResourceStatus"]) == (physical, "CREATE_COMPLETE")
    assert [r["PhysicalResourceId"] for r in listed] == [physical]
    assert refusal(stacks.api.describe_stack_resource, StackName="one", LogicalResourceId="X") == (
        "ValidationError",
        "Resource X does not exist for stack one",
    )


def test_a_fault_of_ours_ends_the_stack_and_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack must not hang when the lab itself fails, and the run must not pass."""
    region = Region("600000000001", "ap-northeast-1", tmp_path / "log.jsonl")
    region.seed.create_role("Operator")

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("islanding.lab.region.cloudformation.work.Work.make_all", broken)
    stack = Stacks(region).create("one", {"Resources": {"Net": VPC}})
    region.close()

    assert (stack["StackStatus"], region.errors) == (
        "CREATE_FAILED",
        ["CloudFormation, stack one: RuntimeError: broken"],
    )
