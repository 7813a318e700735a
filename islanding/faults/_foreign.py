"""What an action of chaostoolkit-aws breaks, as a fault of ours: its inverse is on disk before it runs.

The action itself is Chaos Toolkit's to run; only its undoing is known here, and only for those of `INVERTIBLE`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from islanding.aws import calls
from islanding.faults._aws import Find
from islanding.faults._fault import Fault, Health, all_of
from islanding.faults._plan import AwsCall, FaultError, Plan, new_id
from islanding.model import Site

_EC2, _ASG = "chaosaws.ec2.actions", "chaosaws.asg.actions"
# The argument that names what an action changes; without it the action chooses by chance, and nothing is known before.
INVERTIBLE: Mapping[tuple[str, str], str] = {
    (_ASG, "suspend_processes"): "asg_names",
    (_EC2, "stop_instance"): "instance_id",
    (_EC2, "stop_instances"): "instance_ids",
}
# They mend, so there is nothing to undo.
MENDING = frozenset(
    {
        (_ASG, "resume_processes"),
        (_EC2, "start_instances"),
        ("chaosaws.cloudwatch.actions", "enable_rule"),
        ("chaosaws.fis.actions", "stop_experiment"),
        ("chaosaws.fis.actions", "stop_experiments_by_tags"),
    }
)
# Those that a group can be without (Auto Scaling user guide, Suspend and resume processes).
_PROCESSES = (
    "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "Launch",
    "ReplaceUnhealthy", "ScheduledActions", "Terminate",
)  # fmt: skip
_GONE = ("shutting-down", "terminated")


def is_foreign(module: str) -> bool:
    """Whether a module's actions are those of chaostoolkit-aws."""
    return module == "chaosaws" or module.startswith("chaosaws.")


def has_inverse(module: str, func: str, arguments: Mapping[str, Any]) -> bool:
    """Whether an action with these arguments can be undone, or has nothing to undo."""
    return (module, func) in MENDING or bool(arguments.get(INVERTIBLE.get((module, func), "")))


@dataclass(frozen=True)
class ForeignAction(Fault):
    """What `func` of `module` breaks with these `arguments` (JSON)."""

    module: str
    func: str
    arguments: str

    kind = "foreign-action"
    slow_on_aws = 600.0

    def plan(self, site: Site) -> Plan:
        given = json.loads(self.arguments)
        name = INVERTIBLE.get((self.module, self.func), "")
        if not given.get(name):
            raise FaultError(f"no inverse is known of {self.module}.{self.func}", "see docs/chaos.md")
        things = [given[name]] if isinstance(given[name], str) else list(given[name])
        if self.module == _ASG:
            before, undo = _suspended(site, things, given.get("process_names") or _PROCESSES)
        else:
            before, undo = _stopped(site, things)
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=", ".join(things),
            summary=f"{self.module}.{self.func}({name}={things})",
            before=before,
            apply=(),
            undo=undo,
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        return Health(True, "Chaos Toolkit runs it, and says what came of it")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        if "instances" in plan.before:
            now = _states(site, plan.before["instances"])
            return all_of(
                Health(True, "instances as before"),
                *(Health(now.get(id, "terminated") in ("running", *_GONE), f"{id} is {now.get(id)}")
                  for id in plan.before["instances"]),
            )  # fmt: skip
        still = {name: processes & _now_suspended(site, [name]).get(name, set()) for name, processes in _sets(plan)}
        seen = [f"{name} is without {', '.join(sorted(left))}" for name, left in still.items() if left]
        return Health(not seen, "; ".join(seen) or "processes as before")


def unknown(module: str, func: str) -> Plan:
    """What the guardrails judge of an action that nothing undoes: account, hours and people, not what it touches."""
    asked = AwsCall(service="sts", operation="get_caller_identity", arguments={})  # it is an action in that account
    name = f"{module}.{func}"
    return Plan(id=new_id(), kind=ForeignAction.kind, target=name, summary=name, apply=(asked,))


def _stopped(site: Site, instances: list[str]) -> tuple[dict[str, Any], tuple[AwsCall, ...]]:
    """Those that run are started again; one that somebody has terminated meanwhile stays so."""
    running = [id for id, state in _states(site, instances).items() if state == "running"]
    undo = tuple(
        AwsCall(
            service="ec2",
            operation="start_instances",
            arguments={"InstanceIds": [id]},
            # one that is still stopping cannot be started yet: that is tried again
            accept=("InvalidInstanceID.NotFound",),
            unless=_gone(id),
        )
        for id in running
    )
    return {"instances": running}, undo


def _suspended(site: Site, groups: list[str], processes: Any) -> tuple[dict[str, Any], tuple[AwsCall, ...]]:
    before = _now_suspended(site, groups)
    missing = sorted(set(groups) - set(before))
    if missing:
        raise FaultError(f"there is no Auto Scaling group {', '.join(missing)}")
    lost = {name: sorted(set(processes) - before[name]) for name in groups}
    undo = tuple(
        AwsCall(
            service="autoscaling",
            operation="resume_processes",
            arguments={"AutoScalingGroupName": name, "ScalingProcesses": some},
        )
        for name, some in lost.items()
        if some
    )
    return {"processes": lost}, undo


def _gone(id: str) -> Find:
    return Find(
        operation="describe_instances",
        arguments={"Filters": [{"Name": "instance-id", "Values": [id]}]},
        select=f"Reservations[].Instances[?contains(`{json.dumps(_GONE)}`, State.Name)][].InstanceId",
    )


def _states(site: Site, instances: list[str]) -> dict[str, str]:
    filters = [{"Name": "instance-id", "Values": instances}]
    reply = calls.call(site, "ec2", "describe_instances", {"Filters": filters}) if instances else {"Reservations": []}
    return {str(i["InstanceId"]): str(i["State"]["Name"]) for r in reply["Reservations"] for i in r["Instances"]}


def _now_suspended(site: Site, groups: list[str]) -> dict[str, set[str]]:
    reply = calls.call(site, "autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": groups})
    return {
        str(one["AutoScalingGroupName"]): {str(each["ProcessName"]) for each in one.get("SuspendedProcesses") or ()}
        for one in reply["AutoScalingGroups"]
    }


def _sets(plan: Plan) -> list[tuple[str, set[str]]]:
    return [(name, set(processes)) for name, processes in plan.before["processes"].items()]
