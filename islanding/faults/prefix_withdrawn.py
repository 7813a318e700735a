"""Prefixes vanish while the BGP session stays up: the customer network device no longer accepts them from its peer."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from islanding.faults._bgp import SessionName, at_router, established, is_back, planned, routes, session_of
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import FaultError, Plan, new_id
from islanding.model import Session, Site


@dataclass(frozen=True)
class PrefixWithdrawn(Fault):
    """An inbound prefix list denies `prefixes` (all when empty) on a session (service-link or local-gateway)."""

    session: SessionName = "service-link"
    prefixes: tuple[str, ...] = ()

    kind = "prefix-withdrawn"

    def plan(self, site: Site) -> Plan:
        session = session_of(site, self.session)
        before = established(site, session)
        present = before["routes"][session.router]
        wanted = self._wanted(session, present)
        driver, ask, end = at_router(site, session)
        id = new_id()
        what = ", ".join(self.prefixes) or "all prefixes"
        return planned(
            site,
            session,
            id=id,
            kind=self.kind,
            target=f"{what} from {session.neighbor_router} over {session.name}",
            summary=f"{session.router} denies {what} from {session.neighbor}; the session stays up",
            before=before | {"withdrawn": wanted or present},
            change=driver.withdraw(ask, end, id, tuple(wanted)),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        left = sorted(set(plan.before["withdrawn"]) & set(routes(site, site.session(self.session))))
        return Health(not left, f"routes still there: {', '.join(left)}" if left else "routes gone")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return is_back(site, site.session(self.session), plan.before)

    def _wanted(self, session: Session, present: list[str]) -> list[str]:
        try:
            wanted = [str(ipaddress.ip_network(prefix)) for prefix in self.prefixes]
        except ValueError as error:
            raise FaultError(f"prefixes: {error}", "give prefixes as 10.0.0.0/24") from error
        absent = sorted(set(wanted) - set(present))
        if absent or not present:
            had = ", ".join(present) or "none"
            raise FaultError(f"no route {', '.join(absent)} over the {session.name} session; there are: {had}")
        return wanted
