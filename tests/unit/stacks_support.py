"""Stacks in a Region without a socket: made, changed and deleted through boto3, each to its end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from islanding.lab.region.server import Region
from islanding.wait import wait_until
from tests.unit.region_support import connect

CAPABILITY = ["CAPABILITY_NAMED_IAM"]
VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}


@dataclass(frozen=True)
class Stacks:
    """CloudFormation of one Region; templates are dicts of their sections."""

    region: Region
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A client of a service; made once, since botocore takes its time."""
        if service not in self.clients:
            self.clients[service] = connect(self.region, service)
        return self.clients[service]

    @property
    def api(self) -> Any:
        return self.client("cloudformation")

    def create(self, name: str, template: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Make a stack and return it as it is in the end."""
        body = json.dumps(template, default=str)
        made = self.api.create_stack(StackName=name, TemplateBody=body, Capabilities=CAPABILITY, **more)
        return self.ended(made["StackId"])

    def update(self, name: str, template: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Change a stack and return it as it is in the end."""
        body = json.dumps(template, default=str)
        made = self.api.update_stack(StackName=name, TemplateBody=body, Capabilities=CAPABILITY, **more)
        return self.ended(made["StackId"])

    def delete(self, name: str) -> dict[str, Any]:
        """Delete a stack and return it as it is in the end."""
        stack = self.api.describe_stacks(StackName=name)["Stacks"][0]
        self.api.delete_stack(StackName=name)
        return self.ended(stack["StackId"])

    def ended(self, stack: str) -> dict[str, Any]:
        """The stack, once nothing is in progress."""
        api = self.api
        found: dict[str, Any] = wait_until(
            f"stack {stack} to end",
            lambda: api.describe_stacks(StackName=stack)["Stacks"][0],
            timeout=60,
            interval=0.02,
            done=lambda s: not s["StackStatus"].endswith("_IN_PROGRESS"),
        )
        return found

    def events(self, stack: str) -> list[dict[str, Any]]:
        """What has happened, the oldest first."""
        pages = self.api.get_paginator("describe_stack_events").paginate(StackName=stack)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def reasons(self, stack: str, status: str) -> dict[str, str]:
        """The reasons of events with a status, by logical id."""
        found = [e for e in self.events(stack) if e["ResourceStatus"] == status]
        return {e["LogicalResourceId"]: e.get("ResourceStatusReason", "") for e in found}

    def ids(self, stack: str) -> dict[str, str]:
        """Physical ids by logical ones."""
        found = self.api.describe_stack_resources(StackName=stack)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    """A stack's outputs."""
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
