"""VPC endpoints: interfaces in their subnets, DNS entries, routes of gateway endpoints, changes that really change.

moto gives endpoint interfaces random addresses outside of their subnets and no groups, leaves routes of endpoints
that are gone, and drops changes of subnets and private DNS. AWS PrivateLink guide; wording of errors from AWS (memory).
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Iterable
from typing import Any

from moto.ec2.models.vpcs import AWS_ENDPOINT_SERVICES, COVERED_ENDPOINT_SERVICES, VPCBackend, VPCEndPoint
from moto.ec2.responses.vpcs import VPCs

from islanding.lab.region.mends import interfaces
from islanding.lab.region.mends.patching import ec2_error, locked, mend
from islanding.lab.vpc import service_names

GATEWAY_SERVICES = ("s3", "dynamodb")


def private_name(service_name: str, region: str) -> str:
    """The DNS name that private DNS takes over: `ecr.api` is asked for at api.ecr.REGION.amazonaws.com."""
    return next(iter(service_names.private_names(service_name, region)), service_name)


def is_interface(endpoint: Any) -> bool:
    """Whether it is an interface endpoint; the others are gateways."""
    return str(endpoint.vpc_endpoint_type).lower() == "interface"


def of_vpc(backend: Any, vpc: str) -> list[Any]:
    """The endpoints of a VPC."""
    return [e for e in list(backend.vpc_end_points.values()) if e.vpc_id == vpc]


def check_service(backend: Any, name: str, kind: str) -> None:
    """Refuse services that there are none of in this Region, or not by that type of endpoint."""
    begin = f"com.amazonaws.{backend.region_name}."
    service = name.removeprefix(begin)
    known = service in (*AWS_ENDPOINT_SERVICES, *COVERED_ENDPOINT_SERVICES) or service.startswith("vpce-svc-")
    if not name.startswith((begin, "com.amazonaws.vpce.")) or not known:
        raise ec2_error("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
    if kind == "Gateway" and service not in GATEWAY_SERVICES:
        raise ec2_error(
            "InvalidParameter", "Endpoint type (Gateway) does not match available service types ([Interface])."
        )


def check_private_dns(backend: Any, vpc_id: str, service_name: str, besides: str = "") -> None:
    """Refuse private DNS where the VPC does not resolve names, or has the name already."""
    vpc = backend.get_vpc(vpc_id)
    if not all(str(v).lower() == "true" for v in (vpc.enable_dns_support, vpc.enable_dns_hostnames)):
        raise ec2_error(
            "InvalidParameter",
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true"
            f" for {vpc_id}",
        )
    for other in of_vpc(backend, vpc_id):
        if other.id != besides and other.service_name == service_name and other.private_dns_enabled:
            raise ec2_error(
                "InvalidParameter",
                "private-dns-enabled cannot be set because there is already a conflicting DNS domain for"
                f" {private_name(service_name, backend.region_name)} in the VPC {vpc_id}",
            )


def _check_policy(policy: str | None) -> None:
    if policy:
        try:
            good = isinstance(json.loads(policy), dict)
        except ValueError:
            good = False
        if not good:
            raise ec2_error("InvalidPolicyDocument", "Policy document is not valid JSON.")


def _prefix_list(backend: Any, service_name: str) -> str:
    lists = list(backend.managed_prefix_lists.values())
    return next((str(one.id) for one in lists if one.prefix_list_name == service_name), "")


def _add_routes(backend: Any, endpoint: Any, tables: Iterable[str]) -> None:
    pl = endpoint.destination_prefix_list_id
    for table_id in tables:
        table = backend.get_route_table(table_id)
        if any(r.destination_prefix_list_id == pl for r in table.routes):
            raise ec2_error(
                "RouteAlreadyExists",
                f"route table {table_id} already has a route with destination-prefix-list-id {pl}",
            )
    for table_id in tables:
        backend.create_route(table_id, None, gateway_id=endpoint.id, destination_prefix_list_id=pl)


def _remove_routes(backend: Any, endpoint: Any, tables: Iterable[str]) -> None:
    for table_id in tables:
        if (table := backend.route_tables.get(table_id)) is not None:
            for key in [k for k, r in list(table._routes.items()) if r.gateway is endpoint]:
                del table._routes[key]


def _card(backend: Any, endpoint: Any, subnet: Any) -> str:
    """An interface of the endpoint's in a subnet; returns its id."""
    groups = list(endpoint.security_group_ids) or [backend.get_default_security_group(subnet.vpc_id).id]
    eni = backend.create_network_interface(
        subnet, None, group_ids=groups, description=f"VPC Endpoint Interface {endpoint.id}"
    )
    eni.interface_type, eni.requester_managed, eni.status = "vpc_endpoint", True, "in-use"
    return str(eni.id)


