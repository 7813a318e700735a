"""A closed network as it is drawn: one's own computer and the bastion left, nodes and endpoints right; pure."""

from __future__ import annotations

from collections.abc import Sequence

from islanding.model import Figure, Node, Topology, Wire

WORKSTATION = "workstation"


def closed(workstation: str, operator: str, nodes: Sequence[Node], endpoints: Sequence[str]) -> Topology:
    """The drawing; `workstation` and `operator` are addresses, `endpoints` the names of the VPC's endpoints."""
    rows = max(len(nodes) + 1, len(endpoints) + 1)
    middle = (rows - 1) / 2
    figures = [
        Figure(name=WORKSTATION, label=f"workstation\n{workstation}", kind="desk", x=0, y=middle),
        Figure(name="internet", label="internet", kind="region", x=1, y=middle),
        Figure(name="bastion", label="bastion\n(its own VPC)", kind="machine", x=2, y=middle),
        Figure(name="operator", label=f"operator\n{operator}", kind="machine", x=3, y=middle),
        *(
            Figure(name=n.address, label=f"node\n{n.address}", kind="machine", x=4, y=float(i))
            for i, n in enumerate(nodes)
        ),
        Figure(name="control-plane", label="cluster's endpoint\n(private)", kind="service", x=4, y=float(rows - 1)),
        *(
            Figure(name=name, label=f"endpoint\n{name}", kind="service", x=5, y=float(i))
            for i, name in enumerate(endpoints)
        ),
    ]
    wires = [
        Wire(a=WORKSTATION, b="internet"),
        Wire(a="internet", b="bastion"),
        Wire(a="bastion", b="operator", label="peering"),
        Wire(a="operator", b="control-plane"),
        *(Wire(a="operator", b=n.address) for n in nodes),
        *(Wire(a=n.address, b=name) for n in nodes for name in endpoints),
    ]
    return Topology(figures=tuple(figures), wires=tuple(wires))
