"""A fault's plan as data: what to do and its exact inverse, in steps that another process can take from the record."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from islanding.aws.calls import Unreachable
from islanding.errors import ExitCode, IslandingError
from islanding.faults._aws import AwsCall, Find, NotThere, found, says_gone, take_call
from islanding.model import Place, Router, Site
from islanding.process import CommandFailed, Result
from islanding.routers.doing import Machine, asking, enter
from islanding.routers.driver import Ask

__all__ = ["AwsCall", "Command", "Configure", "FaultError", "Find", "NotHealed", "ObjectGone", "Plan", "Step", "found"]

COMMAND_TIMEOUT = 15.0  # seconds: a step that takes longer has failed; undoing is never stuck for ever
# A node's ordinary user may lack the admin folders in PATH, and needs sudo; root needs neither.
_AS_ROOT = 'PATH="$PATH:/usr/sbin:/sbin"; export PATH; [ "$(id -u)" = 0 ] && exec "$@"; exec sudo -n -- "$@"'


class FaultError(IslandingError):
    """A fault cannot be planned, applied or undone: says at which place, and what was printed there."""

    unreachable = False  # True when that is because AWS's API does not answer


class ObjectGone(FaultError):
    """What a fault changed does not exist any more: somebody else deleted it, and there is nothing to put back.

    Not `sure` when it was looked for and not found, which another fault in force can bring about, too.
    """

    sure = True


class NotHealed(IslandingError):
    """A fault was undone, but the real thing has not come back in time (exit code 1)."""

    exit_code = ExitCode.FAILED


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Command(_Frozen):
    """A command at a place, as root unless `as_root` is false, for at most `timeout` seconds.

    `disconnects` when the place may close the connection before it has answered.
    """

    do: Literal["command"] = "command"
    place: str
    argv: tuple[str, ...]
    stdin: str | None = None
    disconnects: bool = False
    as_root: bool = True
    timeout: float = COMMAND_TIMEOUT


class Configure(_Frozen):
    """Configuration lines for a router, entered one after the other as its driver does.

    After `revert_after` seconds (0: never) a router that can takes them back itself, unless lines are entered with
    `confirm` before.
    """

    do: Literal["vtysh"] = "vtysh"  # so it is called in undo logs since all routers were FRR's
    router: str
    commands: tuple[str, ...]
    revert_after: float = 0
    confirm: bool = False


Step = Annotated[Command | Configure | AwsCall, Field(discriminator="do")]


class Plan(_Frozen):
    """What a fault does to one site and how it is undone; `before` is the state that has to come back."""

    id: str
    kind: str
    target: str
    summary: str
    before: dict[str, Any] = Field(default_factory=dict)
    apply: tuple[Step, ...]
    undo: tuple[Step, ...] = ()


def new_id() -> str:
    """Six hexadecimal digits: short enough for names of nftables tables and prefix lists, unique on one site."""
    return secrets.token_hex(3)


@dataclass(frozen=True)
class _Failure:
    text: str
    gone: bool = False  # the thing that the step is about does not exist
    sure: bool = False  # AWS itself said so, or the site has no such place
    unreachable: bool = False  # AWS's API does not answer

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        if isinstance(error, KeyError):  # the site was changed since the plan was made
            return cls(str(error.args[0]), gone=True, sure=True)
        gone = says_gone(error)
        return cls(str(error), gone, gone and not isinstance(error, NotThere), isinstance(error, Unreachable))


def take(site: Site, steps: tuple[Step, ...]) -> None:
    """Take the steps, at one place in order, at several at the same time; raises FaultError when one fails."""
    _raise_for(_at_all_places(site, steps, go_on=False))


def take_all(site: Site, steps: tuple[Step, ...]) -> None:
    """Take each step even when others fail, as undoing must.

    Raises FaultError naming all that failed; ObjectGone when all of them failed because what they are about is gone.
    """
    _raise_for(_at_all_places(site, steps, go_on=True))


def _raise_for(failures: list[_Failure]) -> None:
    if not failures:
        return
    text = "\n".join(one.text for one in failures)
    error = ObjectGone(text) if all(one.gone for one in failures) else FaultError(text)
    if isinstance(error, ObjectGone):
        error.sure = any(one.sure for one in failures)
    error.unreachable = any(one.unreachable for one in failures)
    raise error


def run_as_root(
    place: Place,
    argv: tuple[str, ...],
    *,
    stdin: str | None = None,
    check: bool = True,
    timeout: float = COMMAND_TIMEOUT,
) -> Result:
    """Run a command at a place as root (through sudo where the place's user is another)."""
    return place.run(["sh", "-c", _AS_ROOT, "sh", *argv], stdin=stdin, timeout=timeout, check=check)


def ask_of(site: Site, router: Router) -> Ask:
    """How a router is asked for what changes nothing; raises IslandingError for what it refuses."""
    return asking(router, _machine(site, router))


def _machine(site: Site, router: Router) -> Machine:
    return lambda argv: run_as_root(site.place(router.place), tuple(argv))


def _at_all_places(site: Site, steps: tuple[Step, ...], *, go_on: bool) -> list[_Failure]:
    groups: dict[str, list[Command | Configure | AwsCall]] = {}
    for step in steps:
        groups.setdefault(_where(site, step), []).append(step)
    if len(groups) == 1:
        return _in_order(site, steps, go_on=go_on)
    with ThreadPoolExecutor(max_workers=16) as pool:  # nodes go together, as they do when a link fails
        done = pool.map(lambda group: _in_order(site, tuple(group), go_on=go_on), groups.values())
        return [failure for failures in done for failure in failures]


def _in_order(site: Site, steps: tuple[Step, ...], *, go_on: bool) -> list[_Failure]:
    failures: list[_Failure] = []
    for step in steps:
        try:
            _take(site, step)
        except (IslandingError, OSError, KeyError) as error:
            failures.append(_Failure.of(error))
        if failures and not go_on:
            break
    return failures


def _where(site: Site, step: Command | Configure | AwsCall) -> str:
    """What steps are taken in order at: a router's lines and the commands of its machine are one place."""
    if isinstance(step, Configure):
        return next((f"place {one.place}" for one in site.routers if one.name == step.router), f"router {step.router}")
    return f"place {step.place}" if isinstance(step, Command) else "aws"


def _take(site: Site, step: Command | Configure | AwsCall) -> None:
    if isinstance(step, Command):
        place = site.place(step.place)
        check = not step.disconnects
        if step.as_root:
            result = run_as_root(place, step.argv, stdin=step.stdin, check=check, timeout=step.timeout)
        else:
            result = place.run(step.argv, stdin=step.stdin, timeout=step.timeout, check=check)
        if step.disconnects and result.exit_code not in (0, 255):  # 255: ssh lost the connection, ssh(1)
            raise CommandFailed(result, place.name)
    elif isinstance(step, Configure):
        router = site.router(step.router)
        enter(router, _machine(site, router), step.commands, revert_after=step.revert_after, confirm=step.confirm)
    else:
        take_call(site, step)
