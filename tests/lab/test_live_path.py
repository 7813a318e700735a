"""The closed network's cases run where no lab is: the AWS endpoints and the bastion's SSH are all that can be reached.

A real account looks like this from a user's computer. The namespaces are those of the lab's workstation, fenced by a
filter that drops whatever goes to any other address. The site's description is once the one that a workstation has,
without a way into anything; once nobody gives any, and the site is adopted by `islanding run --target aws` from a file
that names account, Region, cluster and bastion. ISLANDING_LIVE selects the cases as `-k` does: `ISLANDING_LIVE=test`
runs all of them (15 minutes each).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

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
    """The same cases at the site as AWS's API and its operator tell it: the facts are those that its makers know."""
    enter, home = entrance(closed), f"{closed.folder}/desks/workstation"
    (tmp_path / "my-site.yaml").write_text(my_site(closed, site))
    environment = [f"{name}={value}" for name, value in site.place("workstation").env.items()]
    command = [sys.executable, "-m", "islanding", "run", "--target", "aws", "--site", f"{tmp_path}/my-site.yaml"]
    chosen = ["--run", f"{tmp_path}/run", "-k", os.environ.get("ISLANDING_LIVE", QUICK)]

    done = inside(
        enter, "env", *environment, f"HOME={home}", f"ISLANDING_STATE={state}", *command, *chosen, timeout=3600
    )

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


def known(cluster: Cluster) -> dict[str, object]:
    """What is known of a cluster, its addresses in order."""
    return {**cluster.model_dump(), "control_plane_addresses": sorted(cluster.control_plane_addresses)}


def my_site(closed: registry.Lab, site: Site) -> str:
    """The site's file, as its owner would write it; its facts are what nobody but the owner could know."""
    own = ("foreign_profile", "elsewhere_address", "public_resolver")
    return yaml.safe_dump(
        {
            "name": "mine",
            "account": site.aws.account,
            "region": site.aws.region,
            "cluster": site.cluster.name,
            "reach": {"bastion": site.facts["bastion_public_ip"], "key": key_of(closed)},
            "facts": {name: site.facts[name] for name in own},
        }
    )


def key_of(closed: registry.Lab) -> str:
    """The file of the private key of whoever logs in."""
    config = (closed.folder / "ssh_config.workstation").read_text()
    found = re.search(r"IdentityFile (.+)", config)
    assert found
    return found[1]


def addresses(enter: tuple[str, ...], site: Site) -> set[str]:
    """The addresses of the AWS services at which the suite calls, as they resolve at the workstation."""
    names = [f"{service}.{site.aws.region}.amazonaws.com" for service in SERVICES]
    names += ["iam.amazonaws.com", f"{site.facts['bucket']}.s3.{site.aws.region}.amazonaws.com"]
    found = inside(enter, "getent", "ahostsv4", *names)
    return set(re.findall(r"^(\d+(?:\.\d+){3})", found.stdout, re.MULTILINE))


def inside(
    enter: tuple[str, ...], *command: str, stdin: str = "", timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """A command in the workstation's namespaces."""
    return subprocess.run([*enter, *command], input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
