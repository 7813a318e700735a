"""A fresh account of the lab's Region for each test of a mend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding.lab.region.server import Region
from tests.unit.region_support import fresh_region
from tests.unit.test_mends.support import Account


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A fresh account's Region."""
    yield from fresh_region(tmp_path)


@pytest.fixture
def account(region: Region) -> Account:
    """An account with a VPC."""
    return Account(region)
