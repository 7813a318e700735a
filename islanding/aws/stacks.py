"""CloudFormation stacks: made, changed and deleted, with progress, and the failed resource's own reason."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from islanding.aws.paging import whole
from islanding.errors import IslandingError
from islanding.wait import WaitTimeout, wait_until

Progress = Callable[[str], None]
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
SECONDS = 1800.0  # for one stack; AWS takes minutes, the lab one second
NOTHING_TO_DO = "No updates are to be performed"


class StackFailed(IslandingError):
    """A stack did not get to where it was to get."""


def deploy(
    client: Any,
    name: str,
    template: str,
    parameters: Mapping[str, str],
    on_progress: Progress,
    *,
    poll: float = 1.0,
    tags: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Make a stack, or change the one of that name, wait until it is there, and return its outputs.

    `client` is boto3's of CloudFormation, `poll` the seconds between two looks; `tags` go to the stack and to all that
    it makes. A stack left over from a creation that
    failed is deleted first, since it can only be deleted. Raises StackFailed with the reasons that its events give.
    """
    status = _status(client, name)
    if status in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"):
        delete(client, name, on_progress, poll=poll)
        status = ""
    wanted = {
        "StackName": name,
        "TemplateBody": template,
        "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        "Capabilities": CAPABILITIES,
        **_once(),
        **({"Tags": [{"Key": k, "Value": v} for k, v in tags.items()]} if tags else {}),
    }
    try:
        if status:
            client.update_stack(**wanted)
        else:
            client.create_stack(**wanted, OnFailure="ROLLBACK")
    except client.exceptions.ClientError as error:
        if NOTHING_TO_DO in str(error):
            return outputs(client, name)
        raise StackFailed(f"stack {name} was refused: {error.response['Error']['Message']}") from error
    end = _ended(client, name, on_progress, poll)
    if end not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise StackFailed(f"stack {name} ended as {end}: {'; '.join(reasons(client, name)) or 'no reason was given'}")
    return outputs(client, name)


def delete(client: Any, name: str, on_progress: Progress, *, poll: float = 1.0) -> None:
    """Delete a stack and wait until it is gone; nothing happens when there is none. Raises StackFailed."""
    if not _status(client, name):
        return
    client.delete_stack(StackName=name, **_once())
    end = _ended(client, name, on_progress, poll)
    if end not in ("", "DELETE_COMPLETE"):
        raise StackFailed(f"stack {name} was not deleted ({end}): {'; '.join(reasons(client, name))}")


def exists(client: Any, name: str) -> bool:
    """Whether there is a stack of that name, complete or not."""
    return _status(client, name) != ""


def resources(client: Any, name: str, type_: str) -> list[str]:
    """The physical ids of a stack's resources of a type; none when there is no such stack."""
    if not exists(client, name):
        return []
    pages = client.get_paginator("list_stack_resources").paginate(StackName=name)
    return [
        one["PhysicalResourceId"]
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] == type_ and one.get("PhysicalResourceId") and one["ResourceStatus"] != "DELETE_COMPLETE"
    ]


def empty(s3: Any, bucket: str) -> None:
    """Delete everything in a bucket, old versions too; a bucket that is gone is empty."""
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if keys:  # a page has at most a thousand, as many as one call deletes
                s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    except s3.exceptions.NoSuchBucket:
        return


def outputs(client: Any, name: str) -> dict[str, str]:
    """The outputs of a stack."""
    stack = whole(client, "describe_stacks", {"StackName": name})["Stacks"][0]
    return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}


def reasons(client: Any, name: str) -> list[str]:
    """Why resources of a stack failed, the first one first, without those that were only cancelled."""
    pages = client.get_paginator("describe_stack_events").paginate(StackName=name)
    events: Sequence[dict[str, Any]] = [event for page in pages for event in page["StackEvents"]]
    failed = [e for e in events if e["ResourceStatus"].endswith("_FAILED") and e.get("ResourceStatusReason")]
    told = [
        f"{e['LogicalResourceId']} ({e.get('ResourceType', 'stack')}): {e['ResourceStatusReason']}"
        for e in sorted(failed, key=lambda e: e["Timestamp"])
        if "cancelled" not in e["ResourceStatusReason"]
    ]
    return list(dict.fromkeys(told))


def _once() -> dict[str, str]:
    """What lets a call be sent again after its reply was lost, and be carried out once."""
    return {"ClientRequestToken": f"islanding-{secrets.token_hex(8)}"}


def _status(client: Any, name: str) -> str:
    try:
        return str(whole(client, "describe_stacks", {"StackName": name})["Stacks"][0]["StackStatus"])
    except client.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise


def _ended(client: Any, name: str, on_progress: Progress, poll: float) -> str:
    seen = ""

    def look() -> str:
        nonlocal seen
        status = _status(client, name)
        if status != seen:
            on_progress(f"stack {name}: {status or 'gone'}")
        seen = status
        return status

    try:
        return wait_until(
            f"stack {name}", look, timeout=SECONDS, interval=poll, done=lambda s: not s.endswith("_IN_PROGRESS")
        )
    except WaitTimeout as late:
        raise StackFailed(f"stack {name} was still {late.last} after {SECONDS:g} s") from late
