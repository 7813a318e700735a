"""nftables text: what a VPC's router lets pass, and what the namespaces of endpoints and NAT gateways do.

Forwarded packets meet, in this order: network ACLs (stateless, between subnets only), the state of the connection,
the security groups of the sender's interface, those of the receiver's. Metadata service and resolver are in the router
itself, where neither ACLs nor groups apply, as on AWS. Everything that is refused is dropped in silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Literal

from islanding.lab.plan import Table, Tunnel
from islanding.lab.vpc import labels
from islanding.lab.vpc.index import Card, Index, Part
from islanding.lab.vpc.outposts import LOCAL_GATEWAY, REGION
from islanding.lab.vpc.outside import METADATA, RESOLVER, Outside
from islanding.lab.vpc.state import Acl, AclEntry, GroupRule

Direction = Literal["in", "out"]
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "all": "-1"}
_ALL_PORTS = (0, 65535)


def body(index: Index, outside: Outside, part: Part) -> str:
    """The table that filters and translates in one VPC's router in one place."""
    vpc, cards = part.vpc, index.cards_by_part.get(part.netns, [])
    lines = [
        *_sets(index, vpc, cards),
        *_groups(index, outside, vpc, cards),
        *_acls(index, cards),
        *_arriving(cards),
        *_services(index, part, cards),
        *_forward(index, part, cards),
        *(_translate(index, vpc) if part.link is None else ()),
    ]
    return "\n".join(lines) + "\n"


def flows(index: Index, vpc: str) -> str:
    """The table that counts what passes each endpoint of one VPC, by counters named after the endpoints."""
    lines, rules = [], []
    for endpoint, port in endpoint_ports(index, vpc):
        counter = labels.word("flow", endpoint)
        if f"counter {counter} {{ }}" not in lines:
            lines.append(f"counter {counter} {{ }}")
        rules += [f'iifname "{port}" counter name "{counter}"', f'oifname "{port}" counter name "{counter}"']
    # After the filter: what is dropped does not flow.
    return "\n".join([*lines, "chain flows {", "type filter hook forward priority 10;", *rules, "}"]) + "\n"


def endpoint_ports(index: Index, vpc: str) -> list[tuple[str, str]]:
    """The router's ports of each endpoint of a VPC: (endpoint id, port)."""
    found = [(e.id, labels.interface("g", e.id)) for e in index.gateway_endpoints.values() if e.vpc == vpc]
    for endpoint in index.state.endpoints:
        if endpoint.kind == "interface":
            cards = (index.cards[i] for i in endpoint.interfaces if i in index.cards)
            found += [(endpoint.id, card.port) for card in cards if card.vpc == vpc]
    return found


def service(netns: str) -> Table:
    """An endpoint's namespace: nothing but the service answers there, and nothing else says so."""
    return Table(
        netns,
        "service",
        "chain service {\ntype filter hook input priority 0; policy drop;\n"
        'iifname "lo" accept\nct state established,related accept\ntcp dport { 80, 443 } accept\n}\n',
    )


def nat_gateway(netns: str) -> Table:
    """A NAT gateway: what comes from the VPC leaves with its own address; nothing can be opened towards it."""
    return Table(
        netns,
        "nat",
        "chain closed {\ntype filter hook input priority 0; policy drop;\nct state established,related accept\n}\n"
        'chain leave {\ntype nat hook postrouting priority 100;\noifname "eth0" masquerade\n}\n',
    )


def _sets(index: Index, vpc: str, cards: list[Card]) -> list[str]:
    owned = [f'"{card.port}" . {address}' for card in cards for address in card.addresses]
    public = sorted(index.public(vpc).values())
    return [
        f"set owned {{ type ifname . ipv4_addr; {_elements(owned)}}}",
        f"set public {{ type ipv4_addr; {_elements(public)}}}",
    ]


def _elements(items: Iterable[str]) -> str:
    text = ", ".join(items)
    return f"elements = {{ {text} }}; " if text else ""


def _names(cards: Iterable[Card]) -> str:
    return _quoted(card.port for card in cards)


def _quoted(names: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in names) + " }"


def _tunnels(index: Index, part: Part) -> list[str]:
    """Interfaces of the service link."""
    return [REGION] if part.link else [other.port for other in index.outpost_parts(part.vpc)]


