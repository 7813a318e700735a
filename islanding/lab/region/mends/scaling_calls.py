"""Calls of Auto Scaling's that it refuses and moto lets pass, and its activities, which moto never shows.

Wording of errors from AWS (memory).
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend, make_int
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult

from islanding.lab.region.mends.patching import locked, mend
from islanding.lab.region.mends.scaling import activities


@mend(AutoScalingBackend, "create_auto_scaling_group")
@locked
def _create(theirs: Any, self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    if name in self.autoscaling_groups:
        raise AutoscalingClientError(
            "AlreadyExists",
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
        )
    config = kwargs.get("launch_config_name")
    if config and config not in self.launch_configurations:
        raise ValidationError(f"Launch configuration name not found - Launch configuration {config} not found")
    least, most = make_int(kwargs.get("min_size")), make_int(kwargs.get("max_size"))
    wanted = make_int(kwargs.get("desired_capacity"))
    if least is not None and most is not None and least > most:
        raise ValidationError("Max bound, must be greater than or equal to min bound")
    if wanted is not None and not (least or 0) <= wanted <= (wanted if most is None else most):
        raise ValidationError("Desired capacity must be between the specified min size and max size")
    return theirs(self, name, *args, **kwargs)


@mend(AutoScalingBackend, "update_auto_scaling_group")
@locked
def _update(theirs: Any, self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    if (group := self.autoscaling_groups.get(name)) is not None:
        least, most, wanted = (make_int(kwargs.get(end)) for end in ("min_size", "max_size", "desired_capacity"))
        least, most = group.min_size if least is None else least, group.max_size if most is None else most
        if least > most:
            raise ValidationError("Max bound, must be greater than or equal to min bound")
        if wanted is not None and not least <= wanted <= most:
            raise ValidationError("Desired capacity must be between the specified min size and max size")
    return theirs(self, name, *args, **kwargs)


@mend(AutoScalingBackend, "create_launch_configuration")
@locked
def _configure(theirs: Any, self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    if name in self.launch_configurations:
        raise AutoscalingClientError(
            "AlreadyExists",
            "Launch Configuration by this name already exists - A launch configuration already exists with the"
            f" name {name}",
        )
    return theirs(self, name, *args, **kwargs)


@mend(AutoScalingBackend, "delete_launch_configuration")
@locked
def _unconfigure(theirs: Any, self: Any, launch_configuration_name: str) -> None:
    for group in self.autoscaling_groups.values():
        if vars(group).get("launch_configuration_name") == launch_configuration_name and not (
            group.ec2_launch_template
        ):
            raise AutoscalingClientError(
                "ResourceInUse",
                f"Cannot delete launch configuration {launch_configuration_name} because it is attached to"
                f" AutoScalingGroup {group.name}",
            )
    if launch_configuration_name not in self.launch_configurations:
        raise ValidationError(
            f"Launch configuration name not found - Launch configuration {launch_configuration_name} not found"
        )
    theirs(self, launch_configuration_name)


@mend(AutoScalingResponse, "set_desired_capacity")
@locked
def _asked(theirs: Any, self: Any) -> Any:
    name, wanted = self._get_param("AutoScalingGroupName"), self._get_int_param("DesiredCapacity")
    group = self.autoscaling_backend.autoscaling_groups.get(name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    for bound, word, out in (
        (group.max_size, "above max", wanted > group.max_size),
        (group.min_size, "below min", wanted < group.min_size),
    ):
        if out:
            raise ValidationError(
                f"New SetDesiredCapacity value {wanted} is {word} value {bound} for the AutoScalingGroup."
            )
    return theirs(self)


@mend(AutoScalingResponse, "delete_auto_scaling_group")
@locked
def _delete(theirs: Any, self: Any) -> Any:
    group = self.autoscaling_backend.autoscaling_groups.get(self._get_param("AutoScalingGroupName"))
    if group is not None and group.instance_states:
        if not self._get_bool_param("ForceDelete", if_none=False):
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance"
                " request(s) still in the group.",
            )
        group.suspended_processes = []
        for state in group.instance_states:
            state.protected_from_scale_in = False
    return theirs(self)


@mend(AutoScalingResponse, "describe_scaling_activities")
def _describe(_theirs: Any, self: Any) -> Any:
    groups = self.autoscaling_backend.autoscaling_groups
    name, ids = self._get_param("AutoScalingGroupName"), self._get_param("ActivityIds", [])
    if name and name not in groups:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    found = [a for g in list(groups.values()) if name in (None, "", g.name) for a in activities(g)]
    found = [a for a in found if not ids or a.activity_id in ids]
    found.sort(key=lambda a: a.start_time, reverse=True)
    start, size = int(self._get_param("NextToken") or 0), int(self._get_param("MaxRecords") or 100)
    more = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return ActionResult({"Activities": found[start : start + size], **more})
