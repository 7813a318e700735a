"""The Auto Scaling group of a site's nodes: what is in it, and changing how many there are."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def beside(
    site: Site, *, subnet: str = "", user_data: Callable[[str], str] = lambda text: text, name: str = "beside the group"
) -> Iterator[str]:
    """An instance like the group's own, for the length of a `with` block: its id; terminated at the end.

    It is made of the group's launch template, in `subnet` (default: the group's first), with what `user_data` makes of
    the template's user data. Nothing replaces it, and no scaling counts it. Raises IslandingError with AWS's reason.
    """
    data = template(site)
    tags = {**_propagated(site), "Name": name, "islanding:beside": site.facts["asg"]}
    given = {key: data[key] for key in _OF_TEMPLATE if key in data}
    text = base64.b64decode(data.get("UserData", "")).decode()
    made = calls.call(
        site,
        "ec2",
        "run_instances",
        {
            **given,
            "SubnetId": subnet or site.facts["worker_subnet_ids"].split(",")[0],
            "UserData": user_data(text),
            "MinCount": 1,
            "MaxCount": 1,
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in sorted(tags.items())]}
            ],
        },
    )
    instance = str(made["Instances"][0]["InstanceId"])
    try:
        yield instance
    finally:
        calls.call(site, "ec2", "terminate_instances", {"InstanceIds": [instance]})


def template(site: Site) -> dict[str, Any]:
    """The data of the launch template version that the group uses; raises IslandingError when it uses none."""
    named = {"AutoScalingGroupNames": [site.facts["asg"]]}
    raw = calls.call(site, "autoscaling", "describe_auto_scaling_groups", named)["AutoScalingGroups"][0]
    used = raw.get("LaunchTemplate")
    if not used:
        raise IslandingError(f"Auto Scaling group {site.facts['asg']} uses no launch template")
    arguments = {"LaunchTemplateId": used["LaunchTemplateId"], "Versions": [str(used.get("Version", "$Default"))]}
    versions = calls.call(site, "ec2", "describe_launch_template_versions", arguments)["LaunchTemplateVersions"]
    data: dict[str, Any] = versions[0]["LaunchTemplateData"]
    return data


def address_of(site: Site, instance: str) -> str:
    """An instance's private address; raises IslandingError with AWS's reason."""
    reply = calls.call(site, "ec2", "describe_instances", {"InstanceIds": [instance]})
    return str(reply["Reservations"][0]["Instances"][0]["PrivateIpAddress"])


def _propagated(site: Site) -> dict[str, str]:
    """The tags that the group gives to its instances."""
    named = {"AutoScalingGroupNames": [site.facts["asg"]]}
    raw = calls.call(site, "autoscaling", "describe_auto_scaling_groups", named)["AutoScalingGroups"][0]
    return {tag["Key"]: tag["Value"] for tag in raw.get("Tags", ()) if tag.get("PropagateAtLaunch")}


_OF_TEMPLATE = ("ImageId", "InstanceType", "KeyName", "IamInstanceProfile", "SecurityGroupIds", "MetadataOptions")
