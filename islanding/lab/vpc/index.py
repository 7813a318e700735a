"""AWS state looked up by id, without what dangles: ids that lead nowhere and ranges that are none are left out here."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network

from islanding.lab.vpc import labels
from islanding.lab.vpc.outside import AWS, ELSEWHERE, INTERNET, WORKSTATION, OutpostLink
from islanding.lab.vpc.state import Ec2State, Endpoint, Interface, Peering, Route, RouteTable, SecurityGroup, Vpc

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_OUTSIDE = frozenset({INTERNET, AWS, ELSEWHERE, WORKSTATION})
_MOST_DEVICES = 1000


@dataclass(frozen=True)
class Card:
    """A network interface that is plugged in: into the namespace `host` as `device`, by the router's `port`.

    `addresses` are its private addresses, the primary one first; `gateway` is the router's address in its subnet.
    """

    interface: Interface
    addresses: tuple[str, ...]
    subnet: IPv4Network
    host: str
    device: str
    port: str
    mac: str

    @property
    def gateway(self) -> str:
        return str(self.subnet[1])

    @property
    def vpc(self) -> str:
        return self.interface.vpc


@dataclass(frozen=True)
class Part:
    """A VPC's router in one place, a namespace of its own: in the Region, or on an Outpost with the subnets there."""

    netns: str
    vpc: str
    link: OutpostLink | None = None
    subnets: frozenset[str] = field(default=frozenset())

    @property
    def port(self) -> str:
        """The interface in the Region's part that leads to this one."""
        return labels.interface("o", self.netns)