def _check_subnets(backend: Any, vpc_id: str, subnet_ids: Iterable[str]) -> None:
    zones: set[str] = set()
    for subnet in map(backend.get_subnet, subnet_ids):
        if subnet.vpc_id != vpc_id:
            raise ec2_error("InvalidParameter", f"Subnet {subnet.id} does not belong to VPC {vpc_id}")
        if subnet.availability_zone in zones:
            raise ec2_error(
                "DuplicateSubnetsInSameZone",
                f"Found another VPC endpoint subnet in the availability zone of {subnet.id}.",
            )
        zones.add(subnet.availability_zone)


def entries(backend: Any, endpoint: Any) -> list[dict[str, str]]:
    """DNS names of an interface endpoint: for the Region, for each zone, and the private one."""
    service, region = endpoint.service_name, backend.region_name
    zones = tuple(dict.fromkeys(str(backend.get_subnet(s).availability_zone) for s in endpoint.subnet_ids))
    zone = f"Z{zlib.crc32(service.encode()):012X}"
    names = service_names.endpoint_names(endpoint.id, service, region, zones)
    found = [{"DnsName": name, "HostedZoneId": zone} for name in names]
    if endpoint.private_dns_enabled:
        private = service_names.private_names(service, region)
        found += [{"DnsName": name, "HostedZoneId": endpoint.private_zone} for name in private]
    return found


@mend(VPCBackend, "create_vpc_endpoint")
@locked
def _create(
    theirs: Any, self: Any, vpc_id: str, service_name: str, endpoint_type: str | None, *args: Any, **kwargs: Any
) -> Any:
    # Named as moto's API layer calls it; positional arguments are moto's own CloudFormation's, which is not used.
    self.get_vpc(vpc_id)
    kind = str(endpoint_type or "Gateway")
    check_service(self, service_name, kind)
    _check_policy(kwargs.get("policy_document"))
    if kind != "Interface":
        return _gateway(theirs, self, vpc_id, service_name, kind, kwargs)
    subnets, groups = list(kwargs.get("subnet_ids") or []), list(kwargs.get("security_group_ids") or [])
    _check_subnets(self, vpc_id, subnets)
    if subnets:
        interfaces.check_groups(self, self.get_subnet(subnets[0]), groups)
    if kwargs.get("private_dns_enabled"):
        check_private_dns(self, vpc_id, service_name)
    groups = groups or [self.get_default_security_group(vpc_id).id]
    made = theirs(
        self, vpc_id, service_name, kind, *args,
        **{**kwargs, "subnet_ids": [], "route_table_ids": [], "security_group_ids": groups},
    )  # fmt: skip
    cards: list[str] = []
    try:
        cards += [_card(self, made, self.get_subnet(s)) for s in subnets]
    except Exception:
        interfaces.remove(self, cards)
        self.vpc_end_points.pop(made.id, None)
        raise
    made.subnet_ids, made.network_interface_ids = subnets, cards
    made.private_zone = "Z" + secrets.token_hex(6).upper()
    made.dns_entries = entries(self, made)
    return made


