"""An AWS call with the data plane over the same call without: two accounts alike, in turns. Run by `throwaway`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from benchmarks import throwaway
from benchmarks.figure import milliseconds
from benchmarks.reconcile import SMALL, World, ways_to_change
from islanding.lab.vpc.reconciler import DataPlane
from tests.unit.region_support import REGION

READS = ("describe_network_interfaces", "describe_route_tables", "describe_security_groups")


def in_turns(worlds: list[World], rounds: int) -> dict[str, dict[str, list[list[float]]]]:
    """Milliseconds of each read and each write, a list for each world; the order changes with the round."""
    reads: dict[str, list[list[float]]] = {name: [[] for _ in worlds] for name in READS}
    ways = [ways_to_change(world) for world in worlds]
    writes: dict[str, list[list[float]]] = {name: [[] for _ in worlds] for name, *_ in ways[0]}
    for number in range(rounds + 1):
        order = [0, 1] if number % 2 else [1, 0]
        for name, seen in reads.items():
            for at in order:
                seen[at].append(milliseconds(getattr(worlds[at].ec2, name)))
        for kind, (name, *_) in enumerate(ways[0]):
            for at in order:
                _, do, undo = ways[at][kind]
                writes[name][at].append(milliseconds(do))
                undo()
    for table in (reads, writes):
        for seen in table.values():
            seen[:] = [each[1:] for each in seen]  # the first round pays for what is loaded once
    return {"reads": reads, "writes": writes}


def main() -> None:
    """`python -m benchmarks.calls FOLDER ROUNDS`, in namespaces of its own."""
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    throwaway.prepare(folder)
    logging.disable(logging.CRITICAL)
    without, beside = World(folder, SMALL, 1), World(folder, SMALL, 2)
    plane = DataPlane(beside.account, REGION)
    plane.reconcile("start")
    beside.region.after_mutation(plane.hook)
    found: dict[str, Any] = in_turns([without, beside], rounds)
    if plane.errors:
        raise RuntimeError(plane.errors[0])
    throwaway.report(**found)


if __name__ == "__main__":
    main()
