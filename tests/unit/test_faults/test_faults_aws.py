"""Faults on AWS objects: each breaks what it names, and is put back from the record, whatever was killed when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from islanding import faults
from islanding.errors import IslandingError
from islanding.faults import heal as healing
from islanding.faults._plan import take
from islanding.faults.apply import cut
from islanding.faults.endpoint_policy_narrowed import narrowed
from islanding.faults.heal import Outcome, heal
from tests.unit.region_support import REGION
from tests.unit.test_faults.network import Network, closed_network

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("endpoint-removed", {"service": "ecr.dkr"}),
    ("endpoint-removed", {"service": "s3"}),
    ("endpoint-route-table-removed", {}),
    ("endpoint-policy-narrowed", {"service": "s3"}),
    ("endpoint-policy-narrowed", {"service": "ecr.api"}),
    ("endpoint-private-dns-off", {"service": "ecr.api"}),
    ("security-group-rule-revoked", {"group": "endpoint", "port": 443}),
    ("security-group-rule-revoked", {"group": "worker", "direction": "egress"}),
    ("subnet-nacl-cut", {}),
    ("route-removed", {"destination": "10.8.0.0/16"}),
    ("peering-deleted", {}),
    ("vpc-dns-attribute-off", {"attribute": "enableDnsSupport"}),
    ("vpc-dns-attribute-off", {"attribute": "enableDnsHostnames"}),
]
_ALLOW: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
_WORDS = st.text(st.sampled_from("abXYZ09:-_ /"), min_size=1).filter(lambda text: text == text.strip())
IDS = [" ".join([kind, *map(str, params.values())]) for kind, params in KINDS]


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A closed network that tests leave as they found it, but for ids."""
    with pytest.MonkeyPatch.context() as patch, closed_network(tmp_path_factory.mktemp("same"), patch) as made:
        yield made


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A closed network in a Region of its own."""
    with closed_network(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize(("kind", "params"), KINDS, ids=IDS)
def test_it_breaks_what_it_names_and_all_comes_back(same: Network, kind: str, params: dict[str, Any]) -> None:
    """Within the block AWS's state is another, after it the same but for ids."""
    before = same.state()
    with cut(same.site, faults.make(kind, **params), same.bench.journal) as applied:
        during = same.state()
        plan = applied.plan

    assert during != before
    assert same.state() == before
    assert plan.summary
    assert faults.Plan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(("kind", "params"), KINDS, ids=IDS)
def test_a_run_killed_between_any_two_steps_is_healed(
    same: Network, monkeypatch: pytest.MonkeyPatch, kind: str, params: dict[str, Any]
) -> None:
    """However far applying and undoing came, another process puts all back from the record; again does no harm."""
    monkeypatch.setattr(healing, "_SETTLES", 0.0)  # no command of a killed run is on its way here
    before, fault = same.state(), faults.make(kind, **params)
    steps = fault.plan(same.site)
    killed = [(n, 0) for n in range(len(steps.apply))] + [(len(steps.apply), n) for n in range(len(steps.undo) + 1)]
    for applied, undone in killed:
        plan = same.record(fault)
        take(same.site, plan.apply[:applied])
        take(same.site, plan.undo[:undone])
        same.bench.orphan()
        [done] = heal("lab-1")
        fault.undo(same.site, plan)

        assert (done.outcome, done.text) == (Outcome.HEALED, done.text)
        assert same.state() == before


def test_what_is_put_back_is_found_when_a_later_step_needs_it(network: Network) -> None:
    """An endpoint's association comes back although the endpoint was made anew in between, under another id."""
    inner = faults.make("endpoint-route-table-removed")
    with cut(network.site, inner, network.bench.journal):
        with cut(network.site, faults.make("endpoint-removed", service="s3"), network.bench.journal):
            pass
        [during] = [one for one in network.state()["endpoints"] if one["VpcEndpointType"] == "Gateway"]

    [after] = [one for one in network.state()["endpoints"] if one["VpcEndpointType"] == "Gateway"]
    assert (during["RouteTableIds"], after["RouteTableIds"]) == ([], [network.ids["table"]])


