"""The rule by which pods are evicted from nodes that were cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.kube.eviction import Disruption, disruption, evicts

EKS, UPSTREAM = 100_000, 50


@pytest.mark.parametrize(
    ("nodes", "cut", "threshold", "expected"),
    [
        (3, 3, EKS, False),  # the whole zone
        (3, 2, EKS, True),  # a majority, but three nodes or fewer
        (3, 1, EKS, True),
        (5, 3, UPSTREAM, False),  # a majority
        (5, 2, UPSTREAM, True),  # a minority
        (5, 5, UPSTREAM, False),
        (60, 40, UPSTREAM, True),  # a large cluster: at the secondary rate
        (60, 40, EKS, False),
    ],
)
def test_a_share_of_nodes_decides(nodes: int, cut: int, threshold: int, expected: bool) -> None:
    """What the best practices guide measured on EKS, and what upstream's flags make of the same."""
    assert evicts(nodes, cut, threshold) is expected


@given(st.integers(1, 500), st.data())
def test_a_whole_zone_is_never_evicted_from(nodes: int, data: st.DataObject) -> None:
    """Nothing is evicted when no node or every node is cut, whatever the threshold."""
    threshold = data.draw(st.integers(0, 200_000))

    assert not evicts(nodes, nodes, threshold)
    assert not evicts(nodes, 0, threshold)
    assert disruption(nodes, nodes) is Disruption.FULL


def test_more_than_all_cannot_be_cut() -> None:
    """A share beyond the whole is refused."""
    with pytest.raises(ValueError, match="4 of 3"):
        disruption(3, 4)
