"""When the control plane evicts pods from nodes that it no longer hears: the node lifecycle controller's rule, purely.

Kubernetes 1.36, pkg/controller/nodelifecycle: a zone with no ready node is fully disrupted, and when that is so of
every zone nothing is evicted; one with more than two nodes not ready, and they are 55 % or more, is partly disrupted,
and is then evicted from at the secondary rate, or not at all where it has no more nodes than
`--large-cluster-size-threshold`; any other is evicted from at the normal rate. EKS sets that threshold to 100000,
upstream's default is 50 (EKS best practices guide, "Kubernetes pod failover through network disconnections").
"""

from __future__ import annotations

from enum import StrEnum

UNHEALTHY_SHARE = 0.55  # --unhealthy-zone-threshold
# Nodes that may be evicted from although the rule says none. Nodes are found NotReady one after the other, and until
# enough of them are, the zone counts as normal: the first may have its taint by then, and keeps it in a partly
# disrupted zone. In a fully disrupted one the controller takes taints back while its own worker may be putting one on.
# One node at most, by the rate limit of one in ten seconds (docs/measurements.md 5); AWS saw one node go as well, and
# suspected a race.
RACE = 1
FEW = 2  # up to so many nodes not ready a zone counts as normal, whatever their share


class Disruption(StrEnum):
    """How the control plane sees a zone."""

    NORMAL = "normal"
    PARTIAL = "partial"
    FULL = "full"


def disruption(nodes: int, cut: int) -> Disruption:
    """The state of a zone of `nodes` nodes of which `cut` are not ready; raises ValueError unless 0 <= cut <= nodes."""
    if not 0 <= cut <= nodes:
        raise ValueError(f"{cut} of {nodes} nodes cannot be cut")
    if nodes and cut == nodes:
        return Disruption.FULL
    if cut > FEW and cut / nodes >= UNHEALTHY_SHARE:
        return Disruption.PARTIAL
    return Disruption.NORMAL


def evicts(nodes: int, cut: int, threshold: int) -> bool:
    """Whether pods are evicted from the cut nodes of a cluster that is one zone; `threshold` as the flag has it."""
    state = disruption(nodes, cut)
    if cut == 0 or state is Disruption.FULL:
        return False
    return state is Disruption.NORMAL or nodes > threshold
