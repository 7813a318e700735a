"""Each guardrail refuses, names itself, and changes nothing: AWS's state, undo log and network are compared."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from islanding import faults, guard
from islanding.errors import ExitCode
from islanding.faults.apply import apply_fault, cut, undo_fault
from islanding.guard import confirmation, stops
from islanding.guardconf import Guardrails
from islanding.journal import read
from islanding.undo import UndoLog
from tests.unit.test_faults.network import Network, closed_network
from tests.unit.test_guard.keys import make_key

TAG = {"Key": "islanding:faults", "Value": "allowed"}


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A closed network that refused faults leave as they found it."""
    with pytest.MonkeyPatch.context() as patch, closed_network(tmp_path_factory.mktemp("same"), patch) as made:
        yield made


def refused(network: Network, kind: str, rails: dict[str, Any], **params: Any) -> guard.Refused:
    """The refusal of a fault under these guardrails; AWS's state, undo log and journal are as they must be after it."""
    before, events = network.state(), len(list(read(network.bench.journal.path)))
    logged = len(UndoLog.for_site(network.site.id).read().entries)
    site = network.site.model_copy(update={"guardrails": Guardrails.model_validate(rails)})
    with pytest.raises(guard.Refused) as info:
        apply_fault(site, faults.make(kind, **params), network.bench.journal)

    assert before == network.state()
    assert logged == len(UndoLog.for_site(network.site.id).read().entries)
    told = list(read(network.bench.journal.path))[events:]
    assert [("fault-refused", [one.guardrail for one in info.value.reasons])] == [
        (event.type, event["guardrails"]) for event in told
    ]
    assert ExitCode.SETUP == info.value.exit_code
    return info.value


def allowed(network: Network, kind: str, rails: dict[str, Any], **params: Any) -> None:
    """The same fault passes under these guardrails, and is taken back: it is not refused for another reason."""
    site = network.site.model_copy(update={"guardrails": Guardrails.model_validate(rails)})
    undo_fault(apply_fault(site, faults.make(kind, **params), network.bench.journal), network.bench.journal)


def test_another_account_is_refused(same: Network) -> None:
    """Credentials of an account that is not on the list, as STS says, not as the description says."""
    error = refused(same, "route-removed", {"accounts": ["999999999999"]})

    assert "accounts" in [one.guardrail for one in error.reasons]
    assert f"account {same.region.account} is not among 999999999999" in str(error)
    allowed(same, "route-removed", {"accounts": [same.region.account]})


def test_credentials_of_another_account_than_described_are_refused(same: Network) -> None:
    """The site says one account and the credentials belong to another: nothing is touched there."""
    access = same.site.aws.model_copy(update={"account": "999999999999"})
    elsewhere = copy.copy(same)
    elsewhere.site = same.site.model_copy(update={"aws": access})

    error = refused(elsewhere, "route-removed", {})

    assert f"account {same.region.account} is not among 999999999999" in str(error)


def test_another_region_is_refused(same: Network) -> None:
    """A Region that is not on the list."""
    error = refused(same, "route-removed", {"regions": ["eu-west-1"]})

    assert ["regions"] == [one.guardrail for one in error.reasons]
    assert "is not among eu-west-1" in str(error)


@pytest.mark.parametrize(
    ("kind", "params", "untagged", "named"),
    [
        ("endpoint-removed", {"service": "ecr.dkr"}, "ecr.dkr", "ecr.dkr"),
        ("endpoint-policy-narrowed", {"service": "s3"}, "s3", "s3"),
        ("endpoint-private-dns-off", {"service": "ecr.api"}, "ecr.api", "ecr.api"),
        ("endpoint-route-table-removed", {}, "table", "table"),
        ("security-group-rule-revoked", {"group": "endpoint"}, "group", "group"),
        ("subnet-nacl-cut", {}, "subnet-1", "subnet-1"),
        ("route-removed", {}, "table", "table"),
        ("peering-deleted", {}, "peering", "peering"),
        ("peering-deleted", {}, "other-table", "other-table"),
        ("vpc-dns-attribute-off", {}, "vpc", "vpc"),
    ],
)
def test_what_nobody_has_marked_is_not_touched(
    same: Network, kind: str, params: dict[str, Any], untagged: str, named: str
) -> None:
    """One resource of the plan lacks the tag, or has another value: refused, by its id, in a lab too."""
    same.client().delete_tags(Resources=[same.ids[untagged]], Tags=[TAG])
    try:
        error = refused(same, kind, {}, **params)
        same.client().create_tags(Resources=[same.ids[untagged]], Tags=[{**TAG, "Value": "no"}])
        other = refused(same, kind, {}, **params)
    finally:
        same.client().create_tags(Resources=[same.ids[untagged]], Tags=[TAG])

    assert (f"guardrail tag: {same.ids[named]} has no tag islanding:faults=allowed") in str(error)
    assert (f"guardrail tag: {same.ids[named]} (no) has no tag islanding:faults=allowed") in str(other)
    allowed(same, kind, {}, **params)


