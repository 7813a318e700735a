"""Bad luck: the kernel refuses half way, somebody else's hand, calls in parallel: AWS and kernel agree again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from islanding import process
from islanding.errors import ExitCode
from islanding.evidence.results import load_result
from islanding.journal import Journal
from islanding.lab import kernel
from islanding.lab.keeper import Keeper
from islanding.lab.namespaces import NETNS
from islanding.lab.plan import NetworkPlan
from islanding.lab.region.troubles import Troubles
from islanding.lab.script import changes
from islanding.lab.vpc import observe
from islanding.model import Verdict
from islanding.process import CommandFailed, Result
from tests.lab import packets
from tests.lab.packets import OPEN, SILENT, World

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)


class Place:
    """A VPC with two instances that may talk on TCP 8080."""

    def __init__(self, world: World) -> None:
        self.vpc = world.vpc("10.0.0.0/16")
        self.subnet = world.subnet(self.vpc, "10.0.1.0/24")
        self.group = world.group(self.vpc)
        world.allow(self.group)
        self.a = world.instance(self.subnet, self.group, "10.0.1.10")
        self.b = world.instance(self.subnet, self.group, "10.0.1.11")
        world.serve(self.b)


@pytest.fixture
def place(world: World) -> Place:
    """Two instances."""
    return Place(world)


def healthy(world: World) -> bool:
    """Whether the plane believes that the kernel holds what AWS says."""
    return world.plane.healthy


def differs(plan: NetworkPlan) -> list[str]:
    """What a repair would do, but for the filters, which it always puts in place."""
    todo = changes(plan, observe.observed(plan))
    made = [line for lines in todo.inside.values() for line in lines if line != "link set lo up"]
    return [*todo.add, *todo.delete, *todo.create, *made, *(x for lines in todo.remove.values() for x in lines)]


@pytest.mark.parametrize("step", range(1, 7))
def test_a_change_that_fails_half_way_is_recorded_and_repaired(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whichever command fails: the AWS call succeeds, the run is spoilt, and kernel and AWS agree again."""
    honest: Callable[..., Result] = process.run
    calls = 0

    def faulty(argv: list[str], **more: Any) -> Result:
        nonlocal calls
        calls += 1
        if calls == step:
            raise CommandFailed(Result(tuple(argv), 2, "", "RTNETLINK answers: injected"))
        return honest(argv, **more)

    monkeypatch.setattr(kernel, "run", faulty)
    new = world.instance(place.subnet, place.group, "10.0.1.12")
    monkeypatch.setattr(kernel, "run", honest)
    told = [error for error in world.plane.errors if "injected" in error]
    expected = 1 if calls >= step and step <= 5 else 0  # a new instance takes five commands
    assert expected == len(told)
    assert healthy(world)
    assert [] == differs(world.plane.plan)
    world.serve(new)
    assert OPEN == world.tcp(place.a, "10.0.1.12")
    assert OPEN == world.tcp(place.a, "10.0.1.11")
    world.region.errors.clear()  # they were wanted


