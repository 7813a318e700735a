"""Sessions that AWS opens itself: an instance's and those of its own services, each renewed before it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding.lab.region import sessions
from islanding.lab.region.server import Region
from tests.unit.region_support import fresh_region


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region with a role Node."""
    for made in fresh_region(tmp_path):
        made.seed.create_role("Node")
        yield made


def test_a_session_stays_while_it_is_good(region: Region) -> None:
    """Whoever asks again gets the same credentials; another name or role has its own."""
    first = region.sessions.of_role("Node", "i-1")

    assert region.sessions.of_role("Node", "i-1") == first
    assert region.sessions.of_role("Node", "i-2") != first
    assert region.sessions.own("eks-c").arn.endswith(":assumed-role/AWSServiceRole/eks-c")
    assert region.sessions.own_client("ec2") is region.sessions.own_client("ec2")


def test_a_session_that_ends_soon_is_renewed(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour before the end there are new credentials, and a lab that is up for days still calls its own API."""
    first = region.sessions.own("islanding")
    region.sessions.own_client("ec2").describe_vpcs()
    monkeypatch.setattr(sessions, "_RENEWED", sessions._RENEWED * 6)

    assert region.sessions.own("islanding").access_key_id != first.access_key_id
    assert region.sessions.own_client("ec2").describe_vpcs()["Vpcs"] == []
    assert region.sessions.own_client("ec2")._request_signer._credentials.access_key != first.access_key_id
