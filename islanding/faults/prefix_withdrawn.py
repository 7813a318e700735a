"""Prefixes vanish while the BGP session stays up: the customer network device no longer accepts them from its peer."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from islanding.faults._bgp import SessionName, established, is_back, neighbor, routes, session_of
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import FaultError, Plan, Vtysh, new_id
from islanding.model import Session, Site


@dataclass(frozen=True)
class PrefixWithdrawn(Fault):
    """An inbound prefix list denies `prefixes` (all when empty) on a session (service-link or local-gateway)."""

    session: SessionName = "service-link"
    prefixes: tuple[str, ...] = ()

    kind = "prefix-withdrawn"

    def plan(self, site: Site) -> Plan:
        session = session_of(site, self.session)
        router = site.router(session.router)
        before = established(site, session)
        family = "ipv6" if ":" in session.neighbor else "ipv4"
        inbound = _inbound_list(neighbor(site, session), family)
        present = before["routes"][router.name]
        wanted = self._wanted(session, present, inbound)
        id = new_id()
        name, words = f"islanding-{id}", "ip" if family == "ipv4" else "ipv6"
        denials = tuple(f"{words} prefix-list {name} seq {5 + n} deny {p}" for n, p in enumerate(wanted or ["any"]))
        permit = (f"{words} prefix-list {name} seq 100000 permit any",) if wanted else ()
        enter = ("configure terminal", f"router bgp {router.asn}", f"address-family {family} unicast")
        peer = f"neighbor {session.neighbor} prefix-list"
        back = f"{peer} {inbound} in" if inbound else f"no {peer} {name} in"
        what = ", ".join(self.prefixes) or "all prefixes"
        return Plan(
            id=id,
            kind=self.kind,
            target=f"{what} from {session.neighbor_router} over {session.name}",
            summary=f"{router.name} denies {what} from {session.neighbor}; the session stays up",
            before=before | {"withdrawn": wanted or present},
            apply=(
                Vtysh(router=router.name, commands=("configure terminal", *denials, *permit)),
                Vtysh(router=router.name, commands=(*enter, f"{peer} {name} in")),
            ),
            undo=(
                Vtysh(router=router.name, commands=(*enter, back)),
                Vtysh(router=router.name, commands=("configure terminal", f"no {words} prefix-list {name}")),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        left = sorted(set(plan.before["withdrawn"]) & set(routes(site, site.session(self.session))))
        return Health(not left, f"routes still there: {', '.join(left)}" if left else "routes gone")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return is_back(site, site.session(self.session), plan.before)

    def _wanted(self, session: Session, present: list[str], inbound: str) -> list[str]:
        try:
            wanted = [str(ipaddress.ip_network(prefix)) for prefix in self.prefixes]
        except ValueError as error:
            raise FaultError(f"prefixes: {error}", "give prefixes as 10.0.0.0/24") from error
        absent = sorted(set(wanted) - set(present))
        if absent or not present:
            had = ", ".join(present) or "none"
            raise FaultError(f"no route {', '.join(absent)} over the {session.name} session; there are: {had}")
        if wanted and inbound:
            raise FaultError(
                f"the {session.name} session has an inbound prefix list already ({inbound}); none is put beside it",
                "leave `prefixes` out to withdraw all",
            )
        return wanted


def _inbound_list(state: dict[str, Any], family: str) -> str:
    """The name of the peer's present inbound prefix list, "" without one."""
    info = state.get("addressFamilyInfo", {}).get(f"{family}Unicast", {})
    return str(info.get("incomingUpdatePrefixFilterList", ""))
