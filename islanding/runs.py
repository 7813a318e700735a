"""Where a run keeps its record: the folder and journal given by whoever started it, or new ones."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from islanding.errors import SetupError

JOURNAL = "journal.jsonl"
VARIABLE = "ISLANDING_JOURNAL"


def journal_path(folder: str | Path | None = None) -> Path:
    """The journal to write to: in `folder`, else $ISLANDING_JOURNAL, else in a new folder `runs/TIME`.

    The folder is made when it is missing; raises SetupError when that is not possible.
    """
    given = os.environ.get(VARIABLE)
    if folder is not None:
        path = Path(folder) / JOURNAL
    elif given:
        path = Path(given)
    else:
        path = Path("runs") / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}-{os.getpid()}" / JOURNAL
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"cannot make the run's folder {path.parent}: {error.strerror}") from error
    return path.absolute()
