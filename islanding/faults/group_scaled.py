"""An Auto Scaling group is asked for more instances; undone, those that came are taken out and the number is as before.

Growing is no failure by itself: what the new instances need to join is what other faults take away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from islanding.aws import group
from islanding.faults._aws import Find
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, found, new_id
from islanding.model import Site


@dataclass(frozen=True)
class GroupScaled(Fault):
    """The site's group wants `by` more instances than it has; they are terminated to undo it."""

    by: int = 1

    kind = "group-scaled"
    slow_on_aws = 600.0

    def plan(self, site: Site) -> Plan:
        if self.by < 1:
            raise FaultError(f"{self.kind}: by is {self.by}, and has to be 1 or more")
        now = group.read(site)
        name, there = now.name, [member.instance for member in now.members]
        further = Find(
            service="autoscaling",
            operation="describe_auto_scaling_groups",
            arguments={"AutoScalingGroupNames": [name]},
            select=f"AutoScalingGroups[0].Instances[?!contains(`{json.dumps(there)}`, InstanceId)"
            " && !starts_with(LifecycleState, 'Terminat')].InstanceId | [0]",
        )
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"Auto Scaling group {name}",
            summary=f"group scaled: autoscaling.set_desired_capacity({name}, {now.desired} -> {now.desired + self.by})",
            before={"asg": name, "desired": now.desired, "instances": there, "by": self.by},
            apply=(_wanted(name, now.desired + self.by),),
            undo=(
                *(
                    AwsCall(
                        service="autoscaling",
                        operation="terminate_instance_in_auto_scaling_group",
                        arguments={"InstanceId": found("further"), "ShouldDecrementDesiredCapacity": True},
                        find={"further": further},
                        when_found=True,
                    )
                    for _ in range(self.by)
                ),
                _wanted(name, now.desired),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        now = group.read(site)
        wanted = plan.before["desired"] + plan.before["by"]
        return Health(now.desired == wanted, f"{now.name} wants {now.desired} instances")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        now, wanted = group.read(site), plan.before["desired"]
        whole = now.desired == len(now.members) == len(now.instances) == wanted
        return Health(whole, f"{now.name} wants {now.desired} instances and has {len(now.instances)} in service")


def _wanted(name: str, desired: int) -> AwsCall:
    arguments: dict[str, Any] = {"AutoScalingGroupName": name, "DesiredCapacity": desired, "HonorCooldown": False}
    return AwsCall(service="autoscaling", operation="set_desired_capacity", arguments=arguments)
