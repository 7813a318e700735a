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
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network

from islanding.lab.plan import End, Link, Namespace, Neighbour, NetworkPlan, Route, Rule, Sink, Table, joined
from islanding.lab.vpc import filters, labels
from islanding.lab.vpc.hosts import host_parts
from islanding.lab.vpc.index import Card, Index
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

LOCAL_TABLE = 100
_SPECIFIC, _LOCAL, _SUBNET = 50, 100, 200  # preferences of the rules
VOID = "void"


def desired(state: Ec2State, outside: Outside) -> NetworkPlan:
    """Everything that the kernel is to hold for that state, the outside included; raises nothing."""
    index = Index(state)
    parts = [outside_plan(outside), host_parts(index)]
    parts += [_Router(index, outside, vpc).plan() for vpc in index.vpcs]
    for peering in index.peerings.values():
        port = labels.interface("p", peering.id)
        parts.append(cable((peering.requester, port), (peering.accepter, port), INSIDE_MTU))
    return joined(parts)


@dataclass
class _Router:
    """The plan of one VPC's router, as it is being made."""

    index: Index
    outside: Outside
    vpc: str
    links: list[Link] = field(default_factory=list)
    addresses: list[tuple[str, str, str]] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    neighbours: list[Neighbour] = field(default_factory=list)
    others: list[NetworkPlan] = field(default_factory=list)

    def plan(self) -> NetworkPlan:
        vpc = self.vpc
        _, ranges = self.index.vpcs[vpc]
        self.addresses += [(vpc, "lo", f"{a}/32") for a in (METADATA, RESOLVER, str(ranges[0][2]))]
        self.rules.append(Rule(vpc, "", LOCAL_TABLE, preference=_LOCAL))
        self.routes.append(Route(vpc, "default"))
        self.routes += [Route(vpc, str(cidr), device=VOID, table=LOCAL_TABLE) for cidr in ranges]
        self._internet()
        self._vpn(ranges)
        self._gateway_endpoints()
        self._tables(ranges)
        body = NetworkPlan(
            namespaces=(Namespace(vpc, forward=True, silent=True, proxy=True),),
            sinks=(Sink(vpc, VOID),),
            links=tuple(self.links),
            addresses=tuple(self.addresses),
            routes=tuple(self.routes),
            rules=tuple(self.rules),
            neighbours=tuple(self.neighbours),
            tables=(
                Table(vpc, "vpc", filters.body(self.index, self.outside, vpc)),
                Table(vpc, "flows", filters.flows(self.index, vpc), counting=True),
            ),
        )
        return joined([body, *self.others])

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
                    port = labels.interface("g", endpoint.id)
                    self.routes.append(beyond(self.vpc, self.outside.s3_range, port, number))
            for cidr, route in self.index.routes(table):
                inside = any(cidr.subnet_of(r) and cidr != r for r in ranges)
                if inside:
                    specific.setdefault(table.id, []).append(cidr)
                self.routes.append(self._route(cidr, route.target, number + 1 if inside else number))
            self._learnt(number)
        for card in self.index.cards_by_vpc.get(self.vpc, []):
            self._card(card, numbers, specific)

    def _learnt(self, number: int) -> None:
        for gateway, prefixes in self.outside.learnt:
            if self.index.vpn_gateways.get(gateway) == self.vpc:
                found = [n for n in map(labels.network, prefixes) if n is not None]
                self.routes += [self._route(cidr, gateway, number) for cidr in found]

    def _route(self, cidr: IPv4Network, target: str, table: int) -> Route:
        """The route to one target of a route table; to one that is dead, a blackhole."""
        vpc, destination = self.vpc, "default" if cidr.prefixlen == 0 else str(cidr)
        peering = self.index.peerings.get(target)
        if peering is not None and vpc in (peering.requester, peering.accepter):
            return beyond(vpc, destination, labels.interface("p", target), table)
        if target == self.index.internet_gateways.get(vpc):
            return beyond(vpc, destination, "ext", table)
        if self.index.vpn_gateways.get(target) == vpc:
            return beyond(vpc, destination, labels.interface("v", target), table)
        card = self.index.nat_cards.get(target) or self.index.cards.get(target) or self.index.cards_of_owner.get(target)
        if card is not None and card.vpc == vpc:
            return Route(vpc, destination, via=card.addresses[0], device=card.port, table=table)
        return Route(vpc, destination, table=table)

    def _card(self, card: Card, numbers: dict[str, int], specific: dict[str, list[IPv4Network]]) -> None:
        vpc, port = self.vpc, card.port
        down = card.host not in self.index.configured and card.device != "eth0"
        self.links.append(
            Link(
                End(vpc, port, mtu=INSIDE_MTU),
                End(card.host, card.device, mac=card.mac, mtu=INSIDE_MTU, down=down),
            )
        )
        self.addresses.append((vpc, port, f"{card.gateway}/32"))
        for address in card.addresses:
            # A VPC delivers by address to the interface, without ARP: nodes do not answer it for their pods.
            self.neighbours.append(Neighbour(vpc, port, address, card.mac))
            self.routes.append(Route(vpc, f"{address}/32", device=port, table=LOCAL_TABLE))
        table = self.index.table_of_subnet.get(card.interface.subnet, "")
        if table in numbers:
            self.rules.append(Rule(vpc, port, numbers[table], preference=_SUBNET))
            if any(cidr != card.subnet for cidr in specific.get(table, [])):
                self.rules.append(Rule(vpc, port, numbers[table] + 1, preference=_SPECIFIC))