@mend(VPCBackend, "modify_vpc_endpoint")
@locked
def _modify(theirs: Any, self: Any, vpc_id: str, policy_doc: str, **changes: Any) -> None:
    endpoint = self.get_vpc_end_point(vpc_id)
    _check_policy(policy_doc)
    added, removed = (
        {what: list(changes.get(f"{verb}_{what}") or []) for what in ("subnets", "route_tables", "security_groups")}
        for verb in ("add", "remove")
    )
    if is_interface(endpoint):
        _modify_cards(self, endpoint, added, removed)
    else:
        _add_routes(self, endpoint, [t for t in added["route_tables"] if t not in endpoint.route_table_ids])
        _remove_routes(self, endpoint, removed["route_tables"])
    theirs(self, vpc_id, policy_doc, **changes)
    if is_interface(endpoint):
        groups = [self.get_security_group_from_id(g) for g in endpoint.security_group_ids]
        for eni in (self.enis[i] for i in endpoint.network_interface_ids):
            eni._group_set = groups or eni._group_set
        endpoint.dns_entries = entries(self, endpoint)


@mend(VPCs, "modify_vpc_endpoint")
@locked
def _modify_dns(theirs: Any, self: Any) -> Any:
    endpoint = self.ec2_backend.get_vpc_end_point(self._get_param("VpcEndpointId"))
    wanted = self._get_param("PrivateDnsEnabled")
    on = str(wanted).lower() == "true"
    if on and not endpoint.private_dns_enabled:
        check_private_dns(self.ec2_backend, endpoint.vpc_id, endpoint.service_name, endpoint.id)
    answer = theirs(self)
    if wanted is not None and is_interface(endpoint):
        endpoint.private_dns_enabled = on
        endpoint.dns_entries = entries(self.ec2_backend, endpoint)
    if str(self._get_param("ResetPolicy")).lower() == "true":
        endpoint.policy_document = json.dumps(VPCEndPoint.DEFAULT_POLICY)
    return answer


@mend(VPCBackend, "delete_vpc_endpoints")
@locked
def _delete(_theirs: Any, self: Any, vpce_ids: list[str] | None = None) -> None:
    for endpoint in [self.get_vpc_end_point(e) for e in vpce_ids or []]:
        interfaces.remove(self, list(endpoint.network_interface_ids))
        _remove_routes(self, endpoint, list(self.route_tables))
        endpoint.state = "deleted"
        self.vpc_end_points.pop(endpoint.id, None)


@mend(VPCEndPoint, "get_filter_value")
def _filter_value(theirs: Any, self: Any, filter_name: str, method_name: str | None = None) -> Any:
    mine = {"vpc-id": self.vpc_id, "service-name": self.service_name, "vpc-endpoint-id": self.id}
    return mine[filter_name] if filter_name in mine else theirs(self, filter_name, method_name)


def _gateway(theirs: Any, backend: Any, vpc_id: str, service_name: str, kind: str, kwargs: dict[str, Any]) -> Any:
    tables = list(kwargs.get("route_table_ids") or [])
    for table in map(backend.get_route_table, tables):
        if table.vpc_id != vpc_id:
            raise ec2_error("InvalidParameter", f"Route table {table.id} does not belong to VPC {vpc_id}")
    made = theirs(
        backend, vpc_id, service_name, kind,
        **{**kwargs, "route_table_ids": [], "subnet_ids": [], "private_dns_enabled": False},
    )  # fmt: skip
    made.destination_prefix_list_id = _prefix_list(backend, service_name)
    try:
        _add_routes(backend, made, tables)
    except Exception:
        backend.vpc_end_points.pop(made.id, None)
        raise
    made.route_table_ids = tables
    return made


def _modify_cards(backend: Any, endpoint: Any, added: dict[str, list[str]], removed: dict[str, list[str]]) -> None:
    """Interfaces in subnets that are added, none in those that are removed."""
    going = set(removed["subnets"])
    keep = [s for s in endpoint.subnet_ids if s not in going]
    new = [s for s in added["subnets"] if s not in keep]
    _check_subnets(backend, endpoint.vpc_id, keep + new)
    for eni_id in list(endpoint.network_interface_ids):
        eni = backend.enis.get(eni_id)
        if eni is None or eni.subnet.id in going:
            interfaces.remove(backend, [eni_id])
            endpoint.network_interface_ids.remove(eni_id)
    for subnet in map(backend.get_subnet, new):
        if added["security_groups"]:
            interfaces.check_groups(backend, subnet, added["security_groups"])
        endpoint.network_interface_ids.append(_card(backend, endpoint, subnet))
