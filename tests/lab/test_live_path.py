"""The closed network's cases run where no lab is: the AWS endpoints and the bastion's SSH are all that can be reached.

A real account looks like this from a user's computer. The namespaces are those of the lab's workstation, fenced by a
filter that drops whatever goes to any other address. The site's description is once the one that a workstation has,
without a way into anything; once nobody gives any, and the site is adopted by `islanding run --target aws` from a file
that names account, Region, cluster and bastion. ISLANDING_LIVE selects the cases as `-k` does: `ISLANDING_LIVE=test`
runs all of them (15 minutes each). The Region enforces IAM and answers by small pages; ISLANDING_MANNERS adds to that.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding import manners
from islanding.accountconf import FACTS
from islanding.journal import read
from islanding.lab import launch, registry
from islanding.model import Cluster, Site
from islanding.paths import content_dir

# Each uses another way: SSH by jump, the API by name and by the tunnel, AWS calls, an instance's commands, its packets.
QUICK = (
    "test_each_hop_is_reached_through_the_one_before or test_private_endpoint_answers_inside_only or "
    "test_operator_is_its_instance_role or test_bucket_is_read_through_the_named_endpoint_only or "
    "test_control_plane_group_must_let_the_operator_in"
)
REMADE = {"peering_id", "s3_endpoint_id"}  # a case before may have deleted these, and made them again with a new id
SERVICES = ("ec2", "sts", "eks", "s3", "autoscaling", "api.ecr")  # at which suite and adoption call
FENCE = """
table inet fence
delete table inet fence
table inet fence {{
  chain out {{
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    ip daddr {{ {aws} }} meta l4proto {{ tcp, udp }} th dport {{ 443, 53 }} accept
    ip daddr {bastion} tcp dport 22 accept
    counter
  }}
}}
"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Lab]:
    """A closed-vpc of its own, as the fence stays until it is down."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISLANDING_STATE", str(tmp_path_factory.mktemp("live") / "state"))
        patch.setenv(manners.ENV, os.environ.get(manners.ENV, "iam,pages=5"))
        lab = launch.up("closed-vpc")
        yield lab
        launch.down(lab)


@pytest.fixture(scope="module")
def site(closed: registry.Lab) -> Site:
    """The site as its workstation has it, fenced from now on: it reaches AWS and the bastion, before it did all."""
    site = Site.load(closed.folder / "site.workstation.json")
    assert [] == [place.name for place in site.places if any("nsenter" in word for word in place.enter)]
    elsewhere = f"http://{site.facts['elsewhere_address']}/"
    bastion = site.facts["bastion_public_ip"]
    enter = entrance(closed)
    before = inside(enter, "curl", "-sS", "--max-time", "5", "-o", "/dev/null", elsewhere)
    assert 0 == before.returncode, before.stderr
    aws = ", ".join(sorted({*addresses(enter, site), site.facts["public_resolver"]}))
    fenced = inside(enter, "nft", "-f", "-", stdin=FENCE.format(aws=aws, bastion=bastion))
    assert 0 == fenced.returncode, fenced.stderr
    assert 28 == inside(enter, "curl", "-sS", "--max-time", "3", "-o", "/dev/null", elsewhere).returncode
    return site


def entrance(closed: registry.Lab) -> tuple[str, ...]:
    """How the host enters the workstation."""
    return Site.load(closed.site_file).place("workstation").enter


def test_the_suite_needs_no_lab(closed: registry.Lab, site: Site, tmp_path: Path) -> None:
    """From behind the fence the cases pass, by AWS calls and the bastion alone."""
    done = inside(
        entrance(closed),
        *("env", f"HOME={closed.folder}/desks/workstation", f"ISLANDING_STATE={tmp_path}/state"),
        *(sys.executable, "-m", "pytest", f"--rootdir={content_dir('suites').parent}", "-p", "no:cacheprovider"),
        *("-c", str(content_dir("suites").parent / "pyproject.toml"), "-q", "--color=no", str(content_dir("suites"))),
        *("--islanding-site", str(closed.folder / "site.workstation.json"), "--islanding-run", f"{tmp_path}/run"),
        *("-k", os.environ.get("ISLANDING_LIVE", QUICK)),
        timeout=3600,
    )

    said = f"exit code {done.returncode}; run in {tmp_path}/run\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    assert 0 == done.returncode, said
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, said
    assert int(passed.group(1)) >= 5, said
    assert not re.search(r"\d+ (failed|skipped|error)", done.stdout), said


@pytest.fixture
def state() -> Iterator[str]:
    """A state folder with a short path: SSH's sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="live") as folder:
        yield folder


