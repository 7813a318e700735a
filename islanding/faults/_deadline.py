"""A fault's deadline and inverse, written on AWS itself as tags on what it changes: the runner's machine may be lost.

`fixtures/watchdog` undoes by them. A tag's value holds 256 characters (EC2 user guide, tag restrictions), so that the
inverse is compressed and cut into several; each key has the fault's id, as two faults may change one thing.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from islanding.aws import calls
from islanding.errors import IslandingError
from islanding.faults._aws import AwsCall
from islanding.faults._plan import FaultError, Plan
from islanding.model import Site

DEADLINE = "islanding:fault-deadline:"  # + the fault's id: when it has to be gone, ISO 8601
INVERSE = "islanding:fault-inverse:"  # + id + ":" + number: the calls that undo it, JSON, zlib, base64
_VALUE = 256  # characters of a tag's value
_MOST = 30  # tags for an inverse: a resource has at most 50 in all
# What EC2's CreateTags takes by its id, of the things that faults change.
_TAGGABLE = re.compile(r"(?:vpc|subnet|sg|rtb|acl|vpce|pcx|i)-[0-9a-f]{8,17}")
_ENDS = ("delete_vpc_endpoints", "delete_vpc_peering_connection", "terminate_instances")  # what they name is gone then


def carrier(plan: Plan) -> str:
    """The id of the resource that carries the tags: what is changed, or what it was in when it is deleted.

    Empty when nothing that EC2 tags is concerned, or when not all of the inverse are calls of AWS.
    """
    if not plan.undo or any(not isinstance(step, AwsCall) for step in plan.undo):
        return ""
    steps = [step for step in plan.apply if isinstance(step, AwsCall)]
    gone = {id for step in steps if step.operation in _ENDS for id in _ids(step.arguments)}
    near = [id for step in steps for id in _ids(step.arguments)]
    before = sorted(_ids(plan.before), key=lambda id: not id.startswith("vpc-"))
    return next((id for id in (*near, *before) if id not in gone), "")


def tags(plan: Plan, deadline: datetime) -> list[dict[str, str]]:
    """The tags of a fault; raises FaultError for an inverse that does not fit."""
    steps = [step.model_dump(mode="json", exclude_defaults=True) for step in plan.undo]
    packed = base64.b64encode(zlib.compress(json.dumps(steps, separators=(",", ":")).encode(), 9)).decode()
    parts = [packed[start : start + _VALUE] for start in range(0, len(packed), _VALUE)]
    if len(parts) > _MOST:
        raise FaultError(f"the inverse of {plan.kind} is too long for the tags of one resource", "a smaller fault")
    values = {DEADLINE + plan.id: deadline.isoformat(timespec="seconds")}
    values |= {f"{INVERSE}{plan.id}:{number}": part for number, part in enumerate(parts)}
    return [{"Key": key, "Value": value} for key, value in values.items()]


def write(site: Site, plan: Plan, deadline: datetime) -> None:
    """Tag what the fault will change, on a real account; raises FaultError when AWS refuses: nothing is broken then."""
    resource = carrier(plan) if site.target == "aws" else ""
    if not resource:
        return
    wanted = {"Resources": [resource], "Tags": tags(plan, deadline)}
    try:
        calls.call(site, "ec2", "create_tags", wanted)
    except IslandingError as error:
        raise FaultError(f"the deadline of {plan.kind} cannot be written on {resource}: {error}") from error


def clear(site: Site, plan: Plan) -> None:
    """Take the tags away again, once it has healed; raises IslandingError when AWS refuses."""
    resource = carrier(plan) if site.target == "aws" else ""
    if not resource:
        return
    keys = [{"Key": DEADLINE + plan.id}, *({"Key": f"{INVERSE}{plan.id}:{number}"} for number in range(_MOST))]
    calls.call(site, "ec2", "delete_tags", {"Resources": [resource], "Tags": keys})


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, str) and _TAGGABLE.fullmatch(value):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _ids(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _ids(inner)
