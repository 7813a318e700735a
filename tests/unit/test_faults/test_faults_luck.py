"""Bad luck between a fault and its undoing: somebody else's changes, a full disk, lost credentials, no way to AWS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from chaoslib.exceptions import ActivityFailed
from hypothesis import given
from hypothesis import strategies as st

from islanding import faults
from islanding.aws import calls
from islanding.chaos import actions
from islanding.faults import apply
from islanding.faults import heal as healing
from islanding.faults.apply import apply_fault, cut, undo_fault
from islanding.faults.heal import Healed, Outcome, heal
from islanding.model import AwsAccess, Site
from islanding.undo import State, UndoLog, UndoLogError, replay
from islanding.undolines import encode
from tests.unit.test_faults.bench import Bench
from tests.unit.test_faults.network import Network, closed_network


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A closed network; that something is gone is believed soon."""
    monkeypatch.setattr(healing, "GONE_FOR", 0.5)
    monkeypatch.setattr(healing, "_AGAIN", 0.2)
    monkeypatch.setattr(apply, "GONE_FOR", 0.5)
    with closed_network(tmp_path, monkeypatch) as made:
        yield made


def rules(network: Network, group: str) -> list[str]:
    """The ids of a group's rules for port 443 from an address range, and those of its rules to a prefix list."""
    named = [{"Name": "group-id", "Values": [network.ids[group]]}]
    found = network.client().describe_security_group_rules(Filters=named)["SecurityGroupRules"]
    mine = [one for one in found if one.get("FromPort") == 443 and "ReferencedGroupInfo" not in one]
    return [one["SecurityGroupRuleId"] for one in mine]


def delete_workers(network: Network) -> None:
    """Somebody deletes the workers' group, and the rule that names it."""
    ec2 = network.client()
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        if rule.get("ReferencedGroupInfo", {}).get("GroupId") == network.ids["workers"]:
            ec2.revoke_security_group_ingress(
                GroupId=rule["GroupId"], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
            )
    ec2.delete_security_group(GroupId=network.ids["workers"])


def test_what_somebody_deleted_is_abandoned_with_the_reason(network: Network) -> None:
    """Nothing is made up in its place: the log says what was found."""
    apply_fault(
        network.site, faults.SecurityGroupRuleRevoked(group="worker", direction="egress"), network.bench.journal
    )
    delete_workers(network)
    network.bench.orphan()
    [done] = heal("lab-1", timeout=20)
    [entry] = UndoLog.for_site("lab-1").read().entries

    assert (done.outcome, entry.state) == (Outcome.ABANDONED, State.ABANDONED)
    assert entry.reason.startswith("what it changed does not exist any more, so nothing can be put back: AWS call ec2.")
    assert network.ids["workers"] in entry.reason


def test_what_remains_is_put_back(network: Network) -> None:
    """One group of two was deleted: the other has its rules again, and the log names the one that is gone."""
    kept = rules(network, "group")
    fault = faults.SecurityGroupRuleRevoked(rule_ids=tuple(kept + rules(network, "workers")))
    applied = apply_fault(network.site, fault, network.bench.journal)
    during = rules(network, "group")
    delete_workers(network)
    with pytest.raises(faults.FaultError, match="does not exist any more"):
        undo_fault(applied, network.bench.journal, heal_timeout=20)
    [entry] = UndoLog.for_site("lab-1").read().entries

    assert (len(kept), during, len(rules(network, "group"))) == (2, [], 2)
    assert (entry.state, network.ids["workers"] in entry.reason) == (State.ABANDONED, True)


def test_what_somebody_put_back_is_left_as_it_is(network: Network) -> None:
    """The rule is there again by another's hand: there is nothing to do, and nothing is doubled."""
    fault = faults.RouteRemoved(destination="10.8.0.0/16")
    before = network.state()
    apply_fault(network.site, fault, network.bench.journal)
    network.client().create_route(
        RouteTableId=network.ids["table"], DestinationCidrBlock="10.8.0.0/16",
        VpcPeeringConnectionId=network.ids["peering"],
    )  # fmt: skip
    network.bench.orphan()
    [done] = heal("lab-1", timeout=20)

    assert done.outcome is Outcome.HEALED
    assert network.state() == before


