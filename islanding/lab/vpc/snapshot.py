"""What moto holds of EC2 and Route 53, as a typed state: the only module that knows moto's names for it.

It reads moto's objects in process, without an API call. Calls run beside it: whatever is half made or half gone is
left out, and a dictionary that changes under the reader is read again by the caller (RuntimeError).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from islanding.lab.vpc.state import (
    Acl,
    AclEntry,
    DhcpOptions,
    Ec2State,
    Endpoint,
    GroupRule,
    HostedZone,
    Instance,
    Interface,
    InternetGateway,
    NatGateway,
    Peering,
    Record,
    Route,
    RouteTable,
    SecurityGroup,
    ServiceHost,
    Subnet,
    Vpc,
    VpnGateway,
)

if TYPE_CHECKING:  # importing moto's EC2 takes 0.7 s: it is there when the Region is
    from moto.ec2.models import EC2Backend

T = TypeVar("T")
_PLUGGED = ("running", "pending")
_AWS = "AWS"  # owner of AWS's own prefix lists


def snapshot(
    account: str, region: str, services: Iterable[ServiceHost] = (), owners: Mapping[str, str] | None = None
) -> Ec2State:
    """The state as it is now; `services` are hosts of AWS services, `owners` maps their interfaces to their names.

    Raises RuntimeError when moto changes a dictionary while it is read.
    """
    from moto.ec2.models import ec2_backends

    ec2 = ec2_backends[account][region]
    enis = list(ec2.enis.values())
    used = {eni.subnet.vpc_id for eni in enis if eni.subnet is not None}
    # The default VPC of a fresh account is nobody's concern until something is in it.
    vpcs = [vpc for vpc in list(ec2.vpcs.values()) if not vpc.is_default or vpc.id in used]
    ids = {vpc.id for vpc in vpcs}
    lists = {p.id: p for p in list(ec2.managed_prefix_lists.values())}
    return Ec2State(
        vpcs=_each(vpcs, _vpc),
        subnets=_each(
            (s for zone in list(ec2.subnets.values()) for s in list(zone.values()) if s.vpc_id in ids), _subnet
        ),
        interfaces=_interfaces(ec2, enis, dict(owners or {})),
        instances=_each(
            (i for r in list(ec2.reservations.values()) for i in list(r.instances)),
            lambda i: Instance(i.id, i.state in _PLUGGED),
        ),
        services=tuple(services),
        groups=_each(
            (g for vpc in ids for g in list(ec2.groups.get(vpc, {}).values())), lambda group: _group(group, lists)
        ),
        route_tables=_each(
            (t for t in list(ec2.route_tables.values()) if t.vpc_id in ids), lambda table: _route_table(table, lists)
        ),
        acls=_each((a for a in list(ec2.network_acls.values()) if a.vpc_id in ids), _acl),
        peerings=_each(
            list(ec2.vpc_pcxs.values()),
            lambda p: Peering(p.id, p.vpc.id, p.peer_vpc.id, str(p._status.code)),  # noqa: SLF001 - moto's own
        ),
        endpoints=_each((e for e in list(ec2.vpc_end_points.values()) if e.vpc_id in ids), _endpoint),
        internet_gateways=_each(
            list(ec2.internet_gateways.values()), lambda g: InternetGateway(g.id, g.vpc.id if g.vpc else "")
        ),
        nat_gateways=_each(list(ec2.nat_gateways.values()), _nat_gateway),
        vpn_gateways=_each(list(ec2.vpn_gateways.values()), _vpn_gateway),
        zones=_zones(account),
    )


def _each(items: Iterable[Any], make: Callable[[Any], T]) -> tuple[T, ...]:
    """One value for each item in the order of ids; an item that is half made or half gone is left out."""
    made: list[tuple[str, T]] = []
    for item in items:
        try:
            made.append((str(item.id), make(item)))
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    return tuple(value for _, value in sorted(made, key=lambda pair: pair[0]))


def _vpc(vpc: Any) -> Vpc:
    blocks = [str(block["cidr_block"]) for block in vpc.cidr_block_association_set if _is_associated(block)]
    first = str(vpc.cidr_block)
    options = vpc.dhcp_options._options if vpc.dhcp_options else {}  # noqa: SLF001 - moto's own
    servers = tuple(map(str, options.get("domain-name-servers") or ())) or DhcpOptions().servers
    domain = options.get("domain-name") or ""
    return Vpc(
        id=vpc.id,
        cidrs=tuple(dict.fromkeys([first, *blocks])),
        dns_support=_true(vpc.enable_dns_support),
        dns_hostnames=_true(vpc.enable_dns_hostnames),
        dhcp=DhcpOptions(servers, str(domain[0]) if isinstance(domain, list) else str(domain)),
    )


def _is_associated(block: Mapping[str, Any]) -> bool:
    return str(block["cidr_block_state"]["state"]) == "associated"


def _true(value: object) -> bool:
    return str(value).lower() == "true"


def _subnet(subnet: Any) -> Subnet:
    zone = getattr(subnet, "availability_zone", "")
    return Subnet(subnet.id, subnet.vpc_id, str(subnet.cidr_block), str(zone), str(vars(subnet).get("outpost_arn", "")))


def _interfaces(ec2: EC2Backend, enis: list[Any], owners: dict[str, str]) -> tuple[Interface, ...]:
    nat = {n._eni.id for n in list(ec2.nat_gateways.values()) if n.state == "available"}  # noqa: SLF001 - moto's own
    endpoints = {
        eni: e
        for e in list(ec2.vpc_end_points.values())
        if e.state == "available"
        for eni in e.network_interface_ids or ()
    }
    public: dict[str, dict[str, str]] = {}
    eips: list[Any] = list(ec2.addresses)
    for eip in eips:
        if eip.eni is not None:
            private = getattr(eip, "associated_private_ip", None) or eip.eni.private_ip_address
            public.setdefault(eip.eni.id, {})[str(private)] = str(eip.public_ip)

    order: dict[str, int] = {}  # a service's interfaces are numbered as the service has them
    for host in set(owners.values()):
        order |= {eni: number for number, eni in enumerate(e for e, owner in owners.items() if owner == host)}

    def interface(eni: Any) -> Interface:
        secondary = [str(a["PrivateIpAddress"]) for a in eni.private_ip_addresses]
        addresses = tuple(dict.fromkeys([str(eni.private_ip_address), *secondary]))
        groups = [g.id for g in eni.group_set]
        kind, owner, check = str(eni.interface_type), "", _true(eni.source_dest_check)
        if eni.id in nat:
            kind, owner = "nat_gateway", eni.id
        elif eni.id in endpoints:
            kind, owner = "vpc_endpoint", eni.id
            groups = list(endpoints[eni.id].security_group_ids or groups)
        elif eni.id in owners:
            owner = owners[eni.id]
        elif eni.instance is not None:
            owner = eni.instance.id
            if not eni.device_index:
                check = check and _true(eni.instance.source_dest_check)
        device = order.get(eni.id, int(eni.device_index or 0))
        mapped = public.get(eni.id, {})
        if eni.public_ip:
            mapped.setdefault(str(eni.private_ip_address), str(eni.public_ip))
        return Interface(
            id=eni.id,
            vpc=str(eni.subnet.vpc_id),
            subnet=str(eni.subnet.id),
            mac=str(eni.mac_address),
            addresses=addresses,
            groups=tuple(sorted(map(str, groups))),
            owner=owner,
            device=device,
            kind=kind,
            public=tuple(sorted(mapped.items())),
            source_dest_check=check,
        )

    return _each(enis, interface)


def _group(group: Any, lists: Mapping[str, Any]) -> SecurityGroup:
    return SecurityGroup(
        group.id, str(group.vpc_id), _rules(group.ingress_rules, lists), _rules(group.egress_rules, lists)
    )


def _rules(rules: Iterable[Any], lists: Mapping[str, Any]) -> frozenset[GroupRule]:
    found = set()
    for rule in list(rules):
        protocol, ports = str(rule.ip_protocol), (rule.from_port, rule.to_port)
        if rule.cidr_ipv4:
            found.add(GroupRule(protocol, *ports, cidr=str(rule.cidr_ipv4)))
        if rule.source_group and rule.source_group.get("GroupId"):
            found.add(GroupRule(protocol, *ports, group=str(rule.source_group["GroupId"])))
        if rule.prefix_list_id:
            name, ranges = _prefix_list(str(rule.prefix_list_id), lists)
            if name:
                found.add(GroupRule(protocol, *ports, prefix_list=name))
            found |= {GroupRule(protocol, *ports, cidr=c, prefix_list=rule.prefix_list_id) for c in ranges}
    return frozenset(found)


def _prefix_list(identity: str, lists: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The name of a prefix list of AWS's own, whose ranges the outside knows; the ranges of a customer's."""
    known = lists.get(identity)
    if known is None:
        return "", ()
    if known.owner_id == _AWS:
        return str(known.prefix_list_name), ()
    return "", tuple(str(entry["Cidr"]) for entry in known.entries.get(known.version) or ())


