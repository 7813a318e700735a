"""AWS's own prefix lists say the ranges that the lab's services really have, as its route tables do."""

from __future__ import annotations

from collections.abc import Mapping


def publish(account: str, region: str, lists: Mapping[str, tuple[str, ...]]) -> None:
    """Give the AWS-managed prefix lists of an account these ranges (CIDR) by name; moto's are AWS's of some day."""
    from moto.ec2.models import ec2_backends

    for known in ec2_backends[account][region].managed_prefix_lists.values():
        ranges = lists.get(str(known.prefix_list_name))
        if ranges is not None and known.resource_owner_id == "AWS":
            known.entries = {
                known.version: [  # type: ignore[dict-item]  # AWS-managed lists have no version
                    {"Cidr": cidr, "Description": ""} for cidr in ranges
                ]
            }
