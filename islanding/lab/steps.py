"""The steps of a bring-up: each is timed and journalled, and what goes wrong inside is named by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from islanding.errors import LabError
from islanding.journal import Journal


class Steps:
    """What a bring-up tells of itself, from the moment at which this is made."""

    def __init__(self, site: str, journal: Journal, logs: Path) -> None:
        self._site = site
        self._journal = journal
        self._logs = logs
        self._begun = self._told_last = time.monotonic()

    def seconds_up(self) -> float:
        """Seconds since the bring-up began."""
        return round(time.monotonic() - self._begun, 3)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and journal it; an error inside is raised as LabError that names the step and the logs."""
        begun = time.monotonic()
        try:
            yield
        except LabError:
            raise
        except Exception as error:
            raise LabError(
                f"bringing up {self._site} failed at step {name!r}: {error}", f"logs: {self._logs}"
            ) from error
        self._tell(name, time.monotonic() - begun)

    def provisioned(self, what: str) -> None:
        """Journal what the provisioner has done, with the time since it told of something; beginnings are left out."""
        if not what.endswith("IN_PROGRESS"):
            now = time.monotonic()
            self._tell(what, now - self._told_last)
            self._told_last = now

    def lacking(self, rule: str, object_: str, text: str, level: str) -> None:
        """Journal what the site was found to lack before anything of it was made."""
        self._journal.append("finding", rule=rule, object=object_, text=text, level=level)

    def provisioning(self) -> None:
        """From now on the provisioner's steps count."""
        self._told_last = time.monotonic()

    def _tell(self, name: str, seconds: float) -> None:
        self._journal.append("site-step", step=name, seconds=round(seconds, 3), since_start=self.seconds_up())
