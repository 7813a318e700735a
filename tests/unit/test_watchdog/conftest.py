"""The bench of faults, for the tests of the watchdog."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_faults.bench import Bench, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A site of fake tools with an empty journal."""
    return make_bench(tmp_path)
