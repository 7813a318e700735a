"""Whether a TCP connection passes routes, security groups and network ACLs, by a view alone; pure and total.

Semantics: VPC user guide, "Route priority", "Security group rules", "Network ACLs" (stateless, lowest number decides,
not applied within a subnet; Linux clients use ephemeral ports 32768 to 60999).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network

from islanding.aws.view import Acl, AclEntry, GroupRule, Interface, Peering, Route, RouteTable, View
from islanding.diagnosis.hops import Blame, Status

EPHEMERAL = (32768, 60999)
_LAST = 32767  # the number under which EC2 lists the `*` entry, which denies what no other allows
_TCP = ("tcp", "6", "-1", "all")
ANYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True)
class Finding:
    """What one hop comes to."""

    status: Status
    detail: str
    blame: Blame | None = None


def network(text: str) -> IPv4Network | None:
    """The IPv4 network that a text names, None for anything else."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) else None


def address_of(interface: Interface) -> IPv4Network:
    """The primary address of an interface; anywhere when it has none that can be read."""
    return (network(interface.addresses[0]) if interface.addresses else None) or ANYWHERE


def best_route(view: View, table: RouteTable, destination: IPv4Network) -> Route | None:
    """The most specific route of a table for a destination; prefix lists count by their most specific block."""
    best: tuple[int, Route] | None = None
    for route in table.routes:
        for block in _blocks(view, route.destination):
            if destination.subnet_of(block) and (best is None or block.prefixlen > best[0]):
                best = (block.prefixlen, route)
    return best[1] if best else None


def _blocks(view: View, destination: str) -> list[IPv4Network]:
    if destination.startswith("pl-"):
        lists = [p.cidrs for p in view.prefix_lists if p.id == destination]
        return [block for cidrs in lists for cidr in cidrs if (block := network(cidr))]
    block = network(destination)
    return [block] if block else []


def peer_of(view: View, peering: str, vpc: str) -> tuple[Peering | None, str]:
    """The peering connection of that id and the VPC at its other end."""
    found = next((p for p in view.peerings if p.id == peering), None)
    if found is None or vpc not in (found.requester, found.accepter):
        return found, ""
    return found, found.accepter if found.requester == vpc else found.requester


def _unread(view: View, rules: Iterable[GroupRule], port: int) -> str:
    """A prefix list that a rule for the port names and the view does not hold (a customer's own, or shared)."""
    known = {p.id for p in view.prefix_lists}
    named = [n for r in rules if _covers(r, port) for n in r.peers if n.startswith("pl-") and n not in known]
    return named[0] if named else ""


def groups(view: View, source: Interface, far: Interface | None, to: IPv4Network, port: int) -> Finding:
    """Security groups: the source's may send, the far interface's may receive; `far` None: nothing of ours is there."""
    out = _side(view, source, to, far, port, outbound=True)
    if out.status is not Status.OK or far is None:
        return out
    into = _side(view, far, address_of(source), source, port, outbound=False)
    return Finding(Status.OK, "outbound and inbound are allowed") if into.status is Status.OK else into


def _side(
    view: View, at: Interface, address: IPv4Network, peer: Interface | None, port: int, *, outbound: bool
) -> Finding:
    """What the groups of one interface say of traffic with `address`, which `peer` has."""
    word = "outbound" if outbound else "inbound"
    held = [g for id in at.groups if (g := view.group(id))]
    rules = [rule for g in held for rule in (g.egress if outbound else g.ingress)]
    if _any(view, rules, address, peer, port):
        return Finding(Status.OK, f"{word} is allowed")
    if len(held) < len(at.groups):
        return Finding(Status.UNKNOWN, f"a group of {at.id} is not in the view")
    if unread := _unread(view, rules, port):
        return Finding(Status.UNKNOWN, f"a rule of {at.id}'s groups names {unread}, which is not in the view")
    what = f"no {word} rule lets TCP {port} {'to' if outbound else 'from'} {address} {'out' if outbound else 'in'}"
    names = ", ".join(g.id for g in held) or f"none at {at.id}"
    blame = Blame("security group", names, held[0].name if held else "", what)
    return Finding(Status.FAILS, f"{word} at {at.id}: {what}", blame)


def _any(view: View, rules: Iterable[GroupRule], address: IPv4Network, peer: Interface | None, port: int) -> bool:
    def reaches(rule: GroupRule) -> bool:
        for name in rule.peers:
            if name.startswith("sg-"):
                if peer and name in peer.groups:
                    return True
            elif any(address.subnet_of(block) for block in _blocks(view, name)):
                return True
        return False

    return any(rule.protocol.lower() in _TCP and _covers(rule, port) and reaches(rule) for rule in rules)


def _covers(rule: GroupRule | AclEntry, port: int) -> bool:
    if rule.protocol in ("-1", "all") or rule.low is None or rule.high is None or rule.low < 0:
        return True
    return rule.low <= port <= rule.high


def acls(view: View, source: Interface, far: Interface | None, to: IPv4Network, port: int) -> Finding:
    """Network ACLs: before the source's and the far subnet, both ways, replies to ephemeral ports."""
    if far is not None and far.subnet == source.subnet:
        return Finding(Status.NOT_NEEDED, "both ends are in one subnet")
    near = address_of(source)
    checks: list[tuple[Acl | None, bool, IPv4Network, tuple[int, int], str]] = [
        (view.acl_of(source.subnet), True, to, (port, port), f"outbound TCP {port} to {to}"),
        (view.acl_of(source.subnet), False, to, EPHEMERAL, f"inbound replies from {to} to ephemeral ports"),
    ]
    if far is not None:
        checks[1:1] = [
            (view.acl_of(far.subnet), False, near, (port, port), f"inbound TCP {port} from {near}"),
            (view.acl_of(far.subnet), True, near, EPHEMERAL, f"outbound replies to {near}'s ephemeral ports"),
        ]
    unsure = ""
    for acl, egress, address, ports, what in checks:
        if acl is None:
            unsure = unsure or "a network ACL of the path is not in the view"
            continue
        allowed, entry = _through(acl, egress, address, ports)
        if allowed is False:
            rule = f"rule {entry.number} denies" if entry and entry.number != _LAST else "no rule allows"
            said = f"{rule} {what}"
            return Finding(Status.FAILS, f"{acl.id}: {said}", Blame("network ACL", acl.id, acl.name, said))
        if allowed is None:
            unsure = unsure or f"{acl.id} treats a part of {what} in another way"
    return Finding(Status.UNKNOWN, unsure) if unsure else Finding(Status.OK, "both directions are allowed")


def _through(
    acl: Acl, egress: bool, address: IPv4Network, ports: tuple[int, int]
) -> tuple[bool | None, AclEntry | None]:
    """What the first entry that covers the whole of the traffic says; None when one before it says other of a part."""
    partly: set[bool] = set()
    for entry in sorted(acl.entries, key=lambda e: e.number):
        block = network(entry.cidr)
        if entry.egress is not egress or block is None or entry.protocol not in _TCP or not address.overlaps(block):
            continue
        low, high = (
            (0, 65535)
            if entry.protocol in ("-1", "all") or entry.low is None or entry.high is None
            else (entry.low, entry.high)
        )
        if ports[1] < low or ports[0] > high:
            continue
        if address.subnet_of(block) and low <= ports[0] and ports[1] <= high:
            return (None, entry) if partly - {entry.allow} else (entry.allow, entry)
        partly.add(entry.allow)
    return (None, None) if True in partly else (False, None)
