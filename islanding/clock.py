"""What this computer's clock is set by, and how far it may be off: evidence states times, so it states this too.

Asked are the kernel (adjtimex(2)) and whoever keeps the time: chronyd or systemd-timesyncd. What nobody can tell is
`unknown` or None, never a guess.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from islanding.process import Result
from islanding.process import run as run_command

UNKNOWN = "unknown"
_UNSYNCHRONISED = 0x0040  # STA_UNSYNC of adjtimex(2): nobody disciplines the clock
_NANOSECONDS = 0x2000  # STA_NANO: `offset` is in nanoseconds, otherwise in microseconds


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` (adjtimex(2)); the rest is room that the kernel may write to."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


@dataclass(frozen=True)
class Clock:
    """What is known of the clock: who keeps it, by whom that one is told, and seconds that it may be off.

    `offset_seconds` is the correction still to be made, `error_seconds` the kernel's bound of the error; both None when
    nobody disciplines the clock, for then the kernel's numbers say nothing.
    """

    keeper: str = UNKNOWN
    source: str = UNKNOWN
    synchronised: bool | None = None
    offset_seconds: float | None = None
    error_seconds: float | None = None

    def data(self) -> dict[str, Any]:
        """The same as a journal's entry holds it."""
        return asdict(self)


def look() -> Clock:
    """The clock of this computer, now."""
    return read(run_command, asked_kernel())


def read(ask: Callable[..., Result], said: tuple[int, int, int] | None) -> Clock:
    """The clock as `ask`, which runs a command, and the kernel (status, offset, largest error) tell of it."""
    keeper, source = _keeper(ask)
    if said is None:
        return Clock(keeper, source)
    status, offset, largest = said
    if status & _UNSYNCHRONISED:
        return Clock(keeper, source, synchronised=False)
    unit = 1e-9 if status & _NANOSECONDS else 1e-6
    return Clock(keeper, source, True, round(offset * unit, 9), round(largest * 1e-6, 6))


def _keeper(ask: Callable[..., Result]) -> tuple[str, str]:
    chrony = ask(["chronyc", "-c", "tracking"], check=False, timeout=5.0)
    fields = chrony.stdout.strip().split(",")  # reference id, its name or address, stratum, …
    if chrony.ok and len(fields) > 2:
        return "chronyd", fields[1] or UNKNOWN
    timesyncd = ask(
        ["timedatectl", "show-timesync", "--property=ServerName", "--property=ServerAddress"], check=False, timeout=5.0
    )
    told = dict(line.partition("=")[::2] for line in timesyncd.stdout.splitlines() if "=" in line)
    if timesyncd.ok and any(told.values()):
        return "systemd-timesyncd", told.get("ServerName") or told["ServerAddress"]
    return UNKNOWN, UNKNOWN


def asked_kernel() -> tuple[int, int, int] | None:
    """Status, offset and largest error by adjtimex(2), nothing changed; None where there is no such call."""
    try:
        timex = _Timex()
        done = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    return None if done < 0 else (timex.status, timex.offset, timex.maxerror)
