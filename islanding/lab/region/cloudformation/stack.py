"""A stack as CloudFormation remembers it: template, parameters, resources, outputs, and its history."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from islanding.lab.region.cloudformation.resource import Made, Properties
from islanding.lab.region.cloudformation.template import Resource, Template


@dataclass(frozen=True)
class Event:
    """One line of a stack's history."""

    id: str
    time: datetime
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str = ""


@dataclass
class Placed:
    """A resource of a stack that is there (or was), with the properties that it was made of."""

    resource: Resource
    made: Made
    properties: Properties
    status: str
    reason: str = ""
    changed: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Stack:
    """A stack: its template, parameters and resources, and how it came to be as it is."""

    name: str
    id: str
    template: Template
    given: dict[str, str]
    parameters: dict[str, Any]
    tags: dict[str, str]
    created: datetime
    status: str = "CREATE_IN_PROGRESS"
    reason: str = ""
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, Placed] = field(default_factory=dict)
    outputs: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # value, description, export
    imports: frozenset[str] = frozenset()  # names of the exports of others that it uses
    events: list[Event] = field(default_factory=list)
    on_failure: str = "ROLLBACK"

    def note(self, logical: str, physical: str, kind: str, status: str, reason: str = "") -> None:
        """Add a line to the history."""
        now = datetime.now(UTC)
        self.events.append(Event(str(uuid.uuid4()), now, logical, physical, kind, status, reason))

    def exports(self) -> dict[str, str]:
        """What others may import."""
        return {export: value for value, _description, export in self.outputs.values() if export}

    def become(self, status: str, reason: str = "") -> None:
        """Change the stack's own status."""
        self.note(self.name, self.id, "AWS::CloudFormation::Stack", status, reason)
        self.status, self.reason = status, reason
