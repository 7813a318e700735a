"""What joins a VPC's router on an Outpost with the one in the Region, and with the site by the local gateway. Pure."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Network

from islanding.lab.plan import Neighbour, NetworkPlan, Tunnel
from islanding.lab.vpc import labels
from islanding.lab.vpc.index import Part
from islanding.lab.vpc.outside import BEYOND, INTERNET_MTU, OutpostLink, beyond, cable

REGION, LOCAL_GATEWAY = "region", "lgw"  # interfaces of a router on an Outpost
_NUMBERS = range(1 << 16, 1 << 24)  # VXLAN network identifiers of VPCs


def service_link(part: Part, link: OutpostLink) -> NetworkPlan:
    """The tunnel between both routers; each end's underlay follows the routes of the namespace that `link` names."""
    digest = int(hashlib.sha256(part.netns.encode()).hexdigest(), 16)
    number = _NUMBERS[digest % len(_NUMBERS)]
    ends = (part.netns, REGION), (part.vpc, part.port)
    macs = labels.mac(*ends[0]), labels.mac(*ends[1])
    (near, here), (far, there) = link.near, link.far
    return NetworkPlan(
        tunnels=(
            Tunnel(*ends[0], number, here, there, home=near, mac=macs[0]),
            Tunnel(*ends[1], number, there, here, home=far, mac=macs[1]),
        ),
        neighbours=(Neighbour(*ends[0], BEYOND, macs[1]), Neighbour(*ends[1], BEYOND, macs[0])),
    )


def local_gateway(part: Part, link: OutpostLink, subnets: list[IPv4Network]) -> NetworkPlan:
    """The cable to the device beyond the local gateway, and its routes to the subnets (direct VPC routing)."""
    return cable((part.netns, LOCAL_GATEWAY), (link.gateway, part.port), INTERNET_MTU) + NetworkPlan(
        routes=tuple(
            beyond(link.gateway, cidr, part.port) for cidr in (*map(str, subnets), *(cidr for cidr, _ in link.ingress))
        )
    )
