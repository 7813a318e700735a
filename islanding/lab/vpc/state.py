"""A typed snapshot of what EC2 and Route 53 hold: the only input of the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class DhcpOptions:
    """What DHCP tells an instance: resolvers (`AmazonProvidedDNS` is the VPC's own) and search domain."""

    servers: tuple[str, ...] = ("AmazonProvidedDNS",)
    domain: str = ""


@dataclass(frozen=True)
class Vpc:
    """A VPC: CIDR blocks, the primary one first, and its DNS attributes."""

    id: str
    cidrs: tuple[str, ...]
    dns_support: bool = True
    dns_hostnames: bool = False
    dhcp: DhcpOptions = DhcpOptions()


@dataclass(frozen=True)
class Subnet:
    """A subnet; `outpost` is the ARN of the Outpost that it is on, empty in the Region."""

    id: str
    vpc: str
    cidr: str
    zone: str = ""
    outpost: str = ""


@dataclass(frozen=True)
class Interface:
    """A network interface: private addresses, the primary one first.

    `owner` names the network namespace that it is plugged into: an instance's id, a service's host, or the interface's
    own id for endpoints and NAT gateways; empty while it is not attached. `public` maps private to public addresses.
    """

    id: str
    vpc: str
    subnet: str
    mac: str
    addresses: tuple[str, ...]
    groups: tuple[str, ...] = ()
    owner: str = ""
    device: int = 0
    kind: str = "interface"  # EC2's InterfaceType: interface, vpc_endpoint, nat_gateway
    public: tuple[tuple[str, str], ...] = ()
    source_dest_check: bool = True


@dataclass(frozen=True)
class Instance:
    """An instance as far as the network is concerned: it has a network namespace while `running`."""

    id: str
    running: bool


@dataclass(frozen=True)
class ServiceHost:
    """A machine of an AWS service with interfaces in customers' VPCs (EKS): its namespace and public address."""

    name: str
    address: str


@dataclass(frozen=True)
class GroupRule:
    """One rule of a security group; its far side is a CIDR block, another group, or a prefix list.

    `protocol` is tcp, udp, icmp, -1 for all, or a number; ports are None for all (icmp: type and code).
    """

    protocol: str
    low: int | None = None
    high: int | None = None
    cidr: str = ""
    group: str = ""
    prefix_list: str = ""


@dataclass(frozen=True)
class SecurityGroup:
    """A security group: stateful, allows only."""

    id: str
    vpc: str
    ingress: frozenset[GroupRule] = frozenset()
    egress: frozenset[GroupRule] = frozenset()


@dataclass(frozen=True)
class Route:
    """A route: destination CIDR (or prefix list id), target as EC2 gives it (`local`, igw-, nat-, pcx-, eni-, ...)."""

    destination: str
    target: str


@dataclass(frozen=True)
class RouteTable:
    """A route table with the subnets that are associated with it explicitly; `main` serves all others."""

    id: str
    vpc: str
    main: bool = False
    subnets: frozenset[str] = frozenset()
    routes: frozenset[Route] = frozenset()


@dataclass(frozen=True)
class AclEntry:
    """One line of a network ACL; the lowest number that matches decides."""

    number: int
    egress: bool
    allow: bool
    protocol: str
    cidr: str
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Acl:
    """A network ACL: stateless, in the order of its numbers, between its subnets and everything else."""

    id: str
    vpc: str
    subnets: frozenset[str] = frozenset()
    entries: tuple[AclEntry, ...] = ()


@dataclass(frozen=True)
class Peering:
    """A peering connection; it carries packets while its status is `active`."""

    id: str
    requester: str
    accepter: str
    status: str


@dataclass(frozen=True)
class Endpoint:
    """A VPC endpoint: gateway (by route tables) or interface (by network interfaces)."""

    id: str
    vpc: str
    kind: Literal["gateway", "interface"]
    service: str  # com.amazonaws.REGION.NAME
    state: str = "available"
    route_tables: frozenset[str] = frozenset()
    interfaces: tuple[str, ...] = ()
    private_dns: bool = False
    policy: str = field(default="", repr=False)  # JSON; empty means full access


@dataclass(frozen=True)
class InternetGateway:
    """An internet gateway; `vpc` is empty while it is detached."""

    id: str
    vpc: str = ""


@dataclass(frozen=True)
class NatGateway:
    """A NAT gateway: its network interface and its public address."""

    id: str
    subnet: str
    interface: str
    public: str = ""
    state: str = "available"


@dataclass(frozen=True)
class VpnGateway:
    """A virtual private gateway (VPN or Direct Connect) attached to a VPC, with the prefixes learnt from its peers."""

    id: str
    vpc: str = ""


@dataclass(frozen=True)
class Record:
    """A record of a hosted zone."""

    name: str
    type: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class HostedZone:
    """A private hosted zone with the VPCs that it is associated with."""

    name: str
    vpcs: frozenset[str] = frozenset()
    records: frozenset[Record] = frozenset()


@dataclass(frozen=True)
class Ec2State:
    """Everything that decides what happens to a packet."""

    vpcs: tuple[Vpc, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    instances: tuple[Instance, ...] = ()
    services: tuple[ServiceHost, ...] = ()
    groups: tuple[SecurityGroup, ...] = ()
    route_tables: tuple[RouteTable, ...] = ()
    acls: tuple[Acl, ...] = ()
    peerings: tuple[Peering, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    internet_gateways: tuple[InternetGateway, ...] = ()
    nat_gateways: tuple[NatGateway, ...] = ()
    vpn_gateways: tuple[VpnGateway, ...] = ()
    zones: tuple[HostedZone, ...] = ()
