"""VPC peering: ranges that overlap make it fail, a second one between the same VPCs is refused, filters filter.

moto peers anything with anything and shows every connection whatever is asked for. VPC peering guide, "lifecycle".
"""

from __future__ import annotations

import ipaddress
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.vpc_peering_connections import VPCPeeringConnectionBackend
from moto.ec2.responses.vpc_peering_connections import VPCPeeringConnections

from islanding.lab.region.mends.patching import ec2_error, locked, mend

_ALIVE = ("initiating-request", "pending-acceptance", "provisioning", "active")
_INCORRECT = "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"


def ranges(vpc: Any) -> list[ipaddress.IPv4Network]:
    """The IPv4 ranges of a VPC."""
    blocks = vpc.get_cidr_block_association_set(ipv6=False)
    live = [b for b in blocks if b["cidr_block_state"]["state"] in ("associated", "associating")]
    return [ipaddress.IPv4Network(str(b["cidr_block"]), strict=False) for b in live]


def overlap(one: Any, other: Any) -> bool:
    """Whether two VPCs have addresses in common."""
    return any(a.overlaps(b) for a in ranges(one) for b in ranges(other))


def values(peering: Any, name: str) -> list[str] | None:
    """What a connection has for a filter of DescribeVpcPeeringConnections; None for a filter that is not known."""
    sides = {"requester": peering.requester_vpc_info, "accepter": peering.accepter_vpc_info}
    side, _, what = name.partition("-vpc-info.")
    if side in sides and what in _INFO:
        return [str(sides[side][_INFO[what]])]
    if name.startswith("tag:"):
        return [str(t["value"]) for t in peering.get_tags() if t["key"] == name[4:]]
    if name == "tag-key":
        return [str(t["key"]) for t in peering.get_tags()]
    plain = {"status-code": "Code", "status-message": "Message"}
    if name in plain:
        return [str(peering.status[plain[name]])]
    return [str(peering.id)] if name == "vpc-peering-connection-id" else None


_INFO = {"vpc-id": "VpcId", "owner-id": "OwnerId", "cidr-block": "CidrBlock"}


@mend(VPCPeeringConnectionBackend, "create_vpc_peering_connection")
@locked
def _create(theirs: Any, self: Any, vpc: Any, peer_vpc: Any, *args: Any, **kwargs: Any) -> Any:
    ends = {vpc.id, peer_vpc.id}
    for other in list(self.vpc_pcxs.values()):
        if {other.vpc.id, other.peer_vpc.id} == ends and other.status["Code"] in _ALIVE:
            raise ec2_error(
                "VpcPeeringConnectionAlreadyExists",
                f"A VPC peering connection already exists between {vpc.id} and {peer_vpc.id}: {other.id}",
            )
    made = theirs(self, vpc, peer_vpc, *args, **kwargs)
    if overlap(vpc, peer_vpc):
        made._status.code, made._status.message = "failed", _INCORRECT
    return made


@mend(VPCPeeringConnectionBackend, "delete_vpc_peering_connection")
@locked
def _delete(theirs: Any, self: Any, vpc_pcx_id: str) -> Any:
    code = self.get_vpc_peering_connection(vpc_pcx_id).status["Code"]
    if code in ("deleted", "deleting", "rejected", "failed", "expired"):
        raise ec2_error("InvalidStateTransition", f"Invalid state transition for {vpc_pcx_id}, attempted to"
                        f" transition from {code} to deleting")  # fmt: skip
    return theirs(self, vpc_pcx_id)


@mend(VPCPeeringConnections, "describe_vpc_peering_connections")
def _describe(_theirs: Any, self: Any) -> Any:
    backend, ids = self.ec2_backend, self._get_param("VpcPeeringConnectionIds", [])
    found = [backend.get_vpc_peering_connection(i) for i in ids] or list(backend.vpc_pcxs.values())
    for name, wanted in self._filters_from_querystring().items():
        if found and values(found[0], name) is None:
            raise ec2_error("InvalidParameterValue", f"The filter '{name}' is invalid")
        found = [p for p in found if set(values(p, name) or ()) & set(wanted)]
    return ActionResult({"VpcPeeringConnections": found})
