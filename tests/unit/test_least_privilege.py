"""The generated IAM policies: what they allow is what is really called, no more and no less."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from click.testing import CliRunner

from islanding import faults
from islanding.aws import calls, leastprivilege, needs, recording
from islanding.cli import main
from islanding.errors import ExitCode
from islanding.faults.apply import apply_fault, undo_fault
from islanding.paths import content_dir
from tests.unit.test_faults.network import Network, closed_network

# Each fault in the ways in which it is planned differently.
WAYS: dict[str, list[dict[str, Any]]] = {
    "endpoint-policy-narrowed": [{"service": "s3"}],
    "endpoint-private-dns-off": [{"service": "ecr.api"}],
    "endpoint-removed": [{"service": "s3"}, {"service": "ecr.dkr"}],
    "endpoint-route-table-removed": [{}],
    "group-scaled": [{}],
    "instance-terminated": [{}, {"instance_id": "<member>"}],
    "peering-deleted": [{}],
    "route-removed": [{"destination": "10.8.0.0/16"}],
    "security-group-rule-revoked": [{"group": "endpoint"}, {"group": "worker", "direction": "egress"}],
    "subnet-nacl-cut": [{}],
    "vpc-dns-attribute-off": [{}],
}
# Called where a peering has options, which the Region's are made without; a node's power needs a node, see below.
ONLY_SOMETIMES = {"peering-deleted": {"ec2:ModifyVpcPeeringConnectionOptions"}}
POWER = {"ec2:DescribeInstances", "ec2:StartInstances", "ec2:StopInstances"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A closed network whose clients' calls are recorded."""
    with pytest.MonkeyPatch.context() as patch, closed_network(tmp_path_factory.mktemp("calls"), patch) as made:
        plain = calls.client

        def recorded(access: Any, service: str) -> Any:
            client = plain(access, service)
            recording.attach(client.meta.events)
            return client

        patch.setattr(calls, "client", recorded)
        yield made


def test_every_fault_that_calls_aws_is_in_the_table() -> None:
    """All of the table's kinds are faults, and each is tried below or named as one that is not."""
    calling = re.compile(r"AwsCall|islanding\.aws|faults\._(?:endpoint|vpc)\b")
    folder = Path(faults.__file__).parent
    sources = {kind: (folder / f"{kind.replace('-', '_')}.py").read_text() for kind in faults.names()}

    assert {kind for kind, source in sources.items() if calling.search(source)} == set(needs.FAULTS)
    assert {*WAYS, "node-powered-off", "vif-failover-test"} == set(needs.FAULTS)