def test_what_another_fault_hides_is_not_given_up(network: Network) -> None:
    """An endpoint that a second fault removed is not there to have its private DNS switched on: it will be again."""
    dns = faults.EndpointPrivateDnsOff(service="ecr.api")
    apply_fault(network.site, dns, network.bench.journal)
    apply_fault(network.site, faults.EndpointRemoved(service="ecr.api"), network.bench.journal)
    network.bench.orphan()
    real = calls.call

    def no_creation(site: Site, service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if operation == "create_vpc_endpoint":
            raise calls.Unreachable("no answer")
        return real(site, service, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "call", no_creation)
        first = heal("lab-1", timeout=2)
    second = heal("lab-1", timeout=20)

    assert [(one.outcome, one.unreachable) for one in first] == [(Outcome.FAILED, True), (Outcome.FAILED, False)]
    assert [one.outcome for one in second] == [Outcome.HEALED, Outcome.HEALED]


def test_a_full_disk_does_not_stop_an_undo(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is gone, the failure is told, and the entry stays for `islanding heal`, which finds nothing to do."""
    applied = apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UndoLogError, match="No space left"):
            undo_fault(applied, bench.journal)
    gone = not (bench.folder / "shut").exists()
    log = UndoLog.for_site("lab-1")
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:2]))  # what a full disk leaves
    bench.orphan()
    [done] = heal("lab-1")

    assert gone
    assert done.outcome is Outcome.HEALED


def test_a_failed_claim_stays_the_reason(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """That healing failed as well is a note to it, and the record is kept."""
    monkeypatch.setattr(faults.ServiceLinkDown, "undo", lambda *_: None)
    with (
        pytest.raises(AssertionError, match="the claim") as failed,
        cut(bench.site, faults.ServiceLinkDown(), bench.journal, heal_timeout=0.1),
    ):
        raise AssertionError("the claim")

    assert any("and the fault did not heal: waited 0.1 s" in note for note in failed.value.__notes__)
    assert bench.states() == [State.UNDOING]


def test_two_who_heal_at_once_undo_it_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first, and says that it was undone."""
    apply_fault(bench.site, faults.ServiceLinkDown(), bench.journal)
    bench.orphan()
    undo, begun, count = faults.ServiceLinkDown.undo, threading.Event(), []

    def slow(fault: faults.ServiceLinkDown, site: Site, plan: faults.Plan) -> None:
        count.append(1)
        begun.set()
        threading.Event().wait(0.5)
        undo(fault, site, plan)

    monkeypatch.setattr(faults.ServiceLinkDown, "undo", slow)
    first: list[Healed] = []
    thread = threading.Thread(target=lambda: first.extend(heal("lab-1", who="watchdog")))
    thread.start()
    begun.wait(10)
    [second] = heal("lab-1")
    thread.join()

    assert (len(count), first[0].outcome, second.outcome) == (1, Outcome.HEALED, Outcome.HEALED)
    assert "undone by watchdog, process" in second.text


class _Client:
    """A client whose first call fails as `error` says."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def can_paginate(self, _operation: str) -> bool:
        return False

    def describe_vpcs(self) -> dict[str, Any]:
        if self.error:
            raise self.error
        return {"Vpcs": []}


def test_credentials_that_expired_are_told_with_what_to_do_and_read_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client keeps the credentials that it began with: once they are renewed, the next call has to use the new."""
    expired = ClientError({"Error": {"Code": "ExpiredToken", "Message": "The token has expired"}}, "DescribeVpcs")
    made = [_Client(None), _Client(expired)]
    access = AwsAccess(region="us-west-2", account="123456789012", env={"AWS_ENDPOINT_URL": "https://aws.test"})
    site = bench.site.model_copy(update={"aws": access})
    monkeypatch.setattr(calls, "_made", lambda *_: made.pop())
    with pytest.raises(calls.CredentialsRefused) as refused:
        calls.call(site, "ec2", "describe_vpcs", {})
    again = calls.call(site, "ec2", "describe_vpcs", {})

    assert "aws sso login" in str(refused.value)
    assert "stays in the undo log" in str(refused.value)
    assert again == {"Vpcs": []}


def test_no_answer_is_told_apart(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is worth trying again is called unreachable."""
    lost = _Client(EndpointConnectionError(endpoint_url="https://aws.test"))
    denied = _Client(ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeVpcs"))
    site = bench.site.model_copy(update={"target": "aws"})
    kinds = []
    for client in (lost, denied):
        monkeypatch.setattr(calls, "client", lambda *_, it=client: it)
        with pytest.raises(Exception, match=r"AWS call ec2\.describe_vpcs failed") as raised:
            calls.call(site, "ec2", "describe_vpcs", {})
        kinds.append(type(raised.value).__name__)

    assert kinds == ["Unreachable", "IslandingError"]


def test_heal_goes_on_while_aws_does_not_answer_until_it_is_told_to_end(network: Network) -> None:
    """It says so, its exit code is not 0, and the record is kept."""
    apply_fault(network.site, faults.RouteRemoved(destination="10.8.0.0/16"), network.bench.journal)
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "AWS_ACCESS_KEY_ID": "x"}
    env |= {"AWS_SECRET_ACCESS_KEY": "y"}
    lost = network.site.aws.model_copy(update={"env": env})
    network.site.model_copy(update={"aws": lost}).save(Path(network.site.folder) / "site.json")
    network.bench.orphan()
    command = [sys.executable, "-m", "islanding", "heal", "--timeout", "0.2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "trying again" in line:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)

    assert "AWS's API does not answer; trying again" in seen
    assert "is kept in the undo log" in rest
    assert process.returncode == 1
    assert [entry.kind for entry in UndoLog.for_site("lab-1").read().open] == ["route-removed"]


def test_an_experiment_says_how_long_its_faults_last_and_hears_of_one_ended_early(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback that finds its fault undone by somebody else fails: the experiment saw no fault for a part of it."""
    monkeypatch.setenv("ISLANDING_SITE", f"{bench.site.folder}/site.json")
    monkeypatch.setenv("ISLANDING_JOURNAL", str(bench.journal.path))
    monkeypatch.setenv("ISLANDING_FAULT_SECONDS", "1234")
    actions.cut_service_link()
    [entry] = UndoLog.for_site("lab-1").read().open
    heal("lab-1", force=True)
    with pytest.raises(ActivityFailed, match=r"service-link-down .* was ended before its rollback, by heal, process"):
        actions.undo_fault()

    assert 1200 < entry.seconds_left() <= 1234


@given(st.binary(max_size=40), st.integers(0, 10_000))
def test_any_damage_to_a_log_of_an_applied_fault_is_told(damage: bytes, at: int) -> None:
    """Wherever bytes are overwritten, the fault is open, or it is named as one whose record is lost."""
    plan = {"target": "sl", "undo": [{"do": "vtysh", "commands": ["no shutdown"]}]}
    planned = {"id": "a1", "state": "planned", "when": "2026-01-01T00:00:00+00:00", "kind": "k", "params": {},
               "plan": plan, "site_id": "s", "site_file": "f", "deadline": "2026-01-01T00:10:00+00:00",
               "owner": {"pid": 1, "started": 2, "boot": "b", "user": "u", "host": "h"}}  # fmt: skip
    whole = encode(planned) + encode({"id": "a1", "state": "applied", "when": "2026-01-01T00:00:01+00:00"})
    content = bytearray(whole)
    start = at % len(content)
    content[start : start + len(damage)] = damage
    record = replay(bytes(content))

    assert record.open or record.orphans or record.newer
