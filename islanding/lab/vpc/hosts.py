"""What is at the other end of each interface: instances, endpoints, NAT gateways, machines of AWS services."""

from __future__ import annotations

from islanding.lab.plan import Namespace, NetworkPlan, Route, Rule, joined
from islanding.lab.vpc import filters, labels
from islanding.lab.vpc.index import Card, Index
from islanding.lab.vpc.outside import host_on_internet

_TABLES = 300  # of a service's machine: one for the answers of each interface


def host_parts(index: Index) -> NetworkPlan:
    """Namespaces of all owners of interfaces, with what DHCP would have told them."""
    plan = NetworkPlan(namespaces=tuple(Namespace(name) for name in sorted(index.hosts)))
    services = {s.name for s in index.state.services}
    addresses: list[tuple[str, str, str]] = []
    routes: list[Route] = []
    parts = [plan]
    for card in index.cards.values():
        if card.host in services:
            continue
        if card.host == card.interface.id:
            parts.append(_own_host(card))
            addresses += [(card.host, card.device, f"{a}/{card.subnet.prefixlen}") for a in card.addresses]
        elif card.device == "eth0":  # further cards are left to the machine, as AWS leaves them
            addresses.append((card.host, card.device, f"{card.addresses[0]}/{card.subnet.prefixlen}"))
        else:
            continue
        routes.append(Route(card.host, "default", via=card.gateway, device=card.device))
    parts.append(NetworkPlan(addresses=tuple(addresses), routes=tuple(routes)))
    parts += [_service(index, s.name, s.address) for s in index.state.services if s.name in index.hosts]
    return joined(parts)


def _own_host(card: Card) -> NetworkPlan:
    """An endpoint's or a NAT gateway's own namespace."""
    if card.interface.kind == "nat_gateway":
        return NetworkPlan(
            namespaces=(Namespace(card.host, forward=True, silent=True),), tables=(filters.nat_gateway(card.host),)
        )
    return NetworkPlan(namespaces=(Namespace(card.host, silent=True),), tables=(filters.service(card.host),))


def _service(index: Index, name: str, address: str) -> NetworkPlan:
    """A service's machine: answers leave by the interface that they came in by, the rest by its own way out."""
    addresses: list[tuple[str, str, str]] = []
    routes: list[Route] = []
    rules: list[Rule] = []
    for card in index.cards.values():
        if card.host != name:
            continue
        table = _TABLES + int(card.device.removeprefix("eth"))
        routes.append(Route(name, "default", via=card.gateway, device=card.device, table=table))
        for own in card.addresses:
            addresses.append((name, card.device, f"{own}/32"))
            rules.append(Rule(name, "", table, source=own))
        _, ranges = index.vpcs[card.vpc]
        routes += [Route(name, str(cidr), via=card.gateway, device=card.device) for cidr in ranges]
    return NetworkPlan(addresses=tuple(addresses), routes=tuple(routes), rules=tuple(rules)) + _public(name, address)


def _public(name: str, address: str) -> NetworkPlan:
    return host_on_internet(name, "pub0", (address,)) if labels.address(address) else NetworkPlan()
