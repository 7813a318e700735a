"""A call of the AWS API as a step of a plan: it finds what it needs in AWS itself, so that no id has to be remembered.

What is put back gets a new id, which a run that is killed a moment later has not written down. So a later step does not
hold that id: it holds the describe call by which the thing is found (by service and VPC, by a tag with the fault's id),
and AWS is asked when the step is taken, by whichever process takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jmespath
from pydantic import BaseModel, ConfigDict, Field

from islanding.aws import calls, trouble
from islanding.errors import IslandingError
from islanding.model import Site

FOUND = "found"  # {"found": NAME} in arguments stands for what was found under that name


class NotThere(IslandingError):
    """What a step looks up before its call does not exist."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Find(_Frozen):
    """Something that is looked up when the step is taken: a describe call, and a JMESPath expression over its reply."""

    service: str = "ec2"
    operation: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    select: str


class AwsCall(_Frozen):
    """A call of the AWS API, as boto3 names it.

    `find` is looked up first, in order, and may use what was found before. The step is done already when `unless` finds
    something, or when AWS answers with an error code of `accept`; with `when_found` also when a `find` has nothing.
    """

    do: Literal["aws"] = "aws"
    service: str
    operation: str
    arguments: dict[str, Any]
    find: dict[str, Find] = Field(default_factory=dict)
    unless: Find | None = None
    when_found: bool = False
    accept: tuple[str, ...] = ()


def found(name: str) -> dict[str, str]:
    """What stands in a step's arguments for the thing found under that name."""
    return {FOUND: name}


def take_call(site: Site, step: AwsCall) -> None:
    """Take the step; raises IslandingError with AWS's message, or naming what was not found.

    What was just changed may be unseen by some reads (`calls.settling`): that there is nothing, or that it is there
    already, counts when every look says so for that long. What a step found may bear another id when it is called for,
    after a reply that was lost: then it is looked for once more.
    """
    try:
        _take(site, step)
    except IslandingError as error:
        if not (step.find and trouble.not_found(error.__cause__ or error)):
            raise
        _take(site, step)


def _take(site: Site, step: AwsCall) -> None:
    values: dict[str, Any] = {}
    for name, find in step.find.items():
        values[name] = _sure(site, find, values, there=False)
        if not values[name]:
            if step.when_found:
                return
            raise NotThere(f"AWS call {step.service}.{step.operation}: there is no {name} ({_shown(find)})")
    if step.unless and _sure(site, step.unless, values, there=True):
        return
    try:
        reply = calls.call(site, step.service, step.operation, filled(step.arguments, values))
    except IslandingError as error:
        if _code(error) in step.accept:
            return
        raise
    refused = [one for one in reply.get("Unsuccessful", ()) if one["Error"]["Code"] not in step.accept]
    if refused:  # some calls of EC2 on several things answer 200 and say here what they did not do
        said = "; ".join(f"{one.get('ResourceId', '')} {one['Error'].get('Message', '')}" for one in refused)
        raise IslandingError(f"AWS call {step.service}.{step.operation} failed: {said}")


def _sure(site: Site, find: Find, values: Mapping[str, Any], *, there: bool) -> Any:
    """What `find` selects; that it is there (or, with `there` false, that it is not) is looked at till that is sure."""
    return calls.until_settled(
        site, lambda: look_up(site, find, values), lambda now: isinstance(now, Exception) or bool(now) is not there
    )


def look_up(site: Site, find: Find, values: Mapping[str, Any] | None = None) -> Any:
    """What `find` selects now; None or empty when there is nothing. Raises IslandingError with AWS's message."""
    reply = calls.call(site, find.service, find.operation, filled(find.arguments, values or {}))
    return jmespath.search(find.select, reply)


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with each {"found": NAME} replaced by what was found."""
    if isinstance(value, dict):
        if set(value) == {FOUND}:
            return values[value[FOUND]]
        return {key: filled(inner, values) for key, inner in value.items()}
    return [filled(inner, values) for inner in value] if isinstance(value, (list, tuple)) else value


def says_gone(error: Exception) -> bool:
    """Whether AWS says that what a call is about does not exist, whoever deleted it."""
    if isinstance(error, NotThere):
        return True
    if error.__cause__ is not None and trouble.not_found(error.__cause__):
        return True
    code = _code(error)
    if code == "ValidationError":  # Auto Scaling has no code of its own for a group that is not there
        return "not found" in str(error)
    return code.startswith("NoSuch")


def _code(error: Exception) -> str:
    """AWS's error code, which botocore keeps in the reply of its ClientError; empty for any other trouble."""
    reply = getattr(error.__cause__, "response", None) or {}
    return str(reply.get("Error", {}).get("Code", ""))


def _shown(find: Find) -> str:
    return f"{find.service}.{find.operation} {find.arguments}"
