"""One fault is undone by one thread at a time: who stops a run heals it while the run itself may be doing the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_locks: dict[str, threading.RLock] = {}
_healed: set[str] = set()


@contextmanager
def alone(id: str) -> Iterator[Callable[[], None] | None]:
    """Gives None when another thread has healed that fault meanwhile; else what is called once it has healed."""
    with _lock:
        mine = _locks.setdefault(id, threading.RLock())
    with mine:
        yield None if id in _healed else lambda: _healed.add(id)
