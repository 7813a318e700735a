"""An adopted Outpost's site as it is drawn: one's own computer left, its router between, nodes right; pure."""

from __future__ import annotations

from collections.abc import Sequence

from islanding.closedmap import WORKSTATION
from islanding.model import Figure, Node, Router, Session, Topology, Wire

_LABELS = {
    "outpost-network-device": "Outpost network device",
    "customer-network-device": "customer network device",
    "region-edge": "Region edge",
}
_LAN, _ROUTERS, _PEERS, _NODES = 0.0, 1.0, 2.0, 3.0


def outpost(
    address: str, routers: Sequence[Router], sessions: Sequence[Session], nodes: Sequence[Node], region: str
) -> Topology:
    """The drawing; `address` is this computer's, `region` the name of the AWS Region.

    Peers that are not among the site's routers are drawn by the name that the sessions give them.
    """
    own = [router.name for router in routers]
    peers = list(dict.fromkeys(one.neighbor_router for one in sessions if one.neighbor_router not in own))
    rows = max(len(nodes), len(own), len(peers), 1)
    figures = [
        Figure(name=WORKSTATION, label=f"workstation\n{address}".strip(), kind="desk", x=_LAN, y=(rows - 1) / 2),
        *(
            Figure(name=r.name, label=f"{_LABELS[r.role]}\nAS {r.asn}", kind="router", x=_ROUTERS, y=float(n))
            for n, r in enumerate(routers)
        ),
        *(Figure(name=name, label=name, kind="router", x=_PEERS, y=float(n)) for n, name in enumerate(peers)),
        *(
            Figure(name=n.address, label=f"{n.role}\n{n.address}", kind="outpost", x=_NODES, y=float(i))
            for i, n in enumerate(nodes)
        ),
        Figure(name="aws", label=f"AWS API\n{region}", kind="region", x=_NODES, y=float(rows)),
    ]
    behind = {one.name: one.neighbor_router for one in sessions}
    gateway = behind.get("local-gateway") or behind.get("service-link") or ""
    edge = behind.get("wan") or ""
    wires = [
        *(Wire(a=WORKSTATION, b=name) for name in own),
        *(Wire(a=s.router, b=s.neighbor_router, label=s.name.replace("-", " "), session=s.name) for s in sessions),
        *(Wire(a=gateway, b=n.address) for n in nodes if gateway),
        Wire(a=edge or WORKSTATION, b="aws"),
    ]
    return Topology(figures=tuple(figures), wires=tuple(wires))
