"""What EC2 refuses and moto lets pass, judged before moto sees the call; wording of errors from AWS (memory).

Only what users call is judged here: moto's own steps, such as the deletion of a VPC's first group, are not refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from islanding.lab.region.errors import AwsError
from islanding.lab.region.mends import endpoints, groups, interfaces, public

_GONE = ("deleted", "deleting", "failed")
_WITH_PORTS = ("tcp", "udp", "6", "17")
_PORTS = range(65536)


class Call:
    """The parameters of a call, as its form has them, and moto's EC2 that it is for."""

    def __init__(self, ec2: Any, form: Iterable[tuple[str, str]]) -> None:
        self.ec2 = ec2
        self._pairs = list(form)

    def one(self, name: str) -> str:
        """A single parameter; empty when it is not given."""
        return next((value for key, value in self._pairs if key == name), "")

    def many(self, name: str) -> list[str]:
        """A list of texts: NAME.1, NAME.2 ..."""
        return [v for k, v in self._pairs if k.startswith(f"{name}.") and k[len(name) + 1 :].isdigit()]

    def prefixes(self, name: str) -> list[str]:
        """What stands before the parameters of each member of a list: NAME.1., NAME.2. ..."""
        return list(dict.fromkeys(m[0] for key, _ in self._pairs if (m := re.match(rf"{name}\.\d+\.", key))))


def _dependent(kind: str, identity: str) -> AwsError:
    return AwsError("DependencyViolation", f"The {kind} '{identity}' has dependencies and cannot be deleted.")


def _delete_subnet(call: Call) -> None:
    subnet = call.one("SubnetId")
    if any(eni.subnet is not None and eni.subnet.id == subnet for eni in list(call.ec2.enis.values())):
        raise _dependent("subnet", subnet)


