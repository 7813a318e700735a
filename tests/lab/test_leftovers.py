"""Nothing is left behind, however a lab ends; two labs with the same addresses do not know each other.

ISLANDING_INTERRUPTIONS: how many random moments of a bring-up are interrupted (default 2).
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding.lab import cgroups, registry
from islanding.model import Site
from islanding.wait import wait_until
from tests.lab.conftest import TINY, islanding, start
from tests.lab.leftovers import Snapshot

MOMENTS = int(os.environ.get("ISLANDING_INTERRUPTIONS", "2"))
BRING_UP = 14.0  # seconds that the tiny site takes on two quiet cores; a later moment meets a lab that is up


@pytest.fixture
def before(home: Path) -> Snapshot:
    """The host before the test."""
    return Snapshot.take(home / "state")


@pytest.fixture(autouse=True)
def swept(home: Path) -> Iterator[None]:
    """Whatever a failing test leaves, the next one must not see."""
    yield
    islanding("lab", "down", "--all", state=home / "state")


def nothing_left(before: Snapshot, state: Path) -> None:
    """Nothing is left; the last processes may take some milliseconds to be cleared away by the kernel."""
    wait_until(
        "nothing to be left behind",
        lambda: Snapshot.take(state).more_than(before),
        timeout=15.0,
        done=lambda more: not more,
    )


def live(state: Path) -> list[registry.Lab]:
    """The labs of this test."""
    return [lab for lab in registry.all_labs() if lab.alive and lab.folder.is_relative_to(state)]


def up_two(state: Path) -> tuple[registry.Lab, registry.Lab]:
    """Bring the tiny site up twice at the same time."""
    commands = [start("lab", "up", str(TINY), state=state) for _ in range(2)]
    said = [command.communicate(timeout=180)[0] for command in commands]
    assert [0, 0] == [command.returncode for command in commands], "\n".join(said)
    ids = [re.findall(r"as lab (\w+)", text)[0] for text in said]
    first, second = (lab for name in ids for lab in live(state) if lab.id == name)
    return first, second


def pods(lab: registry.Lab) -> str:
    """The pods of a lab, asked for by its operator."""
    operator = Site.load(lab.site_file).place("operator")
    return operator.run(["kubectl", "get", "pods", "-o", "name"]).stdout


def supervisor(lab: registry.Lab) -> int:
    """The lab's supervisor as the host numbers it: the child of its pid 1 that is one."""
    for child in Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split():
        if "islanding.lab.supervisor" in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise AssertionError("no supervisor")


def test_two_labs_live_side_by_side_and_any_death_is_cleared_away(home: Path, before: Snapshot) -> None:
    """Two labs with the same addresses are two; a killed supervisor or guard leaves nothing but the other lab."""
    state = home / "state"
    first, second = up_two(state)
    endpoints = {Site.load(lab.site_file).cluster.endpoint for lab in (first, second)}
    assert 2 == len(endpoints)
    assert pods(first) != pods(second)
    assert Snapshot.take(state).more_than(before).keys() <= {"processes", "groups", "files"}

    os.kill(supervisor(first), signal.SIGKILL)  # its guard sees it and sweeps
    wait_until("the guard to sweep", lambda: not first.folder.exists(), timeout=20.0)
    assert [] == cgroups.remains(first.id)
    assert "pod/web" in pods(second)

    guard = int(registry._record(second.folder)["guard"])  # type: ignore[index]  # a running lab has its record
    os.kill(guard, signal.SIGKILL)  # nobody is left to sweep: the next command does
    wait_until("the lab to die with its guard", lambda: not live(state), timeout=20.0)
    status = islanding("lab", "status", state=state)
    assert (0, "no lab is up") == (status.returncode, status.stdout.splitlines()[-1])
    nothing_left(before, state)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_an_interrupted_bring_up_leaves_nothing(
    home: Path, before: Snapshot, number: signal.Signals, moment: int
) -> None:
    """Ctrl-C and SIGTERM at a random moment of `lab up` end it, with one message and nothing left.

    The clock runs from the lab's folder on: while Python still loads, which a busy machine draws out, there is nothing
    to clear away, and a signal kills the process as it does any other.
    """
    state = home / "state"
    delay = random.uniform(0.0, BRING_UP)
    command = start("lab", "up", str(TINY), state=state)
    wait_until("the lab's folder", lambda: any((state / "labs").glob("*/")), timeout=20.0)
    try:
        said = command.communicate(timeout=delay)[0]
        pytest.skip(f"up before the moment chosen, {delay:.1f} s:\n{said}")
    except subprocess.TimeoutExpired:
        command.send_signal(number)
    said = command.communicate(timeout=60)[0]
    assert 128 + number == command.returncode, f"after {delay:.2f} s: {said}"
    assert "Traceback" not in said
    nothing_left(before, state)


def test_an_interrupted_end_ends_all_the_same(home: Path, before: Snapshot) -> None:
    """Ctrl-C right after `lab down` has begun changes nothing: the lab's guard goes on; nor does the death of `up`."""
    state = home / "state"
    command = start("lab", "up", str(TINY), state=state)
    lab = wait_until("the lab's first process", lambda: live(state), timeout=20.0)[0]
    os.kill(command.pid, signal.SIGKILL)  # the lab goes on coming up without anybody who follows it
    command.communicate(timeout=5)
    assert [lab.id] == [one.id for one in live(state)]
    down = start("lab", "down", lab.id, state=state)
    wait_until("the lab to be told", lambda: not live(state), timeout=10.0, interval=0.001)
    down.send_signal(signal.SIGINT)
    assert "Traceback" not in down.communicate(timeout=60)[0]
    nothing_left(before, state)
