"""Nodes lose the control plane: dropped on the nodes themselves, both ways, while SSH and the site's LAN stay.

AWS's own test of hybrid nodes does it on the nodes too (iptables DROP on OUTPUT 443 and INPUT 10250; EKS best
practices guide, hybrid/network-disconnections). Here all packets between node or its pods and the control plane's
addresses are dropped but SSH, as a lost link would drop them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from islanding.faults import _nft
from islanding.faults._fault import Fault, Health, all_of
from islanding.faults._plan import FaultError, Plan, new_id
from islanding.model import Node, Site


@dataclass(frozen=True)
class NodesCutOff(Fault):
    """Workers are cut off from the control plane: those in `nodes`, or a `share` of them (0 to 1; default: all)."""

    nodes: tuple[str, ...] = ()
    share: float | None = None

    kind = "nodes-cut-off"

    def __post_init__(self) -> None:
        if self.nodes and self.share is not None:
            raise FaultError("nodes-cut-off takes `nodes` or `share`, not both")
        if self.share is not None and not 0 < self.share <= 1:
            raise FaultError(f"share must be more than 0 and at most 1, not {self.share:g}")

    def plan(self, site: Site) -> Plan:
        chosen = self._chosen(site)
        control_plane = site.cluster.control_plane_addresses
        both = [node.name for node in chosen if node.address in control_plane]
        if both:
            raise FaultError(f"{', '.join(both)} runs the control plane itself and cannot be cut off from it")
        id = new_id()
        table = _nft.table_name(id)
        names = [node.name for node in chosen]
        return Plan(
            id=id,
            kind=self.kind,
            target=", ".join(names),
            summary=f"{len(chosen)} of {len(site.workers)} workers cut off from {', '.join(control_plane)} (not SSH)",
            before={"places": [node.place for node in chosen]},
            apply=tuple(
                _nft.drop_table(
                    node.place, table, incoming=_rules("saddr", control_plane), outgoing=_rules("daddr", control_plane)
                )
                for node in chosen
            ),
            undo=tuple(_nft.remove_table(node.place, table) for node in chosen),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        table = _nft.table_name(plan.id)
        return all_of(*(_nft.table_is_there(site, place, table) for place in plan.before["places"]))

    def is_healed(self, site: Site, plan: Plan) -> Health:
        table = _nft.table_name(plan.id)
        return all_of(*(_nft.table_is_gone(site, place, table) for place in plan.before["places"]))

    def _chosen(self, site: Site) -> list[Node]:
        workers = sorted(site.workers, key=lambda node: node.name)
        unknown = sorted(set(self.nodes) - {node.name for node in workers})
        if unknown or not workers:
            known = ", ".join(node.name for node in workers) or "none"
            raise FaultError(f"no worker {', '.join(unknown)} at {site.name}; there are: {known}".replace("  ", " "))
        if self.nodes:
            return [node for node in workers if node.name in self.nodes]
        return workers[: count(1.0 if self.share is None else self.share, len(workers))]


def count(share: float, workers: int) -> int:
    """How many of `workers` make up `share` of them: the nearest number, halves upwards, never none."""
    return min(workers, max(1, math.floor(share * workers + 0.5)))


def _rules(end: str, addresses: tuple[str, ...]) -> list[str]:
    """Rules that spare SSH and drop the rest from (`saddr`) or to (`daddr`) these addresses."""
    families = {"ip": [a for a in addresses if ":" not in a], "ip6": [a for a in addresses if ":" in a]}
    drops = [f"{family} {end} {{ {', '.join(those)} }} drop" for family, those in families.items() if those]
    return ["tcp dport 22 accept", "tcp sport 22 accept", *drops]
