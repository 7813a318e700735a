"""Provisioning a reference site in an account: made, adopted, deleted; a crash leaves a record to go on from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from islanding.aws import calls
from islanding.errors import IslandingError, SetupError
from islanding.lab.region.server import Region
from islanding.model import AwsAccess
from islanding.target import adopt, provisioning, sweep
from islanding.target.provisioning import Provisioning, new_order, ordered
from tests.unit.region_support import REGION, connect, fresh_region
from tests.unit.test_target.conftest import POLL

# Answers as the operator's shell and kubectl do; what is read from standard input is kept.
SSH = """#!/bin/sh
case "$*" in
  *realpath*) echo /there/.kube/config;;
  *jsonpath*) echo TrueTrue;;
  *"get nodes"*) cat $ANSWERS/nodes.json;;
  *"get services"*) cat $ANSWERS/services.json;;
  *"get deployments"*) cat $ANSWERS/deployments.json;;
  *SSH_CONNECTION*) echo 203.0.113.77;;
  *"cat > .kube/config"*) cat > $ANSWERS/operator.kubeconfig;;
  *apply*) cat > $ANSWERS/applied.yaml;;
  *tar*) cat > /dev/null;;
  *) exit 0;;
esac
"""
KUBECTL = """#!/bin/sh
case "$*" in
  *apply*) cat > $ANSWERS/aws-auth.yaml;;
  *) echo yes;;
esac
"""


class Account:
    """An account, and a site ordered in it."""

    def __init__(self, region: Region, folder: Path) -> None:
        self.region = region
        self.folder = folder
        self.client: Callable[[str], Any] = cache(lambda service: connect(region, service))
        self.told: list[str] = []
        self.client("ec2").create_key_pair(KeyName="mine")
        (folder / "key").write_text("")
        (folder / "web.tar").write_text("")

    def order(self, **changed: Any) -> provisioning.Order:
        """An order of the site `mine`."""
        asked = {
            "name": "mine",
            "like": "closed-vpc",
            "account": self.region.account,
            "region": REGION,
            "workstation": "203.0.113.77",
            "key_name": "mine",
            "key": str(self.folder / "key"),
            "operator_image": "ami-12c6146b",
            "worker_image": "ami-12c6146b",
        }
        return new_order(**{**asked, **changed})

    def provisioning(self, order: provisioning.Order) -> Provisioning:
        """The site on its way."""
        access = AwsAccess(region=REGION, account=self.region.account)
        return Provisioning(order, access, self.client, self._step, poll=POLL)

    def _step(self, what: str) -> None:
        self.told.append(what)
        if what.endswith(": CREATING"):
            self.region.eks.activate("mine", "https://endpoint", b"CA")
        if what.endswith("workers: CREATE_COMPLETE"):
            self._answers()

    def _answers(self) -> None:
        group = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
        reply = self.client("ec2").describe_instances(InstanceIds=[i["InstanceId"] for i in group["Instances"]])
        image = f"{self.region.account}.dkr.ecr.{REGION}.amazonaws.com/mine/web:1"
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}}
        answers = {
            "nodes": [
                {
                    "metadata": {"name": one["PrivateDnsName"]},
                    "spec": {"providerID": f"aws:///zone/{one['InstanceId']}"},
                    "status": {"addresses": [{"type": "InternalIP", "address": one["PrivateIpAddress"]}]},
                }
                for r in reply["Reservations"]
                for one in r["Instances"]
            ],
            "services": [
                {
                    "metadata": {"name": "web"},
                    "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"nodePort": 30080}]},
                }
            ],
            "deployments": [{"metadata": {"name": "web"}, "spec": {"replicas": 3, "template": template}}],
        }
        for name, items in answers.items():
            (self.folder / f"{name}.json").write_text(json.dumps({"items": items}))


@pytest.fixture
def account(tmp_path: Path, short: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account in which nothing is."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("ssh", SSH), ("kubectl", KUBECTL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(tmp_path))
    monkeypatch.setenv("ISLANDING_STATE", short)
    for region in fresh_region(tmp_path):
        made = Account(region, tmp_path)
        monkeypatch.setattr(calls, "client", lambda _access, service, made=made: made.client(service))
        yield made


def test_a_site_is_provisioned_adopted_and_deleted(account: Account) -> None:
    """Everything is made under the site's own name, brought in and adopted; deleted, nothing is left, no record."""
    before = account.client("ec2").describe_vpcs()["Vpcs"]
    site = account.provisioning(account.order()).provision(account.folder / "web.tar")

    assert (site.cluster.name, site.target, len(site.nodes)) == ("mine", "aws", 2)
    assert set(site.lacking) == {"foreign_profile"}
    assert "mine/web:1" in (account.folder / "applied.yaml").read_text()
    assert "system:bootstrappers" in (account.folder / "aws-auth.yaml").read_text()
    assert "AWS_PROFILE" not in (account.folder / "operator.kubeconfig").read_text()
    assert {one.run for one in sweep.find(account.client, "mine")} == {ordered("mine").run}

    account.provisioning(ordered("mine")).delete()
    assert account.client("ec2").describe_vpcs()["Vpcs"] == before
    assert sweep.find(account.client) == []
    assert not adopt.folder_of("mine").exists()


def test_a_crash_leaves_a_record(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun is known afterwards, by its run too: the same order goes on, and it can be deleted."""
    monkeypatch.setattr(Provisioning, "_equip", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        account.provisioning(account.order()).provision(account.folder / "web.tar")
    run = ordered("mine").run

    assert account.order().run == run
    assert {one.run for one in sweep.find(account.client)} == {run}
    with pytest.raises(SetupError, match="mine was provisioned before, as another site"):
        account.order(region="eu-west-1")
    account.provisioning(ordered("mine")).delete()
    assert sweep.find(account.client) == []


def test_what_is_somebody_elses_is_let_alone(account: Account) -> None:
    """A stack of that name without the site's tags is neither changed nor deleted, and nothing else is made."""
    template = "Resources: {Topic: {Type: AWS::EC2::InternetGateway}}"
    account.client("cloudformation").create_stack(StackName="mine-workers", TemplateBody=template)

    for act in (lambda p: p.provision(account.folder / "web.tar"), lambda p: p.delete()):
        with pytest.raises(IslandingError, match="somebody else's are there: mine-workers"):
            act(account.provisioning(account.order()))
    stacks = account.client("cloudformation").describe_stacks()["Stacks"]
    assert [one["StackName"] for one in stacks] == ["mine-workers"]


def test_mistakes_in_parameters_are_named(account: Account) -> None:
    """A parameter that no template has is refused before anything is asked of AWS."""
    order = account.order(parameters={"workers.InstanceTyp": "t3.large"})

    with pytest.raises(SetupError, match="InstanceTyp"):
        account.provisioning(order).provision(account.folder / "web.tar")
    assert not adopt.folder_of("mine").exists()
    with pytest.raises(SetupError, match="nothing was provisioned as yours"):
        ordered("yours")
