"""Security groups: rules as AWS writes them down, and groups that cannot be deleted while they are needed.

moto keeps ports of rules for all traffic, and protocols' numbers. EC2 API, IpPermission: for -1 ports mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.ec2.models.security_groups import SecurityGroupBackend

from islanding.lab.region.mends.patching import mend

_NAMES = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}


def users(backend: Any, group: Any) -> list[str]:
    """The ids of what needs a group: interfaces, endpoints, rules of other groups."""
    found = [str(eni.id) for eni in list(backend.enis.values()) if any(g.id == group.id for g in eni.group_set)]
    found += [str(e.id) for e in list(backend.vpc_end_points.values()) if group.id in e.security_group_ids]
    others = [g for vpc in list(backend.groups.values()) for g in list(vpc.values()) if g.id != group.id]
    found += [
        str(other.id)
        for other in others
        for rule in (*other.ingress_rules, *other.egress_rules)
        if (rule.source_group or {}).get("GroupId") == group.id
    ]
    return found


@mend(SecurityGroupBackend, "_iterate_security_rules")
def _rules(
    theirs: Any, self: Any, ip_protocol: str, group_id: str, from_port: Any, to_port: Any, *args: Any, **kwargs: Any
) -> Iterator[Any]:
    protocol = _NAMES.get(str(ip_protocol).lower(), str(ip_protocol).lower())
    ports = (None, None) if protocol == "-1" else (from_port, to_port)
    found: Iterator[Any] = theirs(self, protocol, group_id, *ports, *args, **kwargs)
    return found


@mend(SecurityGroupBackend, "create_security_group")
def _create(theirs: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    """A VPC's own first group lets in what comes from itself."""
    group = theirs(self, *args, **kwargs)
    if group.is_default and not group.ingress_rules:
        self.authorize_security_group_ingress(
            group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}], vpc_id=group.vpc_id
        )
    return group
