"""The only module that touches the kernel's network: applies scripts made by script.py, thinly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from islanding.lab.namespaces import NETNS, in_netns
from islanding.lab.plan import NetworkPlan
from islanding.lab.script import Script, script
from islanding.process import CommandFailed, Result, run

_GONE = (  # what iproute2 says of something that is not there
    "Command failed",
    "Cannot find device",
    "Cannot remove namespace file",
    "Cannot open network namespace",
    "No such process",
    "No such file or directory",
    "Cannot assign requested address",
)


def apply(plan: NetworkPlan) -> None:
    """Make everything in the plan; raises CommandFailed with the tool's own words when the kernel refuses."""
    execute(script(plan))


def execute(todo: Script) -> None:
    """Do what a script says; raises CommandFailed with the tool's own words, and may then have done half of it."""
    _each(todo.remove, lambda name: _batch(name, todo.remove[name], gone=True))
    if todo.delete:
        _batch("", [f"netns del {name}" for name in todo.delete], gone=True)
    # Filters name interfaces that need not be there yet. A router's takes as long as all the rest of a new instance.
    with ThreadPoolExecutor(max_workers=4) as pool:
        filters = [pool.submit(_filter, name, todo.nft[name]) for name in todo.nft if name not in todo.add]
        if todo.add:
            _batch("", [f"netns add {name}" for name in todo.add])
        for name, settings in todo.sysctls.items():
            in_netns(name, partial(_set, settings))
        if todo.create:
            _batch("", todo.create)
        for name, lines in todo.send.items():
            _batch(name, lines)
        for done in filters:  # a link is not to be up before its filter is there
            done.result()
    new = {name: None for name in todo.nft if name in todo.add}
    _each({**new, **dict.fromkeys(todo.inside)}, lambda name: _inside(name, todo))


def _each(names: Iterable[str], work: Callable[[str], object]) -> None:
    names = list(names)
    if len(names) < 2:
        for name in names:
            work(name)
        return
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(work, names))


def _inside(name: str, todo: Script) -> None:
    if name in todo.nft and name in todo.add:  # first, for the same reason
        _filter(name, todo.nft[name])
    if todo.inside.get(name):
        _batch(name, todo.inside[name])


def _filter(netns: str, rules: str) -> None:
    run(inside(netns, ["nft", "-f", "-"]), stdin=rules, host=netns)


def _batch(netns: str, lines: Sequence[str], *, gone: bool = False) -> None:
    """One `ip -batch`. `gone`: what is not there any more needs not be taken away."""
    where = ["-n", netns] if netns else []
    command = ["ip", *where, *(["-force"] if gone else []), "-batch", "-"]
    result = run(command, stdin="\n".join(lines) + "\n", host=netns or "this machine", check=not gone)
    if not result.ok and not all(any(word in line for word in _GONE) for line in result.stderr.splitlines()):
        raise CommandFailed(result, netns or "this machine")


def _set(settings: Sequence[str]) -> None:
    for setting in settings:
        name, _, value = setting.partition("=")
        Path("/proc/sys", *name.split(".")).write_text(value)


def inside(netns: str, command: Sequence[str]) -> list[str]:
    """The argument vector that runs a command in a network namespace of this lab.

    Not by `ip netns exec`, which remounts /sys and hides the control groups (docs/measurements.md 2).
    """
    return ["nsenter", f"--net={NETNS / netns}", *command]


def run_inside(netns: str, command: Sequence[str], *, stdin: str | None = None, timeout: float = 60.0) -> Result:
    """Run a command in a network namespace of this lab to its end."""
    return run(inside(netns, command), stdin=stdin, timeout=timeout, host=netns)


def show(netns: str, *what: str) -> list[dict[str, Any]]:
    """What `ip -json` shows in a network namespace; raises CommandFailed when it is not there."""
    text = run(["ip", "-n", netns, "-json", *what], host=netns).stdout
    shown: list[dict[str, Any]] = json.loads(text or "[]")
    return [item for item in shown if item]


def delete_namespace(name: str) -> None:
    """Delete a network namespace whose processes are gone, with all its interfaces."""
    run(["ip", "netns", "del", name], host=name)


def delete_link(netns: str, interface: str) -> None:
    """Delete a link by one of its ends; nothing happens when it has gone already."""
    run(["ip", "-n", netns, "link", "del", interface], host=netns, check=False)
