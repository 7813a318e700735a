"""Calls of AWS: all pages, retries, things not seen yet, and what a user is told when AWS cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from islanding.aws import calls, paging, trouble
from islanding.errors import IslandingError
from islanding.lab.region.manners.choice import Choice
from islanding.lab.region.server import Region
from islanding.model import AwsAccess, Site
from tests.unit.region_support import REGION, connect, fresh_region
from tests.unit.sites_for_tests import save_site


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region of a new account."""
    yield from fresh_region(tmp_path)


@pytest.fixture
def site(region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site in that Region."""
    made: dict[str, Any] = {}

    def client(_access: AwsAccess, service: str) -> Any:
        return made.setdefault(service, connect(region, service))

    monkeypatch.setattr(calls, "client", client)
    access = AwsAccess(region=REGION, account=region.account, env={"AWS_ENDPOINT_URL": "https://region.test"})
    return Site.load(save_site(tmp_path / "here", name="here")).model_copy(update={"aws": access})


def refused(code: str) -> ClientError:
    """An error as AWS sends it."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeVpcs")


def test_a_call_has_the_things_of_all_pages(region: Region, site: Site) -> None:
    """However small the pages are."""
    ec2 = connect(region, "ec2")
    made = {ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in range(7)}
    region.behave(Choice(on=("pages",), page=2))

    assert {one["VpcId"] for one in calls.call(site, "ec2", "describe_vpcs", {})["Vpcs"]} == made


def test_what_is_not_seen_yet_is_asked_for_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not found counts only after as long as a change may be unseen; any other error counts at once."""
    asked: list[str] = []

    class Lagging:
        @staticmethod
        def can_paginate(_operation: str) -> bool:
            return False

        @staticmethod
        def describe(code: str) -> dict[str, Any]:
            asked.append(code)
            if len(asked) < 3:
                raise refused(code)
            return {"seen": True}

    monkeypatch.setattr(calls, "client", lambda *_: Lagging)
    slow = site.model_copy(update={"aws": site.aws.model_copy(update={"settle": 5.0})})
    with pytest.raises(IslandingError, match="NotFound"):
        calls.call(site, "ec2", "describe", {"code": "InvalidVpcID.NotFound"})
    with pytest.raises(IslandingError, match="Unauth"):
        calls.call(slow, "ec2", "describe", {"code": "UnauthorizedOperation"})
    asked.clear()

    assert calls.call(slow, "ec2", "describe", {"code": "InvalidVpcID.NotFound"}) == {"seen": True}
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("said", "raises", "calls_made"),
    [
        (["DependencyViolation", "DependencyViolation", ""], "", 3),  # a subnet of it was deleted a moment ago
        (["InvalidVpcID.NotFound"], "", 1),  # the first reply was lost, and botocore asked again
        (["UnauthorizedOperation"], "UnauthorizedOperation", 1),
        (["DependencyViolation"], "DependencyViolation", None),  # something is in it that nobody deletes
    ],
)
def test_deleting_waits_for_what_depends_on_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, said: list[str], raises: str, calls_made: int | None
) -> None:
    """What is not there is deleted; what something depends on is tried again while a change may be unseen."""
    answers, asked = iter(said), 0

    class Saying:
        @staticmethod
        def can_paginate(_operation: str) -> bool:
            return False

        @staticmethod
        def delete_vpc(**_what: str) -> dict[str, Any]:
            nonlocal asked
            asked += 1
            if code := next(answers, said[-1]):
                raise refused(code)
            return {}

    monkeypatch.setattr(calls, "client", lambda *_: Saying)
    seconds = 5.0 if calls_made == 3 else 1.0 if calls_made is None else 0.0
    slow = site.model_copy(update={"aws": site.aws.model_copy(update={"settle": seconds})})
    with pytest.raises(IslandingError, match=raises) if raises else nullcontext():
        calls.delete(slow, "ec2", "delete_vpc", VpcId="vpc-1")

    assert asked == calls_made if calls_made else asked > 1


def test_a_real_account_settles_in_its_own_time(site: Site) -> None:
    """A site on AWS waits even where its description says nothing; a quiet lab does not wait at all."""
    live = site.model_copy(update={"target": "aws"})

    assert (calls.settling(site), calls.settling(live)) == (0.0, calls.SETTLES)


def test_clients_retry_in_standard_mode_with_a_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unless the site or the user's configuration says otherwise."""
    config = tmp_path / "config"
    config.write_text("[default]\nretry_mode = adaptive\nmax_attempts = 9\n")
    monkeypatch.setattr(calls, "_kept", {})
    made = [
        calls.client(AwsAccess(region=REGION, account="1", env=env), "ec2").meta.config.retries
        for env in (
            {"AWS_CONFIG_FILE": "/dev/null"},
            {"AWS_CONFIG_FILE": "/dev/null", "AWS_MAX_ATTEMPTS": "2"},
            {"AWS_CONFIG_FILE": str(config)},
        )
    ]

    assert [(one["mode"], one["total_max_attempts"]) for one in made] == [
        ("standard", calls.ATTEMPTS),
        ("standard", 2),
        ("adaptive", 9),
    ]


