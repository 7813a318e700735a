"""A runner killed in the middle of a cut: the watchdog or `islanding heal`, whoever is first, puts everything back.

ISLANDING_KILLS: how many random moments (default 2, as test_kill_sweep.py has more; twenty for a release).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from islanding.lab.registry import Lab
from islanding.model import Site
from islanding.undo import State, UndoLog
from islanding.wait import wait_until
from tests.lab.conftest import islanding
from tests.lab.reach import curl
from tests.lab.test_cuts import AWS_API

KILLS = int(os.environ.get("ISLANDING_KILLS", "2"))
_RUNNER = """
import sys, threading
from pathlib import Path
from islanding import sites
from islanding.faults import make
from islanding.faults.apply import cut
from islanding.journal import Journal
site = sites.load(Path(sys.argv[1]))
journal = Journal(Path(sys.argv[2]), site=site.name)
params = {"share": 1.0} if sys.argv[3] == "nodes-cut-off" else {}
print("about to cut", flush=True)
with cut(site, make(sys.argv[3], **params), journal):
    threading.Event().wait()
"""
FAULTS = ["service-link-down", "silent-drop", "interface-down", "prefix-withdrawn", "nodes-cut-off"]


def condition(site: Site) -> dict[str, str]:
    """What a fault may change: FRR's configuration, packet filters and links, at each place that a fault concerns."""
    at = {router.name: site.place(router.place) for router in site.routers}
    seen = {f"FRR of {r.name}": r.vtysh for r in site.routers}
    found = {
        what: at[what.split()[-1]].run([*argv[argv.index("vtysh") :], "-c", "show running-config"]).stdout
        for what, argv in seen.items()
    }
    for name, place in {**at, **{node.name: site.place(node.place) for node in site.workers}}.items():
        found[f"filters of {name}"] = "".join(
            line
            for line in place.run(["nft", "list", "tables"]).stdout.splitlines(keepends=True)
            if "islanding" in line
        )
    for name, place in at.items():
        links = place.run(["ip", "-o", "link"]).stdout.splitlines()
        found[f"links of {name}"] = "\n".join(line.split(" mtu")[0] for line in links)
    return found


@pytest.mark.parametrize("number", range(KILLS))
def test_heal_puts_back_what_a_killed_runner_left(
    lab: Lab, site: Site, lab_state: Path, tmp_path: Path, number: int
) -> None:
    """SIGKILL at a random moment while or after a fault is applied, or before; then heal: link up, record closed."""
    before = condition(site)
    recorded = UndoLog.for_site(site.id).path
    length = recorded.stat().st_size if recorded.exists() else 0
    fault = FAULTS[(number + number // 5) % len(FAULTS)]
    runner = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, str(lab.site_file), str(tmp_path / "journal.jsonl"), fault],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert runner.stdout is not None
    assert "about to cut\n" == runner.stdout.readline()
    early = number % 5 == 4  # perhaps before there is a record
    if not early:
        wait_until(
            "the record", lambda: recorded.exists() and recorded.stat().st_size > length, timeout=10, interval=0.001
        )
    delay = random.uniform(0.0, 0.8)
    with pytest.raises(subprocess.TimeoutExpired):
        runner.wait(timeout=delay)
    runner.kill()
    runner.communicate()
    healed = islanding("heal", state=lab_state)
    assert 0 == healed.returncode, healed.stdout + healed.stderr
    entries = UndoLog.for_site(site.id).read().entries if recorded.exists() else ()
    by = entries[-1].by if entries else "nobody"
    sys.stdout.write(f"\n{fault} killed after {delay:.2f} s: undone by {by}; {healed.stdout.strip()}\n")
    assert early or (fault, State.UNDONE) == (entries[-1].kind, entries[-1].state)
    assert "No fault is applied.\n" == islanding("faults", state=lab_state).stdout
    assert before == condition(site)
    assert site.place("ond").run(curl(f"https://{AWS_API}/", "--insecure"), check=False).ok
