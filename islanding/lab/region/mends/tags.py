"""Tags end with what bears them: moto keeps them, and DescribeTags would go on telling of what was deleted.

DHCP options have the tags that they are made with, which moto drops.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.dhcp_options import DHCPOptionsSetBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.network_acls import NetworkAclBackend
from moto.ec2.models.route_tables import RouteBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import SubnetBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.dhcp_options import DHCPOptions

from islanding.lab.region.mends.patching import locked, mend


@locked
def _delete(theirs: Any, self: Any, id: str) -> Any:
    done = theirs(self, id)
    self.tags.pop(id, None)
    return done


for _owner, _name in (
    (DHCPOptionsSetBackend, "delete_dhcp_options_set"),
    (InternetGatewayBackend, "delete_internet_gateway"),
    (NetworkAclBackend, "delete_network_acl"),
    (NetworkInterfaceBackend, "delete_network_interface"),
    (RouteBackend, "delete_route_table"),
    (SubnetBackend, "delete_subnet"),
    (VPCBackend, "delete_vpc"),
):
    mend(_owner, _name)(_delete)


@mend(VPCBackend, "delete_vpc_endpoints")
@locked
def _delete_endpoints(theirs: Any, self: Any, vpce_ids: list[str] | None = None) -> Any:
    done = theirs(self, vpce_ids)
    for id in vpce_ids or []:
        self.tags.pop(id, None)
    return done


@mend(SecurityGroupBackend, "delete_security_group")
@locked
def _delete_group(theirs: Any, self: Any, name: str | None = None, group_id: str | None = None) -> Any:
    done = theirs(self, name, group_id)
    self.tags.pop(group_id, None)  # by name is for EC2-Classic, which is no more
    return done


@mend(DHCPOptions, "create_dhcp_options")
@locked
def _create_options(theirs: Any, self: Any) -> Any:
    made = theirs(self)
    made.result["DhcpOptions"].add_tags(self._parse_tag_specification("dhcp-options").get("dhcp-options", {}))
    return made