def test_a_run_whose_reconcile_failed_half_way_is_inconclusive(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Though AWS and kernel agree again: the case in which it happened does not pass, nor does the run; others do."""
    book = Journal(tmp_path / "journal.jsonl", site="here")
    keeper = Keeper(book)
    keeper.watch(world.plane)
    world.region.errors = Troubles(keeper.trouble)
    monkeypatch.setattr(world.plane, "_on_error", world.region.errors.append)
    honest = process.run
    left = 1

    def faulty(argv: list[str], **more: Any) -> Result:
        nonlocal left
        left -= 1
        if left == 0:
            raise CommandFailed(Result(tuple(argv), 2, "", "RTNETLINK answers: injected"))
        return honest(argv, **more)

    book.append("run-started", run="r", target="lab", sites=["here"])
    for case, breaks in (("before", False), ("meanwhile", True), ("after", False)):
        told = book.bind(case=case)
        told.append("case-started", title=case, requirements=[])
        with monkeypatch.context() as patch:
            if breaks:
                patch.setattr(kernel, "run", faulty)
            world.allow(place.group, port=9000 + len(case))
        told.append("case-finished", verdict="pass", reason="", seconds=0.0, detail="")
        told.close()
    book.append("run-finished", exit_code=0)
    book.close()
    result = load_result(tmp_path)
    assert [] == differs(world.plane.plan)
    assert ["pass", "inconclusive", "pass"] == [case.verdict.value for case in result.cases]
    assert "injected" in result.cases[1].reason
    assert (ExitCode.INCONCLUSIVE, Verdict.INCONCLUSIVE) == (result.exit_code, result.verdict)
    world.region.errors.clear()


def test_while_the_kernel_refuses_everything_it_is_unhealthy_and_the_next_change_heals(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS's answer is never an error of ours; whoever asks sees that the plane is not healthy."""
    honest = process.run

    def refuse(argv: list[str], **_: Any) -> Result:
        raise CommandFailed(Result(tuple(argv), 2, "", "RTNETLINK answers: injected"))

    monkeypatch.setattr(kernel, "run", refuse)
    world.revoke(place.group)
    assert not healthy(world)
    monkeypatch.setattr(kernel, "run", honest)
    assert OPEN == world.tcp(place.a, "10.0.1.11")
    world.plane.reconcile("again")
    assert healthy(world)
    assert SILENT == world.tcp(place.a, "10.0.1.11")
    assert [] == differs(world.plane.plan)
    world.region.errors.clear()


def test_what_somebody_broke_by_hand_is_repaired_and_nothing_else_touched(world: World, place: Place) -> None:
    """Routes, rules, filters, interfaces and a namespace that are gone come back; instances that were whole stay."""
    stays = (NETNS / place.b).stat().st_ino
    port = next(link.a.interface for link in world.plane.plan.links if link.b.netns == place.b)
    for command in (
        ["ip", "route", "del", "10.0.1.11/32", "table", "100"],
        ["ip", "rule", "del", "pref", "100"],
        ["ip", "neigh", "del", "10.0.1.11", "dev", port],
        ["nft", "flush", "ruleset"],
    ):
        kernel.run_inside(place.vpc, command)
    kernel.delete_namespace(place.a)
    world.plane.repair()
    assert [] == differs(world.plane.plan)
    assert stays == (NETNS / place.b).stat().st_ino
    assert OPEN == world.tcp(place.a, "10.0.1.11")
    world.revoke(place.group)
    assert SILENT == world.tcp(place.a, "10.0.1.11")


def test_calls_in_parallel_all_reach_the_kernel(world: World, place: Place) -> None:
    """A hundred calls from sixteen threads, while others read: in the end the kernel holds what AWS says."""

    def call(number: int) -> None:
        if number % 4 == 0:
            world.ec2.describe_network_interfaces()
        elif number % 4 == 1:
            world.allow(place.group, port=9000 + number)
        elif number % 4 == 2:
            world.subnet(place.vpc, f"10.0.{100 + number}.0/24")
        else:
            world.instance(place.subnet, place.group, f"10.0.1.{100 + number}")

    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(call, range(100)))
    assert [] == world.plane.errors
    assert [] == differs(world.plane.plan)
    running = world.ec2.describe_instances()["Reservations"]
    names = {i["InstanceId"] for r in running for i in r["Instances"]}
    assert 27 == len(names)
    assert names <= {path.name for path in NETNS.iterdir()}
    last = next(iter(sorted(names - {place.a, place.b})))
    assert OPEN == world.tcp(last, "10.0.1.11")


def test_listeners_hear_of_each_new_state_and_may_fail(world: World, place: Place) -> None:
    """After the kernel has it; what they raise is recorded, hides nothing from the others, and is tried again."""
    seen: list[int] = []
    faults = iter([True, True, False])

    def broken(_: object) -> None:
        if next(faults):
            raise ValueError("a listener's own fault")

    world.plane.on_plan(broken)
    world.plane.on_plan(lambda state: seen.append(len(state.instances)))
    world.instance(place.subnet, place.group, "10.0.1.12")
    assert not healthy(world)
    world.plane.reconcile("nothing new")
    assert not healthy(world)
    world.plane.reconcile("nothing new")
    assert healthy(world)
    assert [3] == seen
    assert ["a listener of the data plane: ValueError: a listener's own fault"] * 2 == world.plane.errors
    world.region.errors.clear()
