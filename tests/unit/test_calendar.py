"""When scheduled runs are due: what a crontab's fields mean, and that systemd means the same by what we write."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.errors import SetupError
from islanding.process import run
from islanding.schedule import calendar

MONDAY = datetime(2026, 11, 23, 2, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "latest", "following"),
    [
        ("17 2 * * *", "2026-11-21 02:16", "2026-11-20 02:17", "2026-11-21 02:17"),
        ("17 2 * * *", "2026-11-21 02:17", "2026-11-21 02:17", "2026-11-22 02:17"),
        ("*/15 8-9 * * mon-fri", "2026-11-21 12:00", "2026-11-20 09:45", "2026-11-23 08:00"),
        ("0 0 1 jan *", "2026-11-21 12:00", "2026-01-01 00:00", "2027-01-01 00:00"),
        ("0 12 29 2 *", "2026-11-21 12:00", "2024-02-29 12:00", "2028-02-29 12:00"),
        ("5 4 * * 7", "2026-11-21 12:00", "2026-11-15 04:05", "2026-11-22 04:05"),
        ("10,40 */12 * * 0,6", "2026-11-21 12:10", "2026-11-21 12:10", "2026-11-21 12:40"),
        ("5/20 3 * * *", "2026-11-21 03:30", "2026-11-21 03:25", "2026-11-21 03:45"),
    ],
)
def test_times_are_those_of_the_fields(text: str, moment: str, latest: str, following: str) -> None:
    """The last time that was due, and the next."""
    found, now = calendar.parse(text), datetime.fromisoformat(moment).replace(tzinfo=UTC)

    assert (f"{found.latest(now):%Y-%m-%d %H:%M}", f"{found.next(now):%Y-%m-%d %H:%M}") == (latest, following)


def test_another_zone_is_the_same_moment() -> None:
    """A moment given by Tokyo's clock is looked at in UTC."""
    found = calendar.parse("17 2 * * *")

    assert found.latest(MONDAY.astimezone(ZoneInfo("Asia/Tokyo"))) == MONDAY


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("17 2 * *", "4 fields"),
        ("61 2 * * *", "minute"),
        ("17 24 * * *", "hour"),
        ("17 2 0 * *", "day of month"),
        ("17 2 * 13 *", "month"),
        ("17 2 * * fry", "day of week"),
        ("17 2 * * 5-1", "names nothing"),
        ("*/0 2 * * *", "names nothing"),
        ("1, 2 * * *", "minute"),
        ("@daily", "1 fields"),
        ("17 2 13 * fri", "narrows"),
        ("17 2 31 feb *", "no day that there ever is"),
        ("١ 2 * * *", "minute"),
    ],
)
def test_what_is_wrong_is_named(text: str, word: str) -> None:
    """Each mistake names its field."""
    with pytest.raises(SetupError, match=word):
        calendar.parse(text)


@pytest.mark.parametrize(
    ("given_by", "text"),
    [
        ({}, "17 2 * * *"),
        ({"at": "3:05"}, "5 3 * * *"),
        ({"every": "6h", "at": "01:30"}, "30 1,7,13,19 * * *"),
        ({"every": "30m", "at": "00:10"}, "10,40 * * * *"),
        ({"every": "1w"}, "17 2 * * mon"),
        ({"every": "1w", "on": "Sat", "at": "04:00"}, "0 4 * * sat"),
        ({"on": "mon-fri"}, "17 2 * * mon-fri"),
        ({"cron": "1 2 3 * *"}, "1 2 3 * *"),
        ({"every": "60m", "at": "00:05"}, "5 * * * *"),
    ],
)
def test_periods_become_fields(given_by: dict[str, str], text: str) -> None:
    """What a user says by period, time and days is the same as these fields."""
    assert calendar.chosen(**given_by).text == text


@pytest.mark.parametrize(
    "given_by",
    [{"every": "7h"}, {"every": "0m"}, {"every": "2d"}, {"at": "25:00"}, {"cron": "1 2 * * *", "at": "1:00"}],
)
def test_periods_that_do_not_come_round_are_refused(given_by: dict[str, str]) -> None:
    """A period that drifts through the day, or two ways to say one thing."""
    with pytest.raises(SetupError):
        calendar.chosen(**given_by)


def _field(least: int, greatest: int) -> st.SearchStrategy[str]:
    values = st.lists(st.integers(least, greatest), min_size=1, max_size=3).map(lambda v: ",".join(map(str, v)))
    steps = st.integers(1, greatest).map(lambda step: f"*/{step}")
    return st.one_of(st.just("*"), values, steps)


@given(
    st.tuples(_field(0, 59), _field(0, 23), st.just("*"), _field(1, 12), _field(0, 7)).map(" ".join),
    st.integers(0, 7 * 366 * 86400).map(lambda seconds: MONDAY + timedelta(seconds=seconds)),
)
def test_due_times_follow_each_other(text: str, moment: datetime) -> None:
    """No due time lies between the last and the next, and each is a due time itself."""
    found = calendar.parse(text)
    last, following = found.latest(moment), found.next(moment)

    assert last <= moment < following
    assert (found.latest(last), found.next(last)) == (last, following)
    assert found.latest(following - timedelta(seconds=1)) == last


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
@pytest.mark.parametrize(
    "text", ["17 2 * * *", "*/15 8-9 * * mon-fri", "0 12 29 2 *", "5 4 1,15 jan-mar *", "0 0 * * 0"]
)
def test_systemd_means_the_same(text: str) -> None:
    """`systemd-analyze calendar` says the same next times as we do."""
    found, now = calendar.parse(text), datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    said = run(
        ["systemd-analyze", "calendar", "--iterations=3", "--base-time=2026-11-21 12:00:00 UTC", found.on_calendar()],
        env={"TZ": "UTC", "LANG": "C"},
    ).stdout

    for _ in range(3):
        now = found.next(now)
        assert f"{now:%Y-%m-%d %H:%M}:00 UTC" in said
