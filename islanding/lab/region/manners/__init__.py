"""How AWS treats real accounts, each manner switched on by itself: what a quiet lab would let callers forget.

A manner stands around the answer to a call, as middleware does: it may refuse the call, change what is asked, change
the reply, or lose it. AWS's own services, which call each other inside the Region, are not treated so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Protocol

from islanding.lab.region.http import Request, Response
from islanding.lab.region.manners.call import Call

Onward = Callable[[Request], Response]


class Manner(Protocol):
    """One manner; `onward` answers the request, and may be called more than once or not at all."""

    def __call__(self, call: Call, onward: Onward) -> Response:
        """The reply to a call; raises AwsError to refuse it."""


class Manners:
    """Several manners, the first one outermost."""

    def __init__(self, manners: Sequence[Manner] = ()) -> None:
        self._manners = tuple(manners)

    def __call__(self, call: Call, onward: Onward) -> Response:
        """The reply to a call, by way of all manners; raises AwsError when one of them refuses it."""
        if call.own or not self._manners:
            return onward(call.request)
        return reduce(lambda inner, manner: _around(manner, call, inner), reversed(self._manners), onward)(call.request)


def _around(manner: Manner, call: Call, inner: Onward) -> Onward:
    return lambda request: manner(call.with_request(request), inner)
