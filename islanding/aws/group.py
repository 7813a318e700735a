"""The Auto Scaling group of a site's nodes: what is in it, and changing how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from islanding.aws import calls
from islanding.errors import IslandingError
from islanding.model import Site


@dataclass(frozen=True)
class Member:
    """An instance of the group: its life cycle state (`InService`, ...) and its health (`Healthy`, ...)."""

    instance: str
    state: str
    healthy: bool

    @property
    def serves(self) -> bool:
        """Whether the group counts it as one that works."""
        return self.state == "InService" and self.healthy


@dataclass(frozen=True)
class Group:
    """The group as it is: desired capacity and instances."""

    name: str
    desired: int
    members: tuple[Member, ...]

    @property
    def instances(self) -> tuple[str, ...]:
        """The ids of those in service."""
        return tuple(sorted(member.instance for member in self.members if member.serves))


def read(site: Site) -> Group:
    """The site's group; raises IslandingError when the site names none, or AWS has none of that name."""
    name = site.facts.get("asg", "")
    if not name:
        raise IslandingError(f"the description of {site.name} has no asg")
    reply = calls.call(site, "autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": [name]})
    if not reply["AutoScalingGroups"]:
        raise IslandingError(f"there is no Auto Scaling group {name}")
    raw: dict[str, Any] = reply["AutoScalingGroups"][0]
    members = tuple(
        Member(one["InstanceId"], one["LifecycleState"], one["HealthStatus"].lower() == "healthy")
        for one in raw["Instances"]
    )
    return Group(name, int(raw["DesiredCapacity"]), members)


def scale(site: Site, desired: int) -> None:
    """Ask for so many nodes (`aws autoscaling set-desired-capacity`); raises IslandingError with AWS's reason."""
    arguments = {"AutoScalingGroupName": site.facts["asg"], "DesiredCapacity": desired, "HonorCooldown": False}
    calls.call(site, "autoscaling", "set_desired_capacity", arguments)


def take_out(site: Site, instance: str) -> None:
    """Terminate an instance and want one less, so that nothing replaces it; raises IslandingError with AWS's reason."""
    arguments = {"InstanceId": instance, "ShouldDecrementDesiredCapacity": True}
    calls.call(site, "autoscaling", "terminate_instance_in_auto_scaling_group", arguments)


def subnet_of(site: Site, instance: str) -> str:
    """The subnet that an instance is in; raises IslandingError with AWS's reason."""
    reply = calls.call(site, "ec2", "describe_instances", {"InstanceIds": [instance]})
    return str(reply["Reservations"][0]["Instances"][0]["SubnetId"])
