"""A site is provisioned and deleted where AWS has a real account's manners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff

from islanding.lab.region.manners.choice import Choice
from islanding.lab.region.server import Region
from islanding.siteconf import MANNERS
from tests.unit.region_support import connect, fresh_region
from tests.unit.test_stacks import Site


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region whose Operator may do everything, with a key pair."""
    for made in fresh_region(tmp_path):
        arn = "arn:aws:iam::aws:policy/AdministratorAccess"
        made.sessions.own_client("iam").attach_role_policy(RoleName="Operator", PolicyArn=arn)
        made.sessions.own_client("ec2").create_key_pair(KeyName="mine")
        yield made


@pytest.mark.parametrize("seed", [1, 2])
def test_a_site_is_made_and_deleted(region: Region, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int) -> None:
    """Throttled, by small pages, with replies lost and late: every stack is made, and nothing is left of it."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.02)  # seconds; the way it grows is botocore's
    kept: dict[str, object] = {}
    region.behave(Choice(on=MANNERS, delay=0.5, page=2, rate=0.1, seed=seed, buckets=5))
    site = Site(
        region, lambda service: kept.setdefault(service, connect(region, service)), {}, tmp_path / "journal.jsonl"
    )
    made = site.provisioner.provision(site.apply)
    connect(region, "s3").put_object(Bucket=made.facts["bucket"], Key="transfer", Body=b"x")
    site.provisioner.deprovision()
    region.behave(Choice())

    assert site.ends()[-1] == "stack closed-vpc-infrastructure: gone"
    assert connect(region, "ec2").describe_vpcs()["Vpcs"] == []
    assert connect(region, "s3").list_buckets()["Buckets"] == []
    assert connect(region, "eks").list_clusters()["clusters"] == []
