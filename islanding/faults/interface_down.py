"""An interface is taken down at the customer network device: both ends of the link lose carrier at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from islanding.faults._bgp import SessionName, established, is_back, session_of
from islanding.faults._fault import Fault, Health, all_of
from islanding.faults._plan import Command, FaultError, Plan, new_id, run_as_root
from islanding.model import Session, Site

_PUT_BACK_BY_OTHERS = {"kernel", "bgp", "zebra", "ra", "redirect"}  # the kernel's own, and routing daemons' routes


@dataclass(frozen=True)
class InterfaceDown(Fault):
    """The router's end of a session's link goes down (`session`: service-link or local-gateway)."""

    session: SessionName = "service-link"

    kind = "interface-down"

    def plan(self, site: Site) -> Plan:
        session = session_of(site, self.session)
        place, interface = site.router(session.router).place, session.interface
        if not _is_up(site, place, interface):
            raise FaultError(f"{interface} at {session.router} is down already", "islanding heal")
        before = established(site, session)
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"{interface} at {session.router} ({session.name})",
            summary=f"interface down: `ip link set {interface} down` at {session.router}",
            before=before,
            apply=(Command(place=place, argv=("ip", "link", "set", interface, "down")),),
            undo=(
                Command(place=place, argv=("ip", "link", "set", interface, "up")),
                *(Command(place=place, argv=argv) for argv in _lost_when_down(site, place, interface)),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        up = _is_up(site, *_where(site, self.session))
        return Health(not up, f"interface {'up' if up else 'down'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        up = _is_up(site, *_where(site, self.session))
        return all_of(
            Health(up, f"interface {'up' if up else 'down'}"), is_back(site, site.session(self.session), plan.before)
        )


def _where(site: Site, name: str) -> tuple[str, str]:
    session: Session = site.session(name)
    return site.router(session.router).place, session.interface


def _is_up(site: Site, place: str, interface: str) -> bool:
    return "UP" in _ip(site, place, "link", "show", "dev", interface)[0]["flags"]


def _lost_when_down(site: Site, place: str, interface: str) -> list[tuple[str, ...]]:
    """The commands that put back what the kernel forgets of a downed interface: IPv6 addresses, routes set by hand."""
    lost: list[tuple[str, ...]] = []
    for address in _ip(site, place, "-6", "addr", "show", "dev", interface, "scope", "global")[:1]:
        lost += [
            ("ip", "addr", "replace", f"{one['local']}/{one['prefixlen']}", "dev", interface, "nodad")
            for one in address.get("addr_info", [])
            if one.get("local")
        ]
    for family in ("-4", "-6"):
        lost += [
            ("ip", family, "route", "replace", *_route_words(route), "dev", interface)
            for route in _ip(site, place, family, "route", "show", "table", "all", "dev", interface)
            if route.get("protocol") not in _PUT_BACK_BY_OTHERS and route.get("type", "unicast") == "unicast"
        ]
    return lost


def _route_words(route: dict[str, Any]) -> list[str]:
    words = [str(route["dst"])]
    names = {"gateway": "via", "table": "table", "protocol": "proto", "metric": "metric", "prefsrc": "src"}
    for key, word in names.items():
        if key in route:
            words += [word, str(route[key])]
    return words + (["onlink"] if "onlink" in route.get("flags", []) else [])


def _ip(site: Site, place: str, *argv: str) -> list[dict[str, Any]]:
    text = run_as_root(site.place(place), ("ip", "-j", *argv)).stdout
    return [one for one in json.loads(text or "[]") if one]
