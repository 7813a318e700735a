"""Deleting single resources that are in no stack: which kinds there are, in which order they go, and by which call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jmespath

from islanding.aws import paging, stacks
from islanding.errors import IslandingError
from islanding.wait import WaitTimeout, wait_until

SECONDS = 600.0
Client = Callable[[str], Any]

# What has to go before what it needs: kind -> service, operation, argument. A kind that is not here is never deleted.
_CALLS: dict[str, tuple[str, str, str]] = {
    "autoscaling:autoScalingGroup": ("autoscaling", "delete_auto_scaling_group", "AutoScalingGroupName"),
    "ec2:instance": ("ec2", "terminate_instances", "InstanceIds"),
    "ec2:launch-template": ("ec2", "delete_launch_template", "LaunchTemplateId"),
    "ec2:vpc-endpoint": ("ec2", "delete_vpc_endpoints", "VpcEndpointIds"),
    "ec2:vpc-peering-connection": ("ec2", "delete_vpc_peering_connection", "VpcPeeringConnectionId"),
    "ec2:elastic-ip": ("ec2", "release_address", "AllocationId"),
    "ec2:network-interface": ("ec2", "delete_network_interface", "NetworkInterfaceId"),
    "ec2:volume": ("ec2", "delete_volume", "VolumeId"),
    "ec2:internet-gateway": ("ec2", "delete_internet_gateway", "InternetGatewayId"),
    "ec2:subnet": ("ec2", "delete_subnet", "SubnetId"),
    "ec2:network-acl": ("ec2", "delete_network_acl", "NetworkAclId"),
    "ec2:route-table": ("ec2", "delete_route_table", "RouteTableId"),
    "ec2:security-group": ("ec2", "delete_security_group", "GroupId"),
    "ec2:vpc": ("ec2", "delete_vpc", "VpcId"),
    "s3:bucket": ("s3", "delete_bucket", "Bucket"),
    "ecr:repository": ("ecr", "delete_repository", "repositoryName"),
    "logs:log-group": ("logs", "delete_log_group", "logGroupName"),
}
ORDER = {kind: index for index, kind in enumerate(_CALLS)}
_GONE = ("NotFound", "NoSuch", "ResourceNotFoundException", "does not exist")


def delete_leftover(client: Client, kind: str, name: str, poll: float) -> None:
    """Delete a resource of a kind, with what only hangs on it; one that is gone already is no mistake.

    Raises IslandingError for a kind that is never deleted, ClientError with AWS's reason.
    """
    if kind not in _CALLS:
        raise IslandingError(f"nobody knows here how a {kind} is deleted; it was left")
    service, operation, argument = _CALLS[kind]
    given: dict[str, Any] = {argument: [name] if argument.endswith("Ids") else name}
    try:
        if kind == "s3:bucket":
            stacks.empty(client("s3"), name)
        if kind == "ec2:internet-gateway":
            _detach(client("ec2"), name)
        if kind in {"ecr:repository", "autoscaling:autoScalingGroup"}:
            given["force" if kind == "ecr:repository" else "ForceDelete"] = True
        paging.whole(client(service), operation, given)
        if kind == "ec2:instance":
            _until_terminated(client("ec2"), name, poll)
    except Exception as error:
        if not any(word in str(error) for word in _GONE):
            raise


# What EC2 goes on listing, with its tags, for an hour or more after its end: operation, filter, where id and state are.
_LINGERING = {
    "ec2:instance": (
        "describe_instances",
        "instance-id",
        "Reservations[].Instances[].[InstanceId, State.Name]",
        ("pending", "running", "stopping", "stopped"),
    ),
    "ec2:vpc-peering-connection": (
        "describe_vpc_peering_connections",
        "vpc-peering-connection-id",
        "VpcPeeringConnections[].[VpcPeeringConnectionId, Status.Code]",
        ("initiating-request", "pending-acceptance", "provisioning", "active"),
    ),
    "ec2:vpc-endpoint": (
        "describe_vpc_endpoints",
        "vpc-endpoint-id",
        "VpcEndpoints[].[VpcEndpointId, State]",
        ("pendingacceptance", "pending", "available", "failed", "partial"),
    ),
}


def ended(ec2: Any, things: Iterable[tuple[str, str]]) -> set[str]:
    """The ids of those things (kind and id) that have ended already, though their tags are still listed."""
    left = list(things)
    found: set[str] = set()
    for kind, (operation, name, select, living) in _LINGERING.items():
        ids = {id_ for one, id_ in left if one == kind}
        if ids:
            pages = ec2.get_paginator(operation).paginate(Filters=[{"Name": name, "Values": sorted(ids)}])
            states = dict(pair for page in pages for pair in jmespath.search(select, page) or ())
            found |= {id_ for id_ in ids if str(states.get(id_, "")).lower() not in living}
    return found


def _detach(ec2: Any, gateway: str) -> None:
    given = {"InternetGatewayIds": [gateway]}
    for one in paging.whole(ec2, "describe_internet_gateways", given)["InternetGateways"]:
        for attached in one["Attachments"]:
            ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=attached["VpcId"])


def _until_terminated(ec2: Any, instance: str, poll: float) -> None:
    def state() -> str:
        reply = paging.whole(ec2, "describe_instances", {"InstanceIds": [instance]})
        return next((str(i["State"]["Name"]) for r in reply["Reservations"] for i in r["Instances"]), "terminated")

    try:
        wait_until(
            f"instance {instance} to end", state, timeout=SECONDS, interval=poll, done=lambda now: now == "terminated"
        )
    except WaitTimeout as late:
        raise IslandingError(str(late)) from late
