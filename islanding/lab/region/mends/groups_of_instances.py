"""Auto Scaling: instances that carry all that their template says, over all subnets, and are replaced when they die.

moto puts all of a group's instances into its first subnet, drops their profile and metadata options, and does not notice
a stopped one.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import InstanceBackend

_KEPT = 200  # activities of a group that are remembered


def _note(group: Any, what: str, cause: str) -> None:
    now = datetime.now(UTC)
    made = {
        "ActivityId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Description": what,
        "Cause": f"At {now:%Y-%m-%dT%H:%M:%SZ} {cause}",
        "StartTime": now,
        "EndTime": now,
        "StatusCode": "Successful",
        "Progress": 100,
        "Details": "{}",
    }
    activities: list[dict[str, Any]] = vars(group).setdefault("activities", [])
    activities.insert(0, made)
    del activities[_KEPT:]


def _data(group: Any) -> dict[str, Any]:
    """What the group's template says of its instances, or its launch configuration in the same words."""
    if group.ec2_launch_template is not None:
        return dict(group.ec2_launch_template.get_version(group.launch_template_version).data)
    config = group.launch_config
    if config is None:
        return {}
    profile = str(config.instance_profile_name or "")
    given = {"Arn": profile} if profile.startswith("arn:") else {"Name": profile}
    options = dict(getattr(config, "metadata_options", None) or {})
    return {"IamInstanceProfile": given if profile else {}, "MetadataOptions": options, "KeyName": config.key_name}


def _equip(group: Any, instance: Any) -> None:
    """What the call that launched the instance left out."""
    backend, data = group.autoscaling_backend.ec2_backend, _data(group)
    profile = data.get("IamInstanceProfile") or {}
    if profile:
        backend.associate_iam_instance_profile(
            instance_id=instance.id,
            iam_instance_profile_arn=profile.get("Arn"),
            iam_instance_profile_name=profile.get("Name"),
        )
    options = data.get("MetadataOptions") or {}
    for ours, theirs in (
        ("HttpTokens", "http_tokens"),
        ("HttpPutResponseHopLimit", "http_put_response_hop_limit"),
        ("HttpEndpoint", "http_endpoint"),
        ("InstanceMetadataTags", "instance_metadata_tags"),
    ):
        if ours in options:
            value = options[ours]
            setattr(instance.metadata_options, theirs, int(value) if ours.endswith("Limit") else str(value))
    if not instance.key_name and data.get("KeyName"):
        instance.key_name = data["KeyName"]


def install() -> None:
    """Put these in the place of moto's."""
    launch = FakeAutoScalingGroup.replace_autoscaling_group_instances
    stop = InstanceBackend.stop_instances
    end = AutoScalingBackend.notify_terminate_instances

    def replace_autoscaling_group_instances(self: Any, count_needed: int, propagated_tags: dict[str, str]) -> None:
        """One after the other, each in the subnet that has the fewest."""
        subnets = (self.vpc_zone_identifier or "").split(",")
        for _ in range(count_needed):
            there = [state.instance.subnet_id for state in self.instance_states]
            known = {state.instance.id for state in self.instance_states}
            whole, self.vpc_zone_identifier = self.vpc_zone_identifier, min(subnets, key=there.count)
            try:
                launch(self, 1, dict(propagated_tags))
            finally:
                self.vpc_zone_identifier = whole
            for state in self.instance_states:
                if state.instance.id not in known:
                    _equip(self, state.instance)
                    cause = (
                        f"an instance was started in response to a difference between desired ({self.desired_capacity})"
                    )
                    _note(self, f"Launching a new EC2 instance: {state.instance.id}", f"{cause} and actual capacity.")

    def notify_terminate_instances(self: Any, instance_ids: list[str]) -> None:
        for group in self.autoscaling_groups.values():
            for state in group.instance_states:
                if state.instance.id in instance_ids:
                    cause = (
                        "an instance was taken out of service in response to an EC2 health check indicating it has been"
                    )
                    _note(group, f"Terminating EC2 instance: {state.instance.id}", f"{cause} terminated or stopped.")
        end(self, instance_ids)

    def stop_instances(self: Any, instance_ids: list[str]) -> Any:
        """A stopped instance fails EC2's health check: its group terminates and replaces it."""
        answer = stop(self, instance_ids)
        scaling = autoscaling_backends[self.account_id][self.region_name]
        members = {s.instance.id for g in scaling.autoscaling_groups.values() for s in g.instance_states}
        if unhealthy := [i for i in instance_ids if i in members]:
            self.terminate_instances(unhealthy)
            scaling.notify_terminate_instances(unhealthy)
        return answer

    def describe_scaling_activities(self: Any) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        groups = self.autoscaling_backend.autoscaling_groups.values()
        found = [a for g in groups if name in (None, g.name) for a in vars(g).get("activities", [])]
        return ActionResult({"Activities": found})

    FakeAutoScalingGroup.replace_autoscaling_group_instances = replace_autoscaling_group_instances
    AutoScalingBackend.notify_terminate_instances = notify_terminate_instances
    InstanceBackend.stop_instances = EC2Backend.stop_instances = stop_instances
    AutoScalingResponse.describe_scaling_activities = describe_scaling_activities
