"""The CloudFormation API: calls taken apart, handed to the engine, and answered in the service's own XML."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from botocore.loaders import Loader
from moto.core.model import ServiceModel
from moto.core.serialize import QuerySerializer

from islanding.lab.region.cloudformation.engine import Engine
from islanding.lab.region.cloudformation.resource import Clients
from islanding.lab.region.cloudformation.stack import Event, Placed, Stack
from islanding.lab.region.cloudformation.template import invalid, parse
from islanding.lab.region.http import Request, Response
from islanding.lab.region.operations import form

_MEMBER = re.compile(r"^(\w+)\.member\.(\d+)(?:\.(\w+))?$")
_PAGE = 100
Answer = dict[str, Any]


class CloudFormation:
    """The service in one account and Region; `fetch` reads a template from an S3 URL."""

    def __init__(self, account: str, region: str, clients: Clients, on_error: Callable[[str], None]) -> None:
        self.engine = Engine(account, region, clients, on_error)
        self._clients = clients

    def answer(self, request: Request, operation: str) -> Response:
        """Answer one call; raises AwsError as CloudFormation does, also for operations that it does not have."""
        call = _Call(dict(form(request)))
        operations: dict[str, Callable[[_Call], Answer]] = {
            "CreateStack": self._create,
            "UpdateStack": self._update,
            "DeleteStack": self._delete,
            "DescribeStacks": self._describe,
            "ListStacks": self._list,
            "DescribeStackEvents": self._events,
            "DescribeStackResources": self._resources,
            "DescribeStackResource": self._resource,
            "ListStackResources": self._list_resources,
            "GetTemplate": lambda c: {"TemplateBody": self.engine.find(c["StackName"]).template.text},
            "GetTemplateSummary": self._validate,
            "ValidateTemplate": self._validate,
            "ListExports": self._exports,
            "SignalResource": self._signal,
        }
        if operation not in operations:
            raise NotImplementedError(f"cloudformation {operation}")
        model = _model().operation_model(operation)
        made = QuerySerializer(model).serialize(operations[operation](call))
        headers = (("Content-Type", "text/xml"), ("x-amzn-RequestId", str(uuid.uuid4())))
        body = made["body"]
        return Response(200, headers, body.encode() if isinstance(body, str) else body)

    def _template(self, call: _Call) -> str:
        if call.get("TemplateBody"):
            return call["TemplateBody"]
        if not call.get("TemplateURL"):
            raise invalid("Either Template URL or Template Body must be specified.")
        found = re.search(r"https://(?:([^./]+)\.s3[^/]*|s3[^/]*/([^/]+))/(.+)", call["TemplateURL"])
        if not found:
            raise invalid("TemplateURL must be a supported URL.")
        kept = self._clients("s3").get_object(Bucket=found[1] or found[2], Key=found[3])
        return str(kept["Body"].read().decode())

    def _create(self, call: _Call) -> Answer:
        rollback = "DO_NOTHING" if call.get("DisableRollback") == "true" else call.get("OnFailure") or "ROLLBACK"
        stack = self.engine.create(
            call["StackName"],
            parse(self._template(call)),
            {p["ParameterKey"]: p.get("ParameterValue", "") for p in call.structures("Parameters")},
            tags={t["Key"]: t["Value"] for t in call.structures("Tags")},
            capabilities=call.texts("Capabilities"),
            on_failure=rollback,
        )
        return {"StackId": stack.id}

    def _update(self, call: _Call) -> Answer:
        given = {p["ParameterKey"]: p.get("ParameterValue", "") for p in call.structures("Parameters")
                 if p.get("UsePreviousValue") != "true"}  # fmt: skip
        template = None if call.get("UsePreviousTemplate") == "true" else parse(self._template(call))
        return {"StackId": self.engine.update(call["StackName"], template, given, call.texts("Capabilities")).id}

    def _delete(self, call: _Call) -> Answer:
        self.engine.delete(call["StackName"])
        return {}

    def _describe(self, call: _Call) -> Answer:
        if name := call.get("StackName"):
            return {"Stacks": [_stack(self.engine.find(name))]}
        return {"Stacks": [_stack(s) for s in self.engine.all() if s.status != "DELETE_COMPLETE"]}

    def _list(self, call: _Call) -> Answer:
        wanted = call.texts("StackStatusFilter")
        stacks = [s for s in self.engine.all() if not wanted or s.status in wanted]
        return {"StackSummaries": [{**_stack(s), "TemplateDescription": s.template.description} for s in stacks]}

    def _events(self, call: _Call) -> Answer:
        stack = self.engine.find(call["StackName"])
        newest_first = list(reversed(stack.events))
        start = int(call.get("NextToken") or 0)
        page = newest_first[start : start + _PAGE]
        more = {"NextToken": str(start + _PAGE)} if start + _PAGE < len(newest_first) else {}
        return {"StackEvents": [_event(stack, e) for e in page], **more}

    def _resources(self, call: _Call) -> Answer:
        if name := call.get("StackName"):
            stack = self.engine.find(name)
        else:
            physical = call["PhysicalResourceId"]
            owners = (s for s in self.engine.all() if any(p.made.id == physical for p in list(s.resources.values())))
            found = next(owners, None)
            if found is None:
                raise invalid(f"Stack for {physical} does not exist")
            stack = found
        wanted = call.get("LogicalResourceId")
        placed = [_placed(stack, n, p) for n, p in list(stack.resources.items()) if wanted in (None, "", n)]
        return {"StackResources": placed}

    def _resource(self, call: _Call) -> Answer:
        stack, name = self.engine.find(call["StackName"]), call["LogicalResourceId"]
        if name not in stack.resources:
            raise invalid(f"Resource {name} does not exist for stack {stack.name}")
        return {"StackResourceDetail": _placed(stack, name, stack.resources[name])}

    def _list_resources(self, call: _Call) -> Answer:
        stack = self.engine.find(call["StackName"])
        return {"StackResourceSummaries": [_placed(stack, n, p) for n, p in list(stack.resources.items())]}

    def _validate(self, call: _Call) -> Answer:
        template = parse(self._template(call))
        parameters = [
            {"ParameterKey": n, "DefaultValue": str(r.get("Default", "")), "NoEcho": False,
             "ParameterType": r.get("Type", "String"), "Description": r.get("Description", "")}
            for n, r in template.parameters.items()
        ]  # fmt: skip
        return {"Parameters": parameters, "Description": template.description}

    def _exports(self, _call: _Call) -> Answer:
        return {
            "Exports": [
                {"ExportingStackId": s.id, "Name": export, "Value": value}
                for s in self.engine.all()
                for value, _description, export in s.outputs.values()
                if export
            ]
        }

    def _signal(self, call: _Call) -> Answer:
        stack = self.engine.find(call["StackName"])
        if call["LogicalResourceId"] not in stack.template.resources:
            raise invalid(f"Resource {call['LogicalResourceId']} does not exist for stack {stack.name}")
        return {}  # no resource of the lab waits for signals


class _Call(dict[str, str]):
    """A call's parameters; what is missing is named as AWS does."""

    def __missing__(self, key: str) -> str:
        raise invalid(f"1 validation error detected: Value at '{key}' failed to satisfy constraint: must not be null")

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        found = [(int(m[2]), v) for k, v in self.items() if (m := _MEMBER.match(k)) and m[1] == name and not m[3]]
        return [value for _number, value in sorted(found)]

    def structures(self, name: str) -> list[dict[str, str]]:
        """A list of structures."""
        found: dict[int, dict[str, str]] = {}
        for key, value in self.items():
            if (member := _MEMBER.match(key)) and member[1] == name and member[3]:
                found.setdefault(int(member[2]), {})[member[3]] = value
        return [found[number] for number in sorted(found)]


