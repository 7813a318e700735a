"""Auto Scaling: instances with all that is configured, spread, replaced, and seen by those who run the machines."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import pytest

from islanding.lab.region.instances import InstanceState
from islanding.lab.region.server import Region
from tests.unit.region_support import connect
from tests.unit.test_mends.support import IMAGE, Account, refusal

USER_DATA = b"#!/bin/sh\necho joined\n"


class Scaled(Account):
    """An account with a role's profile, a key, and what a group of instances is made from."""

    def __init__(self, region: Region) -> None:
        super().__init__(region)
        self.scaling: Any = connect(region, "autoscaling")
        iam: Any = connect(region, "iam")
        iam.create_role(RoleName="NodeRole", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
        self.profile = iam.create_instance_profile(InstanceProfileName="nodes")["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="NodeRole")
        self.ec2.create_key_pair(KeyName="key")

    def template(self, **more: Any) -> str:
        """A launch template that says everything; returns its id."""
        data = {
            "ImageId": IMAGE, "InstanceType": "t3.small", "KeyName": "key", "SecurityGroupIds": [self.group],
            "IamInstanceProfile": {"Arn": self.profile}, "UserData": base64.b64encode(USER_DATA).decode(),
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}],
        }  # fmt: skip
        made = self.ec2.create_launch_template(LaunchTemplateName="t", LaunchTemplateData=data | more)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def group_of(self, size: int, **source: Any) -> None:
        """The group `workers` in both subnets."""
        if not source:
            source = {"LaunchTemplate": {"LaunchTemplateId": self.template(), "Version": "$Latest"}}
        tags = [{"Key": "Name", "Value": "worker", "PropagateAtLaunch": True},
                {"Key": "secret", "Value": "x", "PropagateAtLaunch": False}]  # fmt: skip
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName="workers", MinSize=0, MaxSize=6, DesiredCapacity=size,
            VPCZoneIdentifier=",".join(self.subnets), Tags=tags, **source,
        )  # fmt: skip

    def shown(self) -> Any:
        """The group as DescribeAutoScalingGroups has it."""
        return self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["workers"])["AutoScalingGroups"][0]

    def ids(self) -> list[str]:
        """Its instances."""
        return [instance["InstanceId"] for instance in self.shown()["Instances"]]

    def running(self) -> list[InstanceState]:
        """What those who run machines see running."""
        return [state for state in self.region.instances() if state.state == "running"]


@pytest.fixture
def account(region: Region) -> Scaled:
    """An account from which groups can be made."""
    return Scaled(region)


def facts(state: InstanceState) -> dict[str, Any]:
    """What a machine is made from."""
    return {
        "name": state.name, "role": state.role, "key": state.key_name, "image": state.image, "type": state.type,
        "data": state.user_data, "groups": tuple(g for card in state.cards for g, _ in card.groups),
        "tokens": state.http_tokens, "hops": state.hop_limit,
    }  # fmt: skip


def expected(account: Scaled) -> dict[str, Any]:
    """What every instance of the group is to be made from."""
    return {
        "name": "worker", "role": "NodeRole", "key": "key", "image": IMAGE, "type": "t3.small", "data": USER_DATA,
        "groups": (account.group,), "tokens": "required", "hops": 2,
    }  # fmt: skip


def test_instances_carry_all_of_the_launch_template(account: Scaled) -> None:
    """Those who run the machines see it, tags included."""
    account.group_of(2)
    found = account.running()

    assert [facts(state) for state in found] == [expected(account)] * 2
    tags = dict(found[0].tags)
    assert tags["aws:autoscaling:groupName"] == "workers"
    assert tags["from"] == "template"
    assert "secret" not in tags


def test_the_version_that_is_named_counts(account: Scaled) -> None:
    """Not the default one."""
    template = account.template()
    data = {"InstanceType": "m5.large", "ImageId": IMAGE}
    account.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data, SourceVersion="1")
    account.group_of(1, LaunchTemplate={"LaunchTemplateId": template, "Version": "2"})

    assert [state.type for state in account.running()] == ["m5.large"]


@pytest.mark.parametrize("by_name", [True, False])
def test_instances_carry_all_of_the_launch_configuration(account: Scaled, by_name: bool) -> None:
    """With the profile by name or by ARN."""
    account.scaling.create_launch_configuration(
        LaunchConfigurationName="c", ImageId=IMAGE, InstanceType="t3.small", KeyName="key",
        SecurityGroups=[account.group], IamInstanceProfile="nodes" if by_name else account.profile,
        UserData=USER_DATA.decode(), MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    )  # fmt: skip
    account.group_of(1, LaunchConfigurationName="c")

    assert [facts(state) for state in account.running()] == [expected(account)]


def test_instances_are_spread_over_the_subnets(account: Scaled) -> None:
    """Evenly, when growing and when shrinking."""
    account.group_of(4)
    four = Counter(state.subnet for state in account.running())
    account.scaling.set_desired_capacity(AutoScalingGroupName="workers", DesiredCapacity=2)
    two = Counter(state.subnet for state in account.running())

    assert four == dict.fromkeys(account.subnets, 2)
    assert two == dict.fromkeys(account.subnets, 1)


