"""Endpoint and bucket policies by real connections: who gets what through which door, with users' own tools."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from islanding.lab.kernel import inside
from islanding.lab.region.seed import Seed
from islanding.lab.vpc.outside import WORKSTATION, Outside
from tests.lab import packets
from tests.lab.packets import World
from tests.lab.pulling import Site, serving, trail, unseen
from tests.unit.region_support import REGION

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)
EVERYTHING = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
LAYERS = f"arn:aws:s3:::prod-{REGION}-starport-layer-bucket/*"
_accounts = itertools.count(999988880000)


def policy(*statements: dict[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Site]:
    """A VPC with its endpoints, and credentials of its operator and of a stranger in a file."""
    foreign = Seed(str(next(_accounts)), REGION)
    foreign.create_role("Thief")
    sessions = {"operator": world.region.seed.assume("Operator"), "thief": foreign.assume("Thief")}
    (tmp_path / "credentials").write_text("".join(s.profile(n, REGION) for n, s in sessions.items()))
    with serving(world, tmp_path) as made:
        yield made


def aws(site: Site, profile: str, *arguments: str, internet: bool = False) -> subprocess.CompletedProcess[str]:
    """The AWS CLI on the instance, or at the workstation on the internet; each asks the resolver of its place."""
    place, resolver = (WORKSTATION, Outside().resolver) if internet else (site.instance, "10.0.0.2")
    (site.folder / "resolv.conf").write_text(f"nameserver {resolver}\noptions timeout:1 attempts:1\n")
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_SHARED_CREDENTIALS_FILE": str(site.folder / "credentials"),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_PROFILE": profile,
        "AWS_CA_BUNDLE": str(site.folder / "ca.pem"),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    cli = (str(Path(sys.executable).with_name("aws")), "--cli-connect-timeout", "5", "--cli-read-timeout", "20")
    script = f'mount --bind {site.folder}/resolv.conf /etc/resolv.conf && exec "$@"'
    whole = inside(place, ["unshare", "--mount", "sh", "-c", script, "sh", *cli, *arguments])
    return subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=60, check=False)


def narrow(site: Site, service: str, *statements: dict[str, Any]) -> None:
    """Give an endpoint another policy."""
    site.world.ec2.modify_vpc_endpoint(VpcEndpointId=site.endpoints[service], PolicyDocument=policy(*statements))


def test_a_layer_is_forbidden_by_the_gateway_endpoints_policy(site: Site) -> None:
    """The manifest comes, the layer is 403; with the layer bucket in the policy the same pull works."""
    site.world.client("ecr").create_repository(repositoryName="app")
    assert 0 == site.push(unseen(site, 2), "app:v1").returncode
    narrow(site, "s3", {**EVERYTHING, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::my-own-bucket/*"})
    failed = site.pull(f"{site.host}/app:v1", "forbidden")
    assert 0 != failed.returncode
    assert "403" in failed.stderr
    assert "BatchGetImage" in trail(site, endpoint=site.endpoints["ecr.dkr"])
    assert "GetObject" in trail(site, endpoint=site.endpoints["s3"], error="AccessDenied")
    narrow(site, "s3", {**EVERYTHING, "Action": "s3:GetObject", "Resource": LAYERS})
    pulled = site.pull(f"{site.host}/app:v1", "allowed")
    assert 0 == pulled.returncode, pulled.stderr


def test_a_foreign_accounts_credentials_are_worth_nothing_at_the_endpoint(site: Site) -> None:
    """aws:PrincipalAccount at ecr.api: the account's own role gets a token, another account's is told why not."""
    login = ("ecr", "get-login-password")
    before = aws(site, "thief", *login)
    assert 0 == before.returncode, before.stderr
    account = site.world.region.account
    narrow(site, "ecr.api", {**EVERYTHING, "Condition": {"StringEquals": {"aws:PrincipalAccount": account}}})
    own, foreign = aws(site, "operator", *login), aws(site, "thief", *login)
    assert 0 == own.returncode, own.stderr
    assert 0 != foreign.returncode
    assert "(AccessDeniedException)" in foreign.stderr
    assert "because no VPC endpoint policy allows the ecr:GetAuthorizationToken action" in foreign.stderr


def test_a_bucket_is_readable_through_the_named_endpoint_only(site: Site) -> None:
    """aws:sourceVpce: a file goes in and out from the VPC; the same credentials on the internet read nothing."""
    name = f"data-{site.world.region.account}"
    s3 = site.world.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    rule = {"StringNotEquals": {"aws:sourceVpce": site.endpoints["s3"]}}
    objects = {**EVERYTHING, "Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{name}/*"}
    s3.put_bucket_policy(Bucket=name, Policy=policy({**objects, "Condition": rule}))
    content = bytes(range(256)) * 80_000  # 20 MB: in several parts
    (site.folder / "image.tar").write_bytes(content)
    up = aws(site, "operator", "s3", "cp", "--quiet", str(site.folder / "image.tar"), f"s3://{name}/image.tar")
    assert 0 == up.returncode, up.stderr
    down = aws(site, "operator", "s3", "cp", "--quiet", f"s3://{name}/image.tar", str(site.folder / "back.tar"))
    assert 0 == down.returncode, down.stderr
    assert content == (site.folder / "back.tar").read_bytes()
    get = ("s3api", "get-object", "--bucket", name, "--key", "image.tar", str(site.folder / "stolen.tar"))
    listed = aws(site, "operator", "s3api", "list-buckets", internet=True)
    assert 0 == listed.returncode, listed.stderr
    from_outside = aws(site, "operator", *get, internet=True)
    assert 0 != from_outside.returncode
    assert "(AccessDenied)" in from_outside.stderr
    assert "with an explicit deny in a resource-based policy" in from_outside.stderr
    assert not (site.folder / "stolen.tar").exists()


def test_nothing_is_carried_out_to_a_strangers_bucket(site: Site) -> None:
    """aws:ResourceAccount at the gateway endpoint: an open bucket of another account takes nothing from the VPC."""
    name = f"away-{site.world.region.account}"
    made = aws(
        site, "thief", "s3api", "create-bucket", "--bucket", name,
        "--create-bucket-configuration", f"LocationConstraint={REGION}",
    )  # fmt: skip
    assert 0 == made.returncode, made.stderr
    everybody = policy({**EVERYTHING, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"})
    assert 0 == aws(site, "thief", "s3api", "put-bucket-policy", "--bucket", name, "--policy", everybody).returncode
    (site.folder / "secret").write_text("secret")
    put = ("s3api", "put-object", "--bucket", name, "--key", "k", "--body", str(site.folder / "secret"))
    assert 0 == aws(site, "operator", *put).returncode
    account = site.world.region.account
    own = {**EVERYTHING, "Condition": {"StringEquals": {"aws:ResourceAccount": account}}}
    narrow(site, "s3", own, {**EVERYTHING, "Action": "s3:GetObject", "Resource": LAYERS})
    for who in ("operator", "thief"):
        refused = aws(site, who, *put)
        assert 0 != refused.returncode
        assert "because no VPC endpoint policy allows the s3:PutObject action" in refused.stderr
