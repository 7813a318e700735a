"""A node's way into the cluster: the phase that it has reached, its times, and why it goes no further."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.kube.joining import LOOK, PHASES, Guest, Instance, Member, parse_guest, parse_member, progress
from islanding.outcomes import recognise
from islanding.probes.node_join import reading

LAUNCHED = 1_800_000_000.0
RUNNING = Instance("i-1", "running", "10.0.2.9", LAUNCHED)
UP = Guest({"ssh": "1800000008", "cloud-init": "running", "kubelet": "inactive"}, "")
BOOTED = Guest(
    {**UP.facts, "cloud-init": "done", "bootstrap": "1800000012", "kubelet": "active", "kubelet-since": "1800000011"},
    "",
)
NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin "
    "returns error: cni plugin not initialized"
)
NOT_READY = Member("w1", LAUNCHED + 15, None, None, "KubeletNotReady", NO_NETWORK)
READY = Member("w1", LAUNCHED + 15, LAUNCHED + 21, LAUNCHED + 20, "KubeletReady", "kubelet is posting ready status")


@pytest.mark.parametrize(
    ("guest", "member", "last", "name"),
    [
        (None, None, "instance running", "NODE_ABSENT"),
        (UP, None, "ssh up", "NODE_ABSENT"),
        (BOOTED, None, "kubelet running", "NODE_ABSENT"),
        (Guest(BOOTED.facts, '"Unable to register node with API server" err="Unauthorized" node="w1"'), None,
         "kubelet running", "NODE_UNAUTHORIZED"),
        (Guest(UP.facts, 'Connect timeout on endpoint URL: "https://eks.eu-west-1.amazonaws.com/clusters/c"'), None,
         "ssh up", "INTROSPECTION_TIMEOUT"),
        (BOOTED, NOT_READY, "registered", "CNI_UNINITIALIZED"),
        (BOOTED, READY, "Ready", "READY"),
        (None, READY, "Ready", "READY"),
    ],
)  # fmt: skip
def test_the_last_phase_and_the_reason_are_told(
    guest: Guest | None, member: Member | None, last: str, name: str
) -> None:
    """The reason has its name, and the phases stand beside it."""
    seen = reading(RUNNING, guest, member, "")

    assert progress(RUNNING, guest, member).last == last
    assert recognise("node-join", seen.exit_code, seen.text).name == name
    assert f"reached {last}" in seen.text


def test_times_count_from_the_launch() -> None:
    """Each phase has the seconds since EC2 launched the instance, where somebody wrote its time down."""
    assert str(progress(RUNNING, BOOTED, READY)) == (
        "reached Ready: instance running, ssh up 8.0 s, bootstrap ended 12.0 s, kubelet running 11.0 s, "
        "registered 15.0 s, network ready 20.0 s, Ready 21.0 s"
    )


@given(
    st.none()
    | st.dictionaries(
        st.sampled_from(["ssh", "cloud-init", "bootstrap", "kubelet", "kubelet-since", "odd"]), st.text()
    ),
    st.sampled_from([None, NOT_READY, READY]),
    st.sampled_from(["pending", "running", "terminated"]),
)
def test_phases_never_have_a_hole(facts: dict[str, str] | None, member: Member | None, state: str) -> None:
    """A later phase implies those before it, whatever an instance says."""
    guest = None if facts is None else Guest(facts, "")
    came = progress(Instance("i-1", state, "", LAUNCHED), guest, member)

    assert tuple(name for name, _ in came.reached) == PHASES[: len(came.reached)]


def node(instance: str, **ready: str) -> dict[str, Any]:
    """A node as the API server shows it."""
    return {
        "metadata": {"name": f"node-of-{instance}", "creationTimestamp": "2027-01-15T08:00:15Z"},
        "spec": {"providerID": f"aws:///eu-west-1a/{instance}"},
        "status": {"conditions": [{"type": "Ready", **ready}]},
    }


def test_a_node_is_known_by_its_instance() -> None:
    """Not by its name, which a cluster may give as it likes."""
    nodes = json.dumps(
        {"items": [node("i-2", status="False"), node("i-1", status="True", lastTransitionTime="2027-01-15T08:00:21Z")]}
    )
    plugin = {
        "spec": {"nodeName": "node-of-i-1"},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2027-01-15T08:00:20Z"}]},
    }
    found = parse_member(nodes, json.dumps({"items": [plugin]}), "i-1")

    assert found == Member("node-of-i-1", LAUNCHED + 15, LAUNCHED + 21, LAUNCHED + 20, "no Ready condition", "")
    assert parse_member(nodes, '{"items": []}', "i-3") is None


def test_the_look_is_a_script_that_any_shell_runs() -> None:
    """On a machine without these units it still prints its facts and its log; the log is apart."""
    done = subprocess.run(["sh", "-s"], input=LOOK, text=True, capture_output=True, timeout=20, check=False)
    guest = parse_guest(done.stdout)

    assert {"ssh", "cloud-init", "bootstrap", "kubelet", "kubelet-since"} <= set(guest.facts)
    assert guest.time("nothing") is None
