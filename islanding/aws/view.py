"""What decides about a path, as AWS's own describe calls tell it: a frozen, typed view of a Region's network.

Only calls that read are made; a call that is denied leaves its part of the view empty and is named in `gaps`, so that
whoever reads the view can say "unknown" instead of "not there".
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Vpc:
    """A VPC: CIDR blocks, DNS attributes, and what its DHCP options name as resolvers."""

    id: str
    name: str = ""
    cidrs: tuple[str, ...] = ()
    dns_support: bool = True
    dns_hostnames: bool = False
    dhcp_options: str = ""
    dhcp_servers: tuple[str, ...] = ("AmazonProvidedDNS",)


@dataclass(frozen=True)
class Subnet:
    """A subnet of a VPC; `free` is the number of addresses left in it."""

    id: str
    vpc: str
    cidr: str
    name: str = ""
    zone: str = ""
    free: int = 0


@dataclass(frozen=True)
class Route:
    """A route: destination (CIDR or prefix list), target (`local`, igw-, nat-, pcx-, vpce-, ...), state as EC2 says."""

    destination: str
    target: str
    state: str = "active"


@dataclass(frozen=True)
class RouteTable:
    """A route table; `main` serves each subnet of the VPC that no table is associated with."""

    id: str
    vpc: str
    name: str = ""
    main: bool = False
    subnets: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class PrefixList:
    """A prefix list, AWS's own or a customer's."""

    id: str
    name: str
    cidrs: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupRule:
    """A rule of a security group; `peers` are CIDR blocks, group ids and prefix list ids; ports None: all."""

    protocol: str
    low: int | None = None
    high: int | None = None
    peers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """A security group."""

    id: str
    vpc: str
    name: str = ""
    ingress: tuple[GroupRule, ...] = ()
    egress: tuple[GroupRule, ...] = ()


@dataclass(frozen=True)
class AclEntry:
    """A line of a network ACL; ports None: all."""

    number: int
    egress: bool
    allow: bool
    protocol: str
    cidr: str
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Acl:
    """A network ACL and the subnets that it stands before."""

    id: str
    vpc: str
    name: str = ""
    subnets: tuple[str, ...] = ()
    entries: tuple[AclEntry, ...] = ()


@dataclass(frozen=True)
class Peering:
    """A peering connection; packets pass while its status is `active`."""

    id: str
    requester: str
    accepter: str
    status: str
    name: str = ""


@dataclass(frozen=True)
class Endpoint:
    """A VPC endpoint; `policy` is JSON, empty when AWS gave none (full access)."""

    id: str
    vpc: str
    kind: str  # Gateway or Interface
    service: str  # com.amazonaws.REGION.NAME
    name: str = ""
    state: str = "available"
    subnets: tuple[str, ...] = ()
    route_tables: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    private_dns: bool = False
    policy: str = field(default="", repr=False)


@dataclass(frozen=True)
class Interface:
    """A network interface: private addresses, the primary one first; `public` is its public address."""

    id: str
    vpc: str
    subnet: str
    addresses: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    instance: str = ""
    public: str = ""
    description: str = ""


@dataclass(frozen=True)
class Instance:
    """An instance: state as EC2 says, primary address, and the ARN of the role that it acts as."""

    id: str
    name: str = ""
    state: str = ""
    vpc: str = ""
    subnet: str = ""
    address: str = ""
    role: str = ""


@dataclass(frozen=True)
class NatGateway:
    """A NAT gateway."""

    id: str
    vpc: str
    subnet: str
    state: str = "available"


@dataclass(frozen=True)
class InternetGateway:
    """An internet gateway; `vpc` is empty while it is detached."""

    id: str
    vpc: str = ""


@dataclass(frozen=True)
class Cluster:
    """An EKS cluster: endpoint, who may reach it, and its network interfaces' subnets and groups."""

    name: str
    endpoint: str = ""
    status: str = ""
    vpc: str = ""
    subnets: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    cluster_group: str = ""
    public: bool = True
    private: bool = False


@dataclass(frozen=True)
class View:
    """Everything that decides about a path, of one account in one Region."""

    region: str
    account: str = ""
    vpcs: tuple[Vpc, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    route_tables: tuple[RouteTable, ...] = ()
    prefix_lists: tuple[PrefixList, ...] = ()
    groups: tuple[Group, ...] = ()
    acls: tuple[Acl, ...] = ()
    peerings: tuple[Peering, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    instances: tuple[Instance, ...] = ()
    nat_gateways: tuple[NatGateway, ...] = ()
    internet_gateways: tuple[InternetGateway, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    bucket_policies: tuple[tuple[str, str], ...] = ()  # bucket name, JSON
    gaps: tuple[str, ...] = ()  # operations that were denied or failed, each with AWS's message

    def vpc(self, id: str) -> Vpc | None:
        return next((vpc for vpc in self.vpcs if vpc.id == id), None)

    def subnet(self, id: str) -> Subnet | None:
        return next((subnet for subnet in self.subnets if subnet.id == id), None)

    def group(self, id: str) -> Group | None:
        return next((group for group in self.groups if group.id == id), None)

    def instance(self, id: str) -> Instance | None:
        return next((instance for instance in self.instances if instance.id == id), None)

    def interface_at(self, address: str, vpcs: tuple[str, ...]) -> Interface | None:
        """The interface that has `address` in one of those VPCs; addresses repeat between VPCs."""
        return next((i for i in self.interfaces if i.vpc in vpcs and address in i.addresses), None)

    def table_of(self, subnet: Subnet) -> RouteTable | None:
        """The route table that serves a subnet: its own, else the main one of its VPC."""
        tables = [table for table in self.route_tables if table.vpc == subnet.vpc]
        own = next((table for table in tables if subnet.id in table.subnets), None)
        return own or next((table for table in tables if table.main), None)

    def acl_of(self, subnet: str) -> Acl | None:
        return next((acl for acl in self.acls if subnet in acl.subnets), None)
