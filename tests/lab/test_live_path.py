"""The closed network's cases run where no lab is: the AWS endpoints and the bastion's SSH are all that can be reached.

A real account looks like this from a user's computer. The namespaces are those of the lab's workstation, fenced by a
filter that drops whatever goes to any other address; the site's description is the one that a workstation has, without
a way into anything. ISLANDING_LIVE selects the cases as `-k` does: `ISLANDING_LIVE=test` runs all of them (15 minutes).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding.lab import launch, registry
from islanding.model import Site
from islanding.paths import content_dir

# Each uses another way: SSH by jump, the API by name and by the tunnel, AWS calls, an instance's commands, its packets.
QUICK = (
    "test_each_hop_is_reached_through_the_one_before or test_private_endpoint_answers_inside_only or "
    "test_operator_is_its_instance_role or test_bucket_is_read_through_the_named_endpoint_only or "
    "test_control_plane_group_must_let_the_operator_in"
)
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


def test_the_suite_needs_no_lab(closed: registry.Lab, tmp_path: Path) -> None:
    """From behind the fence the cases pass, by AWS calls and the bastion alone; the rest was reached before."""
    site = Site.load(closed.folder / "site.workstation.json")
    assert [] == [place.name for place in site.places if any("nsenter" in word for word in place.enter)]
    elsewhere = f"http://{site.facts['elsewhere_address']}/"
    bastion = site.facts["bastion_public_ip"]
    enter = Site.load(closed.site_file).place("workstation").enter
    before = inside(enter, "curl", "-sS", "--max-time", "5", "-o", "/dev/null", elsewhere)
    assert 0 == before.returncode, before.stderr
    aws = ", ".join(sorted({*addresses(enter, site), site.facts["public_resolver"]}))
    fenced = inside(enter, "nft", "-f", "-", stdin=FENCE.format(aws=aws, bastion=bastion))
    assert 0 == fenced.returncode, fenced.stderr
    assert 28 == inside(enter, "curl", "-sS", "--max-time", "3", "-o", "/dev/null", elsewhere).returncode

    done = inside(
        enter,
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


def addresses(enter: tuple[str, ...], site: Site) -> set[str]:
    """The addresses of the AWS services at which the suite calls, as they resolve at the workstation."""
    names = [f"{service}.{site.aws.region}.amazonaws.com" for service in ("ec2", "sts", "eks", "s3")]
    found = inside(enter, "getent", "ahostsv4", *names)
    return set(re.findall(r"^(\d+(?:\.\d+){3})", found.stdout, re.MULTILINE))


def inside(
    enter: tuple[str, ...], *command: str, stdin: str = "", timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """A command in the workstation's namespaces."""
    return subprocess.run([*enter, *command], input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
