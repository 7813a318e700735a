"""The timer that takes a change back: armed, fired, disarmed; by a real shell, with a harmless script."""

from __future__ import annotations

import subprocess
from pathlib import Path

from islanding.faults import _revert, make
from islanding.faults._plan import Command, Configure
from islanding.model import RouterLogin
from islanding.routers import revert
from islanding.routers.driver import Lines, Shell, Work
from islanding.wait import wait_until
from tests.unit.test_faults.bench import make_bench


def runs(argv: tuple[str, ...]) -> bool:
    """Whether the command succeeds."""
    return subprocess.run(argv, check=False, capture_output=True, timeout=10).returncode == 0


def _ends(name: str) -> bool:
    """Whether a disarmed timer's processes are soon gone; being told to end, they take a moment on a busy machine."""
    return wait_until("the timer's end", lambda: not runs(revert.is_armed(name)), timeout=5)


def test_the_timer_fires_and_leaves_nothing(tmp_path: Path) -> None:
    """The command that arms returns at once; at the deadline the script runs, and there is no timer any more."""
    done = tmp_path / "it is done"
    armed = runs(revert.arm("f17ed1", 3, f"touch '{done}'")), runs(revert.is_armed("f17ed1"))
    early = done.exists()
    wait_until("the script", done.exists, timeout=15)
    wait_until("its end", lambda: not runs(revert.is_armed("f17ed1")), timeout=5)

    assert (armed, early) == ((True, True), False)


def test_a_disarmed_timer_never_fires(tmp_path: Path) -> None:
    """Its shell and its sleep are gone, a timer of another name stays, and disarming again does no harm."""
    done = tmp_path / "done"
    runs(revert.arm("d15a1", 30, f"touch {done}"))
    runs(revert.arm("d15a12", 60, f"touch {done}"))
    first = runs(revert.disarm("d15a1")), _ends("d15a1"), runs(revert.is_armed("d15a12"))
    second = runs(revert.disarm("d15a12")), runs(revert.disarm("d15a12")), _ends("d15a12")

    assert (first, second) == ((True, True, True), (True, True, True))
    assert not done.exists()


def test_the_script_does_each_piece_even_if_another_fails(tmp_path: Path) -> None:
    """FRR's lines and the machine's commands, quoted as they are, with what a command is given on its input."""
    shell = tmp_path / "vtysh"
    shell.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >>{tmp_path}/said\nexit 1\n')
    shell.chmod(0o755)
    work: list[Work] = [
        Lines(("router bgp 1", "no neighbor 10.0.0.1 shutdown")),
        Shell(("tee", f"{tmp_path}/given"), "it's\n%s\n"),
    ]
    script = revert.script(work, (str(shell), "-N", "cnd"))
    subprocess.run(["sh", "-c", script], check=False, capture_output=True)

    assert "-N|cnd|-c|router bgp 1|-c|no neighbor 10.0.0.1 shutdown|" == (tmp_path / "said").read_text()
    assert "it's\n%s\n" == (tmp_path / "given").read_text()


def test_a_plan_arms_first_and_disarms_last(tmp_path: Path) -> None:
    """The router's timer holds the whole inverse; what changes no router is left as it is."""
    bench = make_bench(tmp_path)
    for kind in ("service-link-down", "silent-drop", "interface-down", "prefix-withdrawn"):
        plan = make(kind).plan(bench.site)
        timed = _revert.timed(bench.site, plan, 90)
        arm, disarm = timed.apply[0], timed.undo[-1]
        assert isinstance(arm, Command)
        assert isinstance(disarm, Command)
        assert (timed.apply[1:], timed.undo[:-1]) == (plan.apply, plan.undo)
        assert arm.argv[:-1] == revert.arm(plan.id, 90, "")[:-1]
        assert arm.argv[-1].count("\n") >= len(plan.undo)
        assert disarm.argv == revert.disarm(plan.id)
    nodes = make("nodes-cut-off", share=1.0).plan(bench.site)
    assert _revert.timed(bench.site, nodes, 90) == nodes


def test_a_router_that_reverts_by_itself_is_told_so(tmp_path: Path) -> None:
    """No timer of ours on Cisco's and Juniper's: the change itself says when it ends, the inverse confirms."""
    bench = make_bench(tmp_path)
    plan = make("service-link-down").plan(bench.site)
    login = RouterLogin(host="192.0.2.1", user="harness")
    router = bench.site.routers[0].model_copy(update={"driver": "junos", "login": login})
    timed = _revert.timed(bench.site.model_copy(update={"routers": (router,)}), plan, 90)

    assert [step.revert_after for step in timed.apply if isinstance(step, Configure)] == [90]
    assert [step.confirm for step in timed.undo if isinstance(step, Configure)] == [True]
    assert (len(plan.apply), len(plan.undo)) == (len(timed.apply), len(timed.undo))
