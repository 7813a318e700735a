"""Figures of the undo log and of the watchdog: an append with its fsync, and a heal after SIGKILL of the runner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.figure import Figure, Say, load, milliseconds, spread
from islanding.model import AwsAccess, Cluster, Place, Router, Session, Site, Timers, Workload
from islanding.sites import process_started
from islanding.undo import State, UndoLog
from islanding.wait import wait_until

APPENDS = 200
KILLS = 10  # at least
APPEND_MS = 5.0
HEAL_SECONDS = 2.0

# A router of one file: `shut` says that its session is shut. So the time is that of the watchdog, not of a router.
_VTYSH = """#!/bin/sh
case "$*" in
*"show bgp neighbors"*) [ -e "{folder}/shut" ] && s='"Idle","adminShutDown":true' || s='"Established"'
 echo "{{\\"169.254.10.1\\":{{\\"bgpState\\":$s,\\"hostLocal\\":\\"169.254.10.2\\"}}}}";;
*"no neighbor"*shutdown*) rm -f "{folder}/shut";;
*shutdown*) : >"{folder}/shut";;
esac
"""
_RUNNER = """
import sys
from pathlib import Path
from islanding import faults
from islanding.faults.apply import apply_fault
from islanding.journal import Journal
from islanding.model import Site
apply_fault(Site.load(Path(sys.argv[1])), faults.ServiceLinkDown(), Journal(Path(sys.argv[2])))
print("applied", flush=True)
sys.stdin.read()
"""


def healing_figures(rounds: int, folder: Path, say: Say) -> list[Figure]:
    """Both figures, each with its spread; the state folder is below `folder`."""
    busy = f"load average {load():.1f} before it"
    appends = _appends(folder)
    say(f"undo log append: {spread(appends)}")
    kills = [_kill(folder, say) for _ in range(max(rounds, KILLS))]
    seen = f"{min(kills):.2f} to {max(kills):.2f} s in {len(kills)} rounds"
    return [
        Figure("undo log append, on disk", median(appends), "ms", APPEND_MS, "limit", 1.0,
               f"{spread(appends)}; {busy}"),
        Figure("healed by the watchdog after SIGKILL of the runner", median(kills), "s", HEAL_SECONDS, "limit", 1.0,
               f"{seen}; {busy}"),
    ]  # fmt: skip


def _appends(folder: Path) -> list[float]:
    log = UndoLog(folder / "appends" / "undo" / "log.jsonl")
    plan = {"target": "sl", "summary": "shut", "undo": ["x" * 1000]}
    log.planned(id="a", kind="k", params={}, plan=plan, site_id="s", site_file=Path("/x"), max_seconds=600)
    return [milliseconds(lambda: log.mark("a", State.APPLIED)) for _ in range(APPENDS)]


def _kill(folder: Path, say: Say) -> float:
    """Seconds from SIGKILL of a runner that holds a fault until the undo log says that it is undone."""
    with TemporaryDirectory(dir=folder) as state:
        site_file = _site(Path(state) / "labs" / "bench")
        argv = [sys.executable, "-c", _RUNNER, str(site_file), str(Path(state) / "journal.jsonl")]
        runner = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "ISLANDING_STATE": state},
            start_new_session=True,
        )
        log = UndoLog(Path(state) / "undo" / "bench.jsonl")
        try:
            if runner.stdout is None or runner.stdout.readline() != b"applied\n":
                raise RuntimeError("the runner applied no fault")
            begun = time.monotonic()
            os.kill(runner.pid, signal.SIGKILL)
            wait_until("it to be undone", lambda: not log.read().open, timeout=60, interval=0.005)
            seconds = time.monotonic() - begun
        finally:
            runner.kill()
            runner.communicate()
        [entry] = log.read().entries
        if entry.state is not State.UNDONE or not entry.by.startswith("watchdog"):
            raise RuntimeError(f"{entry.state} by {entry.by}: {entry.reason}")
        words = log.path.with_suffix(".watchdog.log")
        wait_until("the watchdog to end", lambda: "nothing is open any more" in words.read_text(), timeout=60)
    say(f"healed {seconds:.3f} s after SIGKILL of the runner")
    return seconds


def _site(folder: Path) -> Path:
    """The description of a site with one router, kept alive by this process."""
    folder.mkdir(parents=True)
    vtysh = folder / "vtysh"
    vtysh.write_text(_VTYSH.format(folder=folder))
    vtysh.chmod(0o755)
    router = Router(name="cnd", role="customer-network-device", asn=65000, place="cnd", vtysh=(str(vtysh),))
    session = Session(name="service-link", router="cnd", neighbor="169.254.10.1", neighbor_router="outpost",
                      interface="sl", prefixes=())  # fmt: skip
    site = Site(
        name="bench", target="lab", id="bench", folder=str(folder),
        cluster=Cluster(name="c", arn="arn", version="1.36", endpoint="https://api", control_plane="region",
                        control_plane_addresses=(), service_cidr="10.96.0.0/16", pod_cidr="10.97.0.0/16"),
        workload=Workload(name="w", namespace="default", replicas=1, url="http://w", image="w"),
        aws=AwsAccess(region="us-west-2", account="123456789012"),
        timers=Timers(bgp_hold=3, node_grace=16, eviction=30),
        places=(Place(name="cnd", role="router", address="169.254.10.2"),), routers=(router,), sessions=(session,),
    )  # fmt: skip
    site.save(folder / "site.json")
    (folder / "lab.json").write_text(f'{{"pid": {os.getpid()}, "started": {process_started(os.getpid())}}}')
    return folder / "site.json"