def test_a_terminated_instance_is_replaced(account: Scaled) -> None:
    """By one that carries the same, in the subnet that lacks one; activities tell of both."""
    account.group_of(2)
    victim = account.running()[0]
    account.ec2.terminate_instances(InstanceIds=[victim.id])
    now = account.running()

    assert len(now) == 2
    assert victim.id not in account.ids()
    assert sorted(account.ids()) == sorted(state.id for state in now)
    assert Counter(state.subnet for state in now) == dict.fromkeys(account.subnets, 1)
    assert [facts(state) for state in now] == [expected(account)] * 2
    told = [
        a["Description"]
        for a in account.scaling.describe_scaling_activities(AutoScalingGroupName="workers")["Activities"]
    ]
    assert f"Terminating EC2 instance: {victim.id}" in told
    assert sum(text.startswith("Launching a new EC2 instance: i-") for text in told) == 3


def test_a_stopped_instance_is_replaced(account: Scaled) -> None:
    """It fails EC2's health check: it is terminated, another one launched."""
    account.group_of(1)
    victim = account.running()[0].id
    account.ec2.stop_instances(InstanceIds=[victim])
    states = {state.id: state.state for state in account.region.instances()}

    assert states[victim] == "terminated"
    assert len(account.running()) == 1
    assert account.ids() == [account.running()[0].id]


def test_an_instance_outside_of_groups_is_only_stopped(account: Scaled) -> None:
    """Nobody replaces it."""
    instance = account.run()[0]["InstanceId"]
    account.ec2.stop_instances(InstanceIds=[instance])

    assert [(state.id, state.state) for state in account.region.instances()] == [(instance, "stopped")]


def test_capacity_goes_up_and_down_within_its_bounds(account: Scaled) -> None:
    """Beyond them it is refused."""
    account.group_of(1)
    seen = []
    for wanted in (3, 0, 2):
        account.scaling.set_desired_capacity(AutoScalingGroupName="workers", DesiredCapacity=wanted)
        seen.append((len(account.running()), len(account.ids()), account.shown()["DesiredCapacity"]))

    assert seen == [(3, 3, 3), (0, 0, 0), (2, 2, 2)]
    assert refusal(account.scaling.set_desired_capacity, AutoScalingGroupName="workers", DesiredCapacity=9)[0] == (
        "ValidationError"
    )


@pytest.mark.parametrize(("decrement", "left"), [(True, 1), (False, 2)])
def test_one_instance_is_taken_out(account: Scaled, decrement: bool, left: int) -> None:
    """With decrement there is one less, without it is replaced."""
    account.group_of(2)
    victim = account.ids()[0]
    account.scaling.terminate_instance_in_auto_scaling_group(
        InstanceId=victim, ShouldDecrementDesiredCapacity=decrement
    )

    assert victim not in account.ids()
    assert (len(account.running()), account.shown()["DesiredCapacity"]) == (left, left)


def test_states_are_shown(account: Scaled) -> None:
    """Lifecycle, health and zone of each instance."""
    account.group_of(2)
    found = account.shown()["Instances"]

    assert [(i["LifecycleState"], i["HealthStatus"]) for i in found] == [("InService", "Healthy")] * 2
    assert len({i["AvailabilityZone"] for i in found}) == 2


def test_a_group_with_instances_goes_only_by_force(account: Scaled) -> None:
    """And takes its instances with it, for good."""
    account.group_of(2)
    found = refusal(account.scaling.delete_auto_scaling_group, AutoScalingGroupName="workers")
    account.scaling.delete_auto_scaling_group(AutoScalingGroupName="workers", ForceDelete=True)

    assert found[0] == "ResourceInUse"
    assert account.running() == []
    assert account.cards(vpc_id=account.vpc) == []


def test_a_launch_that_ec2_refuses_is_a_failed_activity(account: Scaled) -> None:
    """The group stays short, and says why."""
    small = account.subnet("10.0.9.0/28")
    account.card(small, SecondaryPrivateIpAddressCount=9)
    template = {"LaunchTemplateId": account.template(), "Version": "$Latest"}
    account.scaling.create_auto_scaling_group(
        AutoScalingGroupName="short", MinSize=0, MaxSize=6, DesiredCapacity=2, VPCZoneIdentifier=small,
        LaunchTemplate=template,
    )  # fmt: skip
    told = account.scaling.describe_scaling_activities(AutoScalingGroupName="short")["Activities"]

    assert len(account.running()) == 1
    assert sorted(activity["StatusCode"] for activity in told) == ["Failed", "Successful"]


def test_every_instance_of_one_call_has_the_profile(account: Scaled) -> None:
    """moto gives it to the first one only."""
    account.run(3, IamInstanceProfile={"Name": "nodes"})

    assert [state.role for state in account.running()] == ["NodeRole"] * 3


def test_changes_of_a_group_reach_the_hooks(account: Scaled) -> None:
    """Whoever runs the machines is called when a group changes."""
    seen: list[tuple[str, int]] = []
    account.region.after_mutation(lambda _service, operation: seen.append((operation, len(account.running()))))
    account.group_of(2)
    account.ec2.terminate_instances(InstanceIds=account.ids()[:1])

    assert ("CreateAutoScalingGroup", 2) in seen
    assert seen[-1] == ("TerminateInstances", 2)


def test_shrinking_takes_the_oldest_that_is_not_protected_and_is_recorded(account: Scaled) -> None:
    """Of the subnet that has most."""
    account.group_of(3)
    first, other, second = account.ids()
    account.scaling.set_instance_protection(
        AutoScalingGroupName="workers", InstanceIds=[first], ProtectedFromScaleIn=True
    )
    account.scaling.set_desired_capacity(AutoScalingGroupName="workers", DesiredCapacity=2)
    newest = account.scaling.describe_scaling_activities(AutoScalingGroupName="workers")["Activities"][0]

    assert account.ids() == [first, other]
    assert newest["Description"] == f"Terminating EC2 instance: {second}"
