"""The service link is cut: its BGP session is shut at the router that faces the Outpost (customer network device)."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._shutdown import SessionShutDown


@dataclass(frozen=True)
class ServiceLinkDown(SessionShutDown):
    """The Outpost loses its Region; the peer is told at once (a Cease notification), so no timer has to run out."""

    kind = "service-link-down"
    session_name = "service-link"
