"""What a diagnosis is made of: the hops of a path in order, what is known of each, and the AWS object to blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

NAME = "name"
ADDRESS = "address"
ROUTE = "route"
GROUP = "security group"
ACL = "network ACL"
ENDPOINT = "endpoint"
POLICY = "policy"
SERVICE = "service"
SOURCE = "source"  # only shown when the instance itself is the trouble
ORDER = (SOURCE, NAME, ADDRESS, ROUTE, GROUP, ACL, ENDPOINT, POLICY, SERVICE)


class Status(StrEnum):
    """What is known of a hop; NOT_NEEDED: this path does not go through one."""

    OK = "ok"
    FAILS = "fails"
    UNKNOWN = "unknown"
    NOT_NEEDED = "not needed"


class Agreement(StrEnum):
    """Whether packets, or the message that was seen, say the same as AWS's state."""

    NOT_ASKED = "not asked"
    AGREES = "agrees"
    DISAGREES = "disagrees"


@dataclass(frozen=True)
class Blame:
    """The AWS object that a failure comes from; `id` is empty for one that is missing."""

    kind: str  # vpc, subnet, route table, security group, network ACL, VPC endpoint, peering, instance, cluster
    id: str = ""
    name: str = ""
    what: str = ""  # what is wrong with it, or what is missing

    def __str__(self) -> str:
        if not self.id:
            return f"missing {self.kind}: {self.what}"
        named = f" ({self.name})" if self.name and self.name != self.id else ""
        return f"{self.kind} {self.id}{named}: {self.what}"


@dataclass(frozen=True)
class Hop:
    """One hop: what AWS's state says of it, and what packets said (`seen`, empty when they were not asked)."""

    name: str
    status: Status
    detail: str = ""
    blame: Blame | None = None
    seen: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """The path from `source` to `target`: its hops in order, and whether packets bear them out."""

    source: str
    target: str
    hops: tuple[Hop, ...]
    step: str = ""  # of what was tried: token, manifest, layer, ...
    host: str = ""
    port: int = 443
    agreement: Agreement = Agreement.NOT_ASKED
    notes: tuple[str, ...] = ()

    @property
    def failing(self) -> Hop | None:
        """The first hop that fails: the answer; None when AWS's state shows nothing wrong."""
        return next((hop for hop in self.hops if hop.status is Status.FAILS), None)

    @property
    def blame(self) -> Blame | None:
        """The object that the first failing hop comes from."""
        return self.failing.blame if self.failing else None

    @property
    def conclusive(self) -> bool:
        """False when packets contradict AWS's state, or when neither found what is wrong."""
        return self.agreement is not Agreement.DISAGREES and (
            self.failing is not None or all(hop.status is not Status.UNKNOWN for hop in self.hops)
        )

    @property
    def message(self) -> str:
        """One sentence for a person."""
        at = f"{self.step}: " if self.step else ""
        if self.failing is None:
            said = f"AWS's state shows nothing wrong on the way from {self.source} to {self.target}"
        else:
            said = f"fails at the {self.failing.name}: {self.failing.detail}"
        if self.agreement is Agreement.DISAGREES:
            said += "; packets say otherwise, so this is not conclusive"
        return at + said

    def with_hop(self, name: str, **changes: Any) -> Diagnosis:
        """The same with one hop changed."""
        return replace(self, hops=tuple(replace(h, **changes) if h.name == name else h for h in self.hops))

    def event(self) -> dict[str, Any]:
        """The data of the journal's `diagnosis` event."""
        return {
            "source": self.source,
            "target": self.target,
            "step": self.step,
            "hops": [{"hop": h.name, "status": h.status.value, "detail": h.detail, "seen": h.seen} for h in self.hops],
            "failing": self.failing.name if self.failing else "",
            "blame": str(self.blame) if self.blame else "",
            "message": self.message,
            "agreement": self.agreement.value,
            "conclusive": self.conclusive,
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The chain as text, a hop a line."""
        marks: Mapping[Status, str] = {
            Status.OK: "ok     ",
            Status.FAILS: "FAILS  ",
            Status.UNKNOWN: "unknown",
            Status.NOT_NEEDED: "-      ",
        }
        rows = [
            f"{marks[h.status]} {h.name}: {h.detail}" + (f" [packets: {h.seen}]" if h.seen else "") for h in self.hops
        ]
        return [*rows, *([f"blame: {self.blame}"] if self.blame else []), *(f"note: {note}" for note in self.notes)]