def _across(index: Index, part: Part) -> list[str]:
    """The service link: segments are made to fit it, and nothing of the site's passes it (no transit)."""
    tunnels = _tunnels(index, part)
    fit = f"tcp flags syn tcp option maxseg size set {Tunnel.mtu - 40}"
    lines = [f"{way} {_quoted(tunnels)} {fit}" for way in ("iifname", "oifname") if tunnels]
    if part.link:
        lines += [f'iifname "{a}" oifname "{b}" drop' for a, b in ((REGION, LOCAL_GATEWAY), (LOCAL_GATEWAY, REGION))]
    return lines


def _arriving(cards: list[Card]) -> list[str]:
    """Source check, before anything else."""
    checked = [card for card in cards if _checked(card)]
    rules = [f"iifname {_names(checked)} iifname . ip saddr != @owned drop"] if checked else []
    return ["chain arriving {", "type filter hook prerouting priority -300;", *rules, "}"]


def _checked(card: Card) -> bool:
    return card.interface.source_dest_check and card.interface.kind != "nat_gateway"


def _services(index: Index, part: Part, cards: list[Card]) -> list[str]:
    """What the router itself answers: the metadata service, and the resolver when the VPC has DNS support."""
    known, ranges = index.vpcs[part.vpc]
    rules = ['iifname "lo" accept', "ct state established,related accept"]
    if cards:
        rules.append(f"iifname {_names(cards)} ip daddr {METADATA} tcp dport 80 accept")
    askers = [*(card.port for card in cards), *_tunnels(index, part)]
    if askers and known.dns_support and part.link is None:
        resolvers = f"{{ {ranges[0][2]}, {RESOLVER} }}"
        rules.append(f"iifname {_quoted(askers)} ip daddr {resolvers} meta l4proto {{ tcp, udp }} th dport 53 accept")
    return ["chain services {", "type filter hook input priority 0; policy drop;", *rules, "}"]


def _forward(index: Index, part: Part, cards: list[Card]) -> list[str]:
    lines = ["chain forward {", "type filter hook forward priority 0; policy drop;", *_across(index, part)]
    lines += ['oifname "ext" ip saddr != @public drop', 'iifname "ext" ct status & (snat | dnat) == 0 drop']
    checked = [card for card in cards if _checked(card)]
    if checked:
        lines.append(f"oifname {_names(checked)} oifname . ip daddr != @owned drop")
    ruled = [card for card in cards if card.interface.subnet in _acl_of_subnet(index, part.vpc)]
    if ruled:
        lines.append(_jump("iifname", ruled, lambda card: labels.word("aclout", card.interface.subnet)))
        lines.append(_jump("oifname", ruled, lambda card: labels.word("aclin", card.interface.subnet)))
    lines += ["ct state established,related accept", "ct state invalid drop"]
    guarded = [card for card in cards if card.interface.kind != "nat_gateway"]
    if guarded:
        lines.append(_jump("iifname", guarded, lambda card: _chain("out", card)))
        lines.append(_jump("oifname", guarded, lambda card: _chain("in", card)))
    return [*lines, "accept", "}"]


def _jump(key: str, cards: list[Card], chain: Callable[[Card], str]) -> str:
    return f"{key} vmap {{ " + ", ".join(f'"{card.port}" : jump {chain(card)}' for card in cards) + " }"


def _translate(index: Index, vpc: str) -> list[str]:
    """The internet gateway: public and private addresses one to one."""
    if vpc not in index.internet_gateways:
        return []
    pairs = sorted(index.public(vpc).items())
    if not pairs:
        return []
    inward = ", ".join(f"{public} : {private}" for public, private in pairs)
    outward = ", ".join(f"{private} : {public}" for public, private in pairs)
    return [
        "chain inward {", "type nat hook prerouting priority -100;",
        f'iifname "ext" dnat ip to ip daddr map {{ {inward} }}', "}",
        "chain outward {", "type nat hook postrouting priority 100;",
        f'oifname "ext" snat ip to ip saddr map {{ {outward} }}', "}",
    ]  # fmt: skip


def _chain(direction: Direction, card: Card) -> str:
    return labels.word(direction, *sorted(set(card.interface.groups)))


