"""The watchdog on AWS's side: the deadline written on what is changed, and a function that undoes by it alone."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding import faults
from islanding.errors import IslandingError
from islanding.faults import _deadline
from islanding.faults._plan import AwsCall
from islanding.faults.apply import apply_fault, cut
from islanding.lab.region.cloudformation import functions
from islanding.model import Site
from islanding.paths import content_dir, state_dir
from tests.unit.stacks_support import Stacks
from tests.unit.test_faults.network import Network, closed_network

FOLDER = content_dir("fixtures") / "watchdog"
KINDS: list[tuple[str, dict[str, Any], str]] = [
    ("endpoint-removed", {"service": "ecr.dkr"}, "vpc"),
    ("endpoint-route-table-removed", {}, "s3"),
    ("endpoint-policy-narrowed", {"service": "s3"}, "s3"),
    ("endpoint-private-dns-off", {"service": "ecr.api"}, "ecr.api"),
    ("security-group-rule-revoked", {"group": "endpoint", "port": 443}, "group"),
    ("subnet-nacl-cut", {}, "vpc"),
    ("route-removed", {"destination": "10.8.0.0/16"}, "table"),
    ("peering-deleted", {}, "other"),
    ("vpc-dns-attribute-off", {"attribute": "enableDnsSupport"}, "vpc"),
]


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A closed network, described as a real account is."""
    with closed_network(tmp_path, monkeypatch) as made:
        made.site = made.site.model_copy(update={"target": "aws"})
        made.site.save(Path(made.site.folder) / "site.json")
        yield made