@given(
    private_dns=st.booleans(),
    subnets=st.sets(st.sampled_from(["subnet-0", "subnet-1"]), min_size=1),
    groups=st.sets(st.sampled_from(["group", "workers"]), min_size=1),
    policy=st.none() | st.lists(_WORDS, min_size=1).map(lambda them: {"Statement": [{**_ALLOW, "Action": them}]}),
    tags=st.dictionaries(_WORDS, _WORDS, max_size=3),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_endpoint_comes_back_with_whatever_attributes_it_had(
    network: Network, private_dns: bool, subnets: set[str], groups: set[str], policy: Any, tags: dict[str, str]
) -> None:
    """Subnets, groups, policy, private DNS and tags are those of before; the id is another."""
    ec2, site = network.client(), network.site
    made = ec2.create_vpc_endpoint(
        VpcId=network.ids["vpc"], ServiceName=f"com.amazonaws.{REGION}.logs", VpcEndpointType="Interface",
        SubnetIds=[network.ids[one] for one in subnets], SecurityGroupIds=[network.ids[one] for one in groups],
        PrivateDnsEnabled=private_dns, **({"PolicyDocument": json.dumps(policy)} if policy else {}),
        TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
    )["VpcEndpoint"]["VpcEndpointId"]  # fmt: skip
    before = network.state()
    fault = faults.make("endpoint-removed", endpoint_id=made)
    plan = fault.plan(site)
    fault.apply(site, plan)
    gone, wounded = fault.is_applied(site, plan), fault.is_healed(site, plan)
    fault.undo(site, plan)
    again = faults.EndpointRemoved(service="logs").endpoint(site)["VpcEndpointId"]

    assert (gone.ok, wounded.ok, fault.is_healed(site, plan).ok) == (True, False, True)
    assert network.state() == before
    assert again != made
    ec2.delete_vpc_endpoints(VpcEndpointIds=[again])


def test_an_endpoint_put_back_otherwise_has_not_healed(network: Network) -> None:
    """What differs is named: a group less, or a policy that somebody changed."""
    fault = faults.make("endpoint-removed", service="ecr.api")
    plan = fault.plan(network.site)
    ec2, id = network.client(), network.ids["ecr.api"]
    ec2.modify_vpc_endpoint(VpcEndpointId=id, AddSecurityGroupIds=[network.ids["workers"]])
    groups = fault.is_healed(network.site, plan)
    ec2.modify_vpc_endpoint(VpcEndpointId=id, RemoveSecurityGroupIds=[network.ids["workers"]])
    ec2.modify_vpc_endpoint(VpcEndpointId=id, PolicyDocument='{"Statement": []}')
    policy = fault.is_healed(network.site, plan)

    assert (groups.ok, policy.ok) == (False, False)
    assert "groups is [" in groups.seen
    assert policy.seen == f"{id} (com.amazonaws.{REGION}.ecr.api): policy is {{'Statement': []}}"


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("endpoint-removed", {}, "endpoint-removed needs the parameter 'service' or 'endpoint_id'"),
        ("endpoint-removed", {"service": "sts"}, "there is no endpoint for sts in vpc-"),
        ("endpoint-removed", {"endpoint_id": "vpce-1"}, "AWS call ec2.describe_vpc_endpoints failed: .*NotFound"),
        ("endpoint-removed", {"service": "s3", "type": "Interface"}, "there is no endpoint for s3"),
        ("endpoint-private-dns-off", {"service": "s3"}, "there is no endpoint for s3"),
        ("endpoint-route-table-removed", {"route_table_ids": ["rtb-1"]}, "is not associated with rtb-1\n  it has rtb-"),
        ("endpoint-policy-narrowed", {"policy": "{", "service": "s3"}, "policy is no JSON"),
        ("endpoint-policy-narrowed", {"policy": "{}", "without": ["a"]}, "takes `policy` or `without`, not both"),
        ("security-group-rule-revoked", {}, "needs `rule_ids`, or `group` or `group_id`"),
        ("security-group-rule-revoked", {"group": "endpoint", "port": 22}, "no ingress rule for port 22\n  it has "),
        (
            "security-group-rule-revoked",
            {"group": "operator"},
            "no operator_group_id\n  give the parameter group_id",
        ),
        ("subnet-nacl-cut", {"subnet_ids": ["subnet-1"]}, "no network ACL of subnet-1"),
        ("route-removed", {"destination": "0.0.0.0/0"}, "no routes to 0.0.0.0/0 .*\n  destinations: 10.8.0.0/16"),
        ("peering-deleted", {"peering_id": "pcx-1"}, "there is no active peering pcx-1"),
        ("instance-terminated", {"instance_id": "i-1"}, "i-1 is in no Auto Scaling group: nothing would replace it"),
        ("instance-terminated", {"node": "w9"}, "no node 'w9'"),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(same: Network, kind: str, params: dict[str, Any], says: str) -> None:
    """Nothing is broken by a fault that cannot be planned, and the message says what to give instead."""
    with pytest.raises(IslandingError, match=says):
        faults.make(kind, **params).plan(same.site)


def test_what_is_broken_already_is_not_broken_again(same: Network) -> None:
    """A second fault of the kind finds nothing to break: its undo would undo the first's work."""
    kinds: list[tuple[str, dict[str, str]]] = [
        ("endpoint-removed", {"service": "ecr.api"}),
        ("peering-deleted", {}),
        ("vpc-dns-attribute-off", {}),
    ]
    for kind, params in kinds:
        fault = faults.make(kind, **params)
        with cut(same.site, fault, same.bench.journal), pytest.raises(faults.FaultError, match=r"heal|is no"):
            fault.plan(same.site)


def test_a_terminated_instance_is_replaced_by_its_group(network: Network) -> None:
    """Nothing is undone: the fault has healed when the group has as many instances as it wants, without that one."""
    fault = faults.make("instance-terminated")
    with cut(network.site, fault, network.bench.journal) as applied:
        plan = applied.plan
    groups = network.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    there = [one["InstanceId"] for one in groups[0]["Instances"]]

    assert plan.undo == ()
    assert (len(there), plan.before["instance"] in there) == (2, False)
    assert fault.is_healed(network.site, plan).seen == "workers: 2 of 2 instances in service"


def test_only_the_resources_named_leave_a_policy() -> None:
    """A bucket named among others goes; where everything is allowed, it is denied; other statements stay."""
    bucket = ("arn:aws:s3:::layers", "arn:aws:s3:::layers/*")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": list(bucket)}
    several = {"Statement": [{**_ALLOW, "Resource": ["arn:aws:s3:::layers/*", "arn:aws:s3:::mine/*"]}]}
    alone = {"Version": "2012-10-17", "Statement": {**_ALLOW, "Resource": "arn:aws:s3:::layers/*"}}

    assert narrowed(several, bucket) == {"Statement": [{**_ALLOW, "Resource": ["arn:aws:s3:::mine/*"]}, deny]}
    assert narrowed(alone, bucket) == {"Version": "2012-10-17", "Statement": [deny]}
    assert narrowed({"Statement": [_ALLOW]}, bucket) == {"Statement": [_ALLOW, deny]}
