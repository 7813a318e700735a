"""What went wrong with a site itself while somebody looked at it, from the record that its keeper writes.

Only a site that somebody keeps for us has such a record (a lab: its network and its AWS are ours, and can fail); a site
on AWS has none. What was seen meanwhile proves nothing, so that nothing passes by it.
"""

from __future__ import annotations

import math
from pathlib import Path

from islanding.journal import Event, parse
from islanding.model import Site

_SHOWN = 3  # reasons that are told of one case


class Troubles:
    """The troubles of one site; its record is read on from where it was left."""

    def __init__(self, site: Site) -> None:
        self._site = site.name
        self._record = Path(site.record) if site.record else None
        self._offset = 0
        self._spans: list[tuple[float, float, str]] = []  # from, to (CLOCK_MONOTONIC seconds), reason

    def during(self, start: float, end: float = math.inf) -> str:
        """What went wrong between two times (CLOCK_MONOTONIC seconds), in a sentence; empty when nothing did.

        A record that cannot be read is a trouble too: what it holds is not known.
        """
        if self._record is None:
            return ""
        try:
            self._read(self._record)
        except OSError as error:
            return f"whether site {self._site} itself was sound is not known: {self._record}: {error.strerror}"
        met = dict.fromkeys(reason for since, until, reason in self._spans if since <= end and until >= start)
        return told(self._site, list(met))

    def _read(self, record: Path) -> None:
        with record.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):  # still being written
                    return
                self._offset += len(line)
                event = parse(line.decode(errors="replace")) if b'"site-' in line else None
                if event is not None and event.get("site") == self._site:
                    self._note(event)

    def _note(self, event: Event) -> None:
        if event.type == "site-troubled":
            until = math.inf if event.get("lasting") else event.t
            self._spans.append((event.t, until, str(event.get("reason"))))
        elif event.type == "site-sound":
            self._spans = [(since, min(until, event.t), reason) for since, until, reason in self._spans]


def told(site: str, reasons: list[str]) -> str:
    """That a site itself failed, and how; empty without reasons."""
    if not reasons:
        return ""
    more = f" (and {len(reasons) - _SHOWN} more)" if len(reasons) > _SHOWN else ""
    return f"site {site} itself failed meanwhile: {'; '.join(reasons[:_SHOWN])}{more}"
