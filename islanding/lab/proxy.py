"""The instance at the Outpost's edge through which the LAN reaches the Region: a forwarder, and HAProxy over TCP. Pure.

A local gateway gives no transit into the Region, so an instance on the Outpost stands between: it forwards packets with
its own address as the source (the direct path), and ends TCP on the API's port (the proxy's path).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from islanding.lab.plan import Tunnel
from islanding.siteconf import SiteConf

MTU = Tunnel.mtu


def haproxy_config(address: str, servers: Sequence[str]) -> str:
    """HAProxy in TCP mode before the API servers.

    It must hold a client's connection for longer than the client's TLS handshake timeout of 10 s, or the client sees an
    end of file instead of a time limit (docs/facts.md 2, docs/measurements.md 4): three tries of 10 s.
    """
    lines = [
        "global",
        "  maxconn 512",
        "defaults",
        "  mode tcp",
        "  timeout connect 10s",
        "  timeout client 10m",
        "  timeout server 10m",
        "  retries 3",
        "listen kubernetes-api",
        f"  bind {address}:443",
        *(f"  server api-{n} {server}:443" for n, server in enumerate(servers, start=1)),
    ]
    return "\n".join([*lines, ""])


def user_data(conf: SiteConf, servers: Sequence[str]) -> str:
    """The user data of the edge instance: forwarding by its own address, and HAProxy as a unit."""
    edge = next(str(i.address) for i in conf.instances if i.role == "proxy")
    config = haproxy_config(edge, servers)
    return f"""#!/bin/bash
set -e
cat > /etc/haproxy/haproxy.cfg <<'CONFIG'
{config}CONFIG
cat > /etc/nftables.conf <<'RULES'
table ip edge {{
  chain source {{
    type nat hook postrouting priority 100;
    ip saddr {conf.lan.cidr} ip daddr {conf.region.region_subnet} masquerade
  }}
  # The service link takes {MTU} bytes, and its "fragmentation needed" would come back from a router of its own address.
  chain fit {{
    type filter hook forward priority 0;
    tcp flags syn tcp option maxseg size set {MTU - 40}
  }}
}}
RULES
sysctl -qw net.ipv4.ip_forward=1
nft -f /etc/nftables.conf
systemctl enable --quiet --now haproxy
"""


def encoded_user_data(conf: SiteConf, servers: Sequence[str]) -> str:
    """The same in base64, as a template has it; empty when the site has no such instance."""
    if not any(i.role == "proxy" for i in conf.instances):
        return ""
    return base64.b64encode(user_data(conf, servers).encode()).decode()
