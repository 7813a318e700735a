"""A whole adoption, with a way in that answers what sshd and kubectl answer."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from islanding import accountconf, sites, yamldoc
from islanding.aws import calls
from islanding.errors import NotCoveredError, SetupError
from islanding.target import adopt

# Answers as the operator's shell does: by what the last arguments say.
SSH = """#!/bin/sh
case "$*" in
  *realpath*) echo /there/.kube/config;;
  *"get nodes"*) cat $ANSWERS/nodes.json;;
  *"get services"*) cat $ANSWERS/services.json;;
  *"get deployments"*) cat $ANSWERS/deployments.json;;
  *SSH_CONNECTION*) echo 203.0.113.77;;
  *"tunnel true"*) exit 0;;
  *) echo "what is $*?" >&2; exit 1;;
esac
"""
KUBECTL = """#!/bin/sh
echo $ADMINISTRATOR
"""


def manifest(kind: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An object of the cluster."""
    return {"kind": kind, "metadata": {"name": name}, "spec": spec, **more}


@pytest.fixture
def way_in(made: Any, tmp_path: Path, short: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The way in: what is to be answered may be changed before it is used."""
    group = made.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
    ids = [one["InstanceId"] for one in group["Instances"]]
    reply = made.client("ec2").describe_instances(InstanceIds=ids)
    instances = [one for r in reply["Reservations"] for one in r["Instances"]]
    nodes = [
        manifest(
            "Node",
            f"node-{index}",
            {"providerID": f"aws:///ap-northeast-1a/{one['InstanceId']}"},
            status={"addresses": [{"type": "InternalIP", "address": one["PrivateIpAddress"]}]},
        )
        for index, one in enumerate(instances)
    ]
    image = made.site.resolved(made.conf.workload.image)
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}}
    answers = {
        "nodes": nodes,
        "services": [
            manifest("Service", "kubernetes", {"type": "ClusterIP", "ports": [{"port": 443}]}),
            manifest(
                "Service",
                "web",
                {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "nodePort": 30080}]},
            ),
        ],
        "deployments": [manifest("Deployment", "web", {"replicas": 3, "template": pod})],
    }
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("ssh", SSH), ("kubectl", KUBECTL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(tmp_path))
    monkeypatch.setenv("ADMINISTRATOR", "yes")
    monkeypatch.setenv("ISLANDING_STATE", short)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-nobody-may-see")
    monkeypatch.setattr(calls, "client", lambda _access, service: made.client(service))
    return answers


def adopted(made: Any, answers: dict[str, Any], folder: Path, more: str = "") -> Any:
    """The site, adopted, as others load it."""
    for name, items in answers.items():
        (folder / f"{name}.json").write_text(json.dumps({"items": items}))
    adopt.adopt(made.file(more), lambda _: None)
    return sites.load(adopt.folder_of("mine") / "site.json")


def test_a_site_is_adopted(made: Any, way_in: dict[str, Any], tmp_path: Path) -> None:
    """The description is the one that its makers would write: places, nodes, identities, workload, facts."""
    site = adopted(made, way_in, tmp_path)
    facts = made.site.facts

    assert (site.name, site.target) == ("closed-vpc", "aws")
    assert [(p.name, p.role) for p in site.places if p.role != "node"] == [
        ("workstation", "workstation"),
        ("bastion", "bastion"),
        ("operator", "operator"),
        ("client", "client"),
        ("creator", "workstation"),
    ]
    assert site.place("operator").address == facts["operator_address"]
    assert (site.place("workstation").address, site.place("workstation").enter) == ("203.0.113.77", ())
    assert [(i.name, i.place) for i in site.identities] == [("operator", ""), ("creator", "creator")]
    assert len(site.nodes) == 2
    assert {node.place for node in site.nodes} == {p.name for p in site.places if p.role == "node"}
    assert (site.workload.name, site.workload.replicas) == ("web", 3)
    assert site.workload.url == f"http://{site.nodes[0].address}:30080/"
    assert {name: site.facts[name] for name in facts} == facts
    assert (site.cluster.endpoint, site.cluster.service_cidr) == ("https://endpoint", "172.20.0.0/16")
    assert site.cluster.pod_cidr == "10.20.0.0/16"
    assert sites.site_is_alive(adopt.folder_of("mine") / "site.json")


def test_this_computer_is_the_operator(made: Any, way_in: dict[str, Any], tmp_path: Path) -> None:
    """From inside the cluster, without a key: its own kubectl is the operator's, and there are no jumps."""
    for name, items in way_in.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"items": items}))
    (tmp_path / "kubeconfig").write_text("")
    (tmp_path / "tools" / "kubectl").write_text(SSH)
    text = re.sub("reach: .*", "reach: {kind: direct}", made.text())
    text += f"operator: {{kubeconfig: {tmp_path}/kubeconfig}}\n"
    adopt.adopt(accountconf.check(yamldoc.parse(text, tmp_path / "mine.yaml")), lambda _: None)
    site = sites.load(adopt.folder_of("mine") / "site.json")

    assert ["operator", "client"] == [p.name for p in site.places if not p.enter and p.name != "workstation"]
    assert f"{tmp_path}/kubeconfig" == site.identity("operator").kubeconfig
    assert {"bastion", "bastion_vpc_id"} <= set(site.lacking)
    assert made.site.facts["vpc_id"] == site.facts["vpc_id"]
    assert "ProxyJump" not in Path(site.facts["ssh_config"]).read_text()