def test_an_adopted_site_needs_no_description(closed: registry.Lab, site: Site, tmp_path: Path, state: str) -> None:
    """The same cases at the site as AWS's API and its operator tell it, with the permissions of its policy alone."""
    own = as_user(closed, site, state)
    policy = inside(entrance(closed), *own, *COMMAND, "iam-policy", "--site", "closed-vpc").stdout
    (tmp_path / "my-site.yaml").write_text(my_site(closed, site, role=role_with(closed, site, own, policy)))
    command = (*COMMAND, "run", "--target", "aws", "--site", f"{tmp_path}/my-site.yaml")
    chosen = ("--run", f"{tmp_path}/run", "-k", os.environ.get("ISLANDING_LIVE", QUICK))

    done = inside(entrance(closed), *own, *command, *chosen, timeout=5400)

    said = f"exit code {done.returncode}; run in {tmp_path}/run\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    assert 0 == done.returncode, said
    verdicts = [e["verdict"] for e in read(tmp_path / "run" / "journal.jsonl") if e.type == "case-finished"]
    assert (len(verdicts) >= 5, set(verdicts)) == (True, {"pass"}), said
    adopted = Site.load(Path(state) / "targets" / "mine" / "site.json")
    assert ("aws", {}) == (adopted.target, adopted.lacking)
    same = (set(site.facts) & set(adopted.facts)) - {"ssh_config"}
    kept = same - REMADE
    assert {name: site.facts[name] for name in kept} == {name: adopted.facts[name] for name in kept}
    assert set(FACTS) <= same
    assert site.workload == adopted.workload
    assert known(site.cluster) == known(adopted.cluster)
    check = ("iam-policy", "--site", "closed-vpc", "--check", f"{tmp_path}/run/calls.jsonl")
    compared = inside(entrance(closed), *own, *COMMAND, *check).stdout
    assert "called and not allowed: nothing\n" in compared
    if "ISLANDING_LIVE" in os.environ:
        assert "allowed and never called: nothing\n" in compared, compared


COMMAND = (sys.executable, "-m", "islanding")


def as_user(closed: registry.Lab, site: Site, state: str) -> tuple[str, ...]:
    """What goes before a command of the workstation's user."""
    environment = (f"{name}={value}" for name, value in site.place("workstation").env.items())
    return ("env", *environment, f"HOME={closed.folder}/desks/workstation", f"ISLANDING_STATE={state}")


def aws(closed: registry.Lab, own: tuple[str, ...], *command: str) -> Any:
    """The answer of the AWS command line there; it must succeed."""
    argv = (*own, sys.executable, "-m", "awscli", "--output", "json", *command)
    done = inside(entrance(closed), *argv, timeout=180)
    assert 0 == done.returncode, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout or "null")


