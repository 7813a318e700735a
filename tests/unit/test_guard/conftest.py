"""The closed network in which the guardrails are tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_faults.network import Network, closed_network


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A closed network in a Region of its own, every resource of which faults may touch."""
    with closed_network(tmp_path, monkeypatch) as made:
        yield made
