"""Rules of a `site.yaml` that concern several of its values: ranges, addresses, names and references.

They read the document and not the validated model, so that they also hold for the good parts of a file with mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
from typing import Any

from islanding.yamldoc import Document, Loc, Mistake, dotted

# Ranges that are routed side by side somewhere in a site: none may overlap another.
SEPARATE: tuple[Loc, ...] = (
    ("region", "vpc_cidr"),
    ("region", "services"),
    ("outpost", "service_link_cidr"),
    ("lan", "cidr"),
    ("cluster", "service_cidr"),
    ("cluster", "pod_cidr"),
)
SUBNETS: tuple[Loc, ...] = (("region", "region_subnet"), ("outpost", "subnet"))
SUBNET_OF = {"outpost": SUBNETS[1], "region": SUBNETS[0]}
# AWS keeps the first four addresses of a subnet and its last (Amazon VPC User Guide, "Subnet CIDR blocks").
RESERVED_FIRST = 4
# VPC and subnet sizes (same source) and the service range that EKS accepts (CreateCluster, serviceIpv4Cidr).
PREFIXES: dict[Loc, tuple[int, int]] = {
    ("region", "vpc_cidr"): (16, 28),
    ("region", "services"): (8, 26),  # the AWS API is its 10th address, the public resolver its 53rd
    ("region", "region_subnet"): (16, 28),
    ("outpost", "subnet"): (16, 28),
    ("cluster", "service_cidr"): (12, 24),
    ("cluster", "pod_cidr"): (8, 22),  # the controller manager gives each node a /24; room for four
}
# What the lab itself uses: links between routers, metadata (RFC 3927), and the Region's end of the service link.
KEPT = {
    "the lab's links and the metadata service": IPv4Network("169.254.0.0/16"),
    "the service link's anchor in the Region": IPv4Network("203.0.113.0/24"),
}
KEPT_NAMES = ("ond", "cnd", "edge", "region", "resolver")  # routers and places that every site has
PLACES = ("outpost", "region")
RESERVED_ASNS = {23456: "AS_TRANS, RFC 6793", 65535: "RFC 7300"}


def mistakes(document: Document) -> list[Mistake]:
    """Every breach of the rules in `document`, whatever else is wrong with it."""
    return [
        *_ranges(document),
        *_addresses(document),
        *_names(document),
        *_asns(document),
        *_timers(document),
        *_roles(document),
        *_references(document),
    ]


def _network(document: Document, loc: Loc) -> IPv4Network | None:
    value = document.at(*loc)
    try:
        return IPv4Network(value) if isinstance(value, str) and "/" in value else None
    except ValueError:
        return None


def _address(value: Any) -> IPv4Address | None:
    try:
        return IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _items(document: Document, key: str) -> Iterator[tuple[Loc, dict[str, Any]]]:
    """The mappings of a list, each with its place."""
    items = document.at(key)
    for index, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            yield (key, index), item


def _ranges(document: Document) -> Iterator[Mistake]:
    networks = {loc: net for loc in {*SEPARATE, *SUBNETS} if (net := _network(document, loc))}
    for group in (SEPARATE, SUBNETS):
        for a, b in combinations([loc for loc in group if loc in networks], 2):
            if networks[a].overlaps(networks[b]):
                line = document.line(a)
                yield document.mistake(b, f"{networks[b]} overlaps {dotted(a)} {networks[a]} (line {line})")
    vpc = networks.get(("region", "vpc_cidr"))
    for loc in SUBNETS:
        if vpc and loc in networks and not networks[loc].subnet_of(vpc):
            yield document.mistake(loc, f"{networks[loc]} is outside region.vpc_cidr {vpc}")
        elif vpc and loc == ("region", "region_subnet") and loc in networks and vpc[2] not in networks[loc]:
            yield document.mistake(loc, f"{networks[loc]} must hold the VPC's resolver {vpc[2]}")
    for loc, net in networks.items():
        for what, kept in KEPT.items():
            if net.overlaps(kept):
                yield document.mistake(loc, f"{net} overlaps {kept}, which {what} has")
    for loc, (low, high) in PREFIXES.items():
        sized = networks.get(loc)
        if sized and not low <= sized.prefixlen <= high:
            yield document.mistake(loc, f"{sized}: the prefix length must be from /{low} to /{high}")


def _addresses(document: Document) -> Iterator[Mistake]:
    """Each address lies in its subnet, is one that a machine may have, and is given once."""
    wanted: list[tuple[Loc, Loc]] = [(("lan", "gateway"), ("lan", "cidr")), (("resolver", "address"), ("lan", "cidr"))]
    wanted += [((*loc, "address"), ("lan", "cidr")) for loc, _ in _items(document, "desks")]
    for loc, item in _items(document, "instances"):
        where = item.get("where", "outpost")
        if isinstance(where, str) and where in SUBNET_OF:
            wanted.append(((*loc, "address"), SUBNET_OF[where]))
    seen: dict[IPv4Address, Loc] = {}
    for loc, subnet in sorted(wanted, key=lambda pair: document.line(pair[0])):
        address, net = _address(document.at(*loc)), _network(document, subnet)
        if address is None:
            continue
        if net:
            yield from (document.mistake(loc, what) for what in _misplaced(address, net, subnet))
        if address in seen:
            first = seen[address]
            yield document.mistake(loc, f"{address} is taken by {dotted(first)} (line {document.line(first)})")
        seen.setdefault(address, loc)


def _misplaced(address: IPv4Address, net: IPv4Network, subnet: Loc) -> Iterator[str]:
    offset = int(address) - int(net.network_address)
    if address not in net:
        yield f"{address} is outside {dotted(subnet)} {net}"
    elif subnet in SUBNETS and (offset < RESERVED_FIRST or address == net.broadcast_address):
        yield f"{address} is kept by AWS: the first {RESERVED_FIRST} addresses of {net} and its last"
    elif address in {net.network_address, net.broadcast_address}:
        yield f"{address} is the network or broadcast address of {net}"


def _names(document: Document) -> Iterator[Mistake]:
    """Instances and desks are both asked for by name: `lab shell NAME`."""
    seen: dict[str, Loc] = {}
    for key in ("instances", "desks"):
        for loc, item in _items(document, key):
            name = item.get("name")
            if not isinstance(name, str):
                continue
            if name in KEPT_NAMES:
                yield document.mistake((*loc, "name"), f"'{name}' is a name that every site has already")
            if name in seen:
                first = seen[name]
                yield document.mistake(
                    (*loc, "name"), f"'{name}' is taken by {dotted(first)} (line {document.line((*first, 'name'))})"
                )
            seen.setdefault(name, loc)


def _asns(document: Document) -> Iterator[Mistake]:
    """Reserved numbers are refused, and each router has its own: every session is eBGP."""
    routers = document.at("routers")
    seen: dict[int, Loc] = {}
    for router in routers if isinstance(routers, dict) else ():
        loc: Loc = ("routers", router, "asn")
        asn = document.at(*loc)
        if not isinstance(asn, int) or isinstance(asn, bool):
            continue
        if asn in RESERVED_ASNS:
            yield document.mistake(loc, f"{asn} is reserved ({RESERVED_ASNS[asn]})")
        if asn in seen:
            first = seen[asn]
            yield document.mistake(loc, f"{asn} is taken by {dotted(first)} (line {document.line(first)})")
        seen.setdefault(asn, loc)


def _timers(document: Document) -> Iterator[Mistake]:
    """A timer that waits for another has to be the longer one."""
    for longer, shorter in (
        (("bgp", "hold"), ("bgp", "keepalive")),
        (("cluster", "node_grace"), ("cluster", "node_status")),
        (("cluster", "node_grace"), ("cluster", "node_lease")),
    ):
        long, short = document.at(*longer), document.at(*shorter)
        if isinstance(long, int | float) and isinstance(short, int | float) and not long > short:
            yield document.mistake(longer, f"{long} must be more than {dotted(shorter)} {short}")


def _roles(document: Document) -> Iterator[Mistake]:
    """The machines that the rest of the file takes for granted are there, where it says."""
    home = document.at("cluster", "control_plane")
    roles = set()
    for loc, item in _items(document, "instances"):
        role, where = item.get("role"), item.get("where", "outpost")
        roles.add(str(role))
        if role == "control-plane" and home in PLACES and where in PLACES and where != home:
            yield document.mistake((*loc, "where"), f"'{where}', but cluster.control_plane says '{home}'")
        if role == "worker" and where == "region":
            yield document.mistake((*loc, "where"), "'region', but workers are on the Outpost")
    if isinstance(document.at("instances"), list):
        for role in ("control-plane", "worker"):
            if role not in roles:
                yield document.mistake(("instances",), f"no instance has the role {role}; at least one is needed")
    desks = {str(item.get("role")) for _, item in _items(document, "desks")}
    if isinstance(document.at("desks"), list):
        for role in ("operator", "client"):
            if role not in desks:
                yield document.mistake(("desks",), f"no desk has the role {role}; at least one is needed")


def _references(document: Document) -> Iterator[Mistake]:
    region, zone = document.at("region", "name"), document.at("region", "zone")
    if isinstance(region, str) and isinstance(zone, str) and zone[:-1] != region:
        yield document.mistake(("region", "zone"), f"'{zone}' is not a zone of region.name '{region}'")
    manifest = document.at("workload", "manifest")
    if not isinstance(manifest, str) or not manifest:
        return
    folder = document.path.parent
    if "\0" in manifest or "/" in manifest or manifest.startswith("."):
        yield document.mistake(("workload", "manifest"), f"{manifest!r} must name a file beside {document.path.name}")
    elif not (folder / manifest).is_file():
        there = ", ".join(sorted(p.name for p in folder.glob("*.yaml") if p.name != document.path.name))
        what = f"no file '{manifest}' beside {document.path.name}; there are: {there or '(none)'}"
        yield document.mistake(("workload", "manifest"), what)