def role_with(closed: registry.Lab, site: Site, own: tuple[str, ...], policy: str) -> str:
    """The ARN of a new role with that policy, for the workstation's user, and mapped as the cluster's administrator."""
    document = trusting(aws(closed, own, "sts", "get-caller-identity")["Arn"])
    name = f"islanding-{secrets.token_hex(4)}"
    made = aws(closed, own, "iam", "create-role", "--role-name", name, "--assume-role-policy-document", document)
    aws(closed, own, "iam", "put-role-policy", "--role-name", name, "--policy-name", "run", "--policy-document", policy)
    at_operator = (*entrance(closed), *site.place("operator").enter)
    shown = inside(at_operator, "kubectl", "get", "configmap", "aws-auth", "-n", "kube-system", "-o", "json")
    assert 0 == shown.returncode, shown.stderr
    mapping = json.loads(shown.stdout)
    mapped = yaml.safe_load(mapping["data"]["mapRoles"])
    mapped.append({"rolearn": made["Role"]["Arn"], "username": name, "groups": ["system:masters"]})
    mapping["data"]["mapRoles"] = yaml.safe_dump(mapped)
    replaced = inside(at_operator, "kubectl", "replace", "-f", "-", stdin=json.dumps(mapping))
    assert 0 == replaced.returncode, replaced.stderr
    return str(made["Role"]["Arn"])


def trusting(principal: str) -> str:
    """A trust policy that lets in that principal."""
    trust = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [trust]})