def function(network: Network) -> Any:
    """The Lambda function's code, whose clients are those of the network's Region."""
    spec = importlib.util.spec_from_file_location("watchdog", FOLDER / "watchdog.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clients: dict[str, Any] = {}
    module.client = lambda service: clients.setdefault(service, network.client(service))
    return module


def at(seconds: float) -> dict[str, str]:
    """The event of a call so many seconds from now."""
    return {"time": (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()}


def left(network: Network) -> list[str]:
    """The keys of tags that faults left."""
    tags = network.client().describe_tags()["Tags"]
    return [tag["Key"] for tag in tags if tag["Key"].startswith("islanding:fault-")]


@pytest.mark.parametrize(("kind", "params", "carrier"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_a_fault_is_healed_whose_runner_and_machine_are_gone(
    network: Network, kind: str, params: dict[str, Any], carrier: str
) -> None:
    """Undo log, journal and description are lost: what is written on AWS is enough; before its time nothing is done."""
    before, fault = network.state(), faults.make(kind, **params)
    applied = apply_fault(network.site, fault, network.bench.journal, max_seconds=600)
    shutil.rmtree(state_dir())
    early = function(network).handler(at(650))
    held = fault.is_healed(network.site, applied.plan)
    late = function(network).handler(at(661))
    again = function(network).handler(at(700))

    assert (early, held.ok) == ({"undone": []}, False)
    assert late == {"undone": [f"{applied.id} on {network.ids[carrier]}"]}
    assert fault.is_healed(network.site, applied.plan).ok
    assert (again, left(network), network.state()) == ({"undone": []}, [], before)


def test_two_faults_on_one_resource_are_undone_apart(network: Network) -> None:
    """Each has its own deadline and inverse, though one VPC carries both."""
    before = network.state()
    first, second = faults.EndpointRemoved(service="ecr.api"), faults.EndpointRemoved(service="ecr.dkr")
    short = apply_fault(network.site, first, network.bench.journal, max_seconds=100)
    apply_fault(network.site, second, network.bench.journal, max_seconds=900)
    undone = function(network).handler(at(200))
    both = first.is_healed(network.site, short.plan).ok, network.state() == before
    function(network).handler(at(1000))

    assert undone == {"undone": [f"{short.id} on {network.ids['vpc']}"]}
    assert both == (True, False)
    assert network.state() == before


def test_what_cannot_be_undone_fails_the_call_and_is_kept(network: Network) -> None:
    """The others are undone, the error names the step, and the next minute tries again."""
    fault = faults.SecurityGroupRuleRevoked(group="endpoint", port=443)
    lost = apply_fault(network.site, fault, network.bench.journal, max_seconds=1)
    dns = faults.VpcDnsAttributeOff()
    fine = apply_fault(network.site, dns, network.bench.journal, max_seconds=1)
    module = function(network)
    ec2 = module.client("ec2")
    real = ec2.authorize_security_group_ingress
    ec2.authorize_security_group_ingress = lambda **_: (_ for _ in ()).throw(OSError("no way there"))
    with pytest.raises(RuntimeError, match=f"{lost.id} on .*authorize_security_group_ingress: no way there"):
        module.handler(at(100))
    one_of_two = dns.is_healed(network.site, fine.plan).ok, fault.is_healed(network.site, lost.plan).ok
    ec2.authorize_security_group_ingress = real
    module.handler(at(100))

    assert one_of_two == (True, False)
    assert fault.is_healed(network.site, lost.plan).ok


def test_what_somebody_put_back_is_not_made_twice(network: Network) -> None:
    """A runner killed between its undo and taking the tags away: the function finds no work, and takes them away."""
    before, fault = network.state(), faults.EndpointRemoved(service="ecr.dkr")
    apply_fault(network.site, fault, network.bench.journal, max_seconds=1).undo()
    there, keys = network.state(), left(network)
    function(network).handler(at(100))

    assert (there == before, keys != []) == (True, True)
    assert (network.state(), left(network)) == (before, [])


def test_the_tags_go_when_the_runner_undoes_it(network: Network) -> None:
    """A fault that ended well leaves nothing on AWS; one in a lab writes nothing there at all."""
    fault = faults.EndpointPolicyNarrowed(service="s3")
    with cut(network.site, fault, network.bench.journal) as applied:
        keys = left(network)
    lab = network.site.model_copy(update={"target": "lab"})
    with cut(lab, fault, network.bench.journal):
        none = left(network)

    assert f"islanding:fault-deadline:{applied.id}" in keys
    assert f"islanding:fault-inverse:{applied.id}:0" in keys
    assert (none, left(network)) == ([], [])


def test_nothing_is_broken_when_the_deadline_cannot_be_written(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it a lost machine would leave the fault for good."""
    before = network.state()

    def refuse(_site: Site, service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if operation in {"create_tags", "delete_tags"}:
            raise IslandingError("AWS says UnauthorizedOperation")
        reply: dict[str, Any] = getattr(network.client(service), operation)(**arguments)
        return reply

    monkeypatch.setattr("islanding.aws.calls.call", refuse)
    route = faults.RouteRemoved(destination="10.8.0.0/16")
    with pytest.raises(faults.FaultError, match="the deadline of route-removed cannot be written on rtb-"):
        apply_fault(network.site, route, network.bench.journal, heal_timeout=0.5)

    assert network.state() == before


def test_values_fit_into_tags(network: Network) -> None:
    """EC2 takes 256 characters of letters, digits and a few signs, and 128 for a key."""
    for kind, params, _ in KINDS:
        for tag in _deadline.tags(faults.make(kind, **params).plan(network.site), datetime.now(UTC)):
            assert len(tag["Key"]) <= 128
            assert len(tag["Value"]) <= 256
            assert all(char.isalnum() or char in "+-=._:/@ " for char in tag["Key"] + tag["Value"])


def test_the_stack_is_complete_and_its_function_is_the_file(network: Network) -> None:
    """The template deploys, holds the file word for word, and is undone without a rest."""
    template = (FOLDER / "template.yaml").read_text()
    stacks = Stacks(network.region)
    made = stacks.api.create_stack(
        StackName="islanding-watchdog", TemplateBody=template, Capabilities=["CAPABILITY_IAM"]
    )
    stack = stacks.ended(made["StackId"])
    there = network.client("lambda").get_function(FunctionName="islanding-watchdog")
    schedule = network.client("scheduler").get_schedule(Name="islanding-watchdog")
    packed = functions._code({"Code": {"ZipFile": (FOLDER / "watchdog.py").read_text()}})["ZipFile"]
    stacks.delete("islanding-watchdog")

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert there["Configuration"]["Handler"] == "index.handler"
    assert schedule["Target"]["Arn"] == there["Configuration"]["FunctionArn"]
    assert zipfile.ZipFile(io.BytesIO(packed)).namelist() == ["index.py"]
    assert there["Configuration"]["CodeSha256"] == base64.b64encode(hashlib.sha256(packed).digest()).decode()
    assert network.client("lambda").list_functions()["Functions"] == []


def test_the_role_allows_each_call_that_an_inverse_makes(network: Network) -> None:
    """A fault whose inverse the role does not let through would stay."""
    loader = yaml.SafeLoader
    text = (FOLDER / "template.yaml").read_text().replace("!Sub ", "").replace("!Ref ", "").replace("!GetAtt ", "")
    policies = yaml.load(text, loader)["Resources"]["Role"]["Properties"]["Policies"]  # noqa: S506 - a SafeLoader
    allowed: set[str] = set()
    for policy in policies:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            allowed |= {actions} if isinstance(actions, str) else set(actions)
    needed = set()
    for kind, params, _ in KINDS:
        for step in faults.make(kind, **params).plan(network.site).undo:
            assert isinstance(step, AwsCall)
            finds = [*step.find.values(), *([step.unless] if step.unless else [])]
            names = [(step.service, step.operation), *((find.service, find.operation) for find in finds)]
            needed |= {f"{service}:{''.join(word.title() for word in name.split('_'))}" for service, name in names}

    assert needed - allowed == set()
