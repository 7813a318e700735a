"""The resolver is lost: questions to it are dropped in silence, so whoever asks waits until it gives up."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults import _nft
from islanding.faults._fault import Fault, Health, all_of
from islanding.faults._plan import FaultError, Plan, new_id
from islanding.model import Place, Site

# A question for the name servers of the root, asked over UDP: any reply at all, a refusal too, shows a living resolver.
_ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
asker = socket.socket(family, socket.SOCK_DGRAM)
asker.settimeout(2)
asker.connect((sys.argv[1], 53))
asker.send(bytes.fromhex("2a2a0100000100000000000000" "00020001"))
assert asker.recv(512)[:2] == bytes.fromhex("2a2a")
"""


@dataclass(frozen=True)
class ResolverLost(Fault):
    """The resolver place named `resolver` (may be left out where a site has one) no longer takes questions."""

    resolver: str = ""

    kind = "resolver-lost"

    def plan(self, site: Site) -> Plan:
        place = self._place(site)
        id = new_id()
        table = _nft.table_name(id)
        questions = ["udp dport 53 drop", "tcp dport 53 drop"]
        return Plan(
            id=id,
            kind=self.kind,
            target=f"{place.name} ({place.address})",
            summary=f"questions to the resolver {place.name} dropped (UDP and TCP 53)",
            before={"place": place.name, "answered": _answers(place).ok},
            apply=(_nft.drop_table(place.name, table, incoming=questions, outgoing=[]),),
            undo=(_nft.remove_table(place.name, table),),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        return _nft.table_is_there(site, plan.before["place"], _nft.table_name(plan.id))

    def is_healed(self, site: Site, plan: Plan) -> Health:
        gone = _nft.table_is_gone(site, plan.before["place"], _nft.table_name(plan.id))
        if not gone or not plan.before["answered"]:
            return gone
        return all_of(gone, _answers(site.place(plan.before["place"])))

    def _place(self, site: Site) -> Place:
        resolvers = [place for place in site.places if place.role == "resolver"]
        if not resolvers:
            site.require("resolver")
        fits = [place for place in resolvers if self.resolver in ("", place.name)]
        if len(fits) != 1:
            known = ", ".join(place.name for place in resolvers) or "none"
            wanted = f"resolver {self.resolver!r}" if self.resolver else "one resolver to lose"
            raise FaultError(f"{site.name} does not have {wanted}; resolvers: {known}")
        return fits[0]


def _answers(place: Place) -> Health:
    result = place.run(["python3", "-c", _ASK, place.address], timeout=5.0, check=False)
    return Health(result.ok, f"resolver {place.name} {'answers' if result.ok else 'does not answer'}")
