"""Tags as conditions of policies see them: of the resource that a call is about, and those that it asks for.

`aws:ResourceTag/KEY`, `aws:RequestTag/KEY` and `aws:TagKeys` (IAM user guide, "AWS global condition context keys");
EC2 has the first one as `ec2:ResourceTag/KEY` too, Auto Scaling as `autoscaling:ResourceTag/KEY`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from islanding.lab.region.http import Request
from islanding.lab.region.operations import form

_TAG = re.compile(
    r"(?P<holder>(?:TagSpecification\.\d+\.|Tags?\.(?:member\.)?\d+|TagSpecification\.\d+\.Tag\.\d+).*)\.Key"
)


def of_resource(arn: str, region: str) -> dict[str, str]:
    """The tags of an EC2 resource or an Auto Scaling group; none for what has none, or is not there."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return {}
    service, account, rest = parts[2], parts[4], parts[5]
    if service == "ec2" and account:
        from moto.ec2.models import ec2_backends

        held = ec2_backends[account][region].tags.get(rest.rpartition("/")[2], {})
        return {str(key): str(value) for key, value in dict(held).items()}
    if service == "autoscaling":
        from moto.autoscaling.models import autoscaling_backends

        group = autoscaling_backends[account][region].autoscaling_groups.get(arn.rpartition("autoScalingGroupName/")[2])
        found = list(group.tags) if group is not None else []
        plain = [{name.lower(): value for name, value in tag.items()} for tag in found]  # as they came: Key, or key
        return {str(tag["key"]): str(tag["value"]) for tag in plain}
    return {}


def of_request(request: Request) -> dict[str, str]:
    """The tags that a call asks for, by form parameters such as `Tag.1.Key` or `TagSpecification.1.Tag.1.Key`."""
    asked = dict(form(request))
    found = {}
    for name, value in asked.items():
        if name.endswith(".Key") and _TAG.fullmatch(name):
            found[value] = asked.get(f"{name.removesuffix('.Key')}.Value", "")
    return found


def keys(resource: Mapping[str, str], request: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Both as condition keys, in lower case but for the values."""
    found: dict[str, tuple[str, ...]] = {}
    for key, value in resource.items():
        for prefix in ("aws", "ec2", "autoscaling"):
            found[f"{prefix}:resourcetag/{key.lower()}"] = (value,)
    for key, value in request.items():
        found[f"aws:requesttag/{key.lower()}"] = (value,)
    if request:
        found["aws:tagkeys"] = tuple(request)
    return found
