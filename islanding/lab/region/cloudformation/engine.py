"""The stacks of one account: made in the order of their references, rolled back when a resource fails."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from islanding.lab.region.cloudformation import rules
from islanding.lab.region.cloudformation.parameters import parameter_values
from islanding.lab.region.cloudformation.resource import Clients, Context
from islanding.lab.region.cloudformation.scope import Scope
from islanding.lab.region.cloudformation.stack import Placed, Stack
from islanding.lab.region.cloudformation.template import Template, invalid
from islanding.lab.region.cloudformation.work import Failed, Work
from islanding.lab.region.errors import AwsError

Before = tuple[Template, dict[str, str], dict[str, Any]]  # template, parameters as given, their values


class Engine:
    """Makes, changes and deletes stacks, each in a thread of its own; `clients` are those of CloudFormation itself."""

    def __init__(self, account_id: str, region: str, clients: Clients, on_error: Callable[[str], None]) -> None:
        self._stacks: dict[str, Stack] = {}  # by id
        self._account = account_id
        self._region = region
        self._clients = clients
        self._on_error = on_error
        self._lock = threading.Lock()  # while a stack's name is looked for and taken

    def all(self) -> list[Stack]:
        """Every stack that there has been, the oldest first."""
        return list(self._stacks.values())

    def find(self, name: str) -> Stack:
        """The stack of a name (that is not deleted) or id; raises AwsError."""
        for stack in self.all():
            if name == stack.id or (name == stack.name and stack.status != "DELETE_COMPLETE"):
                return stack
        raise invalid(f"Stack with id {name} does not exist")

    def exports(self) -> dict[str, str]:
        """Everything that stacks export."""
        return {export: value for stack in self.all() for export, value in stack.exports().items()}

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
        rules.check_capabilities(template, capabilities)
        values = parameter_values(template, given, {})
        identity = f"arn:aws:cloudformation:{self._region}:{self._account}:stack/{name}/{uuid.uuid4()}"
        stack = Stack(name, identity, template, given, values, tags or {}, datetime.now(UTC), on_failure=on_failure)
        with self._lock:
            if any(s.name == name and s.status != "DELETE_COMPLETE" for s in self.all()):
                raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
            stack.note(name, identity, "AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", "User Initiated")
            self._stacks[identity] = stack
        self._start(self._create, stack)
        return stack

    def update(
        self, name: str, template: Template | None, given: dict[str, str], capabilities: Iterable[str] = ()
    ) -> Stack:
        """Begin to change a stack; raises AwsError, also when there is nothing to change."""
        with self._lock:
            stack = self.find(name)
            if not stack.status.endswith("_COMPLETE") or stack.status in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
                raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
            new = template or stack.template
            rules.check_capabilities(new, capabilities)
            kept = {k: v for k, v in stack.given.items() if k in new.parameters}
            values = parameter_values(new, given, kept)
            same = new.text == stack.template.text or new.resources == stack.template.resources
            if same and values == stack.parameters and new.outputs == stack.template.outputs:
                raise invalid("No updates are to be performed.")
            before = (stack.template, stack.given, stack.parameters)
            stack.template, stack.parameters, stack.given = new, values, {**kept, **given}
            stack.updated = datetime.now(UTC)
            stack.become("UPDATE_IN_PROGRESS", "User Initiated")
        self._start(self._update, stack, before)
        return stack

    def delete(self, name: str) -> None:
        """Begin to delete a stack; nothing happens when there is none, as on AWS."""
        with self._lock:
            stack = next((s for s in self.all() if name in (s.id, s.name) and s.status != "DELETE_COMPLETE"), None)
            if stack is None:
                return
            if stack.status.endswith("_IN_PROGRESS"):
                raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
            self._check_unused(stack, stack.exports(), "deleted")
            stack.become("DELETE_IN_PROGRESS", "User Initiated")
        self._start(self._delete, stack)

    # -- each in a thread of its own -----------------------------------------------------------------------------------

    def _start(self, work: Callable[..., None], stack: Stack, *more: Any) -> None:
        def guarded() -> None:
            try:
                work(stack, *more)
            except Exception as error:  # ours, not the user's: the stack must still come to an end
                self._on_error(f"CloudFormation, stack {stack.name}: {type(error).__name__}: {error}")
                stack.become(stack.status.replace("IN_PROGRESS", "FAILED"), f"Internal failure: {error}")

        threading.Thread(target=guarded, name=f"stack-{stack.name}", daemon=True).start()

    def _create(self, stack: Stack) -> None:
        work = self._work(stack)
        try:
            work.make_all()
            self._publish(stack, work.scope)
        except Failed as error:
            self._roll_back(work, f"The following resource(s) failed to create: {error}. ")
        except AwsError as error:
            self._roll_back(work, error.message)
        else:
            stack.become("CREATE_COMPLETE")

    def _roll_back(self, work: Work, reason: str) -> None:
        stack = work.stack
        if stack.on_failure == "DO_NOTHING":
            stack.become("CREATE_FAILED", reason)
            return
        word = "DELETE" if stack.on_failure == "DELETE" else "ROLLBACK"
        stack.become(f"{word}_IN_PROGRESS", f"{reason.rstrip()} Rollback requested by user.")
        self._end_deletion(work, word, created_now=True)

    def _delete(self, stack: Stack) -> None:
        self._end_deletion(self._work(stack), "DELETE")

    def _end_deletion(self, work: Work, word: str, *, created_now: bool = False) -> None:
        stack = work.stack
        failed = work.delete(list(stack.resources), created_now=created_now)
        if failed:
            stack.become(f"{word}_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
            return
        stack.outputs, stack.imports = {}, frozenset()
        stack.deleted = datetime.now(UTC) if word == "DELETE" else None
        stack.become(f"{word}_COMPLETE")

    def _update(self, stack: Stack, before: Before) -> None:
        """New and changed resources in order, then the old ones that are not needed any more."""
        old = {name: Placed(p.resource, p.made, p.properties, p.status) for name, p in stack.resources.items()}
        replaced: list[Placed] = []
        work = self._work(stack)
        try:
            work.renew_all(replaced)
            self._publish(stack, work.scope)
        except (Failed, AwsError) as error:
            failed_ones = f"The following resource(s) failed to update: {error}. "
            reason = error.message if isinstance(error, AwsError) else failed_ones
            stack.become("UPDATE_ROLLBACK_IN_PROGRESS", reason)
            stack.template, stack.given, stack.parameters = before
            failed = work.undo(old)
            end = "UPDATE_ROLLBACK_FAILED" if failed else "UPDATE_ROLLBACK_COMPLETE"
            stack.become(end, ", ".join(failed))
            return
        stack.become("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        for placed in reversed(replaced):
            work.drop(placed, retained=placed.resource.replacement != "Delete")
        work.delete([name for name in old if name not in work.scope.made])
        stack.become("UPDATE_COMPLETE")

    # -- small things ------------------------------------------------------------------------------------------------

    def _work(self, stack: Stack) -> Work:
        def context(logical: str) -> Context:
            name = f"{stack.name}-{logical}-{secrets.token_hex(6).upper()}"
            return Context(self._clients, self._account, self._region, stack.name, name, logical)

        return Work(stack, self._scope(stack), context)

    def _scope(self, stack: Stack) -> Scope:
        pseudo = {
            "AWS::AccountId": self._account, "AWS::Region": self._region, "AWS::StackId": stack.id,
            "AWS::StackName": stack.name, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com",
            "AWS::NotificationARNs": [],
        }  # fmt: skip
        return Scope(stack.template, stack.parameters, pseudo, self.exports(), self._zones)

    def _zones(self) -> list[str]:
        found = self._clients("ec2").describe_availability_zones()["AvailabilityZones"]
        return sorted(zone["ZoneName"] for zone in found)

    def _publish(self, stack: Stack, scope: Scope) -> None:
        """Set a stack's outputs; raises AwsError when an export is another's, or is in use and would change."""
        outputs = rules.outputs(stack.template, scope)
        wanted = {export: value for value, _description, export in outputs.values() if export}
        for other in self.all():
            for export in set(wanted) & set(other.exports()) if other is not stack else ():
                raise invalid(f"Export with name {export} is already exported by stack {other.name}")
        changed = {export: value for export, value in stack.exports().items() if wanted.get(export) != value}
        self._check_unused(stack, changed, "updated")
        stack.outputs, stack.imports = outputs, frozenset(scope.imported)

    def _check_unused(self, stack: Stack, exports: Iterable[str], done: str) -> None:
        for export in exports:
            if users := [s.name for s in self.all() if s is not stack and export in s.imports]:
                raise invalid(f"Export {export} cannot be {done} as it is in use by {', '.join(users)}")
