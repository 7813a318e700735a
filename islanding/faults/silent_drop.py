"""A link goes silent: packets are dropped both ways while the carrier stays; BGP finds out by its hold timer only."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults import _nft
from islanding.faults._bgp import SessionName, established, is_back, session_of
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
        place = site.router(session.router).place
        before = established(site, session)
        id = new_id()
        table = _nft.table_name(id)
        drop = _nft.drop_table(
            place,
            table,
            incoming=[f'iifname "{session.interface}" drop'],
            outgoing=[f'oifname "{session.interface}" drop'],
        )
        return Plan(
            id=id,
            kind=self.kind,
            target=f"{session.interface} at {session.router} ({session.name})",
            summary=f"all packets over {session.interface} dropped at {session.router}, carrier stays up",
            before=before,
            apply=(drop,),
            undo=(_nft.remove_table(place, table),),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        return _nft.table_is_there(site, self._place(site), _nft.table_name(plan.id))

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return all_of(
            _nft.table_is_gone(site, self._place(site), _nft.table_name(plan.id)),
            is_back(site, site.session(self.session), plan.before),
        )

    def _place(self, site: Site) -> str:
        return site.router(site.session(self.session).router).place
