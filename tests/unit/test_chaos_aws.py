"""Actions of others in an experiment: chaosaws calls the site's AWS, and neither the caller's nor anybody else's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import chaosaws.ec2.actions as chaosaws
import pytest
from chaoslib.exceptions import FailedActivity

from islanding.aws import recording
from islanding.chaos import foreign
from islanding.chaos.default_session import calling
from islanding.chaos.run import run_experiment
from islanding.chaos.schema import load_experiment
from islanding.chaos.verdict import Outcome
from islanding.errors import IslandingError, SetupError
from islanding.faults.heal import Outcome as Healing
from islanding.faults.heal import heal
from islanding.guardconf import DAYS, Guardrails
from islanding.journal import Journal, read
from islanding.lab.region.server import Region
from islanding.model import AwsAccess, Site, Verdict
from islanding.undo import Owner, State, UndoLog
from tests.unit.region_support import REGION, connect, fresh_region
from tests.unit.sites_for_tests import save_site

EXPERIMENT = """
title: An instance is stopped and started
description: By the actions of chaostoolkit-aws, as its users write them.
controls: [{name: islanding, provider: {type: python, module: islanding.chaos.controls}}]
runtime: {rollbacks: {strategy: always}}
extensions: [{name: islanding, site: here, requirements: [C-12], irreversible: accepted}]
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


STOPPED = """
title: An instance is stopped
description: By an action of chaostoolkit-aws, whose experiment forgets to start it.
controls: [{name: islanding, provider: {type: python, module: islanding.chaos.controls}}]
runtime: {rollbacks: {strategy: always}}
configuration: {which: INSTANCE}
extensions: [{name: islanding, site: here, requirements: [C-12]}]
steady-state-hypothesis:
  title: it is there
  probes:
    - {type: probe, name: there, tolerance: 1, provider: {type: python, module: chaosaws.ec2.probes,
       func: count_instances, arguments: {filters: [{Name: instance-id, Values: [INSTANCE]}]}}}
method:
  - {type: action, name: stop, provider: {type: python, module: chaosaws.ec2.actions, func: stop_instance,
     arguments: {instance_id: "${which}"}}}
rollbacks:
  - {type: action, name: nothing, provider: {type: process, path: "true"}}
"""
SUSPENDED = (
    STOPPED.replace("func: stop_instance", "func: suspend_processes")
    .replace("chaosaws.ec2.actions, func: suspend", "chaosaws.asg.actions, func: suspend")
    .replace(
        'arguments: {instance_id: "${which}"}',
        "arguments: {asg_names: [workers], process_names: [Launch, AZRebalance]}",
    )
)
TAG = {"Key": "islanding:faults", "Value": "allowed"}


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
    id = str(made["Instances"][0]["InstanceId"])
    ec2.create_tags(Resources=[id], Tags=[TAG])
    return id


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


def run(text: str, instance: str, site: Site, tmp_path: Path) -> tuple[Outcome, list[str]]:
    """What an experiment came to, and the types of its events that are of faults."""
    path = tmp_path / "stopped.yaml"
    path.write_text(text.replace("INSTANCE", instance))
    outcome = run_experiment(path, site, Journal(tmp_path / "journal.jsonl"))
    events = [event.type for event in read(tmp_path / "journal.jsonl")]
    return outcome, [one for one in events if one.startswith("fault-")]


def entries(site: Site) -> list[tuple[str, State]]:
    """What the undo log says."""
    return [(entry.kind, entry.state) for entry in UndoLog.for_site(site.id).read().entries]


