"""What the guardrails need to know of AWS and of this process: tags, whose credentials, alarms. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from islanding.aws import calls
from islanding.guard.rules import TAG
from islanding.guard.touching import GROUP
from islanding.model import Site

_VIF = "dxvif-"
_SOME = 100  # names in one call; CloudWatch and Auto Scaling take a hundred, EC2's filters two hundred


def account(site: Site) -> str:
    """The account that the site's credentials belong to, as STS says; raises IslandingError with AWS's message."""
    return str(calls.call(site, "sts", "get_caller_identity", {})["Account"])


def tags(site: Site, resources: Iterable[str]) -> dict[str, str]:
    """The value of the tag by resource, for those that have it; raises IslandingError with AWS's message."""
    wanted = list(resources)
    groups = [id.removeprefix(GROUP) for id in wanted if id.startswith(GROUP)]
    circuits = [id for id in wanted if id.startswith(_VIF)]
    others = [id for id in wanted if not id.startswith((GROUP, _VIF))]
    seen: dict[str, str] = {}
    for some in _by(others):
        filters = [{"Name": "resource-id", "Values": some}, {"Name": "key", "Values": [TAG]}]
        for one in calls.call(site, "ec2", "describe_tags", {"Filters": filters})["Tags"]:
            seen[str(one["ResourceId"])] = str(one["Value"])
    for some in _by(groups):
        arguments = {"AutoScalingGroupNames": some}
        for group in calls.call(site, "autoscaling", "describe_auto_scaling_groups", arguments)["AutoScalingGroups"]:
            found = [tag["Value"] for tag in group.get("Tags") or () if tag["Key"] == TAG]
            seen |= dict.fromkeys([f"{GROUP}{group['AutoScalingGroupName']}"] if found else [], "".join(found))
    arn = f"arn:aws:directconnect:{site.aws.region}:{site.aws.account}:dxvif/"
    for some in _by(circuits):
        arguments = {"resourceArns": [arn + id for id in some]}
        for raw in calls.call(site, "directconnect", "describe_tags", arguments)["resourceTags"]:
            found = [tag.get("value", "") for tag in raw.get("tags") or () if tag["key"] == TAG]
            seen |= dict.fromkeys([str(raw["resourceArn"]).rpartition("/")[2]] if found else [], "".join(found))
    return seen


def ranges(site: Site, subnets: Iterable[str]) -> dict[str, str]:
    """The CIDR blocks of subnets; raises IslandingError with AWS's message."""
    blocks: dict[str, str] = {}
    for some in _by(list(subnets)):
        for one in calls.call(site, "ec2", "describe_subnets", {"SubnetIds": some})["Subnets"]:
            blocks[str(one["SubnetId"])] = str(one["CidrBlock"])
    return blocks


def alarms(site: Site, names: Iterable[str]) -> Mapping[str, str]:
    """The states of CloudWatch alarms by name, plain and composite ones; one that is not there is left out."""
    states: dict[str, str] = {}
    for some in _by(list(dict.fromkeys(names))):
        arguments = {"AlarmNames": some, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        reply = calls.call(site, "cloudwatch", "describe_alarms", arguments)
        for one in (*(reply.get("MetricAlarms") or ()), *(reply.get("CompositeAlarms") or ())):
            states[str(one["AlarmName"])] = str(one["StateValue"])
    return states


def _by(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _SOME):
        yield names[start : start + _SOME]
