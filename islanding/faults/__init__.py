"""Faults: one file each. A fault plans from a site, is applied, undone, and seen to have healed.

`islanding.faults.apply.cut` holds one for the length of a `with` block; `islanding.faults.heal` undoes what was left.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from islanding.faults._fault import Fault, Health
from islanding.faults._foreign import ForeignAction
from islanding.faults._plan import FaultError, NotHealed, Plan
from islanding.faults.aws_auth_mapping_removed import AwsAuthMappingRemoved
from islanding.faults.endpoint_policy_narrowed import EndpointPolicyNarrowed
from islanding.faults.endpoint_private_dns_off import EndpointPrivateDnsOff
from islanding.faults.endpoint_removed import EndpointRemoved
from islanding.faults.endpoint_route_table_removed import EndpointRouteTableRemoved
from islanding.faults.group_scaled import GroupScaled
from islanding.faults.instance_terminated import InstanceTerminated
from islanding.faults.interface_down import InterfaceDown
from islanding.faults.local_gateway_down import LocalGatewayDown
from islanding.faults.node_powered_off import NodePoweredOff
from islanding.faults.node_rebooted import NodeRebooted
from islanding.faults.nodes_cut_off import NodesCutOff
from islanding.faults.peering_deleted import PeeringDeleted
from islanding.faults.prefix_withdrawn import PrefixWithdrawn
from islanding.faults.resolver_lost import ResolverLost
from islanding.faults.route_removed import RouteRemoved
from islanding.faults.security_group_rule_revoked import SecurityGroupRuleRevoked
from islanding.faults.service_link_down import ServiceLinkDown
from islanding.faults.silent_drop import SilentDrop
from islanding.faults.subnet_nacl_cut import SubnetNaclCut
from islanding.faults.vif_failover_test import VifFailoverTest
from islanding.faults.vpc_dns_attribute_off import VpcDnsAttributeOff

__all__ = [
    "AwsAuthMappingRemoved",
    "EndpointPolicyNarrowed",
    "EndpointPrivateDnsOff",
    "EndpointRemoved",
    "EndpointRouteTableRemoved",
    "Fault",
    "FaultError",
    "GroupScaled",
    "Health",
    "InstanceTerminated",
    "InterfaceDown",
    "LocalGatewayDown",
    "NodePoweredOff",
    "NodeRebooted",
    "NodesCutOff",
    "NotHealed",
    "PeeringDeleted",
    "Plan",
    "PrefixWithdrawn",
    "ResolverLost",
    "RouteRemoved",
    "SecurityGroupRuleRevoked",
    "ServiceLinkDown",
    "SilentDrop",
    "SubnetNaclCut",
    "VifFailoverTest",
    "VpcDnsAttributeOff",
    "make",
    "names",
]

_FAULTS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        AwsAuthMappingRemoved,
        EndpointPolicyNarrowed,
        EndpointPrivateDnsOff,
        EndpointRemoved,
        EndpointRouteTableRemoved,
        GroupScaled,
        InstanceTerminated,
        PeeringDeleted,
        RouteRemoved,
        SecurityGroupRuleRevoked,
        SubnetNaclCut,
        VifFailoverTest,
        VpcDnsAttributeOff,
        InterfaceDown,
        LocalGatewayDown,
        NodePoweredOff,
        NodeRebooted,
        NodesCutOff,
        PrefixWithdrawn,
        ResolverLost,
        ServiceLinkDown,
        SilentDrop,
    )
}


# Begun by Chaos Toolkit itself, never by name; here so that its record can be undone.
_OF_OTHERS: dict[str, type[Fault]] = {ForeignAction.kind: ForeignAction}


def names() -> list[str]:
    """The kinds of all faults, in order."""
    return sorted(_FAULTS)


def make(kind: str, **params: Any) -> Fault:
    """The fault of that kind with these parameters, checked and converted (a YAML list becomes a tuple).

    Raises FaultError for an unknown kind or parameter (naming those allowed), a missing one, a value that does not fit.
    """
    fault = _FAULTS.get(kind) or _OF_OTHERS.get(kind)
    if fault is None:
        raise FaultError(f"there is no fault {kind!r}", f"faults: {', '.join(names())}")
    declared: Any = fault  # each fault is a dataclass, which the abstract class cannot say
    allowed = {field.name: field for field in fields(declared)}
    unknown = sorted(set(params) - set(allowed))
    if unknown:
        listed = ", ".join(allowed) or "none"
        raise FaultError(f"{kind} has no parameter {', '.join(map(repr, unknown))}", f"its parameters: {listed}")
    missing = [name for name, field in allowed.items() if field.default is MISSING and name not in params]
    if missing:
        raise FaultError(f"{kind} needs the parameter {', '.join(map(repr, missing))}")
    try:
        made: Fault = TypeAdapter(fault).validate_python(params)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, not {e['input']!r}" for e in error.errors())
        raise FaultError(f"{kind}: {said}") from error
    return made
