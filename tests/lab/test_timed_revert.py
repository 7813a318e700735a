"""A router heals itself at the deadline: runner, watchdog and undo log are gone, and nobody reaches it any more."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from islanding.faults import make
from islanding.faults._bgp import neighbor
from islanding.faults.apply import cut
from islanding.journal import Journal
from islanding.lab.registry import Lab
from islanding.model import Router, Site
from islanding.routers import revert
from islanding.wait import wait_until
from tests.lab.test_heal import condition

DEADLINE = 5.0  # seconds
FAULTS = ["service-link-down", "prefix-withdrawn", "interface-down", "silent-drop"]
# Everything that a fault in force leaves of the harness is its plan's steps: no watchdog, no record.
_RUNNER = """
import sys, threading
from pathlib import Path
from islanding import sites
from islanding.faults import Plan, make
from islanding.faults._revert import timed
site = sites.load(Path(sys.argv[1]))
fault = make(sys.argv[2])
plan = timed(site, fault.plan(site), float(sys.argv[3]))
print(plan.model_dump_json(), flush=True)
fault.apply(site, plan)
print("applied", flush=True)
threading.Event().wait()
"""


def timer_is_set(site: Site, router: Router, id: str) -> bool:
    """Whether the router's own timer for that fault is there."""
    return site.place(router.place).run(revert.is_armed(id), check=False).ok


@pytest.mark.parametrize("kind", FAULTS)
def test_a_router_takes_the_change_back_itself(lab: Lab, site: Site, kind: str) -> None:
    """Its runner is killed at once; at the deadline, not before, session, routes and configuration are as before."""
    router, session, before = (
        site.router(site.session("service-link").router),
        site.session("service-link"),
        condition(site),
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, str(lab.site_file), kind, str(DEADLINE)], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    fault = make(kind)
    plan = type(fault.plan(site)).model_validate_json(runner.stdout.readline())
    armed = time.monotonic()
    assert "applied\n" == runner.stdout.readline()
    applied = time.monotonic()
    runner.kill()
    runner.communicate()
    wait_until("the fault to take hold", lambda: fault.is_applied(site, plan), timeout=4)
    held = timer_is_set(site, router, plan.id)
    wait_until("the router to heal itself", lambda: fault.is_healed(site, plan), timeout=DEADLINE + 15)
    healed = time.monotonic()
    wait_until("the timer to be gone", lambda: not timer_is_set(site, router, plan.id), timeout=5)

    sys.stdout.write(f"\n{kind}: killed {applied - armed:.2f} s after planning, well {healed - armed:.2f} s after it\n")
    assert held
    assert "Established" == neighbor(site, session).state
    assert DEADLINE <= healed - armed + 0.5
    assert before == condition(site)


def test_a_timer_ends_with_its_pid_namespace(tmp_path: Path) -> None:
    """Set from outside, as the lab's routers are reached, it is found, lives and dies inside."""
    done = tmp_path / "done"
    inside = subprocess.Popen(["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "sleep", "60"])
    children = Path(f"/proc/{inside.pid}/task/{inside.pid}/children")
    first = wait_until("its first process", lambda: children.read_text().split(), timeout=5)[0]
    wait_until("its /proc", lambda: "sleep" in Path(f"/proc/{first}/comm").read_text(), timeout=5)
    enter = ["nsenter", f"--mount=/proc/{first}/ns/mnt", "--"]

    def there(argv: tuple[str, ...]) -> bool:
        return subprocess.run([*enter, *argv], check=False, timeout=10).returncode == 0

    set_twice = [there(revert.arm(id, 60, f"touch {done}")) for id in ("aaa111", "bbb222")]
    during = [there(revert.is_armed(id)) for id in ("aaa111", "bbb222")]
    outside = subprocess.run(revert.is_armed("aaa111"), check=False).returncode == 0
    stopped = there(revert.disarm("aaa111")), there(revert.is_armed("aaa111")), there(revert.is_armed("bbb222"))
    inside.kill()
    inside.wait(timeout=5)
    wait_until("the end of all", lambda: not Path(f"/proc/{first}").exists(), timeout=5)
    left = subprocess.run(revert.is_armed("bbb222"), check=False).returncode == 0

    assert (set_twice, during, stopped) == ([True, True], [True, True], (True, False, True))
    assert outside  # this machine's /proc shows those of the namespaces within it
    assert not left


def test_an_undone_fault_leaves_no_timer(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Within the cut the router's timer runs, after it there is none that could undo a later fault."""
    router = site.router(site.session("service-link").router)
    journal = Journal(tmp_path_factory.mktemp("run") / "journal.jsonl", site=site.name)
    with cut(site, make("service-link-down"), journal, max_seconds=60) as applied:
        during = timer_is_set(site, router, applied.id)

    assert (during, timer_is_set(site, router, applied.id)) == (True, False)