def _groups(index: Index, outside: Outside, vpc: str, cards: list[Card]) -> list[str]:
    """A set of addresses for each group that is referred to, and two chains for each combination of groups."""
    combinations = sorted({tuple(sorted(set(card.interface.groups))) for card in cards})
    chains: list[str] = []
    referred: set[str] = set()
    for groups in combinations:
        known = [index.groups[g] for g in groups if g in index.groups]
        sides: tuple[tuple[Direction, frozenset[GroupRule]], ...] = (
            ("out", frozenset().union(*(g.egress for g in known))),
            ("in", frozenset().union(*(g.ingress for g in known))),
        )
        for direction, rules in sides:
            referred |= {rule.group for rule in rules if rule.group}
            chains.append(f"chain {labels.word(direction, *groups)} {{")
            chains += sorted({text for rule in rules for text in _group_rule(rule, direction, outside)})
            chains += ["drop", "}"]
    members = _members(index, vpc)
    sets = [
        f"set {labels.word('members', group)} {{ type ipv4_addr; {_elements(sorted(members[group]))}}}"
        for group in sorted(referred)
    ]
    return [*sets, *chains]


def _members(index: Index, vpc: str) -> dict[str, set[str]]:
    """Private addresses of each group's members, in this VPC and in those that are peered with it."""
    near = {vpc}
    for peering in index.peerings.values():
        if vpc in (peering.requester, peering.accepter):
            near |= {peering.requester, peering.accepter}
    found: dict[str, set[str]] = defaultdict(set)
    for where in near:
        for card in index.cards_by_vpc.get(where, []):
            for group in card.interface.groups:
                found[group].update(card.addresses)
    return found


def _group_rule(rule: GroupRule, direction: Direction, outside: Outside) -> list[str]:
    side = "saddr" if direction == "in" else "daddr"
    protocol = _protocol(rule.protocol, rule.low, rule.high)
    if protocol is None:
        return []
    if rule.group:
        return [f"{protocol}ip {side} @{labels.word('members', rule.group)} return"]
    if rule.cidr:
        found = [labels.network(rule.cidr)]
    else:
        found = [labels.network(c) for c in outside.prefix_lists.get(rule.prefix_list, ())]
    return [f"{protocol}{_far(side, str(cidr))}return" for cidr in found if cidr is not None]


def _far(side: str, cidr: str) -> str:
    return "" if cidr == "0.0.0.0/0" else f"ip {side} {cidr} "


def _protocol(protocol: str, low: int | None, high: int | None) -> str | None:
    """The match for a protocol with its ports (icmp: type and code); None for what is none."""
    name = _PROTOCOLS.get(protocol.lower(), protocol.lower())
    if name == "-1":
        return "meta nfproto ipv4 "
    if name in ("tcp", "udp"):
        return _ports(name, low, high)
    if name == "icmp":
        kind = "" if low is None or not 0 <= low <= 255 else f"icmp type {low} "
        code = "" if not kind or high is None or not 0 <= high <= 255 else f"icmp code {high} "
        return f"meta l4proto icmp {kind}{code}"
    if name.isascii() and name.isdigit() and int(name) <= 255:
        return f"meta l4proto {int(name)} "
    return None


def _ports(name: str, low: int | None, high: int | None) -> str | None:
    if low is None or high is None or low < 0 or (low, high) == _ALL_PORTS:
        return f"meta l4proto {name} "
    if not low <= high <= _ALL_PORTS[1]:
        return None
    return f"{name} dport {low}-{high} " if low != high else f"{name} dport {low} "


def _acl_of_subnet(index: Index, vpc: str) -> dict[str, Acl]:
    return {subnet: acl for acl in index.state.acls if acl.vpc == vpc for subnet in sorted(acl.subnets)}


def _acls(index: Index, cards: list[Card]) -> list[str]:
    lines: list[str] = []
    by_subnet: dict[str, list[Card]] = defaultdict(list)
    for card in cards:
        by_subnet[card.interface.subnet].append(card)
    for subnet, mine in sorted(by_subnet.items()):
        acl = _acl_of_subnet(index, mine[0].vpc).get(subnet)
        if acl is None:
            continue
        entries = sorted(acl.entries, key=lambda e: e.number)
        for chain, other, side, egress in (("aclout", "oifname", "daddr", True), ("aclin", "iifname", "saddr", False)):
            lines.append(f"chain {labels.word(chain, subnet)} {{")
            lines.append(f"{other} {_names(mine)} return")  # within a subnet there is no ACL
            lines += [text for e in entries if e.egress == egress and (text := _entry(e, side))]
            lines += ["drop", "}"]
    return lines


def _entry(entry: AclEntry, side: str) -> str:
    protocol, cidr = _protocol(entry.protocol, entry.low, entry.high), labels.network(entry.cidr)
    if protocol is None or cidr is None:
        return ""
    return f"{protocol}{_far(side, str(cidr))}{'return' if entry.allow else 'drop'}"
