"""An instance is terminated. Nothing brings it back: its Auto Scaling group replaces it, and that is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from islanding.aws import calls
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, new_id
from islanding.model import Site


@dataclass(frozen=True)
class InstanceTerminated(Fault):
    """`instance_id`, the instance of `node`, or a healthy one of the group `asg` (default: the site's) is terminated.

    There is no undo, so the instance has to belong to an Auto Scaling group. It has healed when the group has as many
    healthy instances in service as it wants, without this one; whether the new one joins the cluster is for probes.
    """

    instance_id: str = ""
    node: str = ""
    asg: str = ""

    kind = "instance-terminated"
    slow_on_aws = 600.0

    def plan(self, site: Site) -> Plan:
        if self.instance_id and self.node:
            raise FaultError(f"{self.kind} takes `instance_id` or `node`, not both")
        instance, group = self._chosen(site)
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"{instance} of Auto Scaling group {group}",
            summary=f"instance terminated: ec2.terminate_instances({instance}); its group replaces it",
            before={"instance": instance, "asg": group},
            apply=(AwsCall(service="ec2", operation="terminate_instances", arguments={"InstanceIds": [instance]}),),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        reply = calls.call(site, "ec2", "describe_instances", {"Filters": _by_id(plan.before["instance"])})
        states = [str(i["State"]["Name"]) for r in reply["Reservations"] for i in r["Instances"]]
        state = states[0] if states else "gone"
        return Health(state in ("shutting-down", "terminated", "gone"), f"{plan.before['instance']} is {state}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return _whole(site, plan.before["asg"], without=plan.before["instance"])

    def nothing_left(self, site: Site, plan: Plan) -> Health:
        return _whole(site, plan.before["asg"])  # a run that died before it terminated it leaves it where it was

    def _chosen(self, site: Site) -> tuple[str, str]:
        id = self.instance_id
        if self.node:
            try:
                id = site.node(self.node).instance_id
            except KeyError as unknown:
                raise FaultError(f"{site.name} has {unknown.args[0]}") from unknown
        if id:
            reply = calls.call(site, "autoscaling", "describe_auto_scaling_instances", {"InstanceIds": [id]})
            for one in reply["AutoScalingInstances"]:
                return id, str(one["AutoScalingGroupName"])
            raise FaultError(f"{id} is in no Auto Scaling group: nothing would replace it", "use node-powered-off")
        name = self.asg or site.facts.get("asg", "")
        if not name:
            raise FaultError(f"the description of {site.name} has no asg", "give instance_id, node or asg")
        healthy = sorted(one["InstanceId"] for one in _group(site, name)["Instances"] if _serves(one))
        if not healthy:
            raise FaultError(f"Auto Scaling group {name} has no healthy instance in service")
        return _spare(site, healthy), name


def _spare(site: Site, instances: list[str]) -> str:
    """One by which the workload is not reached, where there is a choice."""
    if len(instances) < 2:
        return instances[0]
    reply = calls.call(site, "ec2", "describe_instances", {"InstanceIds": instances})
    addresses = {
        str(one["InstanceId"]): str(one.get("PrivateIpAddress", ""))
        for r in reply["Reservations"]
        for one in r["Instances"]
    }
    entry = urlsplit(site.workload.url).hostname
    return min(instances, key=lambda instance: (addresses.get(instance) == entry, instance))


def _group(site: Site, name: str) -> dict[str, Any]:
    reply = calls.call(site, "autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": [name]})
    groups = reply["AutoScalingGroups"]
    if not groups:
        raise FaultError(f"there is no Auto Scaling group {name}")
    return dict(groups[0])


def _whole(site: Site, name: str, without: str = "") -> Health:
    group = _group(site, name)
    there = [one["InstanceId"] for one in group["Instances"] if _serves(one) and one["InstanceId"] != without]
    wanted = group["DesiredCapacity"]
    return Health(len(there) >= wanted, f"{name}: {len(there)} of {wanted} instances in service")


def _serves(instance: dict[str, Any]) -> bool:
    return (instance["LifecycleState"], instance["HealthStatus"].lower()) == ("InService", "healthy")


def _by_id(instance: str) -> list[dict[str, Any]]:
    # a filter, because a terminated instance is forgotten after an hour and asking by id would then be an error
    return [{"Name": "instance-id", "Values": [instance]}]
