"""Shutting a BGP session by configuration, as an operator would: shared by the service link and the local gateway."""

from __future__ import annotations

from islanding.faults._bgp import at_router, established, is_back, neighbor, planned, session_of
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import Plan, new_id
from islanding.model import Site


class SessionShutDown(Fault):
    """The session is shut at the router that faces the Outpost; its peer gets a Cease notification with our message."""

    session_name: str

    def plan(self, site: Site) -> Plan:
        session = session_of(site, self.session_name)
        before = established(site, session)
        driver, ask, end = at_router(site, session)
        id = new_id()
        change = driver.shut(ask, end, id, f"islanding {self.kind} {id}")
        return planned(
            site,
            session,
            id=id,
            kind=self.kind,
            target=f"{session.name} session {session.router} - {session.neighbor_router} ({session.neighbor})",
            summary=f"BGP session shut at {session.router}: {change.said}",
            before=before,
            change=change,
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        seen = neighbor(site, site.session(self.session_name))
        shut = seen.shut and seen.state != "Established"
        return Health(shut, f"session {seen.state or 'unknown to the router'}, {'shut' if shut else 'not shut'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return is_back(site, site.session(self.session_name), plan.before)