HOLDER = """
import sys, threading
from pathlib import Path
from islanding import sites
from islanding.faults import make
from islanding.faults.apply import apply_fault
from islanding.journal import Journal
from islanding.undo import UndoLog
from islanding.watchdog import spawn
site = sites.load(Path(sys.argv[1]))
applied = apply_fault(site, make("endpoint-removed", service="ecr.dkr"), Journal(Path(sys.argv[2])), max_seconds=600)
print(applied.id, spawn.standing(UndoLog.for_site(site.id).path), flush=True)
threading.Event().wait()
"""
IN_LAMBDA = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("index", sys.argv[1])
index = importlib.util.module_from_spec(spec)
spec.loader.exec_module(index)
index.handler({"time": sys.argv[2]})
"""


def test_the_account_heals_itself_when_the_machine_is_lost(
    closed: registry.Lab, site: Site, tmp_path: Path, state: str
) -> None:
    """Runner, watchdog and state folder are gone: the stack's function, with its own role, undoes by the tags alone."""
    (tmp_path / "my-site.yaml").write_text(my_site(closed, site))
    own = as_user(closed, site, state)
    ask = partial(aws, closed, own)
    folder = content_dir("fixtures") / "watchdog"
    stack = ("--stack-name", "islanding-watchdog")
    ask("cloudformation", "create-stack", *stack, "--capabilities", "CAPABILITY_IAM", "--template-body",
        f"file://{folder}/template.yaml")  # fmt: skip
    ask("cloudformation", "wait", "stack-create-complete", *stack)
    made = ask("cloudformation", "describe-stack-resources", *stack, "--logical-resource-id", "Role")
    role = made["StackResources"][0]["PhysicalResourceId"]

    adopted = inside(entrance(closed), *own, *COMMAND, "target", "adopt", f"{tmp_path}/my-site.yaml", timeout=120)
    assert 0 == adopted.returncode, adopted.stderr
    described = f"{state}/targets/mine/site.json"
    dkr = ("ec2", "describe-vpc-endpoints", "--filters", f"Name=vpc-id,Values={site.facts['vpc_id']}",
           f"Name=service-name,Values=com.amazonaws.{site.aws.region}.ecr.dkr")  # fmt: skip
    before = ask(*dkr)["VpcEndpoints"]
    holder = subprocess.Popen(
        [*entrance(closed), *own, sys.executable, "-c", HOLDER, described, f"{tmp_path}/journal.jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    said = holder.stdout.readline().split()
    if len(said) != 2:
        holder.kill()
    assert 2 == len(said), holder.communicate()[1]
    fault, watchdog = said
    os.kill(int(watchdog), signal.SIGKILL)
    holder.kill()
    holder.communicate()
    shutil.rmtree(state)
    lost = ask(*dkr)["VpcEndpoints"]

    arn = ask("iam", "get-role", "--role-name", role)["Role"]["Arn"]
    trust = trusting(ask("sts", "get-caller-identity")["Arn"])  # Lambda opens the role's session; here nobody else does
    ask("iam", "update-assume-role-policy", "--role-name", role, "--policy-document", trust)
    keys = ask("sts", "assume-role", "--role-arn", arn, "--role-session-name", "islanding-watchdog")["Credentials"]
    as_function = (
        f"AWS_ACCESS_KEY_ID={keys['AccessKeyId']}",
        f"AWS_SECRET_ACCESS_KEY={keys['SecretAccessKey']}",
        f"AWS_SESSION_TOKEN={keys['SessionToken']}",
        f"AWS_REGION={site.aws.region}",
    )
    late = (datetime.now(UTC) + timedelta(seconds=700)).isoformat()
    function = ("env", *as_function, sys.executable, "-c", IN_LAMBDA, f"{folder}/watchdog.py", late)
    healed = inside(entrance(closed), *own, *function, timeout=120)
    assert 0 == healed.returncode, healed.stderr
    undone = json.loads(healed.stdout)
    after = ask(*dkr)["VpcEndpoints"]
    tags = ask("ec2", "describe-tags", "--filters", "Name=key,Values=islanding:fault-*")["Tags"]
    ask("cloudformation", "delete-stack", *stack)

    assert [] == [one for one in lost if one["State"] == "available"]
    assert {"undone": [f"{fault} on {site.facts['vpc_id']}"], "failed": []} == undone
    assert [] == tags
    assert [endpoint(one) for one in before] == [endpoint(one) for one in after]


def endpoint(described: dict[str, Any]) -> dict[str, Any]:
    """What makes an endpoint the same one, whatever its id."""
    same = ("VpcId", "Groups", "PrivateDnsEnabled", "PolicyDocument", "State")
    return {**{key: described[key] for key in same}, "SubnetIds": sorted(described["SubnetIds"])}


def known(cluster: Cluster) -> dict[str, object]:
    """What is known of a cluster, its addresses in order."""
    return {**cluster.model_dump(), "control_plane_addresses": sorted(cluster.control_plane_addresses)}


def my_site(closed: registry.Lab, site: Site, role: str = "") -> str:
    """The site's file, as its owner would write it; its facts are what nobody but the owner could know."""
    own = ("foreign_profile", "elsewhere_address", "public_resolver")
    return yaml.safe_dump(
        {
            "name": "mine",
            "account": site.aws.account,
            "region": site.aws.region,
            "cluster": site.cluster.name,
            "role": role,
            "reach": {"bastion": site.facts["bastion_public_ip"], "key": key_of(closed)},
            "facts": {name: site.facts[name] for name in own},
        }
    )


def key_of(lab: registry.Lab, config_file: str = "ssh_config.workstation") -> str:
    """The file of the private key of whoever logs in."""
    config = (lab.folder / config_file).read_text()
    found = re.search(r"IdentityFile (.+)", config)
    assert found
    return found[1]


def addresses(enter: tuple[str, ...], site: Site, services: Sequence[str] = SERVICES) -> set[str]:
    """The addresses of the AWS services at which the suite calls, as they resolve at the workstation."""
    names = [f"{service}.{site.aws.region}.amazonaws.com" for service in services]
    buckets = [f"{site.facts['bucket']}.s3.{site.aws.region}.amazonaws.com"] if "bucket" in site.facts else []
    names += ["iam.amazonaws.com", *buckets]
    found = inside(enter, "getent", "ahostsv4", *names)
    return set(re.findall(r"^(\d+(?:\.\d+){3})", found.stdout, re.MULTILINE))


def inside(
    enter: tuple[str, ...], *command: str, stdin: str = "", timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """A command in the workstation's namespaces."""
    return subprocess.run([*enter, *command], input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
