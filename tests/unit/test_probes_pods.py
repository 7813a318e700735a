"""Probes that make a pod: what its events come to, and that it is taken away again whatever happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from islanding.kube.pods import LABEL, manifest, parse_events, parse_pod
from islanding.probes import make

# kubectl as the probe calls it: it notes its calls, keeps what was created, and says what the test has laid out.
KUBECTL = """#!/bin/sh
here=$(dirname "$0"); echo "$*" >>"$here/calls"
case "$*" in
*create*) [ -e "$here/refused" ] && { cat "$here/refused" >&2; exit 1; }; cat >"$here/created";;
*"get pod"*) cat "$here/pod";;
*"get events"*) cat "$here/events";;
esac
"""
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1"
NO_BASIC = (
    f'Failed to pull image "{IMAGE}": pull access denied, repository does not exist or may require authorization: '
    "authorization failed: no basic auth credentials"
)
LAYER = (
    f'Failed to pull image "{IMAGE}": failed to copy: httpReadSeeker: failed open: failed to do request: Get '
    '"https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com/4f": dial tcp 52.219.0.1:443: i/o timeout'
)
NO_ADDRESS = (
    'Failed to create pod sandbox: plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP '
    "address to container"
)


class Cluster:
    """A kubectl that says what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubectl = folder / "kubectl"
        self.kubectl.write_text(KUBECTL)
        self.kubectl.chmod(0o755)
        self.pod("Pending")
        self.events()

    def pod(self, phase: str, address: str = "", *, ready: bool = False) -> None:
        status = {"phase": phase, "podIP": address, "containerStatuses": [{"ready": ready}]}
        pod = {"kind": "Pod", "spec": {"containers": [{}]}, "status": status}
        (self.folder / "pod").write_text(json.dumps(pod))

    def events(self, *events: tuple[str, str, str]) -> None:
        items = [
            {"type": kind, "reason": reason, "message": text, "lastTimestamp": f"2026-01-01T00:00:{n:02}Z"}
            for n, (kind, reason, text) in enumerate(events)
        ]
        (self.folder / "events").write_text(json.dumps({"items": items[::-1]}))

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def created(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((self.folder / "created").read_text())
        return made


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster of fake tools."""
    return Cluster(tmp_path)


def look(cluster: Cluster, kind: str, **parameters: Any) -> tuple[str, str]:
    """Outcome and text of one sample."""
    given = {"image": IMAGE, "kubeconfig": "/k", "kubectl": str(cluster.kubectl), "timeout": 1.0, **parameters}
    probe = make(kind, **given)
    reading = probe.sample()
    return probe.recognise(reading).name, reading.text


def test_a_pull_ends_with_its_event(cluster: Cluster) -> None:
    """Pulled is a success and the first failure decides; an image that was there already shows nothing."""
    cluster.events(("Normal", "Pulling", "Pulling image"), ("Normal", "Pulled", f'Successfully pulled image "{IMAGE}"'))
    pulled = look(cluster, "image-pull", node="w1")[0]
    cluster.events(("Normal", "Pulling", "Pulling image"), ("Warning", "Failed", LAYER))
    failed = look(cluster, "image-pull", node="w1")
    cluster.events(("Normal", "Pulled", f'Container image "{IMAGE}" already present on machine'))
    present = look(cluster, "image-pull", node="w1")[0]
    cluster.events(("Normal", "Pulling", "Pulling image"))
    hung = look(cluster, "image-pull", node="w1")

    assert (pulled, failed, present) == ("PULLED", ("PULL_LAYER_TIMEOUT", LAYER), "UNKNOWN")
    assert hung == ("TIME_LIMIT", "Pulling image\nstopped after 1 s")


def test_kubelets_log_says_that_it_was_the_token(cluster: Cluster, tmp_path: Path) -> None:
    """The event of a pull without a token names the registry; what the credential plugin said names the cause."""
    journal = tmp_path / "journalctl"
    said = (
        "failed getting credential from external registry credential provider: error execing credential provider "
        f"plugin ecr-credential-provider for image {IMAGE}: context deadline exceeded"
    )
    other = said.replace(IMAGE, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/other:v1")
    journal.write_text(f"#!/bin/sh\ncat <<'TEXT'\nnoise\n{other}\n{said}\nTEXT\n")
    journal.chmod(0o755)
    cluster.events(("Warning", "Failed", NO_BASIC))
    alone = look(cluster, "image-pull", node="w1")[0]
    path = f"{tmp_path}:/usr/bin:/bin"
    name, text = look(cluster, "image-pull", node="w1", node_enter=("env", f"PATH={path}"))

    assert (alone, name) == ("PULL_NO_CREDENTIALS", "PULL_TOKEN_TIMEOUT")
    assert text == f"{NO_BASIC}\nkubelet: {said}"


def test_a_pod_that_runs_has_an_address(cluster: Cluster) -> None:
    """RUNNING needs an address and ready containers; otherwise the latest warning is the answer."""
    cluster.pod("Running", "10.0.2.40", ready=True)
    running = look(cluster, "pod-start")
    cluster.pod("Running", "10.0.2.40")
    unready = look(cluster, "pod-start")[0]
    cluster.pod("Pending")
    cluster.events(("Warning", "FailedScheduling", "0/2 nodes are available"), ("Warning", "Failed", NO_ADDRESS))
    waiting = look(cluster, "pod-start")

    assert running == ("RUNNING", "Running 1/1 10.0.2.40")
    assert (unready, waiting) == ("TIME_LIMIT", ("NO_ADDRESS", NO_ADDRESS))


@pytest.mark.parametrize("kind", ["image-pull", "pod-start"])
def test_the_pod_is_taken_away_again(cluster: Cluster, kind: str) -> None:
    """However the sample ends: the pod that was made is deleted by its name, even when kubectl says that it was not."""
    look(cluster, kind, node="w1")
    name = cluster.created()["metadata"]["name"]
    (cluster.folder / "refused").write_text("Error from server (Forbidden): pods is forbidden")
    refused = look(cluster, kind, node="w1")

    assert name.startswith(f"islanding-{kind}-")
    assert any(f"delete pod {name} " in call for call in cluster.calls())
    assert refused[1].startswith("kubectl create: Error from server (Forbidden)")
    assert sum("delete pod" in call for call in cluster.calls()) == 2


def test_a_pods_manifest_leaves_nothing_in_the_way() -> None:
    """Pinned to its node, tolerating all, always pulled, and ending by itself."""
    made = manifest("a", IMAGE, kind="image-pull", node="w1", host_network=True, deadline=30.9)

    assert made["metadata"]["labels"] == {LABEL: "image-pull"}
    assert made["spec"]["containers"] == [{"name": "probe", "image": IMAGE, "imagePullPolicy": "Always"}]
    assert {key: made["spec"][key] for key in ("nodeName", "hostNetwork", "tolerations", "activeDeadlineSeconds")} == {
        "nodeName": "w1",
        "hostNetwork": True,
        "tolerations": [{"operator": "Exists"}],
        "activeDeadlineSeconds": 30,
    }
    assert "nodeName" not in manifest("a", IMAGE, kind="pod-start")["spec"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "List"}', "null"])
def test_what_is_no_pod_is_refused(text: str) -> None:
    """Odd answers of kubectl are errors, never a pod."""
    for parse in (parse_pod, parse_events):
        with pytest.raises(ValueError, match=r"."):
            parse(text)
