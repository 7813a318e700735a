"""Shutting a BGP session by configuration, as an operator would: shared by the service link and the local gateway."""

from __future__ import annotations

from islanding.faults._bgp import established, is_back, neighbor, session_of
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import Plan, Vtysh, new_id
from islanding.model import Site


class SessionShutDown(Fault):
    """The session is shut at the router that faces the Outpost; its peer gets a Cease notification with our message."""

    session_name: str

    def plan(self, site: Site) -> Plan:
        session = session_of(site, self.session_name)
        router = site.router(session.router)
        before = established(site, session)
        id = new_id()
        bgp, peer = f"router bgp {router.asn}", f"neighbor {session.neighbor}"
        shut = f"{peer} shutdown message islanding {self.kind} {id}"  # RFC 8203: at most 128 bytes
        return Plan(
            id=id,
            kind=self.kind,
            target=f"{session.name} session {router.name} - {session.neighbor_router} ({session.neighbor})",
            summary=f"BGP session shut at {router.name}: `{peer} shutdown`",
            before=before,
            apply=(Vtysh(router=router.name, commands=("configure terminal", bgp, shut)),),
            undo=(Vtysh(router=router.name, commands=("configure terminal", bgp, f"no {peer} shutdown")),),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        state = neighbor(site, site.session(self.session_name))
        shut = bool(state.get("adminShutDown")) and state.get("bgpState") != "Established"
        return Health(shut, f"session {state.get('bgpState')}, {'shut' if shut else 'not shut'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return is_back(site, site.session(self.session_name), plan.before)
