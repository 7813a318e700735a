"""The verdict of the run before, by the record of turns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from islanding.notify.message import Earlier
from islanding.schedule.turns import Turn


class RecordedTurns:
    """The runs before, as the record of turns has them."""

    def __init__(self, known: Sequence[Turn]) -> None:
        self._known = known

    def before(self, run: str, sites: tuple[str, ...], target: str, began: str) -> Earlier | None:
        """The last run of the same sites and target that had ended with a verdict and began before `began`."""
        moment = datetime.fromisoformat(began)
        for turn in reversed(self._known):
            same = (sorted(turn.sites), turn.target) == (sorted(sites), target)
            if same and turn.run != run and turn.verdict and turn.since < moment:
                return Earlier(turn.run, turn.began, turn.verdict)
        return None
