"""The lab's word on itself: told at once, lasting while the kernel does not hold what AWS says, and mended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding.journal import Journal, read
from islanding.lab import kernel
from islanding.lab.keeper import Keeper
from islanding.lab.region.server import Region
from islanding.lab.script import Script
from islanding.lab.vpc import observe
from islanding.lab.vpc.reconciler import DataPlane
from islanding.process import CommandFailed, Result
from tests.unit.region_support import REGION, connect


class Lab:
    """A Region, its data plane and its keeper, with a kernel that refuses as often as it is told to."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, account: str) -> None:
        self.book = Journal(folder / "journal.jsonl", site="here")
        self.keeper = Keeper(self.book)
        self.region = Region(account, REGION, folder / "region.jsonl", self.keeper.trouble)
        self.region.seed.create_role("Operator")
        self.plane = DataPlane(account, REGION, on_error=self.region.errors.append)
        self.keeper.watch(self.plane)
        self.refusals = 0
        patch.setattr(kernel, "execute", self._execute)
        patch.setattr(observe, "repair", lambda *_: Script(add=["something"]))
        self.plane.reconcile("start")
        self.region.after_mutation(self.plane.hook)

    def _execute(self, _: Script) -> None:
        if self.refusals:
            self.refusals -= 1
            raise CommandFailed(Result(("ip",), 2, "", "RTNETLINK answers: injected"))

    def told(self) -> list[tuple[str, bool | None]]:
        """What the journal holds: each event's type, and whether the trouble lasts."""
        return [(event.type, event.get("lasting")) for event in read(self.book.path)]


_accounts = itertools.count(700000000001)  # moto's state lasts as long as the process


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """It, without any trouble."""
    made = Lab(tmp_path, monkeypatch, str(next(_accounts)))
    yield made
    made.region.close()
    made.book.close()


def make_vpc(lab: Lab) -> None:
    """A change that the kernel has to follow."""
    connect(lab.region, "ec2").create_vpc(CidrBlock="10.0.0.0/16")


def test_a_lab_without_trouble_says_nothing(lab: Lab) -> None:
    """Neither while it changes nor when it is looked after."""
    make_vpc(lab)
    lab.keeper.look()

    assert lab.told() == []


def test_a_change_that_fails_half_way_is_told_before_the_call_is_answered(lab: Lab) -> None:
    """The case that made the call may end with its answer; the repair worked, so that nothing lasts."""
    lab.refusals = 1
    make_vpc(lab)

    assert (lab.told(), lab.plane.healthy) == ([("site-troubled", False)], True)
    lab.keeper.look()
    assert lab.told() == [("site-troubled", False)]


def test_what_cannot_be_repaired_lasts_until_the_keeper_has_mended_it(lab: Lab) -> None:
    """It tries again without waiting for the next change, and says when the site is sound."""
    lab.refusals = 4  # the change and its repair, and the same again
    make_vpc(lab)
    assert {("site-troubled", True)} == set(lab.told())
    assert not lab.plane.healthy
    lab.keeper.look()
    assert not lab.plane.healthy
    lab.keeper.look()

    assert (lab.told()[-1], lab.plane.healthy) == (("site-sound", None), True)


def test_a_state_that_cannot_be_read_lasts_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS has changed, and the kernel has not."""
    with monkeypatch.context() as patch:
        patch.setattr(lab.plane, "_read", lambda: 1 / 0)
        make_vpc(lab)
    assert lab.told() == [("site-troubled", True)]
    lab.keeper.look()

    assert lab.told()[-1] == ("site-sound", None)


def test_names_or_doors_that_do_not_follow_last_too(lab: Lab) -> None:
    """Whoever follows the plane and cannot is asked again, until it can."""
    faults = iter([True, True, False])

    def follow(_: object) -> None:
        if next(faults):
            raise OSError("no resolver")

    lab.plane.on_plan(follow)
    make_vpc(lab)
    lab.keeper.look()
    assert lab.told() == [("site-troubled", True)] * 2
    lab.keeper.look()

    assert lab.told()[-1] == ("site-sound", None)


def test_a_fault_of_the_region_alone_is_told_and_does_not_last(lab: Lab) -> None:
    """What breaks in a hook is seen by one call."""
    lab.region.after_mutation(lambda *_: 1 / 0)  # type: ignore[arg-type]  # it never returns
    make_vpc(lab)

    assert lab.told() == [("site-troubled", False)]
