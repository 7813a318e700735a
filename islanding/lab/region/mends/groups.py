"""Security groups: the rule that a VPC's first group has from the start, and who uses a group.

moto leaves out that rule ("Default security groups", VPC guide), and deletes groups that are in use.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models.security_groups import SecurityGroupBackend

from islanding.lab.region.mends.patching import mend


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


@mend(SecurityGroupBackend, "create_security_group")
def _create(theirs: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    """A VPC's own first group lets in what comes from itself."""
    group = theirs(self, *args, **kwargs)
    if group.is_default and not group.ingress_rules:
        self.authorize_security_group_ingress(
            group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}], vpc_id=group.vpc_id
        )
    return group
