"""Where things live on this machine: cache (parts, machine image), state (labs, undo log) and runs."""

from __future__ import annotations

import os
from pathlib import Path

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


def content_dir(kind: str) -> Path:
    """The folder of a content kind (one of CONTENT): the checkout's, else the wheel's."""
    checkout = Path(__file__).resolve().parent.parent / kind
    return checkout if checkout.is_dir() else Path(__file__).resolve().parent / "content" / kind
