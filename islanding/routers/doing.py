"""Asking a router and changing it: FRR by its shell, the others over a kept SSH connection; nothing is decided here."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from islanding.model import Router
from islanding.process import CommandFailed, Result, run
from islanding.routers.driver import Ask, RouterError, Terminal

Machine = Callable[[Sequence[str]], Result]  # runs a command, as root, on the machine that the router runs on

TIMEOUT = 15.0  # seconds: a router that takes longer to answer has failed


def asking(router: Router, machine: Machine) -> Ask:
    """How this router is asked: a function from command to answer, which raises RouterError for a refusal."""
    if router.driver != "frr":
        return lambda command: _terminal(router).show(command)

    def ask(command: str) -> str:
        return vtysh(router, machine, command) if command.startswith("show ") else machine(shlex.split(command)).stdout

    return ask


def enter(router: Router, machine: Machine, lines: Sequence[str], *, revert_after: float = 0, confirm: bool) -> None:
    """Enter configuration lines, in order; raises RouterError with what the router refused.

    With `revert_after` seconds the router takes them back itself then (in whole minutes, rounded up: that is what
    routers count in), unless lines are entered with `confirm` before. For routers whose driver `reverts`.
    """
    if router.driver == "frr":
        vtysh(router, machine, *lines)
    else:
        _terminal(router).configure(lines, minutes=math.ceil(revert_after / 60), confirm=confirm)


def vtysh(router: Router, machine: Machine, *commands: str) -> str:
    """Run FRR shell commands and return what they print; raises RouterError for what FRR refuses.

    vtysh prints errors to stdout, as lines that begin with %, with an exit code that may be 0: both are looked at.
    """
    words = [word for command in commands for word in ("-c", command)]
    if router.vtysh:
        result = run([*router.vtysh, *words], timeout=TIMEOUT, check=False, host=router.name)
    else:
        result = machine(["vtysh", *words])
    if not result.ok or any(line.startswith("%") for line in f"{result.stdout}\n{result.stderr}".splitlines()):
        raise RouterError(str(CommandFailed(result, router.name)))
    return result.stdout


def local_shell(router: Router) -> tuple[str, ...]:
    """FRR's shell as it is called on the router's own machine: what is left of `vtysh` without the way there."""
    names = [PurePosixPath(word).name for word in router.vtysh]
    return router.vtysh[names.index("vtysh") :] if "vtysh" in names else ("vtysh",)


def _terminal(router: Router) -> Terminal:
    from islanding.routers.terminal import terminal_of  # netmiko is an extra, and takes most of a second to import

    return terminal_of(router)