def _route_table(table: Any, lists: Mapping[str, Any]) -> RouteTable:
    routes = set()
    for route in list(table.routes):
        target = _target(route)
        if route.destination_cidr_block:
            routes.add(Route(str(route.destination_cidr_block), target))
        elif route.destination_prefix_list is not None:
            name, ranges = _prefix_list(str(route.destination_prefix_list.id), lists)
            routes |= {Route(d, target) for d in ranges or (name or str(route.destination_prefix_list.id),)}
    subnets = frozenset(a["SubnetId"] for a in table.associations if a.get("SubnetId"))
    return RouteTable(table.id, str(table.vpc_id), table.main_association_id is not None, subnets, frozenset(routes))


def _target(route: Any) -> str:
    """The id that EC2 shows for a route's target; empty for one that is none any more."""
    if route.local:
        return "local"
    targets = (
        route.gateway, route.vpc_pcx, route.nat_gateway, route.interface, route.instance, route.transit_gateway,
        route.egress_only_igw, route.carrier_gateway,
    )  # fmt: skip
    found = next((str(target.id) for target in targets if target is not None), "")
    return found or str(route.vpc_endpoint_id or "")


def _acl(acl: Any) -> Acl:
    subnets = frozenset(str(a.subnet_id) for a in acl.associations if a.subnet_id)
    entries = []
    for entry in list(acl.network_acl_entries):
        if entry.cidr_block:
            ports = (_number(entry.port_range_from), _number(entry.port_range_to))
            protocol = str(entry.protocol)
            if protocol in ("1", "icmp"):
                ports = (_number(entry.icmp_type), _number(entry.icmp_code))
            allow = str(entry.rule_action) == "allow"
            number, cidr = int(entry.rule_number), str(entry.cidr_block)
            entries.append(AclEntry(number, _true(entry.egress), allow, protocol, cidr, *ports))
    return Acl(acl.id, str(acl.vpc_id), subnets, tuple(sorted(entries, key=lambda e: (e.egress, e.number))))


