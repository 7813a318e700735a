"""A run records itself at its end; whatever is wrong with the history, the run's verdict stays what it is."""

from __future__ import annotations

from islanding.evidence.record import RunResult
from islanding.evidence.results import JOURNAL
from islanding.history.database import Database
from islanding.history.record import record_of
from islanding.history.store import add


def remember(result: RunResult) -> str:
    """Record the run that `result` was read from; returns a warning to show, empty when it was recorded."""
    if result.folder is None:
        return "the run was not recorded in the history: it has no folder"
    journal = result.folder / JOURNAL
    try:
        with Database() as database:
            add(database, record_of(result, journal), journal)
    except Exception as error:  # a boundary: the journal is the evidence, the history can be made again from it
        return (
            f"the run was not recorded in the history: {error}\n"
            f"  The run itself is whole. Later: islanding history import {result.folder}"
        )
    return ""
