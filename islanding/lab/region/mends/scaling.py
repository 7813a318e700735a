"""Auto Scaling groups: instances with all that is configured, spread over the subnets, replaced when they fail.

moto launches all in the first subnet without key, profile and metadata options, from the template's default version,
never replaces what is stopped or unhealthy, and records no activities. EC2 Auto Scaling user guide.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import (
    ASG_NAME_TAG,
    Activity,
    AutoScalingBackend,
    FakeAutoScalingGroup,
    InstanceState,
)
from moto.core.exceptions import ServiceException

from islanding.lab.region.mends.patching import lock, locked, mend

_DOWN = ("stopping", "stopped", "shutting-down", "terminated")
_ACTIVITIES = 200  # that a group remembers; AWS keeps six weeks of them


def _suspended(group: Any, process: str) -> bool:
    return process in {str(p["ProcessName"]) for p in group.suspended_processes}


def _note(group: Any, description: str, cause: str, failure: str = "", where: Any = None) -> Any:
    """Record an activity, newest first, as DescribeScalingActivities shows them."""
    now = datetime.now(UTC)
    made = Activity(description, cause, group, start_time=now, end_time=now)
    made.status_code, made.progress = ("Failed" if failure else "Successful"), 100
    vars(made)["status_message"] = failure or None
    details = {"Subnet ID": where.id, "Availability Zone": where.availability_zone} if where is not None else {}
    vars(made)["details"] = json.dumps(details)
    activities(group).insert(0, made)
    del activities(group)[_ACTIVITIES:]
    return made


def activities(group: Any) -> list[Any]:
    """The activities of a group, newest first."""
    found: list[Any] = vars(group).setdefault("_activities", [])
    return found


def _subnet(group: Any) -> Any:
    """The subnet with the fewest instances of the group; the first of those in the group's order."""
    ids = [i.strip() for i in (group.vpc_zone_identifier or "").split(",") if i.strip()]
    here = [s.instance.subnet_id for s in group.instance_states if s.instance.state not in _DOWN]
    return group.ec2_backend.get_subnet(min(ids, key=here.count)) if ids else None


def _specification(group: Any) -> dict[str, Any]:
    """Arguments of RunInstances in the words of moto's backend, from launch template or configuration."""
    config = None if group.ec2_launch_template else group.launch_config
    if config is None:
        template = {"LaunchTemplateId": group.ec2_launch_template.id, "Version": group.launch_template_version}
        return {"launch_template": template}
    profile = str(config.iam_instance_profile or "")
    asked = config.associate_public_ip_address
    return {
        "launch_config": config,
        "key_name": config.key_name,
        "metadata_options": config.metadata_options or {},
        "template_profile": {"Arn" if profile.startswith("arn:") else "Name": profile} if profile else {},
        "associate_public_ip": asked if asked is None else str(asked).lower() == "true",
    }


def launch(group: Any, cause: str) -> bool:
    """Launch one instance; what EC2 refuses becomes a failed activity. Returns whether there is one more."""
    subnet = _subnet(group)
    wanted = {**group.instance_tags, **group.get_propagated_tags(), ASG_NAME_TAG: group.name}
    try:
        made = group.ec2_backend.run_instances(
            group.image_id,
            1,
            group.user_data,
            group.security_groups,
            instance_type=group.instance_type,
            is_instance_type_default=False,
            region_name=group.region,
            tags={"instance": wanted},
            placement=None if subnet is not None else group.availability_zones[0],
            subnet_id=subnet.id if subnet is not None else None,
            **_specification(group),
        )
    except ServiceException as error:
        message = str(getattr(error, "message", error))
        _note(group, f"Launching a new EC2 instance.  Status Reason: {message}", cause, failure=message, where=subnet)
        return False
    (instance,) = made.instances
    instance.autoscaling_group = group
    state = InstanceState(instance, protected_from_scale_in=group.new_instances_protected_from_scale_in)
    group.instance_states.append(state)
    _note(group, f"Launching a new EC2 instance: {instance.id}", cause, where=subnet)
    return True


def _end(group: Any, state: Any, cause: str) -> Any:
    """Terminate one instance of a group."""
    if state in group.instance_states:
        group.instance_states.remove(state)
    if state.instance.state != "terminated":
        state.instance.disable_api_termination = False
        group.ec2_backend.terminate_instances([state.instance.id])
    return _note(group, f"Terminating EC2 instance: {state.instance.id}", cause)


