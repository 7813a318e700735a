"""Which manners are on: their names, and how they are set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from islanding.lab.region.manners import Manner, Manners
from islanding.lab.region.manners.call import Chances
from islanding.lab.region.manners.consistency import Consistency
from islanding.lab.region.manners.failures import Failures
from islanding.lab.region.manners.identity import Identity
from islanding.lab.region.manners.pagination import Pagination
from islanding.lab.region.manners.throttling import Throttling

if TYPE_CHECKING:
    from islanding.lab.region.permissions import Permissions


@dataclass(frozen=True)
class Choice:
    """The names of the manners that are on, none by default, and what they are set to.

    `delay` (seconds) is how long a change may be unseen, `page` how many things a reply has at most, `rate` the share
    of calls that fail, `buckets` the size of throttling's buckets, as a factor of AWS's.
    """

    on: tuple[str, ...] = ()
    seed: int = 1
    delay: float = 2.0
    page: int = 5
    rate: float = 0.05
    buckets: float = 1.0


def manners(choice: Choice, permissions: Permissions) -> Manners:
    """The manners that are chosen, in AWS's order: a call is counted, then judged, then carried out."""
    chances = Chances(choice.seed)
    known: dict[str, Callable[[], Manner]] = {
        "failures": lambda: Failures(choice.rate, chances),
        "throttling": lambda: Throttling(choice.buckets),
        "iam": lambda: Identity(permissions),
        "pages": lambda: Pagination(choice.page),
        "consistency": lambda: Consistency(choice.delay, chances),
    }
    return Manners([make() for name, make in known.items() if name in choice.on])
