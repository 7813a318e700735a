"""Making a subnet so that a lost reply does no harm: EC2's CreateSubnet takes no token by which to ask again."""

from __future__ import annotations

from typing import Any

from islanding.aws.calls import call, until_settled
from islanding.errors import IslandingError
from islanding.model import Site

_TAKEN = "InvalidSubnet.Conflict"  # EC2 API reference, "Error codes"


def made(site: Site, vpc: str, cidr: str, zone: str) -> str:
    """The id of a new subnet of that range; raises IslandingError when it cannot be made.

    Where AWS says that the range is taken by a subnet of just this range, an attempt before took effect and only its
    reply was lost (EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests"): that subnet is the new one.
    So ask for a range that was free.
    """
    try:
        arguments = {"VpcId": vpc, "CidrBlock": cidr, "AvailabilityZone": zone}
        return str(call(site, "ec2", "create_subnet", arguments)["Subnet"]["SubnetId"])
    except IslandingError as error:
        there = until_settled(site, lambda: _of_range(site, vpc, cidr), bool) if _TAKEN in str(error) else []
        if len(there) != 1:
            raise
        return str(there[0]["SubnetId"])


def _of_range(site: Site, vpc: str, cidr: str) -> list[dict[str, Any]]:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "cidr-block", "Values": [cidr]}]
    return list(call(site, "ec2", "describe_subnets", {"Filters": filters})["Subnets"])