def access(tmp_path: Path, config: str = "", profile: str = "p") -> AwsAccess:
    """Access by a profile of a configuration file."""
    file = tmp_path / "config"
    file.write_text(config)
    env = {"AWS_CONFIG_FILE": str(file), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": profile}
    return AwsAccess(region=REGION, account="1", env=env)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (exceptions.NoCredentialsError(), "give credentials: aws configure --profile p, aws sso login --profile p"),
        (exceptions.ProfileNotFound(profile="p"), "AWS_PROFILE for another profile"),
        (refused("ExpiredToken"), "log in again: put new keys where the old ones came from, or aws sso login"),
        (refused("RequestExpired"), "a fault in force stays in the undo log until then"),
        (refused("AuthFailure"), f"is {REGION} the right Region, and switched on for it"),
        (refused("UnrecognizedClientException"), "aws sts get-caller-identity --profile p"),
        (exceptions.NoRegionError(), "AWS_REGION"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "its API reached from here? is HTTPS_PROXY"),
        (exceptions.SSLError(endpoint_url="https://x", error=OSError("e")), "AWS_CA_BUNDLE"),
    ],
)
def test_what_to_do_is_said(tmp_path: Path, error: Exception, says: str) -> None:
    """Each kind of trouble has its own way out."""
    assert says in trouble.fix(error, access(tmp_path), {})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("[profile p]\nsso_session = s\n[sso-session s]\nsso_region = x\n", "log in again: aws sso login --profile p"),
        ("[profile p]\nrole_arn = arn:r\nsource_profile = base\n[profile base]\n", "aws sso login --profile base"),
        ("[profile p]\ncredential_process = /bin/give\n", "credential_process of p"),
        ("[profile other]\n", "put new keys"),
    ],
)
def test_how_to_log_in_again_goes_by_the_profile(tmp_path: Path, config: str, says: str) -> None:
    """SSO, a role taken from another profile, a process, or plain keys."""
    assert says in trouble.fix(refused("ExpiredToken"), access(tmp_path, config), {})


def test_a_proxy_is_named_without_its_password(tmp_path: Path) -> None:
    """Where requests go by one, it may be what is in the way."""
    env = {"HTTPS_PROXY": "http://me:secret@proxy:3128"}
    said = trouble.fix(exceptions.ConnectTimeoutError(endpoint_url="https://x"), access(tmp_path), env)

    assert "HTTPS_PROXY=http://proxy:3128 (NO_PROXY goes round it)" in said
    assert "secret" not in said


def test_expired_credentials_are_an_error_of_their_own(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to log in again, and the next call reads the credentials anew."""

    def expired(*_: object) -> Any:
        raise refused("ExpiredToken")

    monkeypatch.setattr(paging, "whole", expired)
    live = site.model_copy(update={"aws": access(tmp_path, "[profile p]\nsso_start_url = u\n"), "target": "aws"})
    kept = {("ec2", *calls._access_key(live.aws)): "a client", ("ec2", "elsewhere", ()): "another"}
    monkeypatch.setattr(calls, "_kept", kept)
    with pytest.raises(calls.CredentialsRefused, match=r"ExpiredToken(.|\n)*aws sso login --profile p"):
        calls.call(live, "ec2", "describe_vpcs", {})

    assert list(kept.values()) == ["another"]


def test_an_endpoint_that_nobody_answers_at_is_an_error_of_its_own(tmp_path: Path, site: Site) -> None:
    """By the real client: nothing listens at that port."""
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    away = AwsAccess(region=REGION, account="1", env={**env, "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": "/dev/null"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "client", calls._made)
        with pytest.raises(calls.Unreachable, match="the right Region, and is its API reached from here"):
            calls.call(site.model_copy(update={"aws": away}), "ec2", "describe_vpcs", {})
