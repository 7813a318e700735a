"""The work on one stack's resources: made, changed, replaced and deleted one by one, each step in the history."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from islanding.lab.region.cloudformation.resource import REGISTRY, Context, Made, Properties, ResourceType
from islanding.lab.region.cloudformation.rules import checked, is_gone, kind_of, with_tags, words
from islanding.lab.region.cloudformation.scope import Scope
from islanding.lab.region.cloudformation.stack import Placed, Stack
from islanding.lab.region.cloudformation.template import Resource, invalid

READY_SECONDS = 120.0  # for one resource that takes time
POLL_SECONDS = 0.2


class Failed(Exception):
    """A resource could not be made or changed; the text names it as a stack's reason does."""


@dataclass(frozen=True)
class Work:
    """Work on one stack; `context` gives what the calls for a resource need, by its logical id."""

    stack: Stack
    scope: Scope
    context: Callable[[str], Context]

    def make_all(self) -> None:
        """Make every resource, in order; raises Failed or AwsError at the first that cannot be made."""
        for resource in self._wanted():
            self.scope.made[resource.id] = self._make(resource).made

    def renew_all(self, replaced: list[Placed]) -> None:
        """Leave, change, make or replace every resource, in order; those replaced are added to the list.

        Raises Failed or AwsError at the first for which that cannot be done.
        """
        for resource in self._wanted():
            self.scope.made[resource.id] = self._renew(resource, replaced).made

    def delete(self, names: Iterable[str], *, created_now: bool = False) -> list[str]:
        """Delete resources, each before what it needs; returns those that could not be deleted.

        `created_now`: by the very creation that is being rolled back.
        """
        resources = self.stack.resources
        left = [name for name in resources if name in set(names)]
        needs = {name: set(resources[name].resource.needs) for name in left}
        failed: list[str] = []
        while left:
            # Those first that nothing left needs; a circle can arise when an update has turned references round.
            free = [n for n in left if not any(n in needs[m] for m in left if m != n)] or left
            for name in reversed(free):
                policy = resources[name].resource.deletion
                retained = policy == "Retain" or (policy == "RetainExceptOnCreate" and not created_now)
                if self.drop(resources[name], retained=retained):
                    del resources[name]
                else:
                    failed.append(name)
                left.remove(name)
        return failed

    def undo(self, old: Mapping[str, Placed]) -> list[str]:
        """Bring the resources back to what they were before an update; returns what could not be brought back."""
        resources = self.stack.resources
        new = [n for n, p in resources.items() if n not in old or p.made.id != old[n].made.id]
        failed = self.delete(new, created_now=True)
        for name, placed in reversed(list(old.items())):
            now, kind = resources.get(name), REGISTRY[placed.resource.type]
            if (
                now is not None
                and now.made.id == placed.made.id
                and now.properties != placed.properties
                and kind.update
            ):
                try:
                    kind.update(self.context(name), placed.made, now.properties, placed.properties)
                except Exception as error:  # whatever it is, it stands in the stack's reason
                    failed.append(f"{name}: {words(error)}")
        self.stack.resources = {**{n: p for n, p in resources.items() if n not in old}, **old}
        return failed

    def drop(self, placed: Placed, *, retained: bool = False) -> bool:
        """Delete one resource, if it is not to be retained; returns whether it need not be thought of any more."""
        resource, identity = placed.resource, placed.made.id
        if retained:
            self.stack.note(resource.id, identity, resource.type, "DELETE_SKIPPED")
            return True
        self.stack.note(resource.id, identity, resource.type, "DELETE_IN_PROGRESS")
        try:
            REGISTRY[resource.type].delete(self.context(resource.id), identity, placed.properties)
        except Exception as error:  # whatever it is, it stands in the stack's history
            if not is_gone(error):
                placed.status, placed.reason = "DELETE_FAILED", words(error)
                self.stack.note(resource.id, identity, resource.type, "DELETE_FAILED", placed.reason)
                return False
        self.stack.note(resource.id, identity, resource.type, "DELETE_COMPLETE")
        return True

    def _wanted(self) -> Iterator[Resource]:
        template = self.stack.template
        for name in template.order():
            resource = template.resources[name]
            if not resource.condition or self.scope.holds(resource.condition):
                yield resource

    def _make(self, resource: Resource) -> Placed:
        note, resources = self.stack.note, self.stack.resources
        note(resource.id, "", resource.type, "CREATE_IN_PROGRESS")
        context = self.context(resource.id)
        before = resources.get(resource.id)
        made: Made | None = None
        properties: Properties = {}
        try:
            kind = kind_of(resource)
            properties = with_tags(kind, checked(kind, self.scope.value(resource.properties)), self.stack.tags)
            made = kind.create(context, properties)
            resources[resource.id] = Placed(resource, made, properties, "CREATE_IN_PROGRESS")
            note(resource.id, made.id, resource.type, "CREATE_IN_PROGRESS", "Resource creation Initiated")
            _until_ready(kind, context, made)
        except Exception as error:
            made = made or (context.begun[-1] if context.begun else None)
            reason = words(error)
            note(resource.id, made.id if made else "", resource.type, "CREATE_FAILED", reason)
            if made is not None:
                resources[resource.id] = Placed(resource, made, properties, "CREATE_FAILED", reason)
            elif before is not None:
                resources[resource.id] = before
            raise Failed(f"[{resource.id}]") from error
        resources[resource.id] = placed = Placed(resource, made, properties, "CREATE_COMPLETE")
        note(resource.id, made.id, resource.type, "CREATE_COMPLETE")
        return placed

    def _renew(self, resource: Resource, replaced: list[Placed]) -> Placed:
        """Leave, change or replace a resource of a stack that is updated."""
        now = self.stack.resources.get(resource.id)
        if now is None:
            return self._make(resource)
        note = self.stack.note
        try:
            kind = kind_of(resource)
            properties = with_tags(kind, checked(kind, self.scope.value(resource.properties)), self.stack.tags)
        except Exception as error:
            note(resource.id, now.made.id, resource.type, "UPDATE_FAILED", words(error))
            raise Failed(f"[{resource.id}]") from error
        different = {k for k in {*properties, *now.properties} if properties.get(k) != now.properties.get(k)}
        same_type = now.resource.type == resource.type
        if not different and same_type:
            self.stack.resources[resource.id] = placed = Placed(resource, now.made, properties, now.status, now.reason)
            return placed
        if not same_type or not different <= kind.changes:
            reason = "Requested update requires the creation of a new physical resource; hence creating one."
            note(resource.id, now.made.id, resource.type, "UPDATE_IN_PROGRESS", reason)
            fresh = self._make(resource)
            replaced.append(now)
            return fresh
        note(resource.id, now.made.id, resource.type, "UPDATE_IN_PROGRESS")
        # Noted before: what is half done when a call fails has to be undone.
        self.stack.resources[resource.id] = Placed(resource, now.made, properties, "UPDATE_FAILED")
        try:
            made = self._changed(kind, resource, now, properties)
        except Exception as error:
            note(resource.id, now.made.id, resource.type, "UPDATE_FAILED", words(error))
            raise Failed(f"[{resource.id}]") from error
        self.stack.resources[resource.id] = placed = Placed(resource, made, properties, "UPDATE_COMPLETE")
        note(resource.id, made.id, resource.type, "UPDATE_COMPLETE")
        return placed

    def _changed(self, kind: ResourceType, resource: Resource, now: Placed, properties: Properties) -> Made:
        if kind.update is None:
            raise invalid(f"{kind.name} cannot be changed")
        context = self.context(resource.id)
        made = kind.update(context, now.made, now.properties, properties)
        _until_ready(kind, context, made)
        return made


def _until_ready(kind: ResourceType, context: Context, made: Made) -> None:
    end = time.monotonic() + READY_SECONDS
    while kind.wait is not None and not kind.wait(context, made.id):
        if time.monotonic() > end:
            raise invalid(f"{made.id} was not ready within {READY_SECONDS:g} s")
        threading.Event().wait(POLL_SECONDS)