def _victim(group: Any) -> Any | None:
    """The one to go: of the subnet with the most instances, the oldest that is not protected (default policy)."""
    candidates = [s for s in group.active_instances() if not s.protected_from_scale_in]
    here = [s.instance.subnet_id for s in group.active_instances()]
    order = sorted(candidates, key=lambda s: (-here.count(s.instance.subnet_id), s.instance.launch_time))
    return next(iter(order), None)


def balance(group: Any, cause: str) -> None:
    """Bring a group to its desired capacity, as far as that is possible."""
    desired = int(group.desired_capacity or 0)
    while len(group.active_instances()) < desired and not _suspended(group, "Launch"):
        if not launch(group, cause):
            break
    while len(group.active_instances()) > desired and not _suspended(group, "Terminate"):
        victim = _victim(group)
        if victim is None:
            break
        _end(group, victim, cause)
    backend = group.autoscaling_backend
    if group.name in backend.autoscaling_groups:
        backend.update_attached_elbs(group.name)
        backend.update_attached_target_groups(group.name)


def _now() -> str:
    return f"At {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def settle(backend: Any) -> None:
    """Replace what EC2's health check finds stopped or ended, or what was set unhealthy; fill up what lacks."""
    with lock:
        for group in list(backend.autoscaling_groups.values()):
            for state in list(group.instance_states):
                down = state.lifecycle_state == "InService" and state.instance.state in _DOWN
                if down and not _suspended(group, "HealthCheck"):
                    state.health_status = "Unhealthy"
                if state.health_status == "Unhealthy" and not _suspended(group, "ReplaceUnhealthy"):
                    why = "an EC2 health check indicating it has been terminated or stopped" if down else (
                        "a user health-check"
                    )  # fmt: skip
                    _end(group, state, f"{_now()} an instance was taken out of service in response to {why}.")
            lacking = len(group.active_instances()) < int(group.desired_capacity or 0)
            if lacking:
                balance(group, f"{_now()} an instance was launched in response to an unhealthy instance needing to be"
                               " replaced.")  # fmt: skip


@mend(FakeAutoScalingGroup, "set_desired_capacity")
@locked
def _desired(theirs: Any, self: Any, new_capacity: int | None) -> None:
    if (self.mixed_instances_policy or {}).get("LaunchTemplate", {}).get("Overrides"):
        theirs(self, new_capacity)
        return
    before = vars(self).get("desired_capacity", 0)
    self.desired_capacity = self.min_size if new_capacity is None else int(new_capacity)
    balance(
        self,
        f"{_now()} a user request update of AutoScalingGroup constraints to min: {self.min_size}, max:"
        f" {self.max_size}, desired: {self.desired_capacity} changing the desired capacity from {before} to"
        f" {self.desired_capacity}.",
    )


@mend(FakeAutoScalingGroup, "replace_autoscaling_group_instances")
@locked
def _replace(_theirs: Any, self: Any, count_needed: int, _tags: Any) -> None:
    for _ in range(count_needed):
        launch(self, f"{_now()} an instance was started in response to a difference between desired and actual"
                     " capacity.")  # fmt: skip


@mend(AutoScalingBackend, "notify_terminate_instances")
@locked
def _notified(_theirs: Any, self: Any, instance_ids: list[str]) -> None:
    settle(self)


@mend(AutoScalingBackend, "terminate_instance")
@locked
def _terminate(_theirs: Any, self: Any, instance_id: str, should_decrement: bool) -> Any:  # moto's
    states = [s for g in self.autoscaling_groups.values() for s in g.instance_states]
    state = next((s for s in states if s.instance.id == instance_id), None)
    if state is None:
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID {instance_id}")
    group = state.instance.autoscaling_group
    if should_decrement:
        if group.desired_capacity <= group.min_size:
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without"
                " replacement will violate group's min size constraint. Please either set shouldDecrement flag to"
                " false or lower group's min size."
            )
        group.desired_capacity -= 1
    done = _end(group, state, f"{_now()} instance {instance_id} was taken out of service in response to a user"
                              " request.")  # fmt: skip
    balance(group, f"{_now()} an instance was launched in response to an instance needing to be replaced.")
    return done


@mend(AutoScalingBackend, "set_instance_health")
@locked
def _health(theirs: Any, self: Any, instance_id: str, health_status: str) -> None:
    try:
        theirs(self, instance_id, health_status)
    except StopIteration:
        raise ValidationError(f"Instance {instance_id} is not part of any Auto Scaling group") from None
    settle(self)


@mend(AutoScalingBackend, "resume_processes")
@locked
def _resume(theirs: Any, self: Any, *args: Any, **kwargs: Any) -> None:
    theirs(self, *args, **kwargs)
    settle(self)
