"""A node loses power: its instance is stopped by force through the EC2 API, and started again to undo it."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.aws import calls as _aws
from islanding.faults._boot import answers, node_of
from islanding.faults._fault import Fault, Health, all_of
from islanding.faults._plan import AwsCall, FaultError, Plan, new_id
from islanding.model import Site


@dataclass(frozen=True)
class NodePoweredOff(Fault):
    """The node named `node` is powered off without being asked (`ec2.stop_instances`, Force)."""

    node: str

    kind = "node-powered-off"

    def plan(self, site: Site) -> Plan:
        node = node_of(site, self.node)
        state = _state(site, node.instance_id)
        if state != "running":
            raise FaultError(f"{node.name} ({node.instance_id}) is {state}, not running", "islanding heal")
        ids = [node.instance_id]
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=node.name,
            summary=f"{node.name} powered off: ec2.stop_instances({node.instance_id}, Force=True)",
            apply=(AwsCall(service="ec2", operation="stop_instances", arguments={"InstanceIds": ids, "Force": True}),),
            undo=(AwsCall(service="ec2", operation="start_instances", arguments={"InstanceIds": ids}),),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        state = _state(site, site.node(self.node).instance_id)
        return Health(state in ("stopping", "stopped"), f"{self.node} {state}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        state = _state(site, site.node(self.node).instance_id)
        if state != "running":
            return Health(False, f"{self.node} {state}")
        return all_of(Health(True, f"{self.node} running"), answers(site, site.node(self.node)))


def _state(site: Site, instance_id: str) -> str:
    """The instance's state as EC2 has it: pending, running, stopping, stopped, ..."""
    reply = _aws.call(site, "ec2", "describe_instances", {"InstanceIds": [instance_id]})
    states = [str(i["State"]["Name"]) for reservation in reply["Reservations"] for i in reservation["Instances"]]
    return states[0] if states else "unknown to EC2"
