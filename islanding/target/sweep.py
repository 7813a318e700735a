"""Sweeping up by tag what was provisioned and left behind: stacks and clusters newest first, then what is in none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from islanding.aws import stacks
from islanding.errors import IslandingError
from islanding.target.leftovers import ORDER, delete_leftover, ended
from islanding.wait import WaitTimeout, wait_until

SITE, RUN = "islanding:site", "islanding:run"  # the tags of everything that is provisioned; only both together count
CLUSTER_SECONDS = 1800.0
Client = Callable[[str], Any]
Step = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """Something that carries both tags: a stack, a cluster, or a resource (by its ARN) that is in no stack."""

    kind: str  # stack, cluster, or as in an ARN: ec2:instance
    id: str
    site: str
    run: str
    made: datetime | None

    def __str__(self) -> str:
        made = f"{self.made:%Y-%m-%d %H:%M} UTC" if self.made else "at an unknown time"
        return f"{self.kind} {self.id} (site {self.site}, made {made})"


def run_id(now: datetime) -> str:
    """The value of the run's tag for what is provisioned now: sweeping tells its age by it."""
    return f"{now:%Y%m%dT%H%M%SZ}"


def find(
    client: Client, site: str = "", older_than: timedelta | None = None, now: datetime | None = None
) -> list[Found]:
    """What there is to delete, in the order in which it has to go; of one site or of all, and only what is that old.

    What says nothing of its age is not older than anything. Raises what botocore raises.
    """
    listed = [*_stacks(client("cloudformation")), *_clusters(client("eks"))]
    listed.sort(key=lambda one: one.made or datetime.min.replace(tzinfo=UTC), reverse=True)
    every = [*listed, *_leftovers(client, [one.id for one in listed if one.kind == "stack"])]
    before = (now or datetime.now(UTC)) - older_than if older_than is not None else None
    return [
        one
        for one in every
        if (not site or one.site == site) and (before is None or (one.made is not None and one.made < before))
    ]


def sweep(client: Client, found: list[Found], step: Step, *, poll: float = 5.0) -> list[str]:
    """Delete all that was found, in its order; returns what could not be deleted, each with the reason.

    A stack that something else kept from being deleted is tried once more when all the rest is gone.
    """
    again = [one for one in found if _delete(client, one, step, poll)]
    return [f"{one}: {reason}" for one in again if (reason := _delete(client, one, step, poll))]


def _delete(client: Client, one: Found, step: Step, poll: float) -> str:
    """Delete one thing; the reason why that cannot be done, else nothing."""
    import botocore.exceptions  # importing botocore takes most of a second

    try:
        if one.kind == "stack":
            for bucket in stacks.resources(client("cloudformation"), one.id, "AWS::S3::Bucket"):
                stacks.empty(client("s3"), bucket)
            stacks.delete(client("cloudformation"), one.id, step, poll=poll)
        elif one.kind == "cluster":
            _delete_cluster(client("eks"), one.id, poll)
        else:
            delete_leftover(client, one.kind, one.id, poll)
    except (IslandingError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        return str(error)
    step(f"{one.kind} {one.id}: gone")
    return ""


def _delete_cluster(eks: Any, name: str, poll: float) -> None:
    def there() -> bool:
        try:
            return bool(eks.describe_cluster(name=name)["cluster"])
        except eks.exceptions.ResourceNotFoundException:
            return False

    if there():
        eks.delete_cluster(name=name)
    try:
        wait_until(
            f"cluster {name} to be gone", there, timeout=CLUSTER_SECONDS, interval=poll, done=lambda is_: not is_
        )
    except WaitTimeout as late:
        raise IslandingError(str(late)) from late


def _stacks(client: Any) -> Iterator[Found]:
    for page in client.get_paginator("describe_stacks").paginate():
        for raw in page["Stacks"]:
            tags = {tag["Key"]: tag["Value"] for tag in raw.get("Tags") or ()}
            if SITE in tags and RUN in tags and raw["StackStatus"] != "DELETE_COMPLETE":
                yield Found("stack", raw["StackName"], tags[SITE], tags[RUN], raw["CreationTime"].astimezone(UTC))


def _clusters(client: Any) -> Iterator[Found]:
    for page in client.get_paginator("list_clusters").paginate():
        for name in page["clusters"]:
            raw = client.describe_cluster(name=name)["cluster"]
            tags = raw.get("tags") or {}
            if SITE in tags and RUN in tags:
                made = raw["createdAt"]
                made = made if isinstance(made, datetime) else datetime.fromisoformat(str(made))
                yield Found("cluster", name, tags[SITE], tags[RUN], made.astimezone(UTC))


def _leftovers(client: Client, of_stacks: list[str]) -> Iterator[Found]:
    """Tagged resources that are in none of the stacks, nor made by an Auto Scaling group of one."""
    held = {physical for name in of_stacks for physical in _physical(client("cloudformation"), name)}
    pages = client("resourcegroupstaggingapi").get_paginator("get_resources")
    found = []
    for page in pages.paginate(TagFilters=[{"Key": SITE}, {"Key": RUN}]):
        for raw in page["ResourceTagMappingList"]:
            tags = {tag["Key"]: tag["Value"] for tag in raw["Tags"]}
            kind, name = _of_arn(raw["ResourceARN"])
            grouped = tags.get("aws:autoscaling:groupName") in held
            if SITE in tags and RUN in tags and not grouped and name not in held and kind not in _BY_THEMSELVES:
                found.append(Found(kind, name, tags[SITE], tags[RUN], _made(tags[RUN])))
    gone = ended(client("ec2"), [(one.kind, one.id) for one in found])
    found = [one for one in found if one.id not in gone]
    yield from sorted(found, key=lambda one: (ORDER.get(one.kind, len(ORDER)), one.id))


def _physical(client: Any, stack: str) -> Iterator[str]:
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack):
        for one in page["StackResourceSummaries"]:
            if one["ResourceStatus"] != "DELETE_COMPLETE":
                yield one.get("PhysicalResourceId", "")


# arn:aws:SERVICE:REGION:ACCOUNT:TYPE/NAME, TYPE:NAME or, of S3, the name alone
_ARN = re.compile(r"arn:[^:]+:(?P<service>[^:]+):[^:]*:[^:]*:(?:(?P<type>[a-z-]+)[/:])?(?P<name>.+)")
_BY_THEMSELVES = ("cloudformation:stack", "eks:cluster")  # found by their own services


def _of_arn(arn: str) -> tuple[str, str]:
    found = _ARN.fullmatch(arn)
    if found is None:
        return "", arn
    return f"{found['service']}:{found['type'] or 'bucket'}", found["name"]


def _made(run: str) -> datetime | None:
    try:
        return datetime.strptime(run, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
