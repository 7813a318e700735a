"""Resource types of what runs by itself: Lambda functions with their code in the template, and schedules.

They are there to be described, called and deleted; no schedule fires in the lab.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from islanding.lab.region.cloudformation.resource import (
    Context,
    Made,
    Properties,
    chosen,
    resource_type,
    tag_list,
)

_FUNCTION = (
    "FunctionName Description !Runtime !Handler !Role !Code Timeout MemorySize Environment LoggingConfig Tags"
    " Architectures"
)
_SCHEDULE = (
    "Name GroupName Description State !ScheduleExpression ScheduleExpressionTimezone !FlexibleTimeWindow !Target"
    " StartDate EndDate KmsKeyArn"
)


def _settings(p: Properties) -> dict[str, Any]:
    wanted = chosen(p, "Description Runtime Handler Role LoggingConfig Architectures")
    wanted |= {key: int(p[key]) for key in ("Timeout", "MemorySize") if key in p}
    if "Environment" in p:
        wanted["Environment"] = {"Variables": {k: str(v) for k, v in p["Environment"]["Variables"].items()}}
    return wanted


def _code(p: Properties) -> dict[str, Any]:
    """The code as the API takes it: one that stands in the template becomes a zip file with index.py in it."""
    code = p["Code"]
    if "ZipFile" not in code:
        return dict(code)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code["ZipFile"])  # the time in it is always the same
    return {"ZipFile": packed.getvalue()}


def _function(c: Context, p: Properties) -> Made:
    name = str(p.get("FunctionName") or c.short_name(64))
    tags = {tag["Key"]: tag["Value"] for tag in tag_list(p)}
    made = c.clients("lambda").create_function(FunctionName=name, Code=_code(p), Tags=tags, **_settings(p))
    c.begin(name)
    return Made(name, {"Arn": made["FunctionArn"]})


def _function_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    if old["Code"] != new["Code"]:
        c.clients("lambda").update_function_code(FunctionName=made.id, **_code(new))
    c.clients("lambda").update_function_configuration(FunctionName=made.id, **_settings(new))
    return made


resource_type(
    "AWS::Lambda::Function", _FUNCTION, _function,
    lambda c, i, _p: c.clients("lambda").delete_function(FunctionName=i), _function_changed,
    "Code Description Runtime Handler Role Timeout MemorySize Environment LoggingConfig",
)  # fmt: skip


def _schedule(c: Context, p: Properties) -> Made:
    name = str(p.get("Name") or c.short_name(64))
    made = c.clients("scheduler").create_schedule(Name=name, **_of_schedule(p))
    c.begin(name)
    return Made(name, {"Arn": made["ScheduleArn"]})


def _of_schedule(p: Properties) -> dict[str, Any]:
    wanted = {key: value for key, value in p.items() if key != "Name"}
    target = dict(wanted["Target"])
    if "RetryPolicy" in target:
        target["RetryPolicy"] = {key: int(value) for key, value in target["RetryPolicy"].items()}
    return wanted | {"Target": target}


def _schedule_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    c.clients("scheduler").update_schedule(Name=made.id, **_of_schedule(new))
    return made


def _schedule_gone(c: Context, identity: str, p: Properties) -> None:
    c.clients("scheduler").delete_schedule(Name=identity, **chosen(p, "GroupName"))


resource_type(
    "AWS::Scheduler::Schedule", _SCHEDULE, _schedule, _schedule_gone, _schedule_changed,
    "Description State ScheduleExpression ScheduleExpressionTimezone FlexibleTimeWindow Target StartDate EndDate",
)  # fmt: skip
