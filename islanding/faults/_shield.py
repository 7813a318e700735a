"""Undoing without being interrupted: Ctrl-C, SIGTERM and SIGHUP wait until the undo is through."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def shielded(what: str) -> Iterator[None]:
    """Put off the signals that end a run until the block is left, then deliver them; says once that it is busy.

    Two means are needed. A blocked mask is handed down to the commands started inside, which a Ctrl-C at the terminal
    reaches too (signal(7)). It holds for this thread only, and Python runs handlers in the main thread whichever
    thread the signal came to: so the handlers are replaced as well.
    """
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if not caught:
            sys.stderr.write(f"\n{what}; a moment, please\n")
        caught.append(number)

    main = threading.current_thread() is threading.main_thread()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    # A handler that is not Python's (None) could not be put back, and one that ignores shall go on ignoring.
    before = {number: signal.getsignal(number) for number in _SIGNALS} if main else {}
    mine = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    try:
        for number in mine:
            signal.signal(number, note)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what waited comes now, and is noted
        for number, handler in mine.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])
