"""An interface is taken down at the customer network device: both ends of the link lose carrier at once."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._bgp import SessionName, at_router, established, is_back, planned, session_of
from islanding.faults._fault import Fault, Health, all_of
from islanding.faults._plan import FaultError, Plan, new_id
from islanding.model import Site


@dataclass(frozen=True)
class InterfaceDown(Fault):
    """The router's end of a session's link goes down (`session`: service-link or local-gateway)."""

    session: SessionName = "service-link"

    kind = "interface-down"

    def plan(self, site: Site) -> Plan:
        session = session_of(site, self.session)
        driver, ask, end = at_router(site, session)
        if not driver.interface_is_up(ask, end.interface):
            raise FaultError(f"{session.interface} at {session.router} is down already", "islanding heal")
        before = established(site, session)
        change = driver.interface_down(ask, end)
        return planned(
            site,
            session,
            id=new_id(),
            kind=self.kind,
            target=f"{session.interface} at {session.router} ({session.name})",
            summary=f"interface down: {change.said} at {session.router}",
            before=before,
            change=change,
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        up = self._is_up(site)
        return Health(not up, f"interface {'up' if up else 'down'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        up = self._is_up(site)
        return all_of(
            Health(up, f"interface {'up' if up else 'down'}"), is_back(site, site.session(self.session), plan.before)
        )

    def _is_up(self, site: Site) -> bool:
        driver, ask, end = at_router(site, site.session(self.session))
        return driver.interface_is_up(ask, end.interface)
