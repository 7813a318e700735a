"""The local gateway is cut: its BGP session is shut at the customer network device; the LAN loses the Outpost."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._shutdown import SessionShutDown


@dataclass(frozen=True)
class LocalGatewayDown(SessionShutDown):
    """The site's LAN loses its way to the workload; the service link and the Region stay."""

    kind = "local-gateway-down"
    session_name = "local-gateway"