def _delete_security_group(call: Call) -> None:
    identity = call.one("GroupId") or call.one("GroupName")
    group = call.ec2.get_security_group_by_name_or_id(identity)
    if group is None:
        return
    if group.is_default:
        raise AwsError("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
    if groups.users(call.ec2, group):
        raise AwsError("DependencyViolation", f"resource {group.id} has a dependent object")


def _create_security_group(call: Call) -> None:
    if call.one("GroupName") == "default":
        raise AwsError("InvalidParameterValue", "Cannot use reserved security group name: default")
    if not call.one("VpcId") and call.ec2.get_default_vpc() is None:
        raise AwsError("VPCIdNotSpecified", "No default VPC for this user")


def _authorize(call: Call) -> None:
    """Ports of TCP and UDP: both ends, and such as there are (boto3's issue 336, aws-sdk-go-v2's issue 1203)."""
    for rule in ("", *call.prefixes("IpPermissions")):
        if call.one(f"{rule}IpProtocol") not in _WITH_PORTS:
            continue
        first, last = call.one(f"{rule}FromPort"), call.one(f"{rule}ToPort")
        for port in (first, last):
            if port and not (port.isdigit() and int(port) in _PORTS):
                raise AwsError("InvalidPermission.Malformed", f"TCP/UDP port ({port}) out of range")
        if not (first and last):
            words = "Must specify both from and to ports with TCP/UDP."
            raise AwsError("InvalidParameterValue", f"Invalid value '{words}' for portRange.")


def _delete_vpc(call: Call) -> None:
    ec2, vpc = call.ec2, call.one("VpcId")
    if vpc not in ec2.vpcs:
        return
    inside: list[bool] = [
        any(s.vpc_id == vpc for zone in list(ec2.subnets.values()) for s in list(zone.values())),
        any(t.vpc_id == vpc and t.main_association_id is None for t in list(ec2.route_tables.values())),
        any(a.vpc_id == vpc and not a.default for a in list(ec2.network_acls.values())),
        any(not g.is_default for g in list(ec2.groups.get(vpc, {}).values())),
        public.has_internet_gateway(ec2, vpc),
        bool(endpoints.of_vpc(ec2, vpc)),
        any(a.vpc_id == vpc and a.state == "attached" for g in list(ec2.vpn_gateways.values())
            for a in g.vpc_attachments),
    ]  # fmt: skip
    if any(inside):
        raise _dependent("vpc", vpc)


def _detach_internet_gateway(call: Call) -> None:
    vpc = call.one("VpcId")
    if public.mapped(call.ec2, vpc):
        raise AwsError(
            "DependencyViolation",
            f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching"
            " the gateway.",
        )


def _delete_internet_gateway(call: Call) -> None:
    identity = call.one("InternetGatewayId")
    gateway = call.ec2.internet_gateways.get(identity)
    if gateway is not None and gateway.vpc is not None:
        raise _dependent("internetGateway", identity)


def _delete_route_table(call: Call) -> None:
    identity = call.one("RouteTableId")
    table = call.ec2.route_tables.get(identity)
    if table is not None and (table.main_association_id is not None or table._associations):
        raise _dependent("routeTable", identity)


def _disassociate_route_table(call: Call) -> None:
    identity = call.one("AssociationId")
    if any(t.main_association_id == identity for t in list(call.ec2.route_tables.values())):
        raise AwsError("InvalidParameterValue", f"cannot disassociate the main route table association {identity}")


def _delete_route(call: Call) -> None:
    table = call.ec2.route_tables.get(call.one("RouteTableId"))
    destination, prefix_list = call.one("DestinationCidrBlock"), call.one("DestinationPrefixListId")
    for route in table.routes if table is not None else ():
        if destination and route.destination_cidr_block == destination and route.local:
            raise AwsError(
                "InvalidParameterValue", f"cannot remove local route {destination} in route table {table.id}"
            )
        if prefix_list and route.destination_prefix_list_id == prefix_list and route.gateway is not None:
            raise AwsError(
                "InvalidParameterValue",
                f"cannot remove VPC endpoint route {prefix_list} in route table {table.id}",
            )


def _release_address(call: Call) -> None:
    identity = call.one("AllocationId")
    for address in list(call.ec2.addresses):
        if identity and address.allocation_id == identity and address.association_id:
            raise AwsError("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")


def _associate_address(call: Call) -> None:
    instance, eni = call.one("InstanceId"), call.ec2.enis.get(call.one("NetworkInterfaceId"))
    found = call.ec2.get_instance_by_id(instance) if instance else None
    if found is not None and found.state not in ("running", "stopped", "pending"):
        raise AwsError("InvalidInstanceID", f"The instance '{instance}' is not in a valid state for this operation.")
    vpc = found.vpc_id if found is not None else eni.subnet.vpc_id if eni is not None else ""
    if vpc and not public.has_internet_gateway(call.ec2, vpc):
        raise AwsError("Gateway.NotAttached", f"Network {vpc} is not attached to any internet gateway")


def _create_network_interface(call: Call) -> None:
    if not call.one("SubnetId"):
        raise AwsError("MissingParameter", "The request must contain the parameter subnetId")


def _detach_network_interface(call: Call) -> None:
    for eni in list(call.ec2.enis.values()):
        if eni.attachment_id == call.one("AttachmentId") and interfaces.managed(eni):
            raise AwsError("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")


def _stop_or_start(call: Call) -> None:
    for identity in call.many("InstanceId"):
        found = call.ec2.get_instance_by_id(identity)
        if found is not None and found.state == "terminated":
            raise AwsError(
                "IncorrectInstanceState",
                f"This instance '{identity}' is not in a state from which it can be started or stopped.",
            )


_JUDGES: dict[str, Callable[[Call], None]] = {
    "AssociateAddress": _associate_address,
    "AuthorizeSecurityGroupEgress": _authorize,
    "AuthorizeSecurityGroupIngress": _authorize,
    "CreateNetworkInterface": _create_network_interface,
    "CreateSecurityGroup": _create_security_group,
    "DeleteInternetGateway": _delete_internet_gateway,
    "DeleteRoute": _delete_route,
    "DeleteRouteTable": _delete_route_table,
    "DeleteSecurityGroup": _delete_security_group,
    "DeleteSubnet": _delete_subnet,
    "DeleteVpc": _delete_vpc,
    "DetachInternetGateway": _detach_internet_gateway,
    "DetachNetworkInterface": _detach_network_interface,
    "DisassociateRouteTable": _disassociate_route_table,
    "ReleaseAddress": _release_address,
    "RebootInstances": _stop_or_start,
    "StartInstances": _stop_or_start,
    "StopInstances": _stop_or_start,
}


def refuse(ec2: Any, operation: str, form: Iterable[tuple[str, str]]) -> None:
    """Raise AwsError when EC2 would refuse the call; `ec2` is moto's backend of the account, `form` the parameters."""
    judge = _JUDGES.get(operation)
    if judge is not None:
        judge(Call(ec2, form))
