"""Puts a function of ours in the place of a method of moto's, and keeps what is known of each account."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Held while addresses, interfaces or instances are handed out: a hundred calls come at once, and moto locks nothing.
lock = threading.RLock()


@dataclass(frozen=True)
class Known:
    """What the lab says of one account's EC2: limits as {type: (interfaces, addresses an interface)}, AMIs."""

    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)  # id -> name; empty: any id is good


_known: dict[tuple[str, str], Known] = {}


def know(account: str, region: str, known: Known) -> None:
    """Keep what the lab says of an account's EC2."""
    _known[account, region] = known


def known_of(account: str, region: str) -> Known:
    """What the lab has said of an account's EC2 in a Region."""
    return _known.get((account, region), Known())


def known(backend: Any) -> Known:
    """What the lab has said of the account of one of moto's backends."""
    return known_of(str(backend.account_id), str(backend.region_name))


def mend(owner: type, name: str) -> Callable[[Callable[..., Any]], None]:
    """Decorates what is called instead of a method, with the method itself as the first argument."""

    def put(ours: Callable[..., Any]) -> None:
        theirs = getattr(owner, name)

        @functools.wraps(theirs)
        def mended(*args: Any, **kwargs: Any) -> Any:
            return ours(theirs, *args, **kwargs)

        setattr(owner, name, mended)

    return put


def mend_property(owner: type, name: str) -> Callable[[Callable[[Any], Any]], None]:
    """Decorates what takes the place of a property."""

    def put(ours: Callable[[Any], Any]) -> None:
        setattr(owner, name, property(ours))

    return put


def locked(ours: Callable[..., Any]) -> Callable[..., Any]:
    """One at a time, of everything that is decorated so."""

    @functools.wraps(ours)
    def turn(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return ours(*args, **kwargs)

    return turn


def ec2_error(code: str, message: str) -> Exception:
    """An error that moto renders as EC2's."""
    from moto.ec2.exceptions import EC2ClientError

    error: Exception = EC2ClientError(code, message)
    return error
