"""Whether the policies on a path let a request through: the endpoint's and, for S3, the bucket's; pure and total."""

from __future__ import annotations

from islanding.aws.policy import Asked, Decision, Judgement, judge
from islanding.aws.view import Endpoint, View
from islanding.diagnosis.flow import Finding
from islanding.diagnosis.hops import Blame, Status
from islanding.diagnosis.routing import Start
from islanding.diagnosis.targets import Target


def policy_of(start: Start, target: Target, endpoint: Endpoint | None) -> Finding:
    """What the endpoint's policy and the bucket's say of the target's usual actions, asked by the instance's role."""
    if not target.is_aws:
        return Finding(Status.NOT_NEEDED, "no AWS API")
    view = start.view
    unsure = ""
    for action in target.actions:
        asked = Asked(action, target.resource, start.machine.role, view.account, _context(start, target, endpoint))
        if endpoint is not None and endpoint.policy:
            found = judge(endpoint.policy, asked)
            if found.decision in (Decision.DENY, Decision.NEUTRAL):
                what = f"its policy does not allow {action}: {_why(found)}"
                return Finding(
                    Status.FAILS, f"{endpoint.id}: {what}", Blame("VPC endpoint", endpoint.id, endpoint.name, what)
                )
            unsure = unsure or (f"{endpoint.id}'s policy: {_why(found)}" if found.decision is Decision.UNKNOWN else "")
        bucket = dict(view.bucket_policies).get(target.bucket, "")
        if bucket:
            found = judge(bucket, asked)
            if found.decision is Decision.DENY:  # without a deny, the caller's own policies may allow it
                what = f"its policy denies {action}: {_why(found)}"
                return Finding(Status.FAILS, f"{target.bucket}: {what}", Blame("bucket", target.bucket, what=what))
            unsure = unsure or (
                f"{target.bucket}'s policy: {_why(found)}" if found.decision is Decision.UNKNOWN else ""
            )
    if unsure:
        return Finding(Status.UNKNOWN, unsure)
    if not target.actions:
        return Finding(Status.OK, "which actions will be asked for is not known; none was judged")
    by = endpoint.id if endpoint else "no endpoint's policy on the way"
    return Finding(Status.OK, f"{', '.join(target.actions)}: {by}{' allows it' if endpoint else ''}")


def _why(found: Judgement) -> str:
    return ": ".join(part for part in (found.statement, found.reason) if part)


def _context(start: Start, target: Target, endpoint: Endpoint | None) -> dict[str, str]:
    """The condition keys whose values are known (IAM user guide, "AWS global condition context keys")."""
    view, source = start.view, start.source
    known = {
        "aws:SecureTransport": "true",
        "aws:RequestedRegion": view.region,
        "aws:PrincipalAccount": view.account,
        "aws:PrincipalArn": start.machine.role,
        "aws:ResourceAccount": _owner(view, target),
    }
    if endpoint is not None:
        known |= {
            "aws:sourceVpce": endpoint.id,
            "aws:SourceVpc": endpoint.vpc,
            "aws:VpcSourceIp": source.addresses[0] if source.addresses else "",
        }
    return {key: value for key, value in known.items() if value}


def _owner(view: View, target: Target) -> str:
    """The account that owns the resource: named by an ARN, or ours where the API acts on the caller's account."""
    if target.bucket:
        return ""  # a bucket's ARN names none; AWS's layer bucket is AWS's
    parts = target.resource.split(":")
    return parts[4] if len(parts) > 5 else view.account