@pytest.mark.parametrize("kind", WAYS)
def test_a_fault_is_allowed_what_it_calls_and_nothing_else(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Planned, judged, applied and undone: the record of its calls is its line of the table, and the guardrails'."""
    monkeypatch.setenv(recording.VARIABLE, str(tmp_path / recording.NAME))
    for way in WAYS[kind]:
        now = network.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
        params = {key: now[0]["InstanceId"] if value == "<member>" else value for key, value in way.items()}
        undo_fault(apply_fault(network.site, faults.make(kind, **params), network.bench.journal), None)

    called = {":".join(one) for one in recording.read(tmp_path / recording.NAME)}
    allowed = needs.of_faults([kind]) - set(needs.STOPS)
    assert set() == called - allowed
    assert allowed - called <= ONLY_SOMETIMES.get(kind, set()) | {"ec2:DescribeTags"}


def test_faults_at_nodes_ask_for_the_nodes_tags() -> None:
    """They change nothing in AWS, and the guardrails look whether the instances bear the tag."""
    assert {*needs.GUARD, *needs.STOPS} == needs.of_faults(["nodes-cut-off"]) == needs.of_faults(["node-rebooted"])
    assert set(needs.STOPS) == needs.of_faults(["service-link-down"])


def test_powering_a_node_off_calls_what_its_plan_says() -> None:
    """The steps of its plan are literal: they are read from the source."""
    source = (Path(faults.__file__).parent / "node_powered_off.py").read_text()
    power = (Path(faults.__file__).parent / "_boot.py").read_text()
    named = set(re.findall(r'"((?:describe|start|stop)_instances)"', source + power))

    assert POWER == set(needs.FAULTS["node-powered-off"])
    assert named <= {xform_name(one.partition(":")[2]) for one in POWER}


def test_every_operation_of_the_tables_is_one_of_aws() -> None:
    """A misspelt operation would allow nothing: each is in botocore's model of its service."""
    session = botocore.session.get_session()
    own = {one for part in needs.PARTS for one in part.own} | set(needs.SOMETIMES)
    every = needs.reading() | needs.of_faults(needs.FAULTS) | own

    models = {service: session.get_service_model(service) for service in {one.partition(":")[0] for one in every}}
    assert [] == [one for one in every if one.partition(":")[2] not in models[one.partition(":")[0]].operation_names]


SUITES = [path.name for path in content_dir("suites").iterdir() if path.is_dir() and path.name[0] not in "_."]


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_is_allowed_what_its_cases_name(suite: str) -> None:
    """Each call and each fault that stands in a suite's sources is allowed by its policy."""
    found, kinds = set(), set()
    for path in (content_dir("suites") / suite).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in faults.names():
                kinds.add(str(node.value))
            words = _words(node)
            if words and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                words = [node.func.attr, *words]  # Scratch.ec2("create_vpc", ...)
            if len(words) >= 2 and all(isinstance(word, str) for word in words[:2]):
                found.add((words[0], words[1]))
    allowed = {
        (service, xform_name(operation))
        for service, _, operation in (one.partition(":") for one in needs.of_suite(suite))
    }

    assert set() == found - allowed
    parts = [part for part in needs.PARTS if part.suite == suite]
    assert kinds & {*needs.FAULTS, *needs.AT_NODES} <= {kind for part in parts for kind in part.faults}


def _words(node: ast.AST) -> list[Any]:
    """The literal arguments of a call of `call`, or of a case's own `ec2`."""
    if isinstance(node, ast.Call) and _called(node.func) in ("call", "ec2"):
        return [one.value for one in node.args if isinstance(one, ast.Constant)]
    return []


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def test_every_site_of_a_suite_has_its_part() -> None:
    """A case marked with a site for which its suite has no part would lack what it calls there."""
    marked = set()
    for path in content_dir("suites").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "site":
                marked |= {(path.parent.name, one.value) for one in node.args if isinstance(one, ast.Constant)}

    assert marked <= {(part.suite, site) for part in needs.PARTS for site in part.sites}
    assert {site for _, site in marked} == {*needs.CLOSED, *needs.OUTPOSTS}


def test_experiments_are_allowed_their_faults() -> None:
    """Each fault that an experiment's actions apply is one of its site's policy."""
    source = (Path(faults.__file__).parents[1] / "chaos" / "actions.py").read_text()
    kind_of = {
        function.name: node.args[0].value
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _called(node.func) == "_apply" and isinstance(node.args[0], ast.Constant)
    }
    used: dict[str, set[str]] = {site: set() for site in (*needs.CLOSED, *needs.OUTPOSTS)}
    for path in content_dir("experiments").glob("*.yaml"):
        document = yaml.safe_load(path.read_text())
        names = {step["provider"]["func"] for step in document["method"] if step["type"] == "action"}
        used[document["extensions"][0]["site"]] |= {str(kind_of[name]) for name in names & set(kind_of)}

    found = {site: kinds & set(needs.FAULTS) for site, kinds in used.items()}
    of_experiments = {site: set(part.faults) for part in needs._OF_EXPERIMENTS for site in part.sites}
    assert found == {site: of_experiments.get(site, set()) for site in used}


def run(*words: str) -> Any:
    """The command's result."""
    return CliRunner().invoke(main, ["iam-policy", *words])


def test_a_read_only_policy_changes_nothing() -> None:
    """No action of it is more than a look, and IAM's own names stand where they differ from the operations'."""
    document = json.loads(run("--read-only").stdout)
    [statement] = document["Statement"]

    assert all(re.fullmatch(r"\w+:(Describe|Get|List)\w+", one) for one in statement["Action"])
    assert "s3:ListAllMyBuckets" in statement["Action"]
    assert "s3:ListBuckets" not in statement["Action"]


def test_tags_may_be_given_only_to_what_is_made() -> None:
    """A fault that puts an endpoint back tags it as it makes it, and may mark nothing else as allowed."""
    document = json.loads(run("--fault", "endpoint-removed", "--region", "eu-central-1").stdout)
    by_sid = {one["Sid"]: one for one in document["Statement"]}

    assert ["ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints"] == by_sid["Change"]["Action"]
    assert {"ec2:CreateAction": ["CreateVpcEndpoint"], "aws:RequestedRegion": "eu-central-1"} == by_sid[
        "TagWhatIsMade"
    ]["Condition"]["StringEquals"]
    assert ["sts:GetCallerIdentity"] == by_sid["ReadAnywhere"]["Action"]
    assert "Condition" not in by_sid["ReadAnywhere"]


def test_a_run_is_compared_with_its_policy(tmp_path: Path) -> None:
    """What was called and is not allowed fails, and what is allowed and was never called is told."""
    record = tmp_path / "calls.jsonl"
    record.write_text('{"service": "ec2", "operation": "DeleteVpc"}\n{"service": "ec2", "operation": "DescribeTags"}\n')
    result = run("--fault", "route-removed", "--check", str(record))

    assert ExitCode.FAILED == result.exit_code
    assert "called and not allowed: ec2:DeleteVpc\n" in result.output
    assert "allowed and never called: ec2:CreateRoute" in result.output
    assert "allowed for when a stop condition of the site is an alarm: cloudwatch:DescribeAlarms\n" in result.output
    record.write_text('{"service": "ec2", "operation": "DescribeTags"}\n')
    assert ExitCode.OK == run("--fault", "route-removed", "--check", str(record)).exit_code
    record.write_text("nonsense")
    assert "is no record of calls" in run("--check", str(record)).output


def test_mistakes_are_named() -> None:
    """An unknown fault or suite is answered with those there are."""
    assert "there is no fault nonsense" in run("--fault", "nonsense").output
    assert "suites: access, egress" in run("--suite", "nonsense").output
    assert "--read-only is for no fault" in run("--read-only", "--fault", "route-removed").output


def test_the_smallest_policy_has_no_empty_statement() -> None:
    """What needs nothing gives no statement without actions, which IAM would refuse."""
    assert [] == leastprivilege.policy([])["Statement"]
