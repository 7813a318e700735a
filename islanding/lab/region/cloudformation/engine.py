"""The stacks of one account: made in the order of their references, rolled back when a resource fails."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from islanding.lab.region.cloudformation import account, filtering, machines, network
from islanding.lab.region.cloudformation.resource import REGISTRY, Clients, Context, Made, Properties, ResourceType
from islanding.lab.region.cloudformation.template import Resource, Scope, Template, invalid, parameter_values
from islanding.lab.region.errors import AwsError

__all__ = ["Engine", "Event", "Placed", "Stack", "account", "filtering", "machines", "network"]  # types are registered

READY_SECONDS = 120.0  # for one resource that takes time
_IAM = ("AWS::IAM::",)
_NAMED = {"RoleName", "InstanceProfileName", "ManagedPolicyName"}


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
    events: list[Event] = field(default_factory=list)
    on_failure: str = "ROLLBACK"

    def note(self, logical: str, physical: str, kind: str, status: str, reason: str = "") -> None:
        """Add a line to the history."""
        now = datetime.now(UTC)
        self.events.append(Event(str(uuid.uuid4()), now, logical, physical, kind, status, reason))

    def become(self, status: str, reason: str = "") -> None:
        """Change the stack's own status."""
        self.note(self.name, self.id, "AWS::CloudFormation::Stack", status, reason)
        self.status, self.reason = status, reason


class _Failed(Exception):
    """A resource could not be made, changed or deleted."""


