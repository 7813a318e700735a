"""Which sites' stop conditions are watched in this process, and which of them have come true."""

from __future__ import annotations

import threading

_lock = threading.Lock()
_watched: dict[str, int] = {}
_stopped: dict[str, str] = {}


def begin(site_id: str) -> None:
    """Something watches the site's stop conditions from now on."""
    with _lock:
        _watched[site_id] = _watched.get(site_id, 0) + 1


def end(site_id: str) -> None:
    """It no longer watches them; what has come true stays so for as long as this process, which is a run, lives."""
    with _lock:
        _watched[site_id] = max(0, _watched.get(site_id, 0) - 1)


def stop(site_id: str, reason: str) -> bool:
    """A stop condition has come true: no fault is applied to the site any more. False when one had already."""
    with _lock:
        return _stopped.setdefault(site_id, reason) is reason


def watched(site_id: str) -> bool:
    """Whether something watches them."""
    with _lock:
        return bool(_watched.get(site_id))


def stopped(site_id: str) -> str:
    """The condition that has come true, in words; empty for none."""
    with _lock:
        return _stopped.get(site_id, "")