@dataclass(frozen=True)
class Index:
    """The state as the plan needs it; subnets on Outposts that nobody has joined are taken for the Region's."""

    state: Ec2State
    outposts: tuple[OutpostLink, ...] = ()

    @cached_property
    def vpcs(self) -> dict[str, tuple[Vpc, tuple[IPv4Network, ...]]]:
        """VPCs with their ranges, the primary one first."""
        found = {}
        for vpc in self.state.vpcs:
            ranges = tuple(n for n in map(labels.network, vpc.cidrs) if n is not None and n.prefixlen <= 28)
            if ranges and labels.usable(vpc.id) and vpc.id not in _OUTSIDE:
                found[vpc.id] = (vpc, ranges)
        return found

    @cached_property
    def subnets(self) -> dict[str, IPv4Network]:
        """Ranges of the subnets, as far as they lie in their VPC."""
        found = {}
        for subnet in self.state.subnets:
            cidr = labels.network(subnet.cidr)
            _, ranges = self.vpcs.get(subnet.vpc, (None, ()))
            if cidr is not None and cidr.prefixlen <= 28 and any(cidr.subnet_of(r) for r in ranges):
                found[subnet.id] = cidr
        return found

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The routers of all VPCs by their namespaces; that in the Region has the name of its VPC."""
        found = {vpc: Part(vpc, vpc) for vpc in self.vpcs}
        for vpc in self.vpcs:
            for link in self.outposts:
                here = [s.id for s in self.state.subnets if (s.vpc, s.outpost) == (vpc, link.arn)]
                mine = {s for s in here if s in self.subnets and self._vpc_of_subnet[s] == vpc}
                if mine:
                    part = Part(f"{link.id}-{vpc}", vpc, link, frozenset(mine))
                    found[part.netns] = part
        return found

    @cached_property
    def part_of_subnet(self) -> dict[str, Part]:
        """The router that each subnet hangs on."""
        placed = {subnet: self._vpc_of_subnet[subnet] for subnet in self.subnets}
        found = {subnet: self.parts[vpc] for subnet, vpc in placed.items() if vpc in self.parts}
        return found | {subnet: part for part in self.parts.values() for subnet in part.subnets}

    def outpost_parts(self, vpc: str) -> list[Part]:
        """The routers of a VPC on Outposts."""
        return [part for part in self.parts.values() if part.vpc == vpc and part.link is not None]

    @cached_property
    def cards_by_part(self) -> dict[str, list[Card]]:
        """Cards at each router, by its namespace, in the order of their ports."""
        found: dict[str, list[Card]] = defaultdict(list)
        for cards in self.cards_by_vpc.values():
            for card in cards:
                found[self.part_of_subnet[card.interface.subnet].netns].append(card)
        return found

    @cached_property
    def hosts(self) -> frozenset[str]:
        """Namespaces that hold the cards of instances that run, and of services."""
        running = {i.id for i in self.state.instances if i.running}
        named = running | {s.name for s in self.state.services}
        return frozenset(n for n in named if labels.usable(n) and n not in self.vpcs and n not in _OUTSIDE)

    @cached_property
    def configured(self) -> frozenset[str]:
        """Namespaces whose cards are all raised and addressed by the plan: no operating system does it there."""
        return frozenset({s.name for s in self.state.services} | {i.id for i in self.state.interfaces})

    @cached_property
    def cards(self) -> dict[str, Card]:
        """Every interface that is plugged in, by its id."""
        found: dict[str, Card] = {}
        devices: dict[str, set[int]] = defaultdict(set)
        taken: set[tuple[str, str]] = set()
        ports: set[tuple[str, str]] = set()
        for interface in sorted(self.state.interfaces, key=lambda i: (i.owner, i.device, i.id)):
            host, subnet = interface.owner, self.subnets.get(interface.subnet)
            own = host == interface.id and labels.usable(host) and host not in self.vpcs and host not in _OUTSIDE
            if subnet is None or interface.vpc not in self.vpcs or interface.id in found:
                continue
            if not own and host not in self.hosts:
                continue
            if self._vpc_of_subnet.get(interface.subnet) != interface.vpc:
                continue
            mine = (str(a) for a in map(labels.address, interface.addresses) if a is not None and a in subnet)
            routers = str(subnet.network_address + 1)  # reserved in every subnet (VPC guide, "Subnet CIDR blocks")
            addresses = tuple(a for a in dict.fromkeys(mine) if a != routers and (interface.vpc, a) not in taken)
            port = labels.interface("e", interface.id)
            if not addresses or (interface.vpc, port) in ports:
                continue
            taken |= {(interface.vpc, a) for a in addresses}
            ports.add((interface.vpc, port))
            number = max(interface.device, 0) % _MOST_DEVICES
            while number in devices[host]:
                number += 1
            devices[host].add(number)
            mac = interface.mac.lower() if _MAC.fullmatch(interface.mac.lower()) else labels.mac(interface.id)
            found[interface.id] = Card(interface, addresses, subnet, host, f"eth{number}", port, mac)
        return found

    @cached_property
    def _vpc_of_subnet(self) -> dict[str, str]:
        return {s.id: s.vpc for s in self.state.subnets}

    @cached_property
    def cards_by_vpc(self) -> dict[str, list[Card]]:
        """Cards of each VPC, in the order of their ports."""
        found: dict[str, list[Card]] = defaultdict(list)
        for card in sorted(self.cards.values(), key=lambda c: c.port):
            found[card.vpc].append(card)
        return found

    @cached_property
    def cards_of_owner(self) -> dict[str, Card]:
        """The first card of each host."""
        first: dict[str, Card] = {}
        for card in self.cards.values():
            first.setdefault(card.host, card)
        return first

    @cached_property
    def peerings(self) -> dict[str, Peering]:
        """Peering connections that carry packets, by id."""
        return {
            p.id: p
            for p in self.state.peerings
            if p.status == "active" and p.requester != p.accepter and {p.requester, p.accepter} <= self.vpcs.keys()
        }

    @cached_property
    def groups(self) -> dict[str, SecurityGroup]:
        """Security groups by id."""
        return {g.id: g for g in self.state.groups}

    @cached_property
    def route_tables(self) -> dict[str, list[RouteTable]]:
        """Route tables of each VPC, each id once."""
        found: dict[str, dict[str, RouteTable]] = defaultdict(dict)
        for table in self.state.route_tables:
            found[table.vpc].setdefault(table.id, table)
        return {vpc: list(tables.values()) for vpc, tables in found.items()}

    @cached_property
    def table_of_subnet(self) -> dict[str, str]:
        """The route table (id) that serves each subnet: its own, or its VPC's main one."""
        found: dict[str, str] = {}
        for subnet in self.state.subnets:
            tables = self.route_tables.get(subnet.vpc, [])
            own = next((t for t in tables if subnet.id in t.subnets), None)
            table = own or next((t for t in tables if t.main), None)
            if table is not None:
                found[subnet.id] = table.id
        return found

    @cached_property
    def gateway_endpoints(self) -> dict[str, Endpoint]:
        """Gateway endpoints for S3 that are available, by id."""
        return {
            e.id: e
            for e in self.state.endpoints
            if e.kind == "gateway" and e.state == "available" and e.service.endswith(".s3")
            and e.vpc in self.vpcs and labels.usable(e.id) and e.id not in self.vpcs
            and e.id not in self.hosts and e.id not in self.cards and e.id not in _OUTSIDE
        }  # fmt: skip

    @cached_property
    def internet_gateways(self) -> dict[str, str]:
        """The internet gateway (id) of each VPC that has one."""
        return {g.vpc: g.id for g in self.state.internet_gateways if g.vpc in self.vpcs}

    @cached_property
    def vpn_gateways(self) -> dict[str, str]:
        """The VPC of each attached VPN gateway, by the gateway's id; a VPC has one at most."""
        found: dict[str, str] = {}
        for gateway in self.state.vpn_gateways:
            name = gateway.id
            known = name in self.vpcs or name in self.hosts or name in self.cards or name in self.gateway_endpoints
            known = known or name in _OUTSIDE or not labels.usable(name)
            if gateway.vpc in self.vpcs and gateway.vpc not in found.values() and not known:
                found[name] = gateway.vpc
        return found

    @cached_property
    def nat_cards(self) -> dict[str, Card]:
        """The card of each NAT gateway that is available, by the gateway's id."""
        available = [n for n in self.state.nat_gateways if n.state == "available"]
        return {n.id: self.cards[n.interface] for n in available if n.interface in self.cards}

    def public(self, vpc: str) -> dict[str, str]:
        """Public addresses of a VPC's cards with the private address of each."""
        found: dict[str, str] = {}
        used: set[str] = set()
        for card in self.cards_by_vpc.get(vpc, []):
            for private, public in card.interface.public:
                if labels.address(public) is None or private not in card.addresses or private in used:
                    continue
                if found.setdefault(public, private) == private:
                    used.add(private)
        return found

    def routes(self, table: RouteTable) -> list[tuple[IPv4Network, Route]]:
        """A route table's routes to IPv4 ranges other than the local one, each destination once."""
        found: dict[IPv4Network, Route] = {}
        for route in sorted(table.routes, key=lambda r: (r.destination, r.target)):
            cidr = labels.network(route.destination)
            if cidr is not None and route.target != "local":
                found.setdefault(cidr, route)
        return list(found.items())
