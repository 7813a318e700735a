"""A moment as users say it: a date, a time, or so long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from islanding.errors import SetupError

_AGO = re.compile(r"(\d{1,5})([dh])")


def moment(text: str, now: datetime) -> str:
    """`2026-11-20`, `2026-11-20T02:00`, `30d` or `12h` as UTC in ISO 8601; empty stays empty.

    A time without a zone is UTC, as all times of the history. Raises SetupError for anything else.
    """
    if not text:
        return ""
    try:
        ago = _AGO.fullmatch(text)
        if ago:
            span = timedelta(days=int(ago[1])) if ago[2] == "d" else timedelta(hours=int(ago[1]))
            found = now - span
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError) as error:
        raise SetupError(
            f"{text!r} is no time", "Say a date (2026-11-20), a time (2026-11-20T02:00), or how long ago: 30d, 12h."
        ) from error
