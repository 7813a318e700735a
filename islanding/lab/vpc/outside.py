"""What lies outside all VPCs: the internet, AWS's public addresses, somebody else's host, the user's own computer."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.lab.plan import End, Link, Namespace, Neighbour, NetworkPlan, Route
from islanding.lab.vpc import labels

INTERNET, AWS, ELSEWHERE, WORKSTATION = "internet", "aws", "elsewhere", "workstation"
BEYOND = "169.254.0.1"  # the far end of every cable that has no addresses of its own
INTERNET_MTU = 1500
INSIDE_MTU = 9001  # of a VPC, and across peering connections
METADATA = "169.254.169.254"
RESOLVER = "169.254.169.253"  # the second address of a VPC's resolver, the same everywhere


@dataclass(frozen=True)
class OutpostLink:
    """How an Outpost (by its ARN) is joined with its Region, and with the site around it.

    `near` and `far` are the ends of the service link, each as (namespace whose routes lead to the other one, address).
    `gateway` is the namespace beyond the local gateway, `local_gateway` the gateway's id; `ingress` is the local
    gateway's route table: what comes from the site for a range goes to the interface with that private address.
    """

    arn: str
    near: tuple[str, str]
    far: tuple[str, str]
    gateway: str
    local_gateway: str
    ingress: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Outside:
    """The fixed addresses beyond the VPCs, all of them public.

    `api` is that of all services but S3, whose addresses are `s3` inside `s3_range` (its prefix list); `resolver` is
    the public one; `learnt` holds the prefixes (CIDR) that a VPN gateway has from its peers, by the gateway's id;
    `outposts` says how subnets with an Outpost's ARN are joined with the rest of their VPC.
    """

    region: str = "ap-northeast-1"
    api: str = "52.94.0.10"
    resolver: str = "52.94.0.53"
    s3: tuple[str, ...] = ("52.219.0.10",)
    s3_range: str = "52.219.0.0/20"
    elsewhere: str = "198.51.100.10"
    workstation: str = "203.0.113.77"
    learnt: tuple[tuple[str, tuple[str, ...]], ...] = ()
    outposts: tuple[OutpostLink, ...] = ()

    @property
    def hosts(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The hosts of the internet with their addresses."""
        return (
            (AWS, (self.api, self.resolver, *self.s3)),
            (ELSEWHERE, (self.elsewhere,)),
            (WORKSTATION, (self.workstation,)),
        )

    @property
    def prefix_lists(self) -> dict[str, tuple[str, ...]]:
        """AWS's own prefix lists by name."""
        return {f"com.amazonaws.{self.region}.s3": (self.s3_range,)}


def cable(a: tuple[str, str], b: tuple[str, str], mtu: int) -> NetworkPlan:
    """A link between two (namespace, interface) without addresses: each end is the other's next hop BEYOND."""
    macs = labels.mac(*a), labels.mac(*b)
    return NetworkPlan(
        links=(Link(End(*a, mac=macs[0], mtu=mtu), End(*b, mac=macs[1], mtu=mtu)),),
        neighbours=(Neighbour(*a, BEYOND, macs[1]), Neighbour(*b, BEYOND, macs[0])),
    )


def beyond(netns: str, destination: str, device: str, table: int = 0) -> Route:
    """The route through a cable."""
    return Route(netns, destination, via=BEYOND, device=device, table=table)


def host_on_internet(name: str, interface: str, addresses: tuple[str, ...]) -> NetworkPlan:
    """A host's cable to the internet, its public addresses on `interface`, and the routes both ways."""
    port = labels.interface("h", name)
    return cable((INTERNET, port), (name, interface), INTERNET_MTU) + NetworkPlan(
        addresses=tuple((name, interface, f"{address}/32") for address in addresses),
        routes=(
            *(beyond(INTERNET, f"{address}/32", port) for address in addresses),
            beyond(name, "default", interface),
        ),
    )


def outside_plan(outside: Outside) -> NetworkPlan:
    """The internet and its hosts."""
    plan = NetworkPlan(
        namespaces=(Namespace(INTERNET, forward=True, silent=True), *(Namespace(name) for name, _ in outside.hosts)),
        routes=(Route(INTERNET, "default"),),
    )
    for name, addresses in outside.hosts:
        plan += host_on_internet(name, "eth0", addresses)
    return plan
