"""Calls of Auto Scaling's: what it refuses, health that a user sets, processes that are suspended."""

from __future__ import annotations

from typing import Any

import pytest

from islanding.lab.region.server import Region
from tests.unit.region_support import connect
from tests.unit.test_mends.support import IMAGE, Account, refusal


class Plain(Account):
    """An account with a launch configuration `c` and a group `g` of one instance."""

    def __init__(self, region: Region) -> None:
        super().__init__(region)
        self.scaling: Any = connect(region, "autoscaling")
        self.configure("c")
        self.make()

    def configure(self, name: str) -> None:
        """A launch configuration."""
        self.scaling.create_launch_configuration(
            LaunchConfigurationName=name, ImageId=IMAGE, InstanceType="t3.small", SecurityGroups=[self.group]
        )

    def make(self, **more: Any) -> None:
        """The group, or another one."""
        wanted = {
            "AutoScalingGroupName": "g", "LaunchConfigurationName": "c", "MinSize": 1, "MaxSize": 3,
            "VPCZoneIdentifier": self.subnets[0],
        } | more  # fmt: skip
        self.scaling.create_auto_scaling_group(**wanted)

    def running(self) -> list[str]:
        """Instances that run."""
        return [state.id for state in self.region.instances() if state.state == "running"]


@pytest.fixture
def account(region: Region) -> Plain:
    """An account with a group of one."""
    return Plain(region)


def test_names_are_given_once(account: Plain) -> None:
    """Of groups and of launch configurations; the refused call changes nothing."""
    codes = [refusal(account.make)[0], refusal(account.configure, name="c")[0]]

    assert codes == ["AlreadyExists", "AlreadyExists"]
    assert len(account.running()) == 1


@pytest.mark.parametrize(
    "wrong", [{"MinSize": 4}, {"DesiredCapacity": 9}, {"LaunchConfigurationName": "none"}], ids=lambda w: next(iter(w))
)
def test_a_group_that_cannot_be_is_refused(account: Plain, wrong: dict[str, Any]) -> None:
    """Bounds that cross, a capacity beyond them, a configuration that is not there."""
    assert refusal(account.make, AutoScalingGroupName="h", **wrong)[0] == "ValidationError"
    assert len(account.running()) == 1


def test_a_launch_configuration_in_use_stays(account: Plain) -> None:
    """One that is not there is told apart."""
    delete = account.scaling.delete_launch_configuration
    account.configure("spare")
    delete(LaunchConfigurationName="spare")

    assert refusal(delete, LaunchConfigurationName="c")[0] == "ResourceInUse"
    assert refusal(delete, LaunchConfigurationName="spare")[0] == "ValidationError"


def test_an_instance_that_a_user_calls_unhealthy_is_replaced(account: Plain) -> None:
    """By SetInstanceHealth."""
    victim = account.running()[0]
    account.scaling.set_instance_health(InstanceId=victim, HealthStatus="Unhealthy")

    assert len(account.running()) == 1
    assert victim not in account.running()
    assert refusal(account.scaling.set_instance_health, InstanceId=victim, HealthStatus="Healthy")[0] == (
        "ValidationError"
    )


def test_suspended_processes_wait_until_they_are_resumed(account: Plain) -> None:
    """A dead instance is not replaced before."""
    account.scaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    account.ec2.terminate_instances(InstanceIds=account.running())
    suspended = account.running()
    account.scaling.resume_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])

    assert (suspended, len(account.running())) == ([], 1)


def test_an_update_changes_the_number(account: Plain) -> None:
    """UpdateAutoScalingGroup, by desired capacity and by a greater minimum."""
    seen = []
    for change in ({"DesiredCapacity": 2}, {"MinSize": 3}, {"MinSize": 0, "DesiredCapacity": 0}):
        account.scaling.update_auto_scaling_group(AutoScalingGroupName="g", **change)
        seen.append(len(account.running()))

    assert seen == [2, 3, 0]


@pytest.mark.parametrize("wrong", [{"DesiredCapacity": 9}, {"MinSize": 4}, {"DesiredCapacity": 0}], ids=str)
def test_an_update_beyond_the_bounds_is_refused(account: Plain, wrong: dict[str, int]) -> None:
    """The group is as it was."""
    assert refusal(account.scaling.update_auto_scaling_group, AutoScalingGroupName="g", **wrong)[0] == "ValidationError"
    assert len(account.running()) == 1


def test_groups_that_are_not_there_are_told(account: Plain) -> None:
    """By calls that name them."""
    calls = [
        refusal(account.scaling.set_desired_capacity, AutoScalingGroupName="x", DesiredCapacity=1),
        refusal(account.scaling.describe_scaling_activities, AutoScalingGroupName="x"),
        refusal(
            account.scaling.terminate_instance_in_auto_scaling_group, InstanceId="i-00000000",
            ShouldDecrementDesiredCapacity=True,
        ),
    ]  # fmt: skip

    assert [code for code, _ in calls] == ["ValidationError"] * 3


def test_decrement_does_not_go_below_the_minimum(account: Plain) -> None:
    """Refused, and the instance lives."""
    instance = account.running()[0]
    found = refusal(
        account.scaling.terminate_instance_in_auto_scaling_group, InstanceId=instance,
        ShouldDecrementDesiredCapacity=True,
    )  # fmt: skip

    assert found[0] == "ValidationError"
    assert account.running() == [instance]
