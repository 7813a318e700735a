"""Why something of a site cannot be found out: there is none, or there are several and nobody guesses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Lack(Exception):
    """Why something cannot be found out."""


def one(things: Sequence[T], what: str, shown: Callable[[T], str], mend: str = "facts") -> T:
    """The one thing there is; raises Lack when there is none, or several, which are named."""
    if len(things) == 1:
        return things[0]
    if not things:
        raise Lack(f"there is no {what}")
    raise Lack(f"there are {len(things)}, not one {what}: {', '.join(map(shown, things))} (say which by `{mend}`)")
