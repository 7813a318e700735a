"""What went wrong on our side of the Region: a list that tells of each entry as it is made."""

from __future__ import annotations

from collections.abc import Callable


class Troubles(list[str]):
    """What went wrong, in words; `listener` is told of each at once, in the thread that records it."""

    def __init__(self, listener: Callable[[str], None] = lambda _: None) -> None:
        super().__init__()
        self._listener = listener

    def append(self, what: str) -> None:
        """Record one, and tell."""
        super().append(what)
        self._listener(what)
