"""VPCs and subnets: no default VPC, subnets that are private until asked, nothing left behind by what is deleted.

moto makes a default VPC, gives public addresses in the first subnet of each zone, and leaves associations, ACLs and
DHCP options wrong when VPCs and subnets are deleted.
"""

from __future__ import annotations

import contextlib
from typing import Any

from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.models.dhcp_options import DHCPOptionsSetBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend

from islanding.lab.region.mends.patching import ec2_error, lock, locked, mend


def drop_default(backend: Any) -> None:
    """Take away the default VPC that moto makes for a new account; nothing when something of the user's is in it."""
    with lock:
        vpc = backend.get_default_vpc()
        if vpc is None or vpc is not backend.default_vpc:
            return
        if any(eni.subnet is not None and eni.subnet.vpc_id == vpc.id for eni in backend.enis.values()):
            return
        for zone in backend.subnets.values():
            for subnet in [s for s in zone.values() if s.vpc_id == vpc.id]:
                del zone[subnet.id]
        for kept in (backend.route_tables, backend.network_acls):
            for key in [k for k, item in kept.items() if item.vpc_id == vpc.id]:
                del kept[key]
        backend.groups.pop(vpc.id, None)
        backend.vpcs.pop(vpc.id, None)


@mend(SubnetBackend, "create_subnet")
@locked
def _create(theirs: Any, self: Any, vpc_id: str, cidr_block: str, *args: Any, **kwargs: Any) -> Any:
    zones = [zone.name for zone in RegionsAndZonesBackend.zones.get(self.region_name, [])]
    if not args and not kwargs.get("availability_zone") and not kwargs.get("availability_zone_id") and zones:
        kwargs["availability_zone"] = zones[0]
    zone = str(kwargs.get("availability_zone") or (args[1] if len(args) > 1 else "") or "")  # the fourth, in moto's API
    if zone and zones and zone not in zones:
        raise ec2_error(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in"
            f" the following availability zones: {', '.join(zones)}.",
        )
    made = theirs(self, vpc_id, cidr_block, *args, **kwargs)
    vpc = self.get_vpc(vpc_id)
    made.default_for_az = made.map_public_ip_on_launch = vpc.is_default
    return made


@mend(SubnetBackend, "delete_subnet")
@locked
def _delete(theirs: Any, self: Any, subnet_id: str) -> Any:
    gone = theirs(self, subnet_id)
    for table in list(self.route_tables.values()):
        for key in [k for k, target in list(table._associations.items()) if target == subnet_id]:
            del table._associations[key]
    for acl in list(self.network_acls.values()):
        for key in [k for k, a in list(acl._associations.items()) if a.subnet_id == subnet_id]:
            del acl._associations[key]
    return gone


@mend(VPCBackend, "delete_vpc")
@locked
def _delete_vpc(theirs: Any, self: Any, vpc_id: str) -> Any:
    """Its first ACL and its peerings go with it; DHCP options are the user's and stay."""
    vpc = self.get_vpc(vpc_id)
    options, vpc.dhcp_options = vpc.dhcp_options, None
    try:
        gone = theirs(self, vpc_id)
    except Exception:
        vpc.dhcp_options = options
        raise
    if options is not None and options.vpc is vpc:
        options.vpc = None
    for key in [k for k, acl in list(self.network_acls.items()) if acl.vpc_id == vpc_id]:
        del self.network_acls[key]
    for peering in list(self.vpc_pcxs.values()):
        if vpc_id in (peering.vpc.id, peering.peer_vpc.id):
            with contextlib.suppress(Exception):  # what is not alive cannot be deleted, and need not be
                self.delete_vpc_peering_connection(peering.id)
    self.groups.pop(vpc_id, None)
    return gone


@mend(DHCPOptionsSetBackend, "delete_dhcp_options_set")
@locked
def _delete_options(theirs: Any, self: Any, options_id: str) -> Any:
    """Several VPCs may have the same options; moto knows the last one only."""
    if any(v.dhcp_options is not None and v.dhcp_options.id == options_id for v in list(self.vpcs.values())):
        raise ec2_error(
            "DependencyViolation", f"The dhcpOptions '{options_id}' has dependencies and cannot be deleted."
        )
    if options_id in self.dhcp_options_sets:
        self.dhcp_options_sets[options_id].vpc = None
    return theirs(self, options_id)
