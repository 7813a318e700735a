"""Where things live on this machine: cache (parts, machine image), state (labs, undo log), data (history)."""

from __future__ import annotations

import os
from pathlib import Path

CAPTURES = "captures"  # the folder of a run in which its captures of packets lie
CONTENT = ("suites", "experiments", "fixtures", "reports")


def cache_dir() -> Path:
    """The user's cache folder for parts and the machine image: $ISLANDING_CACHE, else the XDG cache folder."""
    override = os.environ.get("ISLANDING_CACHE")
    if override:
        return Path(override).absolute()
    return (Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "islanding").absolute()


def state_dir() -> Path:
    """The user's state folder for labs and the undo log: $ISLANDING_STATE, else the XDG state folder."""
    override = os.environ.get("ISLANDING_STATE")
    if override:
        return Path(override).absolute()
    return (Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "islanding").absolute()


def history_file() -> Path:
    """The history of runs: the file $ISLANDING_HISTORY, else `history.sqlite` in the XDG data folder.

    It is data, not state: it says what was shown, and outlives every lab.
    """
    override = os.environ.get("ISLANDING_HISTORY")
    if override:
        return Path(override).absolute()
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return (home / "islanding" / "history.sqlite").absolute()


def content_dir(kind: str) -> Path:
    """The folder of a content kind (one of CONTENT): the checkout's, else the wheel's."""
    checkout = Path(__file__).resolve().parent.parent / kind
    return checkout if checkout.is_dir() else Path(__file__).resolve().parent / "content" / kind
