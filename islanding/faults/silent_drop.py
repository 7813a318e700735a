"""A link goes silent: packets are dropped both ways while the carrier stays; BGP finds out by its hold timer only."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._bgp import SessionName, at_router, established, is_back, planned, session_of
from islanding.faults._fault import Fault, Health, all_of
from islanding.faults._plan import Plan, new_id
from islanding.model import Site


@dataclass(frozen=True)
class SilentDrop(Fault):
    """Everything on a session's link is dropped at the router (`session`: service-link or local-gateway)."""

    session: SessionName = "service-link"

    kind = "silent-drop"

    def plan(self, site: Site) -> Plan:
        session = session_of(site, self.session)
        before = established(site, session)
        driver, ask, end = at_router(site, session)
        id = new_id()
        return planned(
            site,
            session,
            id=id,
            kind=self.kind,
            target=f"{session.interface} at {session.router} ({session.name})",
            before=before,
            change=driver.drop(ask, end, id),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        dropping = self._dropping(site, plan)
        return Health(dropping, f"{'dropping' if dropping else 'not dropping'} packets")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        dropping = self._dropping(site, plan)
        gone = Health(not dropping, "packets are still dropped" if dropping else "nothing is dropped")
        return all_of(gone, is_back(site, site.session(self.session), plan.before))

    def _dropping(self, site: Site, plan: Plan) -> bool:
        driver, ask, end = at_router(site, site.session(self.session))
        return driver.is_dropping(ask, end, plan.id)
