"""When scheduled runs are due: a crontab's five fields, as systemd writes them too, and the times they name; pure.

All times are UTC, so that no run falls into the hour that a change of clocks takes away or gives twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from islanding.errors import SetupError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Name, least and greatest value, and names for values (crontab(5)).
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 7, DAYS),
)
LONGEST = 366 * 8 + 2  # days between two 29ths of February, where a century's leap year is left out
_PART = re.compile(r"(?P<range>\*|(?P<first>\w+)(-(?P<last>\w+))?)(/(?P<step>\d+))?")
_PERIOD = re.compile(r"(\d{1,3})(m|h|d|w)")
DEFAULT_AT = "02:17"  # not at the full hour, where everybody's schedules meet


@dataclass(frozen=True)
class Calendar:
    """Times at which runs are due: the values allowed for each field, and the text that was read.

    `weekdays` count from Sunday, which is 0.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def on_calendar(self) -> str:
        """The same for systemd (systemd.time(7)), in UTC."""
        weekdays = "" if len(self.weekdays) == 7 else ",".join(DAYS[d].capitalize() for d in _from_monday(self)) + " "
        months, days = _listed(self.months, 12), _listed(self.days, 31)
        return f"{weekdays}*-{months}-{days} {_listed(self.hours, 24)}:{_listed(self.minutes, 60)}:00 UTC"

    def latest(self, moment: datetime) -> datetime:
        """The last time at which a run was due, at or before `moment` (with a time zone)."""
        now = moment.astimezone(UTC)
        for back in range(LONGEST):
            day = now.date() - timedelta(days=back)
            for at in reversed(self._times(day)):
                if at <= now:
                    return at
        raise SetupError(f"{self.text!r} names no day that there ever is")

    def next(self, moment: datetime) -> datetime:
        """The first time at which a run is due after `moment` (with a time zone)."""
        now = moment.astimezone(UTC)
        for ahead in range(LONGEST):
            for at in self._times(now.date() + timedelta(days=ahead)):
                if at > now:
                    return at
        raise SetupError(f"{self.text!r} names no day that there ever is")

    def _times(self, day: date) -> list[datetime]:
        if day.month not in self.months or day.day not in self.days or day.isoweekday() % 7 not in self.weekdays:
            return []
        return [datetime.combine(day, time(h, m), UTC) for h in self.hours for m in self.minutes]


def parse(text: str) -> Calendar:
    """Read the five fields of a crontab; raises SetupError naming the field that is wrong.

    Day of month and day of week cannot both be narrowed: to cron that means either, to systemd both.
    """
    words = text.split()
    if len(words) != len(FIELDS):
        raise SetupError(
            f"{text!r} has {len(words)} fields, not 5", "minute, hour, day of month, month, day of week: '17 2 * * *'"
        )
    values = [_values(word, field) for word, field in zip(words, FIELDS, strict=True)]
    weekdays = tuple(sorted({day % 7 for day in values[4]}))
    found = Calendar(" ".join(words), values[0], values[1], values[2], values[3], weekdays)
    if len(found.days) < 31 and len(found.weekdays) < 7:
        raise SetupError(
            f"{text!r} narrows the day of month and the day of week",
            "cron takes either and systemd both: narrow one of them",
        )
    found.next(datetime.now(UTC))
    return found


def chosen(*, cron: str = "", every: str = "", at: str = "", on: str = "") -> Calendar:
    """The calendar that a user asks for by fields of cron, or by a period, a time of day and days of the week.

    `every` is such as 30m, 6h, 1d or 1w, `at` a time of day in UTC, `on` days such as mon,thu. Raises SetupError.
    """
    if cron:
        if every or at or on:
            raise SetupError("--cron says all there is to say", "leave out --every, --at and --on")
        return parse(cron)
    match = _PERIOD.fullmatch(every or "1d")
    number, unit = (int(match[1]), match[2]) if match else (0, "")
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", at or DEFAULT_AT)
    if not clock:
        raise SetupError(f"--at {at}: this is no time of day", "write hours and minutes, in UTC: 02:17")
    hour, minute = int(clock[1]), int(clock[2])
    weekdays = on.lower() or ("mon" if unit == "w" else "*")
    if unit == "m" and number and 60 % number == 0 and number < 60:
        return parse(f"{_series(minute % number, number, 60)} * * * {weekdays}")
    if unit == "h" and number and 24 % number == 0 and number < 24:
        return parse(f"{minute} {_series(hour % number, number, 24)} * * {weekdays}")
    if (number, unit) in {(1, "d"), (24, "h"), (1, "w"), (7, "d")}:
        if (number, unit) == (7, "d") and not on:
            weekdays = "mon"
        return parse(f"{minute} {hour} * * {weekdays}")
    if (number, unit) == (60, "m"):
        return parse(f"{minute} * * * {weekdays}")
    raise SetupError(
        f"--every {every}: this does not divide an hour or a day into equal parts",
        "for example 15m, 30m, 1h, 6h, 1d or 1w; anything else by --cron",
    )


def _series(first: int, step: int, end: int) -> str:
    values = list(range(first, end, step))
    return "*" if len(values) == end else ",".join(map(str, values))


def _values(word: str, field: tuple[str, int, int, tuple[str, ...]]) -> tuple[int, ...]:
    name, least, greatest, _ = field
    found: set[int] = set()
    for part in word.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise SetupError(f"{name} {word!r}: {part!r} is no value, range or step", f"{least}-{greatest}, * or */5")
        first, last = least, greatest
        if match["range"] != "*":
            first = _value(match["first"], field)
            last = _value(match["last"], field) if match["last"] else (greatest if match["step"] else first)
        step = int(match["step"] or 1)
        if not step or first > last:
            raise SetupError(f"{name} {word!r}: {part!r} names nothing", f"{least}-{greatest}, * or */5")
        found |= set(range(first, last + 1, step))
    return tuple(sorted(found))


def _value(word: str, field: tuple[str, int, int, tuple[str, ...]]) -> int:
    name, least, greatest, names = field
    if word.lower() in names:
        return names.index(word.lower()) + (1 if names is MONTHS else 0)
    if word.isascii() and word.isdigit() and len(word) < 4 and least <= int(word) <= greatest:
        return int(word)
    also = f" or {names[0]} to {names[-1]}" if names else ""
    raise SetupError(f"{name} {word!r} is none", f"{least} to {greatest}{also}")


def _listed(values: tuple[int, ...], whole: int) -> str:
    return "*" if len(values) == whole else ",".join(f"{value:02}" for value in values)


def _from_monday(calendar: Calendar) -> list[int]:
    return sorted(calendar.weekdays, key=lambda day: (day - 1) % 7)
