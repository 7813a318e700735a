"""What packets say beside AWS's state: borne out, contradicted, or not asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from islanding.aws.view import Instance, View
from islanding.diagnosis import Agreement, Blame, Diagnosis, Hop, Status, diagnose, seen_as
from islanding.diagnosis import hops as h
from islanding.diagnosis.packets import Packets, fold, look_at, parse
from islanding.model import Node, Place, Site
from tests.unit.sites_for_tests import save_site

HOPS = (h.NAME, h.ADDRESS, h.ROUTE, h.GROUP, h.ACL, h.ENDPOINT, h.POLICY, h.SERVICE)
SILENT = Packets(resolved=True, addresses=("10.0.2.31",), curl=28)
REACHED = Packets(resolved=True, addresses=("10.0.2.31",), curl=0, http=401, reached=True, secured=True)
NAMELESS = Packets(resolved=False, addresses=(), curl=6)
PUBLIC = Packets(resolved=True, addresses=("52.94.0.10",), curl=28)


def failing_at(hop: str) -> Diagnosis:
    """A diagnosis whose AWS state fails at `hop`; none when it is empty."""
    hops = tuple(Hop(n, Status.FAILS, "broken", Blame("x", "1")) if n == hop else Hop(n, Status.OK) for n in HOPS)
    return Diagnosis("i-1", "ecr.api", hops, host="api.ecr.eu-west-1.amazonaws.com")


@pytest.mark.parametrize(
    ("hop", "packets", "agreement"),
    [
        ("", REACHED, Agreement.AGREES),
        ("", SILENT, Agreement.DISAGREES),
        ("", NAMELESS, Agreement.DISAGREES),
        (h.NAME, NAMELESS, Agreement.AGREES),
        (h.NAME, REACHED, Agreement.DISAGREES),
        (h.ADDRESS, PUBLIC, Agreement.AGREES),
        (h.ADDRESS, SILENT, Agreement.DISAGREES),
        (h.ROUTE, PUBLIC, Agreement.AGREES),
        (h.ROUTE, NAMELESS, Agreement.DISAGREES),
        (h.GROUP, SILENT, Agreement.AGREES),
        (h.GROUP, REACHED, Agreement.DISAGREES),
        (h.ACL, SILENT, Agreement.AGREES),
        (h.POLICY, REACHED, Agreement.AGREES),
        (h.POLICY, SILENT, Agreement.DISAGREES),
    ],
)
def test_packets_bear_a_diagnosis_out_or_contradict_it(hop: str, packets: Packets, agreement: Agreement) -> None:
    """A failure on the path is silence, a failing name does not resolve, a policy lets packets through."""
    found = fold(failing_at(hop), packets)

    assert agreement is found.agreement
    assert (agreement is Agreement.AGREES) == found.conclusive
    assert ("packets say otherwise" in found.message) == (agreement is Agreement.DISAGREES)


def test_what_packets_said_stands_beside_each_hop() -> None:
    """Name, address, way and answer are shown as seen at the instance."""
    found = fold(failing_at(""), REACHED)

    seen = {hop.name: hop.seen for hop in found.hops if hop.seen}
    assert {h.NAME: "10.0.2.31", h.ADDRESS: "private", h.ROUTE: "TCP connects", h.SERVICE: "HTTP 401"} == seen


@pytest.mark.parametrize(
    ("outcome", "hop", "agreement"),
    [
        ("PULL_LAYER_FORBIDDEN", h.POLICY, Agreement.NOT_ASKED),
        ("PULL_LAYER_TIMEOUT", h.POLICY, Agreement.DISAGREES),
        ("PULL_MANIFEST_TIMEOUT", h.GROUP, Agreement.NOT_ASKED),
        ("PULL_NAME_NOT_RESOLVED", h.GROUP, Agreement.DISAGREES),
        ("PULL_NAME_NOT_RESOLVED", h.NAME, Agreement.NOT_ASKED),
        ("PULL_NO_CREDENTIALS", h.ROUTE, Agreement.NOT_ASKED),
        ("AWS_ACCESS_DENIED", h.ROUTE, Agreement.DISAGREES),
    ],
)
def test_the_outcome_that_was_seen_must_fit(outcome: str, hop: str, agreement: Agreement) -> None:
    """A 403 is not a missing route, and silence is not a policy."""
    assert agreement is seen_as(failing_at(hop), outcome).agreement


def fake_tools(folder: Path, getent: str, curl: str) -> Place:
    """A place where getent and curl do what the test wants."""
    for name, body in (("getent", getent), ("curl", curl)):
        tool = folder / name
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
    return Place(name="w1", role="node", address="10.0.1.4", env={"PATH": f"{folder}:/usr/bin:/bin"})


def test_the_instance_is_asked_by_getent_and_curl(tmp_path: Path) -> None:
    """One command asks for name, TCP, TLS and HTTP, and its answers are read."""
    place = fake_tools(
        tmp_path,
        'echo "10.0.2.31  STREAM $2"; echo "10.0.2.31  DGRAM"; echo "10.0.2.32  STREAM"',
        'echo "$*" >> "$0.log"; echo "http=401 connect=0.01 tls=0.05 address=10.0.2.31"',
    )
    found = look_at(place, "api.ecr.eu-west-1.amazonaws.com", 8443)

    assert Packets(True, ("10.0.2.31", "10.0.2.32"), 0, 401, True, True) == found
    assert "https://api.ecr.eu-west-1.amazonaws.com:8443/" in (tmp_path / "curl.log").read_text()


def test_silence_at_the_instance_is_read(tmp_path: Path) -> None:
    """curl's time limit without a connection means that nothing came back."""
    place = fake_tools(
        tmp_path,
        'echo "52.94.0.10  STREAM x"',
        'echo "curl: (28) Connection timed out" >&2; echo "http=000 connect=0.000000 tls=0.000000 address="; exit 28',
    )

    assert Packets(True, ("52.94.0.10",), 28) == look_at(place, "x.example.test")


@pytest.mark.parametrize("text", ["", "ssh: connect to host 10.0.1.4 port 22: Connection timed out", "name-exit 0\n"])
def test_a_place_where_nothing_runs_says_nothing(text: str) -> None:
    """Without the script's last line there is no answer, and the diagnosis says that packets were not asked."""
    assert parse(text) is None

    found = fold(failing_at(h.GROUP), None)
    assert Agreement.NOT_ASKED is found.agreement
    assert any("packets were not asked" in note for note in found.notes)


def test_a_node_is_diagnosed_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """diagnose reads AWS's state for the node's instance, and asks at the node's place."""
    place = fake_tools(tmp_path, "exit 2", "exit 6")
    node = Node(name="w1", instance_id="i-1", address="10.0.1.4", role="worker", place="w1")
    site = Site.load(save_site(tmp_path / "site", name="closed")).model_copy(
        update={"places": (place,), "nodes": (node,)}
    )
    view = View("eu-north-1", instances=(Instance("i-1", "worker-a", "stopped", address="10.0.1.4"),))
    monkeypatch.setattr("islanding.diagnosis.of_site.look", lambda _site: view)

    by_node, by_id = diagnose(site, node, "ecr.api"), diagnose(site, "i-1", "ecr.api")
    by_place = diagnose(site, place, "ecr.api")

    assert "instance i-1 (worker-a): it is stopped" == str(by_node.blame)
    assert by_node == by_id
    assert by_node == by_place
