"""The network between Outpost and Region, from a site's configuration, and the routers that announce it."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

import pytest

from islanding import siteconf, stackconf
from islanding.lab import underlay
from islanding.lab.plan import NetworkPlan, Route
from islanding.lab.router import RouterConfig
from islanding.lab.script import script
from islanding.siteconf import SiteConf

OUTPOSTS = [n for n in siteconf.names() if isinstance(stackconf.load(siteconf.find(n)), SiteConf)]


@pytest.fixture(params=OUTPOSTS)
def conf(request: pytest.FixtureRequest) -> SiteConf:
    """Each reference site in turn."""
    return siteconf.load(siteconf.find(request.param))


def by_name(conf: SiteConf) -> dict[str, RouterConfig]:
    """The routers of a site."""
    return {config.name: config for config in underlay.router_configs(conf)}


def test_every_end_is_in_a_namespace_of_the_plan(conf: SiteConf) -> None:
    """Nothing is plugged in, addressed or routed where there is no namespace."""
    plan = underlay.site_plan(conf)
    assert set(script(plan).inside) == {space.name for space in plan.namespaces}


def test_no_address_is_given_twice_in_a_network(conf: SiteConf) -> None:
    """Two interfaces never share an address, except the metadata address, which each subnet has."""
    given = [
        address for _, address in _addresses(underlay.site_plan(conf)) if not address.startswith("169.254.169.254")
    ]
    machines = [f"{instance.address}/24" for instance in conf.instances]
    hosts = [str(IPv4Interface(address).ip) for address in (*given, *machines)]
    assert sorted(set(hosts)) == sorted(hosts)


def _addresses(plan: NetworkPlan) -> list[tuple[str, str]]:
    ends = [end for link in plan.links for end in (link.a, link.b)]
    return [
        *((end.netns, address) for end in ends for address in end.addresses),
        *((bridge.netns, address) for bridge in plan.bridges for address in bridge.addresses),
        *((tunnel.netns, tunnel.address) for tunnel in plan.tunnels),
        *((netns, address) for netns, _, address in plan.addresses),
    ]


def test_the_ends_of_a_session_name_each_other(conf: SiteConf) -> None:
    """Each peer's address is the other router's own end of that link, with the other's AS number, told in one word."""
    routers = by_name(conf)
    for name, near, far in (("service-link", "ond", "cnd"), ("local-gateway", "ond", "cnd"), ("wan", "cnd", "edge")):
        here, there = underlay.peer_addresses(name)
        peer = {p.description: p for p in routers[near].peers}[name]
        back = {p.description: p for p in routers[far].peers}[name]
        assert (there, routers[far].asn) == (peer.address, peer.asn)
        assert (here, routers[near].asn) == (back.address, back.asn)


def test_the_service_link_carries_only_its_own_range(conf: SiteConf) -> None:
    """The Outpost's subnet goes by the local gateway, the tunnel's underlay by the service link: never one by both."""
    announced = {peer.description: set(peer.announce) for peer in by_name(conf)["ond"].peers}
    assert {str(conf.outpost.service_link_cidr)} == announced["service-link"]
    assert {str(conf.outpost.subnet)} == announced["local-gateway"]


def test_the_tunnels_ends_are_reached_only_by_what_bgp_announces(conf: SiteConf) -> None:
    """Each end's address lies in a range announced to the other side, so that a lost session drops the tunnel."""
    ond, edge = (next(t for t in underlay.site_plan(conf).tunnels if t.netns == n) for n in ("ond", "edge"))
    routers = by_name(conf)
    assert (ond.local, ond.remote) == (edge.remote, edge.local)
    assert any(IPv4Interface(ond.local).ip in IPv4Network(n) for n in routers["ond"].networks)
    assert any(IPv4Interface(edge.local).ip in IPv4Network(n) for n in routers["edge"].networks)


def test_an_edge_instance_has_the_lans_traffic_routed_through_it(conf: SiteConf) -> None:
    """With a proxy on the Outpost the local gateway's table sends the Region's subnet to it; else there is none."""
    link, gateway = underlay.outpost_link(conf, "arn"), underlay.gateway_instance(conf)
    proxies = [str(i.address) for i in conf.instances if i.role == "proxy"]
    assert (proxies or [""])[0] == gateway
    region = str(conf.region.region_subnet)
    assert link.ingress == (((region, gateway),) if gateway else ())
    near, _ = underlay.peer_addresses("local-gateway")
    assert bool(gateway) == (Route("cnd", region, via=near) in underlay.site_plan(conf).routes)


def test_a_routers_configuration_lets_out_only_what_each_peer_may_hear(conf: SiteConf) -> None:
    """An outbound prefix list on every session, with every announced prefix and nothing else."""
    for config in by_name(conf).values():
        text = config.text()
        for peer in config.peers:
            assert f"  neighbor {peer.address} prefix-list TO-{peer.description} out" in text.splitlines()
            permitted = [
                line.split()[-1]
                for line in text.splitlines()
                if line.startswith(f"ip prefix-list TO-{peer.description} ")
            ]
            assert list(peer.announce) == permitted


def test_timers_of_the_site_reach_the_routers(conf: SiteConf) -> None:
    """Keepalive and hold as site.yaml says."""
    for config in by_name(conf).values():
        assert f" timers bgp {conf.bgp.keepalive} {conf.bgp.hold}" in config.text().splitlines()