def test_a_group_and_an_instance_need_their_marks(network: Network) -> None:
    """An Auto Scaling group bears the tag itself, and so does an instance that is terminated."""
    autoscaling, ec2 = network.client("autoscaling"), network.client()
    instance = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"][0]["InstanceId"]
    ec2.delete_tags(Resources=[instance], Tags=[TAG])
    gone = {"ResourceId": "workers", "ResourceType": "auto-scaling-group", "Key": TAG["Key"]}
    autoscaling.delete_tags(Tags=[gone])

    assert "guardrail tag: workers has no tag" in str(refused(network, "group-scaled", {}))
    error = refused(network, "instance-terminated", {}, instance_id=instance)
    assert f"guardrail tag: {instance} has no tag" in str(error)
    assert (
        "running" == ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]
    )


def test_more_than_the_allowed_number_of_resources_is_refused(same: Network) -> None:
    """A peering and two route tables are three things."""
    error = refused(same, "peering-deleted", {"resources": 2})

    assert ["resources"] == [one.guardrail for one in error.reasons]
    assert "3 resources would be touched, and 2 are allowed" in str(error)
    allowed(same, "peering-deleted", {"resources": 3})


def test_what_is_held_already_counts(same: Network) -> None:
    """Faults one after the other do not pass a limit that one alone would have met; the same thing counts once."""
    rails = {"resources": 2}
    site = same.site.model_copy(update={"guardrails": Guardrails.model_validate(rails)})
    journal = same.bench.journal
    first, second = (faults.make("endpoint-removed", service=service) for service in ("s3", "ec2"))
    with cut(site, first, journal), cut(site, second, journal):
        error = refused(same, "endpoint-removed", rails, service="ecr.api")

    assert ["resources"] == [one.guardrail for one in error.reasons]
    assert "3 resources would be touched with the faults that are applied already, and 2 are allowed" in str(error)
    allowed(same, "endpoint-removed", rails, service="ecr.api")


def test_more_than_the_allowed_number_of_nodes_is_refused(same: Network) -> None:
    """Nodes are counted where commands are run on them, and none is cut off."""
    error = refused(same, "nodes-cut-off", {"nodes": 1})

    assert ["nodes"] == [one.guardrail for one in error.reasons]
    assert "3 nodes would be touched, and 1 are allowed: w1, w2, w3" in str(error)
    assert [] == same.bench.calls()


def test_nodes_of_a_subnet_are_counted(network: Network) -> None:
    """A subnet that is cut takes its nodes with it."""
    nodes = tuple(
        node.model_copy(update={"address": f"10.7.0.{10 + number}"}) for number, node in enumerate(network.site.nodes)
    )
    network.site = network.site.model_copy(update={"nodes": nodes})

    error = refused(network, "subnet-nacl-cut", {"nodes": 2}, subnet_ids=[network.ids["subnet-0"]])

    assert "3 nodes would be touched, and 2 are allowed: w1, w2, w3" in str(error)
    allowed(network, "subnet-nacl-cut", {"nodes": 2}, subnet_ids=[network.ids["subnet-1"]])


def test_outside_the_hours_is_refused(same: Network) -> None:
    """A window on another day than today is closed; one that has today and the whole day is open."""
    now = datetime.now(UTC)
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    other = days[(now.weekday() + 3) % 7]
    window = {"days": [other], "from": "00:00", "to": "23:59", "zone": "UTC"}
    error = refused(same, "route-removed", {"hours": window})

    assert ["hours"] == [one.guardrail for one in error.reasons]
    assert f"faults are allowed {other} from 00:00 to 23:59" in str(error)


