"""The only module that touches the kernel's network: applies scripts made by plan.py, thinly."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from islanding.lab.namespaces import NETNS
from islanding.lab.plan import NetworkPlan, Script, script
from islanding.process import Result, run


def apply(plan: NetworkPlan) -> None:
    """Make everything in the plan; raises CommandFailed with the tool's own words when the kernel refuses."""
    if plan.namespaces:
        run(["ip", "-batch", "-"], stdin="".join(f"netns add {n.name}\n" for n in plan.namespaces))
    made = script(plan)
    if made.create:
        run(["ip", "-batch", "-"], stdin="\n".join(made.create) + "\n")
    spaces = sorted(set(made.inside) | set(made.sysctls) | set(made.nft))
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda name: _apply_inside(name, made), spaces))


def _apply_inside(name: str, made: Script) -> None:
    if made.sysctls.get(name):
        run(inside(name, ["sysctl", "-qw", *made.sysctls[name]]), host=name)
    if made.inside.get(name):
        run(["ip", "-n", name, "-batch", "-"], stdin="\n".join(made.inside[name]) + "\n", host=name)
    if name in made.nft:
        run(inside(name, ["nft", "-f", "-"]), stdin=made.nft[name], host=name)


def inside(netns: str, command: Sequence[str]) -> list[str]:
    """The argument vector that runs a command in a network namespace of this lab.

    Not by `ip netns exec`, which remounts /sys and hides the control groups (docs/measurements.md 2).
    """
    return ["nsenter", f"--net={NETNS / netns}", *command]


def run_inside(netns: str, command: Sequence[str], *, stdin: str | None = None, timeout: float = 60.0) -> Result:
    """Run a command in a network namespace of this lab to its end."""
    return run(inside(netns, command), stdin=stdin, timeout=timeout, host=netns)


def delete_namespace(name: str) -> None:
    """Delete a network namespace whose processes are gone, with all its interfaces."""
    run(["ip", "netns", "del", name], host=name)


def delete_link(netns: str, interface: str) -> None:
    """Delete a link by one of its ends; nothing happens when it has gone already."""
    run(["ip", "-n", netns, "link", "del", interface], host=netns, check=False)
