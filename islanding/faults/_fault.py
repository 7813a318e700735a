"""What every fault is: something that plans from a site, is applied, undone, and seen to have healed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from islanding.faults._plan import Plan, take, take_all
from islanding.model import Site


@dataclass(frozen=True)
class Health:
    """Whether something holds, and what was seen that says so; true when `ok`."""

    ok: bool
    seen: str

    def __bool__(self) -> bool:
        return self.ok


def all_of(*parts: Health) -> Health:
    """Healthy when all parts are; says what the ailing ones saw, or all of them when none ails."""
    ailing = [part for part in parts if not part.ok]
    return Health(not ailing, "; ".join(part.seen for part in ailing or parts))


class Fault(ABC):
    """A fault: a frozen dataclass of parameters, whose `kind` is its file's name with dashes.

    `plan` reads the state before and changes nothing; `apply`, `undo` and the checks need only the site and the plan,
    so that another process can undo it. `undo` may be called any number of times, and on a fault half applied.
    """

    kind: ClassVar[str]
    slow_on_aws: ClassVar[float] = 0.0  # seconds that a real account may take to let it take hold, or heal

    @abstractmethod
    def plan(self, site: Site) -> Plan:
        """What to do and its inverse; raises FaultError when there is nothing to break or a parameter does not fit."""

    def apply(self, site: Site, plan: Plan) -> None:
        """Do it; raises FaultError, perhaps half way, in which case `undo` has to be called."""
        take(site, plan.apply)

    @abstractmethod
    def is_applied(self, site: Site, plan: Plan) -> Health:
        """Whether the fault is really there: a fault that did not take hold would prove nothing."""

    def undo(self, site: Site, plan: Plan) -> None:
        """Take it back, as far as it got; raises FaultError naming all steps that failed."""
        take_all(site, plan.undo)

    @abstractmethod
    def is_healed(self, site: Site, plan: Plan) -> Health:
        """Whether the real thing works as before: not that undo was called, but that link, node or service is back."""

    def patience(self, site: Site, seconds: float) -> float:
        """How many seconds to wait for it to take hold or to heal, where `seconds` are asked for."""
        return max(seconds, self.slow_on_aws) if site.target == "aws" else seconds

    def nothing_left(self, site: Site, plan: Plan) -> Health:
        """Whether nothing of the fault is left, even if it was planned and never applied; asked by `islanding heal`."""
        return self.is_healed(site, plan)
