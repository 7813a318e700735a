"""The wanted network for a state of AWS: pure and total, whatever the state says.

    internet --ext-- [ vpc-… ] --e…-- eth0 of i-…, eni-… (endpoints, NAT gateways), eks-… (services)
                       |  |  |
                       |  |  g… vpce-… (a gateway endpoint with S3's addresses)
                       |  v… vgw-… (VPN gateway: the edge router)
                       p… another VPC's router (peering)

A VPC is one router namespace. Its tables are asked in this order: routes of a subnet's table that are more specific
than the local one; the local addresses, where an address that nobody has is swallowed; the subnet's route table, for
what comes in from an interface in that subnet. What matches nothing is dropped. So what comes in by a peering
connection, a gateway or the internet reaches local addresses and nothing else: there is no transit.

    site --lgw-- [ op-…-vpc-… ] ==region== (service link) ==o…== [ vpc-… ]

Subnets on an Outpost hang on a router of their own there. It holds their interfaces' routes and groups; resolver,
gateways and peering are in the Region, across the service link, where the same route tables are asked by source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network

from islanding.lab.plan import End, Link, Namespace, Neighbour, NetworkPlan, Route, Rule, Sink, Table, joined
from islanding.lab.vpc import filters, labels
from islanding.lab.vpc.hosts import host_parts
from islanding.lab.vpc.index import Card, Index, Part
from islanding.lab.vpc.outposts import LOCAL_GATEWAY, REGION, local_gateway, service_link
from islanding.lab.vpc.outside import (
    INSIDE_MTU,
    INTERNET,
    INTERNET_MTU,
    METADATA,
    RESOLVER,
    Outside,
    beyond,
    cable,
    outside_plan,
)
from islanding.lab.vpc.state import Ec2State

LOCAL_TABLE, INGRESS_TABLE = 100, 101
_SPECIFIC, _LOCAL, _SUBNET = 50, 100, 200  # preferences of the rules
VOID = "void"


def desired(state: Ec2State, outside: Outside) -> NetworkPlan:
    """Everything that the kernel is to hold for that state, the outside included; raises nothing."""
    index = Index(state, outside.outposts)
    parts = [outside_plan(outside), host_parts(index)]
    parts += [_Router(index, outside, part).plan() for part in index.parts.values()]
    for peering in index.peerings.values():
        port = labels.interface("p", peering.id)
        parts.append(cable((peering.requester, port), (peering.accepter, port), INSIDE_MTU))
    return joined(parts)


@dataclass
class _Router:
    """The plan of one VPC's router in one place, as it is being made."""

    index: Index
    outside: Outside
    part: Part
    links: list[Link] = field(default_factory=list)
    addresses: list[tuple[str, str, str]] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    neighbours: list[Neighbour] = field(default_factory=list)
    others: list[NetworkPlan] = field(default_factory=list)

    @property
    def netns(self) -> str:
        return self.part.netns

    @property
    def vpc(self) -> str:
        return self.part.vpc

    def plan(self) -> NetworkPlan:
        netns = self.netns
        _, ranges = self.index.vpcs[self.vpc]
        self.addresses.append((netns, "lo", f"{METADATA}/32"))
        self.rules.append(Rule(netns, "", LOCAL_TABLE, preference=_LOCAL))
        self.routes.append(Route(netns, "default"))
        if self.part.link is None:
            self.addresses += [(netns, "lo", f"{a}/32") for a in (RESOLVER, str(ranges[0][2]))]
            self._outposts()
            self.routes += [Route(netns, str(cidr), device=VOID, table=LOCAL_TABLE) for cidr in ranges]
            self._internet()
            self._vpn(ranges)
            self._gateway_endpoints()
        else:
            own = [self.index.subnets[subnet] for subnet in sorted(self.part.subnets)]
            self.routes += [Route(netns, str(cidr), device=VOID, table=LOCAL_TABLE) for cidr in own]
            self.routes += [beyond(netns, cidr, REGION, LOCAL_TABLE) for cidr in (*map(str, ranges), f"{RESOLVER}/32")]
            self.others += [service_link(self.part, self.part.link), local_gateway(self.part, self.part.link, own)]
            self._ingress()
        self._tables(ranges)
        body = NetworkPlan(
            namespaces=(Namespace(netns, forward=True, silent=True, proxy=True),),
            sinks=(Sink(netns, VOID),),
            links=tuple(self.links),
            addresses=tuple(self.addresses),
            routes=tuple(self.routes),
            rules=tuple(self.rules),
            neighbours=tuple(self.neighbours),
            tables=(
                Table(netns, "vpc", filters.body(self.index, self.outside, self.part)),
                *([Table(netns, "flows", filters.flows(self.index, self.vpc), counting=True)] * (netns == self.vpc)),
            ),
        )
        return joined([body, *self.others])

    def _outposts(self) -> None:
        """In the Region: the way to each subnet on an Outpost."""
        for part in self.index.outpost_parts(self.vpc):
            for subnet in sorted(part.subnets):
                self.routes.append(beyond(self.netns, str(self.index.subnets[subnet]), part.port, LOCAL_TABLE))

    def _ingress(self) -> None:
        """On an Outpost: what the local gateway's route table leads to interfaces."""
        cards = {a: card for card in self.index.cards_by_part.get(self.netns, []) for a in card.addresses}
        for cidr, address in self.part.link.ingress if self.part.link else ():
            if labels.network(cidr) is not None and address in cards:
                card = cards[address]
                self.routes.append(Route(self.netns, cidr, via=address, device=card.port, table=INGRESS_TABLE))
        if self.part.link and self.part.link.ingress:
            self.rules.append(Rule(self.netns, LOCAL_GATEWAY, INGRESS_TABLE, preference=_SPECIFIC))

    def _internet(self) -> None:
        if self.vpc not in self.index.internet_gateways:
            return
        port = labels.interface("x", self.vpc)
        self.others.append(cable((self.vpc, "ext"), (INTERNET, port), INTERNET_MTU))
        self.routes += [beyond(INTERNET, f"{public}/32", port) for public in self.index.public(self.vpc)]

    def _vpn(self, ranges: tuple[IPv4Network, ...]) -> None:
        for gateway, vpc in self.index.vpn_gateways.items():
            if vpc != self.vpc:
                continue
            self.others.append(
                cable((vpc, labels.interface("v", gateway)), (gateway, "vpc"), INTERNET_MTU)
                + NetworkPlan(
                    namespaces=(Namespace(gateway, forward=True, silent=True),),
                    routes=tuple(beyond(gateway, str(cidr), "vpc") for cidr in ranges),
                )
            )

    def _gateway_endpoints(self) -> None:
        for endpoint in self.index.gateway_endpoints.values():
            if endpoint.vpc != self.vpc:
                continue
            here = (endpoint.id, "eth0")
            self.others.append(
                cable((self.vpc, labels.interface("g", endpoint.id)), here, INSIDE_MTU)
                + NetworkPlan(
                    namespaces=(Namespace(endpoint.id, silent=True),),
                    addresses=tuple((*here, f"{address}/32") for address in self.outside.s3),
                    routes=(beyond(endpoint.id, "default", "eth0"),),
                    tables=(filters.service(endpoint.id),),
                )
            )

    def _tables(self, ranges: tuple[IPv4Network, ...]) -> None:
        tables = self.index.route_tables.get(self.vpc, [])
        numbers = labels.table_numbers(t.id for t in tables)
        specific: dict[str, list[IPv4Network]] = {}
        for table in tables:
            number = numbers[table.id]
            for endpoint in self.index.gateway_endpoints.values():
                if endpoint.vpc == self.vpc and table.id in endpoint.route_tables:
                    port = REGION if self.part.link else labels.interface("g", endpoint.id)
                    self.routes.append(beyond(self.netns, self.outside.s3_range, port, number))
            for cidr, route in self.index.routes(table):
                inside = any(cidr.subnet_of(r) and cidr != r for r in ranges)
                if inside:
                    specific.setdefault(table.id, []).append(cidr)
                self.routes.append(self._route(cidr, route.target, number + 1 if inside else number))
            self._learnt(number)
        for card in self.index.cards_by_part.get(self.netns, []):
            self._card(card)
            self._asks(card.interface.subnet, card.subnet, card.port, "", numbers, specific)
        if self.part.link is None:
            for part in self.index.outpost_parts(self.vpc):
                for subnet in sorted(part.subnets):
                    cidr = self.index.subnets[subnet]
                    self._asks(subnet, cidr, part.port, str(cidr), numbers, specific)

    def _asks(
        self,
        subnet: str,
        cidr: IPv4Network,
        port: str,
        source: str,
        numbers: dict[str, int],
        specific: dict[str, list[IPv4Network]],
    ) -> None:
        """Have what comes in by a port, from `source` if given, ask the route table of a subnet."""
        table = self.index.table_of_subnet.get(subnet, "")
        if table in numbers:
            self.rules.append(Rule(self.netns, port, numbers[table], source=source, preference=_SUBNET))
            if any(other != cidr for other in specific.get(table, [])):
                self.rules.append(Rule(self.netns, port, numbers[table] + 1, source=source, preference=_SPECIFIC))

    def _learnt(self, number: int) -> None:
        for gateway, prefixes in self.outside.learnt:
            if self.index.vpn_gateways.get(gateway) == self.vpc:
                found = [n for n in map(labels.network, prefixes) if n is not None]
                self.routes += [self._route(cidr, gateway, number) for cidr in found]

    def _route(self, cidr: IPv4Network, target: str, table: int) -> Route:  # noqa: PLR0911  # a return a kind reads best
        """The route to one target of a route table; to one that is dead, a blackhole."""
        netns, destination = self.netns, "default" if cidr.prefixlen == 0 else str(cidr)
        card = self.index.nat_cards.get(target) or self.index.cards.get(target) or self.index.cards_of_owner.get(target)
        if card is not None and card.vpc == self.vpc:
            part = self.index.part_of_subnet[card.interface.subnet]
            if part.netns == netns:
                return Route(netns, destination, via=card.addresses[0], device=card.port, table=table)
            return beyond(netns, destination, REGION if self.part.link else part.port, table)
        if self.part.link is not None:
            gateway = target == self.part.link.local_gateway
            return beyond(netns, destination, LOCAL_GATEWAY if gateway else REGION, table)
        peering = self.index.peerings.get(target)
        if peering is not None and netns in (peering.requester, peering.accepter):
            return beyond(netns, destination, labels.interface("p", target), table)
        if target == self.index.internet_gateways.get(netns):
            return beyond(netns, destination, "ext", table)
        if self.index.vpn_gateways.get(target) == netns:
            return beyond(netns, destination, labels.interface("v", target), table)
        return Route(netns, destination, table=table)

    def _card(self, card: Card) -> None:
        netns, port = self.netns, card.port
        down = card.host not in self.index.configured and card.device != "eth0"
        self.links.append(
            Link(
                End(netns, port, mtu=INSIDE_MTU),
                End(card.host, card.device, mac=card.mac, mtu=INSIDE_MTU, down=down),
            )
        )
        self.addresses.append((netns, port, f"{card.gateway}/32"))
        for address in card.addresses:
            # A VPC delivers by address to the interface, without ARP: nodes do not answer it for their pods.
            self.neighbours.append(Neighbour(netns, port, address, card.mac))
            self.routes.append(Route(netns, f"{address}/32", device=port, table=LOCAL_TABLE))
