"""What lies between Outpost and Region, from a site's configuration: routers, links, tunnel, LAN. Pure.

                     service link (eBGP)                    wan (eBGP)
    Outpost  ond  ========================  cnd  ------------------------  edge  ---  Region (AWS API, VPC resolver)
    subnet    |   ------------------------   |                               |
              |      local gateway (eBGP)    |  site's LAN                   |  Region subnet of the VPC
              +--------------- VXLAN tunnel (underlay: the service link) ----+

The Outpost announces its service-link range over the service-link session and nothing else; traffic between Outpost and
Region goes in a tunnel between that range and the Region's anchor address, as on AWS. So when the session goes, both
ends lose the underlay route, and the tunnel drops packets in silence. The Outpost subnet is announced to the LAN over
the local-gateway session (direct VPC routing).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from islanding.lab.plan import Bridge, End, Link, Namespace, NetworkPlan, Route, Rule, Tunnel
from islanding.lab.router import Peer, RouterConfig
from islanding.siteconf import SiteConf

OND, CND, EDGE, REGION, RESOLVER = "ond", "cnd", "edge", "region", "resolver"
SUBNET_SWITCH, LAN_SWITCH = "vpc", "lan"
METADATA = "169.254.169.254"
ANCHOR = "203.0.113.1"  # the Region's end of the service link
TUNNEL_ENDS = ("169.254.100.1", "169.254.100.2")
_SERVICE_LINK = ("169.254.10.1", "169.254.10.2")
_LOCAL_GATEWAY = ("169.254.20.1", "169.254.20.2")
_WAN = ("169.254.30.1", "169.254.30.2")
_LGW_TABLE = 100


@dataclass(frozen=True)
class Addresses:
    """Addresses derived from the site's ranges."""

    service_link: str  # the Outpost's end of the service link
    aws_api: str
    public_dns: str
    services_gateway: str
    vpc_resolver: str
    outpost_gateway: str
    region_gateway: str


def addresses(conf: SiteConf) -> Addresses:
    """Derive them, as AWS does: the resolver is the VPC's second address, gateways are the first of their subnets."""
    services = conf.region.services
    return Addresses(
        service_link=str(conf.outpost.service_link_cidr[1]),
        services_gateway=str(services[1]),
        aws_api=str(services[10]),
        public_dns=str(services[53]),
        vpc_resolver=str(conf.region.vpc_cidr[2]),
        outpost_gateway=str(conf.outpost.subnet[1]),
        region_gateway=str(conf.region.region_subnet[1]),
    )


def peer_addresses(session: str) -> tuple[str, str]:
    """(near, far) addresses of a session: (Outpost's, customer's), or (customer's, Region's) for the wan."""
    return {"service-link": _SERVICE_LINK, "local-gateway": _LOCAL_GATEWAY, "wan": _WAN}[session]


def gateway_instance(conf: SiteConf) -> str:
    """Address of the instance on the Outpost that forwards the LAN's traffic into the VPC; empty when there is none."""
    return next((str(i.address) for i in conf.instances if i.role == "proxy"), "")


