"""What faults plan: data, with an exact inverse, and errors that name what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding import faults
from islanding.faults.nodes_cut_off import count
from islanding.routers.driver import RouterError
from tests.unit.test_faults.bench import KINDS, Bench


def test_every_fault_is_registered_under_its_files_name() -> None:
    """A fault is a file, and the file's name with dashes is its kind."""
    files = {path.stem for path in Path(faults.__file__).parent.glob("[a-z]*.py")} - {"apply", "heal", "showing"}

    assert faults.names() == sorted(stem.replace("_", "-") for stem in files)


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("link-down", {}, "there is no fault 'link-down'\n  faults: .*interface-down, local-gateway-down"),
        ("silent-drop", {"sesion": "wan"}, "silent-drop has no parameter 'sesion'\n  its parameters: session"),
        ("silent-drop", {"session": "wan"}, "silent-drop: session: .*'service-link' or 'local-gateway', not 'wan'"),
        ("node-rebooted", {}, "node-rebooted needs the parameter 'node'"),
        ("nodes-cut-off", {"share": 1.5}, "share must be more than 0 and at most 1, not 1.5"),
        ("nodes-cut-off", {"share": 0.5, "nodes": ["w1"]}, "nodes-cut-off takes `nodes` or `share`, not both"),
    ],
)
def test_a_wrong_fault_is_an_error_that_names_what_is_allowed(kind: str, params: dict[str, Any], says: str) -> None:
    """A user's mistake is answered with the allowed values."""
    with pytest.raises(faults.FaultError, match=f"^{says}"):
        faults.make(kind, **params)


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_a_plan_survives_the_disk_and_undo_may_be_repeated(bench: Bench, kind: str, params: dict[str, Any]) -> None:
    """A plan is plain data, and undoing what was never applied, or twice, does no harm."""
    fault = faults.make(kind, **params)
    plan = fault.plan(bench.site)
    again = faults.Plan.model_validate_json(plan.model_dump_json())
    fault.undo(bench.site, again)
    fault.undo(bench.site, again)

    assert again == plan
    assert fault.is_healed(bench.site, again).ok


def test_a_session_that_is_down_is_not_cut(bench: Bench) -> None:
    """Cutting what is cut already would prove nothing, and its undo would undo somebody else's work."""
    bench.touch("shut")
    with pytest.raises(faults.FaultError, match="is Idle, not Established"):
        faults.ServiceLinkDown().plan(bench.site)


def test_a_prefix_list_that_was_there_comes_back(bench: Bench) -> None:
    """The inverse restores the neighbor's own inbound prefix list rather than removing it."""
    bench.touch("has-list")
    plan = faults.PrefixWithdrawn().plan(bench.site)

    assert "neighbor 169.254.10.1 prefix-list OURS in" in plan.undo[0].model_dump()["commands"]
    with pytest.raises(RouterError, match="has an inbound prefix list already"):
        faults.PrefixWithdrawn(prefixes=("10.20.0.0/26",)).plan(bench.site)


def test_routes_set_by_hand_come_back_with_the_interface(bench: Bench) -> None:
    """The kernel forgets static routes of a downed interface; BGP's own come back by BGP."""
    plan = faults.InterfaceDown().plan(bench.site)
    undo = [" ".join(step.model_dump()["argv"]) for step in plan.undo]

    assert undo == [
        "ip link set sl up",
        "ip -4 route replace 10.9.0.0/16 via 169.254.10.1 proto static dev sl",
    ]


def test_nodes_keep_ssh_and_lose_both_families(bench: Bench) -> None:
    """Rules drop to and from each control-plane address, after SSH has been let through."""
    plan = faults.NodesCutOff(nodes=("w3", "w1")).plan(bench.site)
    rules = plan.apply[0].model_dump()["stdin"]

    assert plan.target == "w1, w3"
    assert rules.index("tcp dport 22 accept") < rules.index("ip saddr { 10.0.0.10 } drop")
    for rule in ("ip6 saddr { fd00::10 } drop", "ip daddr { 10.0.0.10 } drop", "ip6 daddr { fd00::10 } drop"):
        assert rule in rules


@given(st.floats(min_value=0.001, max_value=1), st.integers(min_value=1, max_value=500))
def test_a_share_of_workers_is_the_nearest_number(share: float, workers: int) -> None:
    """Never none, never more than all, and never more than half a node off unless that half makes it none."""
    number = count(share, workers)

    assert 1 <= number <= workers
    assert abs(number - share * workers) <= 0.5 + 1e-9 or number == 1


def test_a_reboot_is_done_when_the_boot_is_another(bench: Bench) -> None:
    """SSH that answers is not enough: the boot has to be another one; a dead run's reboot needs no more than SSH."""
    fault = faults.NodeRebooted(node="w1")
    plan = fault.plan(bench.site)
    fault.apply(bench.site, plan)  # the connection is lost (exit code 255), as it is when a machine goes down

    assert bench.calls() == ["systemctl reboot"]
    assert not fault.is_healed(bench.site, plan).ok
    assert fault.is_healed(bench.site, plan.model_copy(update={"before": {"boot": "an earlier one"}})).ok
    assert fault.nothing_left(bench.site, plan).ok