def test_an_action_of_chaosaws_is_undone_by_the_undo_log(
    region: Region, site: Site, instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wrote a rollback that starts it; it runs again, the journal has the fault, its calls are recorded."""
    monkeypatch.setenv(recording.VARIABLE, str(tmp_path / recording.NAME))
    outcome, events = run(STOPPED, instance, site, tmp_path)

    assert state(region, instance) == "running"
    assert [("foreign-action", State.UNDONE)] == entries(site)
    assert ["fault-planned", "fault-applied", "fault-undone", "fault-healed"] == events
    assert (outcome.verdict, outcome.reason) == (Verdict.PASS, "")
    assert {("ec2", "StopInstances"), ("ec2", "StartInstances")} <= recording.read(tmp_path / recording.NAME)


def test_an_action_of_chaosaws_meets_the_guardrails(region: Region, site: Site, instance: str, tmp_path: Path) -> None:
    """Without the tag it does not run, nothing is written down, and the verdict says which guardrail it was."""
    connect(region, "ec2").delete_tags(Resources=[instance], Tags=[TAG])
    outcome, events = run(STOPPED, instance, site, tmp_path)

    assert state(region, instance) == "running"
    assert ([], ["fault-refused"]) == (entries(site), events)
    assert f"guardrail tag: {instance} has no tag" in outcome.reason


def test_a_killed_run_leaves_an_action_that_heal_undoes(
    region: Region, site: Site, instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record alone is enough: another process starts the instance."""
    journal = Journal(Path(site.folder) / "journal.jsonl")
    arguments = {"instance_ids": [instance], "filters": [{"Name": "tag:secret", "Values": ["${canary}"]}]}
    provider = {"module": "chaosaws.ec2.actions", "func": "stop_instances", "arguments": arguments}
    activity = {"name": "stop", "type": "action", "provider": provider}
    foreign.begin(site, journal, activity, {}, {"aws": {"canary": "the-canary"}})
    connect(region, "ec2").stop_instances(InstanceIds=[instance])
    log = UndoLog.for_site(site.id)
    assert "canary" not in log.path.read_text()
    monkeypatch.setattr(Owner, "is_alive", lambda _self: False)
    [done] = heal(site.id)

    assert (Healing.HEALED, "running") == (done.outcome, state(region, instance)), done.text


def test_processes_of_a_group_are_resumed_but_for_those_that_were_suspended(
    region: Region, site: Site, instance: str, tmp_path: Path
) -> None:
    """What was suspended before stays so: only the difference comes back."""
    ec2, autoscaling = connect(region, "ec2"), connect(region, "autoscaling")
    subnet = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["SubnetId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    autoscaling.create_launch_configuration(LaunchConfigurationName="w", ImageId=image, InstanceType="t3.small")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="workers", LaunchConfigurationName="w", MinSize=0, MaxSize=1, DesiredCapacity=0,
        VPCZoneIdentifier=subnet, Tags=[{**TAG, "PropagateAtLaunch": True}],
    )  # fmt: skip
    autoscaling.suspend_processes(AutoScalingGroupName="workers", ScalingProcesses=["Launch"])
    _, events = run(SUSPENDED, instance, site, tmp_path)
    [group] = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]

    assert ["Launch"] == [one["ProcessName"] for one in group["SuspendedProcesses"]]
    assert ["fault-planned", "fault-applied", "fault-undone", "fault-healed"] == events


@pytest.mark.parametrize(
    "action",
    [
        "module: chaosaws.ec2.actions, func: terminate_instances, arguments: {instance_ids: [INSTANCE]}",
        "module: chaosaws.ec2.actions, func: stop_instance, arguments: {az: ap-northeast-1a}",
        "module: chaosaws.rds.actions, func: stop_db_instance, arguments: {db_instance_identifier: x}",
    ],
)
def test_what_nothing_undoes_is_refused_unless_it_is_accepted(tmp_path: Path, action: str) -> None:
    """An unknown inverse, and one of something chosen by chance: the action is named; the experiment can accept it."""
    method = 'module: chaosaws.ec2.actions, func: stop_instance,\n     arguments: {instance_id: "${which}"}'
    path = tmp_path / "e.yaml"
    path.write_text(STOPPED.replace(method, action))
    with pytest.raises(SetupError, match=r"nothing undoes stop \(\w+\).*irreversible: accepted"):
        load_experiment(path)

    path.write_text(path.read_text().replace("[C-12]}", "[C-12], irreversible: accepted}"))
    assert load_experiment(path).extension.irreversible == "accepted"


def test_what_is_accepted_still_meets_account_and_hours(
    region: Region, site: Site, instance: str, tmp_path: Path
) -> None:
    """Irreversible is accepted, but not at this time: nothing is terminated."""
    other = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
    hours = {"days": [other], "from": "00:00", "to": "23:59", "zone": "UTC"}
    shut = site.model_copy(update={"guardrails": Guardrails.model_validate({"hours": hours})})
    text = EXPERIMENT.replace("func: stop_instance,", "func: terminate_instance,")
    outcome, events = run(text, instance, shut, tmp_path)

    assert (state(region, instance), events) == ("running", ["fault-refused"] * 2)
    assert "guardrail hours" in outcome.reason