def test_production_needs_a_second_person(same: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's, another site's or fault's, an old, an altered, a stranger's and one's own confirmation: refused."""
    path, now = tmp_path / "confirmation", datetime.now(UTC)
    monkeypatch.setenv(confirmation.VARIABLE, str(path))
    key, public = make_key(tmp_path / "jane")
    stranger, _ = make_key(tmp_path / "stranger")
    rails = {"production": {"confirmers": {"jane": public}}}
    site = same.site.id

    def signed(
        *, by: str = "jane", at: datetime = now, where: str = site, kind: str = "route-removed", **more: Any
    ) -> str:
        monkeypatch.setattr("getpass.getuser", lambda: by)
        content = confirmation.make(where, (kind,), at, 600.0, more.get("key", key))
        path.write_bytes(more["change"](content) if "change" in more else content)
        monkeypatch.setattr("getpass.getuser", lambda: "joe")
        error = str(refused(same, "route-removed", rails))
        assert not any(part in error for part in content.decode().strip().split(".")[1:])
        return error

    assert "nobody has confirmed this fault" in str(refused(same, "route-removed", rails))
    assert "is for the site elsewhere, not" in signed(where="elsewhere")
    assert "is for peering-deleted, not route-removed" in signed(kind="peering-deleted")
    assert "held until" in signed(at=now - timedelta(hours=1))
    assert "holds only from" in signed(at=now + timedelta(minutes=30))
    assert "is signed by none of jane" in signed(key=stranger)
    assert "is no confirmation" in signed(change=lambda content: content[:40])
    assert "is signed by none" in signed(change=lambda c: c[:-5] + (b"AAAA" if c[-5:-1] != b"AAAA" else b"BBBB"))
    assert "joe confirmed it and runs it: that takes two people" in signed(by="joe")
    path.write_bytes(confirmation.make(site, ("route-removed",), now, 600.0, key))
    monkeypatch.setattr("getpass.getuser", lambda: "someone-else")
    allowed(same, "route-removed", rails)


def test_an_alarm_refuses_a_fault_before_it_begins(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alarm that is in ALARM, has no data or is not there: nothing is broken; in OK and watched, it is."""
    cloudwatch = network.client("cloudwatch")
    rails = {"stop": [{"alarm": "checkout"}]}
    monkeypatch.setattr(stops, "_stopped", {})  # of other tests, whose site has the same id
    stops.begin(network.site.id)
    try:
        assert "alarm checkout is not there" in str(refused(network, "route-removed", rails))
        cloudwatch.put_metric_alarm(
            AlarmName="checkout", MetricName="errors", Namespace="shop", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName="checkout", StateValue="ALARM", StateReason="too many")
        assert "alarm checkout is ALARM" in str(refused(network, "route-removed", rails))
        cloudwatch.set_alarm_state(AlarmName="checkout", StateValue="OK", StateReason="well")
        allowed(network, "route-removed", rails)
        stops.stop(network.site.id, "probe http: REFUSED for 3 s")
        assert "probe http: REFUSED for 3 s" in str(refused(network, "route-removed", rails))
    finally:
        stops.end(network.site.id)
    monkeypatch.setattr(stops, "_stopped", {})
    assert "nothing watches them" in str(refused(network, "route-removed", rails))


def test_every_fault_says_what_it_touches(same: Network) -> None:
    """No call of any fault is one of which the guardrails do not know what it changes."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("endpoint-removed", {"service": "s3"}),
        ("group-scaled", {}),
        ("instance-terminated", {}),
        ("subnet-nacl-cut", {}),
        ("peering-deleted", {}),
        ("security-group-rule-revoked", {"group": "worker", "direction": "egress"}),
    ]
    for kind, params in kinds:
        plan = faults.make(kind, **params).plan(same.site)
        what = guard.touches(same.site, plan)
        assert () == what.obscure, kind
        assert what.resources, kind


def test_a_call_that_is_not_known_is_refused(same: Network) -> None:
    """A fault with a call that the table does not have passes no guardrail, whatever it may touch."""
    plan = faults.make("route-removed").plan(same.site)
    step = plan.apply[0].model_copy(update={"operation": "delete_vpc"})

    with pytest.raises(guard.Refused, match=r"what ec2\.delete_vpc would touch cannot be told"):
        guard.check(same.site, plan.model_copy(update={"apply": (step,)}))
