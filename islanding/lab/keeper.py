"""Tells the journal what goes wrong in the lab itself, and sees to it that what lasts is mended."""

from __future__ import annotations

import contextlib
import threading

from islanding.journal import Journal
from islanding.lab.vpc.reconciler import DataPlane


class Keeper:
    """The lab's word on itself: whatever is seen while its AWS or its network failed proves nothing.

    `journal` is bound to the site; it is the record that the site's description names.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._plane: DataPlane | None = None
        self._lasting = False
        self._lock = threading.Lock()

    def watch(self, plane: DataPlane) -> None:
        """From now on a trouble lasts for as long as the kernel does not hold what AWS says."""
        self._plane = plane

    def trouble(self, reason: str) -> None:
        """Write down at once what went wrong: the case that it spoils may end in the next moment."""
        with self._lock:
            lasting = not self._sound()
            self._lasting = self._lasting or lasting
            with contextlib.suppress(OSError):  # a full disk: whoever recorded the trouble must not fail by it
                self._journal.append("site-troubled", reason=reason, lasting=lasting)

    def look(self) -> None:
        """Try again what failed for good, and tell once it is whole; called all the time by the lab's supervisor."""
        if self._plane is not None and not self._sound():
            self._plane.reconcile("an earlier one failed")
        with self._lock:
            if self._lasting and self._sound():
                self._lasting = False
                self._journal.append("site-sound")

    def _sound(self) -> bool:
        return self._plane is None or self._plane.healthy