def _stack(stack: Stack) -> Answer:
    hidden = {n for n, rules in stack.template.parameters.items() if str(rules.get("NoEcho", "")).lower() == "true"}
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": stack.template.description,
        "CreationTime": stack.created,
        "LastUpdatedTime": stack.updated,
        "DeletionTime": stack.deleted,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason or None,
        "DisableRollback": stack.on_failure == "DO_NOTHING",
        "Parameters": [
            {
                "ParameterKey": n,
                "ParameterValue": "****" if n in hidden else ",".join(v) if isinstance(v, list) else str(v),
            }
            for n, v in stack.parameters.items()
        ],
        "Outputs": [
            {"OutputKey": n, "OutputValue": v, "Description": d or None, "ExportName": e or None}
            for n, (v, d, e) in stack.outputs.items()
        ],
        "Tags": [{"Key": k, "Value": v} for k, v in stack.tags.items()],
    }


def _event(stack: Stack, event: Event) -> Answer:
    return {
        "StackId": stack.id,
        "EventId": event.id,
        "StackName": stack.name,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type,
        "Timestamp": event.time,
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason or None,
    }


def _placed(stack: Stack, name: str, placed: Placed) -> Answer:
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "LogicalResourceId": name,
        "PhysicalResourceId": placed.made.id,
        "ResourceType": placed.resource.type,
        "Timestamp": placed.changed,
        "LastUpdatedTimestamp": placed.changed,
        "ResourceStatus": placed.status,
        "ResourceStatusReason": placed.reason or None,
    }


@lru_cache(maxsize=1)
def _model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("cloudformation", "service-2"), "cloudformation")