def _number(value: object) -> int | None:
    return None if value in (None, "") else int(str(value))


def _endpoint(endpoint: Any) -> Endpoint:
    return Endpoint(
        id=endpoint.id,
        vpc=str(endpoint.vpc_id),
        kind="interface" if str(endpoint.vpc_endpoint_type).lower() == "interface" else "gateway",
        service=str(endpoint.service_name),
        state=str(endpoint.state).lower(),
        route_tables=frozenset(map(str, endpoint.route_table_ids or ())),
        interfaces=tuple(map(str, endpoint.network_interface_ids or ())),
        private_dns=_true(endpoint.private_dns_enabled),
        policy=str(endpoint.policy_document or ""),
    )


def _nat_gateway(gateway: Any) -> NatGateway:
    eni = gateway._eni  # noqa: SLF001 - moto's own
    return NatGateway(gateway.id, str(gateway.subnet_id), str(eni.id), str(eni.public_ip or ""), str(gateway.state))


def _vpn_gateway(gateway: Any) -> VpnGateway:
    attached = [a.vpc_id for a in gateway.vpc_attachments if a.state == "attached"]
    return VpnGateway(gateway.id, str(attached[0]) if attached else "")


def _zones(account: str) -> tuple[HostedZone, ...]:
    from moto.route53.models import route53_backends

    zones = list(route53_backends[account]["aws"].zones.values())
    return _each(
        (z for z in zones if z.private_zone),
        lambda z: HostedZone(
            str(z.name),
            frozenset(str(vpc["vpc_id"]) for vpc in list(z.vpcs)),
            frozenset(_record(r) for r in list(z.rrsets)),
        ),
    )


def _record(record: Any) -> Record:
    if record.alias_target:
        return Record(str(record.name), "ALIAS", (str(record.alias_target["DNSName"]),))
    values = (value["Value"] if isinstance(value, dict) else value for value in record.records or ())
    return Record(str(record.name), str(record.type), tuple(map(str, values)))