def site_plan(conf: SiteConf) -> NetworkPlan:
    """The wanted network of everything but the machines, which plug themselves in when they are powered on."""
    at = addresses(conf)
    outpost, region = conf.outpost.subnet, conf.region.region_subnet
    lan, services = conf.lan.cidr, conf.region.services
    gateway = gateway_instance(conf)
    routes = [
        Route(OND, "default"),
        Route(OND, str(conf.outpost.service_link_cidr)),
        Route(OND, str(region), via=TUNNEL_ENDS[1]),
        Route(OND, str(services), via=TUNNEL_ENDS[1]),
        Route(CND, "default"),
        Route(EDGE, "default"),
        Route(EDGE, str(outpost), via=TUNNEL_ENDS[0]),
        Route(REGION, "default", via=at.services_gateway),
        Route(RESOLVER, "default", via=str(conf.lan.gateway)),
        *(Route(desk.name, "default", via=str(conf.lan.gateway)) for desk in conf.desks),
    ]
    rules = []
    if gateway:  # local-gateway route table: the Region's subnet by the forwarding instance
        routes += [
            Route(OND, str(region), via=gateway, device=SUBNET_SWITCH, table=_LGW_TABLE),
            Route(CND, str(region), via=_LOCAL_GATEWAY[0]),
        ]
        rules.append(Rule(OND, "lgw", _LGW_TABLE))
    return NetworkPlan(
        namespaces=(
            Namespace(OND, forward=True, silent=True),
            Namespace(CND, forward=True),
            Namespace(EDGE, forward=True, silent=True),
            Namespace(REGION),
            Namespace(RESOLVER),
            *(Namespace(desk.name) for desk in conf.desks),
        ),
        bridges=(
            Bridge(OND, SUBNET_SWITCH, (_cidr(at.outpost_gateway, outpost), f"{METADATA}/32")),
            Bridge(EDGE, SUBNET_SWITCH, (_cidr(at.region_gateway, region), f"{METADATA}/32")),
            Bridge(CND, LAN_SWITCH, (_cidr(str(conf.lan.gateway), lan),)),
        ),
        links=(
            _pair(OND, CND, "sl", _SERVICE_LINK),
            _pair(OND, CND, "lgw", _LOCAL_GATEWAY),
            _pair(CND, EDGE, "wan", _WAN),
            Link(
                End(EDGE, "services", (_cidr(at.services_gateway, services),)),
                End(REGION, "eth0", (_cidr(at.aws_api, services), _cidr(at.public_dns, services))),
            ),
            Link(End(EDGE, "p-resolver", bridge=SUBNET_SWITCH), End(REGION, "vpc", (_cidr(at.vpc_resolver, region),))),
            _desk(RESOLVER, str(conf.resolver.address), lan),
            *(_desk(desk.name, str(desk.address), lan) for desk in conf.desks),
        ),
        tunnels=(
            Tunnel(OND, "tunnel", 100, at.service_link, ANCHOR, f"{TUNNEL_ENDS[0]}/30"),
            Tunnel(EDGE, "tunnel", 100, ANCHOR, at.service_link, f"{TUNNEL_ENDS[1]}/30"),
        ),
        addresses=((OND, "lo", f"{at.service_link}/32"), (EDGE, "lo", f"{ANCHOR}/32")),
        routes=tuple(routes),
        rules=tuple(rules),
    )


def router_configs(conf: SiteConf) -> tuple[RouterConfig, RouterConfig, RouterConfig]:
    """BGP of the Outpost network device, the customer network device and the Region's edge, in this order."""
    ond, cnd, edge = (
        conf.routers.outpost_network_device.asn,
        conf.routers.customer_network_device.asn,
        conf.routers.region_edge.asn,
    )
    link_range, subnet = str(conf.outpost.service_link_cidr), str(conf.outpost.subnet)
    lan, services, anchor = str(conf.lan.cidr), str(conf.region.services), f"{ANCHOR}/32"
    timers = {"keepalive": conf.bgp.keepalive, "hold": conf.bgp.hold}
    return (
        RouterConfig(
            OND, ond, "192.0.2.1", (link_range, subnet),
            (
                Peer(_SERVICE_LINK[1], cnd, "service-link", (link_range,)),
                Peer(_LOCAL_GATEWAY[1], cnd, "local-gateway", (subnet,)),
            ),
            **timers,
        ),
        RouterConfig(
            CND, cnd, "192.0.2.2", (lan,),
            (
                Peer(_SERVICE_LINK[0], ond, "service-link", (anchor,)),
                Peer(_LOCAL_GATEWAY[0], ond, "local-gateway", (lan,)),
                Peer(_WAN[1], edge, "wan", (link_range, lan)),
            ),
            **timers,
        ),
        RouterConfig(
            EDGE, edge, "192.0.2.3", (anchor, services),
            (Peer(_WAN[0], cnd, "wan", (anchor, services)),),
            **timers,
        ),
    )  # fmt: skip


def _cidr(address: str, network: IPv4Network) -> str:
    return f"{address}/{network.prefixlen}"


def _pair(a: str, b: str, interface: str, pair: tuple[str, str]) -> Link:
    return Link(End(a, interface, (f"{pair[0]}/30",)), End(b, interface, (f"{pair[1]}/30",)))


def _desk(name: str, address: str, lan: IPv4Network) -> Link:
    return Link(End(CND, f"p-{name}"[:15], bridge=LAN_SWITCH), End(name, "eth0", (_cidr(address, lan),)))