class Engine:
    """Makes, changes and deletes stacks, each in a thread of its own; `clients` are those of CloudFormation itself."""

    def __init__(self, account_id: str, region: str, clients: Clients, on_error: Callable[[str], None]) -> None:
        self.stacks: dict[str, Stack] = {}  # by id
        self._account = account_id
        self._region = region
        self._clients = clients
        self._on_error = on_error

    def find(self, name: str) -> Stack:
        """The stack of a name (that is not deleted) or id; raises AwsError."""
        for stack in self.stacks.values():
            if name == stack.id or (name == stack.name and stack.status != "DELETE_COMPLETE"):
                return stack
        raise invalid(f"Stack with id {name} does not exist")

    def exists(self, name: str) -> bool:
        """Whether there is a stack of that name."""
        return any(s.name == name and s.status != "DELETE_COMPLETE" for s in self.stacks.values())

    def exports(self) -> dict[str, str]:
        """Everything that stacks export."""
        return {e: v for s in self.stacks.values() for v, _d, e in s.outputs.values() if e}

    def create(
        self,
        name: str,
        template: Template,
        given: dict[str, str],
        *,
        tags: dict[str, str] | None = None,
        capabilities: Iterable[str] = (),
        on_failure: str = "ROLLBACK",
    ) -> Stack:
        """Begin to make a stack; raises AwsError for what can be seen to be wrong beforehand."""
        if self.exists(name):
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        check_capabilities(template, capabilities)
        identity = f"arn:aws:cloudformation:{self._region}:{self._account}:stack/{name}/{uuid.uuid4()}"
        values = parameter_values(template, given, {})
        stack = Stack(name, identity, template, given, values, tags or {}, datetime.now(UTC), on_failure=on_failure)
        stack.note(name, identity, "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", "User Initiated")
        self.stacks[identity] = stack
        self._start(self._create, stack)
        return stack

    def update(
        self, name: str, template: Template | None, given: dict[str, str], capabilities: Iterable[str] = ()
    ) -> Stack:
        """Begin to change a stack; raises AwsError, also when there is nothing to change."""
        stack = self.find(name)
        if not stack.status.endswith("_COMPLETE") or stack.status in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
            raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        new = template or stack.template
        check_capabilities(new, capabilities)
        values = parameter_values(new, given, {k: v for k, v in stack.given.items() if k in new.parameters})
        same = new.text == stack.template.text or new.resources == stack.template.resources
        if same and values == stack.parameters and new.outputs == stack.template.outputs:
            raise invalid("No updates are to be performed.")
        before = (stack.template, stack.given, stack.parameters)
        stack.template, stack.parameters = new, values
        stack.given = {**{k: v for k, v in stack.given.items() if k in new.parameters}, **given}
        stack.updated = datetime.now(UTC)
        stack.become("UPDATE_IN_PROGRESS", "User Initiated")
        self._start(self._update, stack, before)
        return stack

    def delete(self, name: str) -> None:
        """Begin to delete a stack; nothing happens when there is none, as on AWS."""
        try:
            stack = self.find(name)
        except AwsError:
            return
        if stack.status.endswith("_IN_PROGRESS"):
            raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        used = [s.name for s in self.stacks.values() if self._imports(s, stack)]
        if used:
            export = next(e for _v, _d, e in stack.outputs.values() if e)
            raise invalid(f"Export {export} cannot be deleted as it is in use by {', '.join(used)}")
        stack.become("DELETE_IN_PROGRESS", "User Initiated")
        self._start(self._delete, stack)

    # -- the work ----------------------------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], stack: Stack, *more: Any) -> None:
        def guarded() -> None:
            try:
                work(stack, *more)
            except Exception as error:  # ours, not the user's: the stack must still come to an end
                self._on_error(f"CloudFormation, stack {stack.name}: {type(error).__name__}: {error}")
                stack.become(stack.status.replace("IN_PROGRESS", "FAILED"), f"Internal failure: {error}")

        threading.Thread(target=guarded, name=f"stack-{stack.name}", daemon=True).start()

    def _create(self, stack: Stack) -> None:
        scope = self._scope(stack)
        try:
            for name in stack.template.order():
                resource = stack.template.resources[name]
                if not resource.condition or scope.holds(resource.condition):
                    scope.made[name] = self._make(stack, resource, scope).made
            stack.outputs = _outputs(stack, scope)
        except (_Failed, AwsError) as error:
            reason = f"The following resource(s) failed to create: {error}"
            self._roll_back(stack, reason if isinstance(error, _Failed) else str(error))
            return
        stack.become("CREATE_COMPLETE")

    def _roll_back(self, stack: Stack, reason: str) -> None:
        if stack.on_failure == "DO_NOTHING":
            stack.become("CREATE_FAILED", reason)
            return
        word = "DELETE" if stack.on_failure == "DELETE" else "ROLLBACK"
        stack.become(f"{word}_IN_PROGRESS", f"{reason}. Rollback requested by user.")
        failed = self._delete_resources(stack, list(stack.resources))
        stack.become(f"{word}_FAILED" if failed else f"{word}_COMPLETE", ", ".join(failed))

    def _delete(self, stack: Stack) -> None:
        failed = self._delete_resources(stack, list(stack.resources))
        if failed:
            stack.become("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
            return
        stack.deleted = datetime.now(UTC)
        stack.outputs = {}
        stack.become("DELETE_COMPLETE")

    def _update(self, stack: Stack, before: tuple[Template, dict[str, str], dict[str, Any]]) -> None:
        """New and changed resources in order, then the old ones that are not needed any more."""
        old = {name: Placed(p.resource, p.made, p.properties, p.status) for name, p in stack.resources.items()}
        replaced: list[tuple[Placed, str]] = []
        try:
            scope = self._scope(stack)
            for name in stack.template.order():
                resource = stack.template.resources[name]
                if not resource.condition or scope.holds(resource.condition):
                    scope.made[name] = self._renew(stack, resource, scope, replaced).made
            stack.outputs = _outputs(stack, scope)
        except (_Failed, AwsError) as error:
            self._undo_update(stack, before, old, str(error))
            return
        stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        gone = [name for name in old if name not in scope.made]
        for placed, _name in reversed(replaced):
            self._drop(stack, placed)
        self._delete_resources(stack, gone)
        stack.become("UPDATE_COMPLETE")

    def _undo_update(
        self,
        stack: Stack,
        before: tuple[Template, dict[str, str], dict[str, Any]],
        old: Mapping[str, Placed],
        reason: str,
    ) -> None:
        stack.become("UPDATE_ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to update: {reason}. ")
        failed = []
        new = [name for name, p in stack.resources.items() if name not in old or p.made.id != old[name].made.id]
        failed += self._delete_resources(stack, new)
        for name, placed in old.items():
            now = stack.resources.get(name)
            kind = REGISTRY[placed.resource.type]
            if now is not None and now.properties != placed.properties and kind.update is not None:
                try:
                    kind.update(self._context(stack, name), placed.made, now.properties, placed.properties)
                except Exception as error:
                    failed.append(f"{name}: {_words(error)}")
            stack.resources[name] = placed
        stack.template, stack.given, stack.parameters = before
        stack.become("UPDATE_ROLLBACK_FAILED" if failed else "UPDATE_ROLLBACK_COMPLETE", ", ".join(failed))

    def _make(self, stack: Stack, resource: Resource, scope: Scope) -> Placed:
        note = stack.note
        note(resource.id, "", resource.type, "CREATE_IN_PROGRESS")
        try:
            kind = _kind(resource)
            properties = _known(kind, scope.value(resource.properties))
            context = self._context(stack, resource.id)
            made = kind.create(context, properties)
            placed = Placed(resource, made, properties, "CREATE_IN_PROGRESS")
            stack.resources[resource.id] = placed
            note(resource.id, made.id, resource.type, "CREATE_IN_PROGRESS", "Resource creation Initiated")
            _until_ready(kind, context, made)
        except Exception as error:
            reason = _words(error)
            note(resource.id, "", resource.type, "CREATE_FAILED", reason)
            if resource.id in stack.resources:
                stack.resources[resource.id].status = "CREATE_FAILED"
            raise _Failed(f"[{resource.id}]") from error
        placed.status = "CREATE_COMPLETE"
        note(resource.id, made.id, resource.type, "CREATE_COMPLETE")
        return placed

    def _renew(self, stack: Stack, resource: Resource, scope: Scope, replaced: list[tuple[Placed, str]]) -> Placed:
        """Leave, change or replace a resource of a stack that is updated."""
        now = stack.resources.get(resource.id)
        if now is None:
            return self._make(stack, resource, scope)
        kind = _kind(resource)
        properties = _known(kind, scope.value(resource.properties))
        different = {k for k in {*properties, *now.properties} if properties.get(k) != now.properties.get(k)}
        if not different and now.resource.type == resource.type:
            return now
        if kind.update is None or not different <= kind.changes or now.resource.type != resource.type:
            stack.note(resource.id, now.made.id, resource.type, "UPDATE_IN_PROGRESS", "Requires a new resource")
            fresh = self._make(stack, resource, scope)
            replaced.append((now, resource.id))
            return fresh
        stack.note(resource.id, now.made.id, resource.type, "UPDATE_IN_PROGRESS")
        try:
            made = kind.update(self._context(stack, resource.id), now.made, now.properties, properties)
        except Exception as error:
            stack.note(resource.id, now.made.id, resource.type, "UPDATE_FAILED", _words(error))
            raise _Failed(f"[{resource.id}]") from error
        placed = Placed(resource, made, properties, "UPDATE_COMPLETE")
        stack.resources[resource.id] = placed
        stack.note(resource.id, made.id, resource.type, "UPDATE_COMPLETE")
        return placed

    def _delete_resources(self, stack: Stack, names: Iterable[str]) -> list[str]:
        """Delete resources, each before what it needs; returns those that could not be deleted."""
        wanted = set(names)
        needs = {name: set(p.resource.needs) for name, p in stack.resources.items()}
        failed: list[str] = []
        left = [name for name in stack.resources if name in wanted]
        while left:
            # Those first that nothing left needs; what needs something that could not be deleted is tried all the same.
            free = [n for n in left if not any(n in needs[m] for m in left if m != n)] or left
            for name in reversed(free):
                if not self._drop(stack, stack.resources[name]):
                    failed.append(name)
                else:
                    del stack.resources[name]
                left.remove(name)
        return failed

    def _drop(self, stack: Stack, placed: Placed) -> bool:
        resource, identity = placed.resource, placed.made.id
        if resource.retained:
            stack.note(resource.id, identity, resource.type, "DELETE_SKIPPED")
            return True
        stack.note(resource.id, identity, resource.type, "DELETE_IN_PROGRESS")
        try:
            REGISTRY[resource.type].delete(self._context(stack, resource.id), identity, placed.properties)
        except Exception as error:
            if not _is_gone(error):
                placed.status, placed.reason = "DELETE_FAILED", _words(error)
                stack.note(resource.id, identity, resource.type, "DELETE_FAILED", placed.reason)
                return False
        stack.note(resource.id, identity, resource.type, "DELETE_COMPLETE")
        return True

    # -- small things ------------------------------------------------------------------------------------------------

    def _context(self, stack: Stack, logical: str) -> Context:
        name = f"{stack.name}-{logical}-{secrets.token_hex(6).upper()}"
        return Context(self._clients, self._account, self._region, stack.name, name, logical)

    def _scope(self, stack: Stack) -> Scope:
        pseudo = {
            "AWS::AccountId": self._account, "AWS::Region": self._region, "AWS::StackId": stack.id,
            "AWS::StackName": stack.name, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
            "AWS::NotificationARNs": [],
        }  # fmt: skip
        zones = tuple(f"{self._region}{letter}" for letter in "acd")
        return Scope(stack.template, stack.parameters, pseudo, self.exports(), zones)

    def _imports(self, stack: Stack, exporter: Stack) -> bool:
        exported = {e for _v, _d, e in exporter.outputs.values() if e}
        return (
            stack is not exporter
            and stack.status != "DELETE_COMPLETE"
            and any(f"{e}" in stack.template.text and "ImportValue" in stack.template.text for e in exported)
        )


def check_capabilities(template: Template, given: Iterable[str]) -> None:
    """IAM resources have to be acknowledged; those with names of their own by CAPABILITY_NAMED_IAM."""
    iam = [r for r in template.resources.values() if r.type.startswith(_IAM)]
    named = [r for r in iam if _NAMED & set(r.properties)]
    needed = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM" if iam else ""
    enough = {"CAPABILITY_NAMED_IAM"} if named else {"CAPABILITY_NAMED_IAM", "CAPABILITY_IAM"}
    if needed and not enough & set(given):
        raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")


def _kind(resource: Resource) -> ResourceType:
    if resource.type not in REGISTRY:
        raise invalid(f"The lab's CloudFormation does not have the resource type {resource.type}")
    return REGISTRY[resource.type]


def _known(kind: ResourceType, properties: Properties) -> Properties:
    unknown = sorted(set(properties) - kind.properties)
    if unknown:
        raise invalid(f"Encountered unsupported property {unknown[0]}")
    return properties


def _until_ready(kind: ResourceType, context: Context, made: Made) -> None:
    end = time.monotonic() + READY_SECONDS
    while kind.wait is not None and not kind.wait(context, made.id):
        if time.monotonic() > end:
            raise invalid(f"{made.id} was not ready within {READY_SECONDS:g} s")
        threading.Event().wait(0.2)


def _outputs(stack: Stack, scope: Scope) -> dict[str, tuple[str, str, str]]:
    found = {}
    for name, body in stack.template.outputs.items():
        if body.get("Condition") and not scope.holds(body["Condition"]):
            continue
        export = str(scope.value(body.get("Export", {}).get("Name", "")))
        found[name] = (str(scope.value(body["Value"])), str(body.get("Description", "")), export)
    return found


def _words(error: Exception) -> str:
    """What the API said, as it stands in a stack's events."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict) and "Error" in answer:
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        code = answer["Error"].get("Code", "")
        return f"{answer['Error'].get('Message', '')} (Status Code: {status}; Error Code: {code})"
    return str(error) or type(error).__name__


def _is_gone(error: Exception) -> bool:
    """Whether a deletion failed because there is nothing to delete: somebody else was faster."""
    answer = getattr(error, "response", None)
    code = str(answer["Error"].get("Code", "")) if isinstance(answer, dict) and "Error" in answer else ""
    return code.endswith((".NotFound", "NotFoundException", "NoSuchEntity", "NoSuchBucket")) or code in (
        "InvalidAssociationID.NotFound", "NoSuchHostedZone",
    )  # fmt: skip
