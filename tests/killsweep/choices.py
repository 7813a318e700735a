"""The faults of a sweep: those at a site's routers and nodes, and those of AWS on what is marked for faults."""

from __future__ import annotations

from typing import Any

from islanding.aws.calls import call
from islanding.guard.rules import TAG
from islanding.model import Site
from tests.killsweep.strikes import Choice

_AT_ROUTERS_AND_NODES = (
    Choice("cut_service_link", {}),
    Choice("cut_local_gateway", {}),
    Choice("take_interface_down", {"session": "service-link"}),
    Choice("drop_silently", {"session": "service-link"}),
    Choice("withdraw_prefixes", {"session": "service-link"}),
    Choice("cut_off_nodes", {"share": 1.0}),
    Choice("lose_resolver", {}),
)


def choices(site: Site) -> tuple[Choice, ...]:
    """The faults that a site of an Outpost bears, in the order of their turns; AWS is asked for the marked things."""
    marked = {"Filters": [{"Name": f"tag:{TAG}", "Values": ["allowed"]}]}

    def ids(operation: str, key: str, id: str) -> list[str]:
        reply: dict[str, Any] = call(site, "ec2", operation, marked)
        return sorted(str(one[id]) for one in reply[key])

    found = [Choice("switch_vpc_dns_off", {"vpc_id": vpc}) for vpc in ids("describe_vpcs", "Vpcs", "VpcId")]
    found += [Choice("close_subnets", {"subnet_ids": [one]}) for one in ids("describe_subnets", "Subnets", "SubnetId")]
    groups = ids("describe_security_groups", "SecurityGroups", "GroupId")
    rules = call(site, "ec2", "describe_security_group_rules", {})["SecurityGroupRules"]
    ports = sorted(
        (str(one["GroupId"]), int(one["FromPort"]))
        for one in rules
        if one["GroupId"] in groups and not one["IsEgress"] and one["FromPort"] == one["ToPort"] != -1
    )
    found += [Choice("revoke_security_group_rules", {"group_id": group, "port": port}) for group, port in ports[:1]]
    return (*_AT_ROUTERS_AND_NODES, *found)
