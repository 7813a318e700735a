"""Actions of others in an experiment: chaosaws calls the site's AWS, and neither the caller's nor anybody else's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import chaosaws.ec2.actions as chaosaws
import pytest
from chaoslib.exceptions import FailedActivity

from islanding.chaos.default_session import calling
from islanding.chaos.run import run_experiment
from islanding.errors import IslandingError
from islanding.journal import Journal, read
from islanding.lab.region.server import Region
from islanding.model import AwsAccess, Site, Verdict
from tests.unit.region_support import REGION, connect, fresh_region
from tests.unit.sites_for_tests import save_site

EXPERIMENT = """
title: An instance is stopped and started
description: By the actions of chaostoolkit-aws, as its users write them.
controls: [{name: islanding, provider: {type: python, module: islanding.chaos.controls}}]
runtime: {rollbacks: {strategy: always}}
extensions: [{name: islanding, site: here, requirements: [C-12]}]
steady-state-hypothesis:
  title: it is there
  probes:
    - {type: probe, name: there, tolerance: 1, provider: {type: python, module: chaosaws.ec2.probes,
       func: count_instances, arguments: {filters: [{Name: instance-id, Values: [INSTANCE]}]}}}
method:
  - {type: action, name: stop, provider: {type: python, module: chaosaws.ec2.actions, func: stop_instance,
     arguments: {instance_id: INSTANCE}}}
rollbacks:
  - {type: action, name: terminate, provider: {type: python, module: chaosaws.ec2.actions, func: terminate_instances,
     arguments: {instance_ids: [INSTANCE]}}}
"""


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region of a new account."""
    yield from fresh_region(tmp_path)


@pytest.fixture
def site(region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A lab whose AWS is that Region, on a port of this machine; the caller's own AWS is nowhere."""
    monkeypatch.setenv("ISLANDING_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://callers-own.invalid.com")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-callers-own")
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    region.serve(listening, None)
    who = region.seed.assume("Operator")
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": who.access_key_id,
        "AWS_SECRET_ACCESS_KEY": who.secret_access_key,
        "AWS_SESSION_TOKEN": who.session_token,
    }
    path = save_site(tmp_path / "state" / "labs" / "here-test", name="here")
    access = AwsAccess(region=REGION, account=region.account, env=env)
    made = Site.load(path).model_copy(update={"aws": access})
    made.save(path)
    return made


@pytest.fixture
def instance(region: Region) -> str:
    """A running instance."""
    ec2 = connect(region, "ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"]
    made = ec2.run_instances(ImageId=image, SubnetId=subnet, MinCount=1, MaxCount=1)
    return str(made["Instances"][0]["InstanceId"])


def state(region: Region, instance: str) -> str:
    """The instance's state."""
    reply: Any = connect(region, "ec2").describe_instances(InstanceIds=[instance])
    return str(reply["Reservations"][0]["Instances"][0]["State"]["Name"])


def test_an_experiment_with_actions_of_chaosaws_acts_on_the_site(
    region: Region, site: Site, instance: str, tmp_path: Path
) -> None:
    """stop_instance and terminate_instances do their work in the site's Region, and the steady state is read there."""
    path = tmp_path / "stopped.yaml"
    path.write_text(EXPERIMENT.replace("INSTANCE", instance))
    before = dict(os.environ), boto3.DEFAULT_SESSION
    outcome = run_experiment(path, site, Journal(tmp_path / "journal.jsonl"))

    assert (outcome.verdict, outcome.reason) == (Verdict.PASS, "")
    assert state(region, instance) == "terminated"
    assert (dict(os.environ), boto3.DEFAULT_SESSION) == before
    assert [event.type for event in read(tmp_path / "journal.jsonl")][-1] == "case-finished"


def test_commands_at_the_sites_desks_do_not_inherit_the_harness_own_endpoint(site: Site) -> None:
    """Only the Region's name is in the environment: an endpoint there would lead a desk's kubectl past the faults."""
    with calling(site):
        inside = dict(os.environ)

    assert inside["AWS_ENDPOINT_URL"] == "https://callers-own.invalid.com"
    assert inside["AWS_REGION"] == REGION


def test_a_lab_without_an_endpoint_gives_no_client(site: Site) -> None:
    """chaosaws is refused as our own calls are, rather than reach an account of the caller's."""
    nowhere = site.model_copy(update={"aws": AwsAccess(region=REGION, account="1")})
    with calling(nowhere), pytest.raises(IslandingError, match="names no AWS endpoint; its client was not called"):
        chaosaws.stop_instance(instance_id="i-1")


def test_an_instance_that_is_not_there_fails_the_action(site: Site) -> None:
    """The site's AWS answers, with its own words."""
    with calling(site), pytest.raises((FailedActivity, Exception), match="i-1234567890abcdef0"):
        chaosaws.terminate_instances(instance_ids=["i-1234567890abcdef0"])
