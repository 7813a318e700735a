"""Plans for odd states of AWS, given to the real tools: nftables takes every filter, the kernel every plan."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from islanding.lab import kernel
from islanding.lab.namespaces import NETNS
from islanding.lab.plan import NetworkPlan
from islanding.lab.script import changes, script, table_text
from islanding.lab.vpc import observe
from islanding.lab.vpc.desired import desired
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.state import Ec2State
from islanding.process import run
from tests.lab import packets
from tests.unit.vpc_support import full, odd_states

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)


def clear() -> None:
    """Take every namespace away."""
    for path in NETNS.iterdir():
        kernel.delete_namespace(path.name)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd_states)
def test_nftables_takes_every_filter(state: Ec2State) -> None:
    """Checked and not loaded: groups without rules, ACLs without lines, ports and protocols that are none."""
    for table in desired(state, Outside()).tables:
        run(["nft", "-c", "-f", "-"], stdin=table_text(table))


@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(odd_states)
def test_the_kernel_takes_every_plan_and_every_way_back(state: Ec2State) -> None:
    """From a whole world to an odd one and back to nothing, and after each step it holds what was planned."""
    plans = (desired(full(), Outside()), desired(state, Outside()), NetworkPlan())
    there = NetworkPlan()
    try:
        for plan in plans:
            kernel.execute(changes(plan, there))
            there = plan
            left = changes(plan, observe.observed(plan))
            assert ([], {}, []) == (left.create, left.remove, left.add)
            assert {"link set lo up"} >= {line for lines in left.inside.values() for line in lines}
    finally:
        clear()


def test_a_whole_world_is_seen_as_it_was_made() -> None:
    """One of everything: what is observed lacks nothing."""
    plan = desired(full(), Outside())
    try:
        kernel.execute(script(plan))
        seen = observe.observed(plan)
    finally:
        clear()
    for part in ("links", "addresses", "routes", "rules", "sinks", "neighbours"):
        assert set(getattr(plan, part)) == set(getattr(seen, part)), part
