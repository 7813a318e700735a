"""What a plan touches, read from its steps alone: AWS resources by their ids, and the site's nodes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from islanding.model import Site

FOUND = "found"  # as islanding.faults writes what a step looks up when it is taken
OWN_TAG = "tag:islanding:fault"  # the filter by which a fault finds what it has made itself
GROUP = "asg/"  # before the name of an Auto Scaling group, which has no id

# The arguments of each call that changes something, which name what it changes. A call that is not here is not allowed:
# whoever adds a fault says here what it touches. What a call makes anew has no tag yet, and is tagged by the fault.
TOUCHES: dict[tuple[str, str], tuple[str, ...]] = {
    ("autoscaling", "resume_processes"): ("AutoScalingGroupName",),
    ("autoscaling", "set_desired_capacity"): ("AutoScalingGroupName",),
    ("autoscaling", "terminate_instance_in_auto_scaling_group"): ("InstanceId",),
    ("directconnect", "start_bgp_failover_test"): ("virtualInterfaceId",),
    ("directconnect", "stop_bgp_failover_test"): ("virtualInterfaceId",),
    ("ec2", "accept_vpc_peering_connection"): ("VpcPeeringConnectionId",),
    ("ec2", "authorize_security_group_egress"): ("GroupId",),
    ("ec2", "authorize_security_group_ingress"): ("GroupId",),
    ("ec2", "create_network_acl"): (),
    ("ec2", "create_route"): ("RouteTableId",),
    ("ec2", "create_tags"): ("Resources",),
    ("ec2", "create_vpc_endpoint"): (),
    ("ec2", "create_vpc_peering_connection"): (),
    ("ec2", "delete_network_acl"): ("NetworkAclId",),
    ("ec2", "delete_route"): ("RouteTableId",),
    ("ec2", "delete_tags"): ("Resources",),
    ("ec2", "delete_vpc_endpoints"): ("VpcEndpointIds",),
    ("ec2", "delete_vpc_peering_connection"): ("VpcPeeringConnectionId",),
    ("ec2", "modify_vpc_attribute"): ("VpcId",),
    ("ec2", "modify_vpc_endpoint"): ("VpcEndpointId", "AddRouteTableIds", "RemoveRouteTableIds"),
    ("ec2", "modify_vpc_peering_connection_options"): ("VpcPeeringConnectionId",),
    ("ec2", "replace_network_acl_association"): ("AssociationId",),
    ("ec2", "replace_route"): ("RouteTableId",),
    ("ec2", "revoke_security_group_egress"): ("GroupId",),
    ("ec2", "revoke_security_group_ingress"): ("GroupId",),
    ("ec2", "start_instances"): ("InstanceIds",),
    ("ec2", "stop_instances"): ("InstanceIds",),
    ("ec2", "terminate_instances"): ("InstanceIds",),
    ("sts", "get_caller_identity"): (),
}
_ID = re.compile(r"[a-z]{1,8}-[0-9a-f]{8,17}")


class Planned(Protocol):
    """A fault's plan, as far as guardrails look at it; see islanding.faults for the steps."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def apply(self) -> tuple[Any, ...]: ...
    @property
    def undo(self) -> tuple[Any, ...]: ...


@dataclass(frozen=True)
class Touched:
    """What a plan touches.

    `resources` are ids of AWS resources (`asg/NAME` for a group); `nodes` names of the site's nodes; `others` routers
    and places that are neither. `obscure` are the calls of which it is not known what they change.
    """

    resources: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    obscure: tuple[str, ...] = ()
    calls_aws: bool = field(default=False)


def touched(site: Site, plan: Planned, ranges: Mapping[str, str] | None = None) -> Touched:
    """What `plan` touches; `ranges` are the CIDR blocks of subnets, which say what nodes are in them."""
    resources: dict[str, None] = {}
    nodes: dict[str, None] = {}
    others: dict[str, None] = {}
    obscure: list[str] = []
    by_place = {node.place: node.name for node in site.nodes}
    by_instance = {node.instance_id: node.name for node in site.nodes}
    for number, step in enumerate((*plan.apply, *plan.undo)):
        if step.do == "command":
            (nodes if step.place in by_place else others)[by_place.get(step.place, step.place)] = None
        elif step.do == "vtysh":
            others[step.router] = None
        elif (step.service, step.operation) not in TOUCHES:
            obscure.append(f"{step.service}.{step.operation}")
        else:
            found = list(_changed(step, undoing=number >= len(plan.apply)))
            resources |= dict.fromkeys(one for one in found if one)
            obscure += [f"{step.service}.{step.operation}"] * (None in found)
    for id in resources:
        if id in by_instance:
            nodes[by_instance[id]] = None
        if id in (ranges or {}):
            network = ip_network((ranges or {})[id])
            nodes |= {node.name: None for node in site.nodes if ip_address(node.address) in network}
    calls_aws = any(step.do == "aws" for step in (*plan.apply, *plan.undo))
    return Touched(tuple(resources), tuple(nodes), tuple(others), tuple(dict.fromkeys(obscure)), calls_aws)


def subnets(plan: Planned) -> tuple[str, ...]:
    """The subnets among what a plan touches."""
    calls = [step for step in (*plan.apply, *plan.undo) if step.do == "aws"]
    ids = [id for step in calls for id in _changed(step, undoing=False) if id and id.startswith("subnet-")]
    return tuple(dict.fromkeys(ids))


def instances_of(site: Site, names: tuple[str, ...]) -> dict[str, str]:
    """The instances of nodes: name by id."""
    return {node.instance_id: node.name for node in site.nodes if node.name in names}


def _changed(step: Any, *, undoing: bool) -> Iterator[str | None]:
    """What a call changes: ids, and None for something that cannot be told from the step."""
    for name in TOUCHES.get((step.service, step.operation), ()):
        value = step.arguments.get(name)
        if value is None:
            continue
        if isinstance(value, dict) and set(value) == {FOUND}:
            yield from _looked_up(step.find[value[FOUND]], undoing=undoing)
        else:
            many = value if isinstance(value, (list, tuple)) else [value]
            yield from (f"{GROUP}{one}" if name == "AutoScalingGroupName" else str(one) for one in many)


def _looked_up(find: Any, *, undoing: bool) -> Iterator[str | None]:
    """What a lookup leads to: what its call names, or a thing that the fault itself made.

    An undo looks up what stands now in the place of what was changed, of which the steps before have the id.
    """
    filters = find.arguments.get("Filters", ())
    if any(one["Name"] == OWN_TAG for one in filters):
        return
    ids = [value for one in filters for value in one["Values"] if _ID.fullmatch(value)]
    named = any(one["Name"].endswith(("subnet-id", "-id")) and not one["Name"].endswith("vpc-id") for one in filters)
    if ids and named:
        yield from ids
    elif not undoing:
        yield None
