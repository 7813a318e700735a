"""A small kill sweep in each test run; `make killsweep` is the full one, its report is docs/reliability.md.

ISLANDING_SWEEP: how many runs (default 6). The faults are one at a router, one in AWS and one at the nodes, by turns.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from islanding.lab.registry import Lab
from islanding.model import Site
from tests.killsweep import world
from tests.killsweep.choices import choices
from tests.killsweep.strikes import strikes
from tests.killsweep.sweep import Sweep

RUNS = int(os.environ.get("ISLANDING_SWEEP", "6"))
ACTIONS = ("cut_service_link", "close_subnets", "cut_off_nodes")


@pytest.fixture
def sweep(lab: Lab, tmp_path: Path) -> Sweep:
    """A sweep over the shared lab, at rest."""
    return Sweep.over(lab, tmp_path)


def test_killed_runs_leave_nothing_behind(sweep: Sweep) -> None:
    """Account, kernel, routers and processes are as before each run, whoever was killed, by which signal and when."""
    seed = random.randrange(2**24)
    by_action = {choice.action: choice for choice in choices(sweep.site)}
    chosen = [by_action[action] for action in ACTIONS]
    assert {} == {str(choice): left for choice in chosen if (left := sweep.unharmed(choice))}

    results = [sweep.strike(strike) for strike in strikes(seed, RUNS, chosen)]

    differences = {str(one): one.differences for one in results if one.differences}
    assert {} == differences, f"seed {seed}"


def test_what_is_left_behind_is_found(sweep: Sweep, site: Site) -> None:
    """A packet filter that somebody forgot at a worker is a difference, and is none once it is gone."""
    worker = site.place(site.workers[0].place)
    worker.run(["nft", "add", "table", "inet", "islanding_forgotten"])
    try:
        found = world.settled(sweep.before, sweep._now, timeout=0.1)
    finally:
        worker.run(["nft", "delete", "table", "inet", "islanding_forgotten"])

    assert any("islanding_forgotten" in line for line in found), found
    assert [] == world.settled(sweep.before, sweep._now, timeout=10.0)
