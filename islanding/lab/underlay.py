"""What lies between Outpost and Region, from a site's configuration: routers, links, tunnel, LAN. Pure.

                     service link (eBGP)                    wan (eBGP)
    Outpost  ond  ========================  cnd  ------------------------  edge  ---  internet (AWS API)
              |   ------------------------   |                               |
              |      local gateway (eBGP)    |  site's LAN                   |
              +---------- VXLAN tunnels (underlay: the service link) --------+
    VPC's router on the Outpost                              VPC's router in the Region


The Outpost announces its service-link range over the service-link session and nothing else; traffic between Outpost and
Region goes in a tunnel between that range and the Region's anchor address, as on AWS. So when the session goes, both
ends lose the underlay route, and the tunnel drops packets in silence. The Outpost subnet is announced to the LAN over
the local-gateway session (direct VPC routing).

The VPC with everything in it is the data plane's; `outpost_link` tells that how its two routers hang on this network.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from islanding.lab.plan import Bridge, End, Link, Namespace, NetworkPlan, Route, Tunnel, joined
from islanding.lab.router import Peer, RouterConfig
from islanding.lab.vpc.outside import INTERNET, INTERNET_MTU, OutpostLink, Outside, beyond, cable, outside_plan
from islanding.siteconf import SiteConf

OND, CND, EDGE, REGION, RESOLVER = "ond", "cnd", "edge", "region", "resolver"
LAN_SWITCH = "lan"
ANCHOR = "203.0.113.1"  # the Region's end of the service link
TUNNEL_ENDS = ("169.254.100.1", "169.254.100.2")
_SERVICE_LINK = ("169.254.10.1", "169.254.10.2")
_LOCAL_GATEWAY = ("169.254.20.1", "169.254.20.2")
_WAN = ("169.254.30.1", "169.254.30.2")
_ELSEWHERE = "192.0.2.10"  # a host on the internet that is not AWS
EDGE_PORT, _SERVICES = "site", "services"  # the internet's end of the cable to the edge, and the edge's


@dataclass(frozen=True)
class Addresses:
    """Addresses derived from the site's ranges."""

    service_link: str  # the Outpost's end of the service link
    aws_api: str
    s3: str
    public_dns: str
    shell: str  # public address of somebody who works in the Region
    vpc_resolver: str


def addresses(conf: SiteConf) -> Addresses:
    """Derive them, as AWS does: the resolver is the VPC's second address, gateways are the first of their subnets."""
    services = conf.region.services
    return Addresses(
        service_link=str(conf.outpost.service_link_cidr[1]),
        aws_api=str(services[10]),
        s3=str(services[17]),
        public_dns=str(services[53]),
        shell=str(services[60]),
        vpc_resolver=str(conf.region.vpc_cidr[2]),
    )


def peer_addresses(session: str) -> tuple[str, str]:
    """(near, far) addresses of a session: (Outpost's, customer's), or (customer's, Region's) for the wan."""
    return {"service-link": _SERVICE_LINK, "local-gateway": _LOCAL_GATEWAY, "wan": _WAN}[session]


def gateway_instance(conf: SiteConf) -> str:
    """Address of the instance on the Outpost that forwards the LAN's traffic into the VPC; empty when there is none."""
    return next((str(i.address) for i in conf.instances if i.role == "proxy"), "")


def local_gateway_id(conf: SiteConf) -> str:
    """The id of the Outpost's local gateway."""
    return f"lgw-{conf.outpost.id.removeprefix('op-')}"


def outpost_link(conf: SiteConf, arn: str) -> OutpostLink:
    """How the Outpost's part of a VPC is joined with the rest."""
    gateway = gateway_instance(conf)
    return OutpostLink(
        arn=arn,
        near=(OND, addresses(conf).service_link),
        far=(EDGE, ANCHOR),
        gateway=OND,
        local_gateway=local_gateway_id(conf),
        ingress=((str(conf.region.region_subnet), gateway),) if gateway else (),
    )


def outside(conf: SiteConf, arn: str) -> Outside:
    """AWS's public addresses are in the site's range of services, which the Region's edge announces."""
    at = addresses(conf)
    return Outside(
        region=conf.region.name,
        api=at.aws_api,
        resolver=at.public_dns,
        s3=(at.s3,),
        s3_range=f"{conf.region.services[16]}/30",
        elsewhere=_ELSEWHERE,
        outposts=(outpost_link(conf, arn),),
    )


def site_plan(conf: SiteConf) -> NetworkPlan:
    """The wanted network of everything around the VPC."""
    at = addresses(conf)
    region, lan, services = conf.region.region_subnet, conf.lan.cidr, conf.region.services
    gateway = gateway_instance(conf)
    routes = [
        Route(OND, "default"),
        Route(OND, str(conf.outpost.service_link_cidr)),
        Route(OND, str(services), via=TUNNEL_ENDS[1]),
        Route(CND, "default"),
        Route(EDGE, "default"),
        beyond(EDGE, str(services), _SERVICES),
        *(beyond(INTERNET, cidr, EDGE_PORT) for cidr in (str(lan), f"{TUNNEL_ENDS[0]}/32")),
        Route(RESOLVER, "default", via=str(conf.lan.gateway)),
        *(Route(desk.name, "default", via=str(conf.lan.gateway)) for desk in conf.desks),
    ]
    if gateway:  # the local gateway's route table leads to the forwarding instance
        routes.append(Route(CND, str(region), via=_LOCAL_GATEWAY[0]))
    own = NetworkPlan(
        namespaces=(
            Namespace(OND, forward=True, silent=True),
            Namespace(CND, forward=True),
            Namespace(EDGE, forward=True, silent=True),
            Namespace(RESOLVER),
            *(Namespace(desk.name) for desk in conf.desks),
        ),
        bridges=(Bridge(CND, LAN_SWITCH, (_cidr(str(conf.lan.gateway), lan),)),),
        links=(
            _pair(OND, CND, "sl", _SERVICE_LINK),
            _pair(OND, CND, "lgw", _LOCAL_GATEWAY),
            _pair(CND, EDGE, "wan", _WAN),
            _desk(RESOLVER, str(conf.resolver.address), lan),
            *(_desk(desk.name, str(desk.address), lan) for desk in conf.desks),
        ),
        tunnels=(
            Tunnel(OND, "tunnel", 100, at.service_link, ANCHOR, f"{TUNNEL_ENDS[0]}/30"),
            Tunnel(EDGE, "tunnel", 100, ANCHOR, at.service_link, f"{TUNNEL_ENDS[1]}/30"),
        ),
        addresses=((OND, "lo", f"{at.service_link}/32"), (EDGE, "lo", f"{ANCHOR}/32")),
        routes=tuple(routes),
    )
    to_aws = cable((EDGE, _SERVICES), (INTERNET, EDGE_PORT), INTERNET_MTU)
    return joined([outside_plan(outside(conf, arn="")), own, to_aws])


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
