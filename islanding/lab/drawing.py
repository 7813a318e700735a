"""A lab's topology as it is drawn in the report. Pure.

Columns from left to right: the site's LAN, the customer network device between, Outpost above and Region to the right.
"""

from __future__ import annotations

from islanding.lab import underlay
from islanding.model import Figure, Topology, Wire
from islanding.siteconf import SiteConf

_LAN, _CUSTOMER, _OUTPOST, _MACHINES, _REGION = 0.0, 1.0, 2.0, 3.0, 2.0


def topology(conf: SiteConf) -> Topology:
    """Figures on a grid and the wires between them; the wires of BGP sessions carry the session's name."""
    outpost = [i for i in conf.instances if i.where == "outpost"]
    region = [i for i in conf.instances if i.where == "region"]
    rows = max(len(outpost), 3)
    below = float(rows)
    middle = (rows - 1) / 2
    figures = [
        *(
            Figure(name=d.name, label=f"{d.name}\n{d.address}", kind="desk", x=_LAN, y=middle + n)
            for n, d in enumerate(conf.desks)
        ),
        Figure(
            name=underlay.RESOLVER,
            label=f"site resolver\n{conf.resolver.address}",
            kind="service",
            x=_LAN,
            y=middle - 1,
        ),
        Figure(name=underlay.CND, label=_as("customer network device", conf.routers.customer_network_device.asn),
               kind="router", x=_CUSTOMER, y=middle),
        Figure(name=underlay.OND, label=_as("Outpost network device", conf.routers.outpost_network_device.asn),
               kind="router", x=_OUTPOST, y=middle),
        Figure(name=underlay.EDGE, label=_as("Region edge", conf.routers.region_edge.asn),
               kind="router", x=_REGION, y=below),
        Figure(name="aws", label=f"AWS API\n{conf.region.name}", kind="region", x=_MACHINES, y=below),
        *(
            Figure(name=i.name, label=f"{i.name}\n{i.address}", kind="outpost", x=_MACHINES, y=float(n))
            for n, i in enumerate(outpost)
        ),
        *(
            Figure(name=i.name, label=f"{i.name}\n{i.address}", kind="machine", x=_MACHINES, y=below + 1 + n)
            for n, i in enumerate(region)
        ),
    ]  # fmt: skip
    wires = [
        *(Wire(a=d.name, b=underlay.CND) for d in conf.desks),
        Wire(a=underlay.RESOLVER, b=underlay.CND),
        Wire(a=underlay.CND, b=underlay.OND, label="service link", session="service-link"),
        Wire(a=underlay.CND, b=underlay.OND, label="local gateway", session="local-gateway"),
        Wire(a=underlay.CND, b=underlay.EDGE, label="wan", session="wan"),
        Wire(a=underlay.EDGE, b="aws"),
        *(Wire(a=underlay.OND, b=i.name) for i in outpost),
        *(Wire(a=underlay.EDGE, b=i.name) for i in region),
    ]
    return Topology(figures=tuple(figures), wires=tuple(wires))


def _as(label: str, asn: int) -> str:
    return f"{label}\nAS {asn}"