def test_what_is_lacking_is_not_covered(
    made: Any, way_in: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case that asks for what nobody could find out gets the reason, and what is there is there."""
    monkeypatch.setenv("ADMINISTRATOR", "no")
    site = adopted(made, way_in, tmp_path)

    with pytest.raises(NotCoveredError, match="there is no foreign_profile at this site: nobody but the file"):
        _ = site.facts["foreign_profile"]
    with pytest.raises(NotCoveredError, match="the cluster makes no administrator of whoever calls AWS here: no"):
        site.identity("creator")
    with pytest.raises(KeyError):
        _ = site.facts["no_such_fact"]
    assert "foreign_profile" not in site.facts


def test_no_secret_is_written_down(made: Any, way_in: dict[str, Any], tmp_path: Path) -> None:
    """Profile and files are named, keys are not: the environment's secret is in no file of the site."""
    adopted(made, way_in, tmp_path, "profile: me\n")
    texts = [path.read_text() for path in adopt.folder_of("mine").rglob("*") if path.is_file()]

    assert any("AWS_PROFILE" in text for text in texts)
    assert [text for text in texts if "a-secret-that-nobody-may-see" in text] == []


def test_two_workloads_are_named(made: Any, way_in: dict[str, Any], tmp_path: Path) -> None:
    """With two to choose from the file has to say which; then that one is taken."""
    other = json.loads(json.dumps(way_in["deployments"][0]).replace('"name": "web"', '"name": "api"'))
    way_in["deployments"].append(other)

    with pytest.raises(SetupError, match=r"which workload is to be watched in default\?.*\n  there are: api, web"):
        adopted(made, way_in, tmp_path)
    assert adopted(made, way_in, tmp_path, "workload: {name: api}\n").workload.name == "api"


def test_nodes_that_are_no_instances_are_refused(made: Any, way_in: dict[str, Any], tmp_path: Path) -> None:
    """A node of another provider has no instance that a fault could touch."""
    way_in["nodes"][0]["spec"]["providerID"] = "kind://docker/kind/kind-control-plane"

    with pytest.raises(SetupError, match="node node-0 is no instance of EC2"):
        adopted(made, way_in, tmp_path)


def test_adoption_calls_what_its_policy_allows(made: Any, way_in: dict[str, Any], tmp_path: Path) -> None:
    """The policy in docs/real-account.md is the calls that are made: no more is needed, nothing in it is unused."""
    trail = made.folder / "region.jsonl"
    before = trail.stat().st_size
    adopted(made, way_in, tmp_path)
    with trail.open() as file:
        file.seek(before)
        lines = [json.loads(line) for line in file]
    called = {f"{one['service'].removesuffix('.api')}:{one['operation']}" for one in lines}
    text = (Path(__file__).parents[3] / "docs" / "real-account.md").read_text()
    policy = json.loads(text.partition("```json\n")[2].partition("```")[0])
    needs_no_permission = {"sts:GetCallerIdentity", "sts:AssumeRole"}  # the second is the test's own

    called = {_ACTIONS.get(one, one) for one in called} - needs_no_permission
    assert called == set(policy["Statement"][0]["Action"])


_ACTIONS = {"s3:ListBuckets": "s3:ListAllMyBuckets"}  # IAM's name of a call that has another one
