"""The smallest IAM policy for what is called, and the difference between a policy and what was called. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_READS = ("Describe", "Get", "List", "Filter", "Lookup")
# Where IAM names an action otherwise than the operation, or wants a further one.
# Sources: Service Authorization Reference, "Actions, resources, and condition keys for" S3 (ListBuckets, HeadBucket,
# HeadObject, ListObjects*), EC2 (CreateTags for resources that are tagged as they are made, with
# ec2:CreateAction; PassRole of an instance profile's role in RunInstances) and VPC user guide, "Grant permission to tag
# resources during creation".
_ACTIONS: dict[str, tuple[str, ...]] = {
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListBuckets": ("s3:ListAllMyBuckets",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "ec2:AuthorizeSecurityGroupEgress": ("ec2:AuthorizeSecurityGroupEgress", "ec2:CreateTags"),
    "ec2:AuthorizeSecurityGroupIngress": ("ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"),
    "ec2:CreateDhcpOptions": ("ec2:CreateDhcpOptions", "ec2:CreateTags"),
    "ec2:CreateNetworkAcl": ("ec2:CreateNetworkAcl", "ec2:CreateTags"),
    "ec2:CreateVpcEndpoint": ("ec2:CreateVpcEndpoint", "ec2:CreateTags"),
    "ec2:CreateVpc": ("ec2:CreateVpc", "ec2:CreateTags"),
    "ec2:CreateVpcPeeringConnection": ("ec2:CreateVpcPeeringConnection", "ec2:CreateTags"),
    "ec2:RunInstances": ("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"),
}
# A fault's deadline is kept as tags on what it changes (islanding/faults/_deadline.py), on real accounts only.
_DEADLINE = frozenset({"ec2:CreateTags", "ec2:DeleteTags"})
# The prefix of a service's actions where it is not boto3's name of it (the same reference).
_PREFIXES = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas"}
# Services that are not of a Region: a condition on the Region would refuse them elsewhere (IAM user guide,
# aws:RequestedRegion; GetCallerIdentity needs no permission at all, and does no harm here).
_GLOBAL = ("iam", "sts", "s3")


@dataclass(frozen=True)
class Difference:
    """Actions that were called and are not allowed, and those that are allowed and were never called."""

    lacking: tuple[str, ...]
    idle: tuple[str, ...]


def policy(operations: Iterable[str], region: str = "") -> dict[str, Any]:
    """The policy that allows these operations (`service:Operation`), in one Region where one is given."""
    wanted = set(operations)
    found = {action for one in wanted for action in actions(one)}
    tags = {"ec2:CreateTags"} & found
    statements = [
        _statement("Read", (one for one in found if _reads(one)), region),
        _statement("Change", (one for one in found - tags if not _reads(one) and one != "iam:PassRole"), region),
    ]
    if tags:
        makers = sorted(one.partition(":")[2] for one in wanted if "ec2:CreateTags" in actions(one))
        made = _statement("TagWhatIsMade", tags, region)
        made.setdefault("Condition", {}).setdefault("StringEquals", {})["ec2:CreateAction"] = makers
        statements.append(made)
    if "iam:PassRole" in found:
        passed = _statement("GiveInstancesTheirRole", ["iam:PassRole"], "")
        passed["Condition"] = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
        statements.append(passed)
    if any(not _reads(one) for one in found):  # not a plain ec2:CreateTags: who has that marks anything as allowed
        kept = _statement("KeepTheDeadline", _DEADLINE, region)
        condition = kept.setdefault("Condition", {})
        condition["ForAllValues:StringLike"] = {"aws:TagKeys": ["islanding:fault-*"]}
        condition["Null"] = {"aws:TagKeys": "false"}
        statements.append(kept)
    both = [each for one in statements if one["Action"] for each in _by_region(one)]
    return {"Version": "2012-10-17", "Statement": both}


def actions(operation: str) -> tuple[str, ...]:
    """The actions of IAM by which an operation is allowed."""
    service, _, name = operation.partition(":")
    return _ACTIONS.get(operation) or (f"{_PREFIXES.get(service, service)}:{name}",)


def compare(allowed: Iterable[str], called: Iterable[str]) -> Difference:
    """How a policy for the operations `allowed` differs from one for those that were `called`."""
    may = {action for one in allowed for action in actions(one)}
    did = {action for one in called for action in actions(one)}
    deadline = _DEADLINE if any(not _reads(one) for one in may) else frozenset[str]()
    return Difference(tuple(sorted(did - may - deadline)), tuple(sorted(may - did)))


def _reads(action: str) -> bool:
    return action.partition(":")[2].startswith(_READS)


def _statement(sid: str, found: Iterable[str], region: str) -> dict[str, Any]:
    made: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": sorted(found), "Resource": "*"}
    if region:
        made["Condition"] = {"StringEquals": {"aws:RequestedRegion": region}}
    return made


def _by_region(statement: dict[str, Any]) -> list[dict[str, Any]]:
    """The statement, with what is not of a Region in one of its own that names none."""
    condition = statement.get("Condition", {}).get("StringEquals", {})
    if "aws:RequestedRegion" not in condition:
        return [statement]
    apart = [one for one in statement["Action"] if one.partition(":")[0] in _GLOBAL]
    rest = [one for one in statement["Action"] if one not in apart]
    plain = {**statement, "Sid": f"{statement['Sid']}Anywhere", "Action": apart}
    plain.pop("Condition")
    return [one for one in ({**statement, "Action": rest}, plain) if one["Action"]]
