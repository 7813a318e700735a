"""Writes what is derived from a run's journal into its folder: report.html and junit.xml; can be done again later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from islanding.errors import SetupError
from islanding.evidence.html import write_html
from islanding.evidence.junit import write_junit
from islanding.evidence.record import RunResult
from islanding.evidence.results import JOURNAL, load_result


@dataclass(frozen=True)
class Reports:
    """The result of a run and the files made from it."""

    result: RunResult
    html: Path
    junit: Path


def write_reports(folder: Path, *, closing: bool = False) -> Reports:
    """Make both files from the journal in `folder`; `closing` as for `load_result`.

    Raises SetupError when the folder holds no journal, or cannot be written to (disk full, no permission).
    """
    result = load_result(folder, closing=closing)
    home = result.folder or folder
    try:
        html = write_html(result, home / "report.html")
        junit = write_junit(result, home / "junit.xml")
    except OSError as error:
        raise SetupError(
            f"{home}: the report cannot be written: {error.strerror}",
            f"The journal is kept; free the disk, then run `islanding report {home}`.",
        ) from error
    return Reports(result, html, junit)


def latest_run(folder: Path) -> Path:
    """The newest run below `folder`, by the time at which its journal was last written to.

    Raises SetupError when there is none.
    """
    journals = list(folder.glob(f"*/{JOURNAL}")) if folder.is_dir() else []
    if not journals:
        raise SetupError(f"{folder}: holds no run", "Name the folder of a run, or make one: `islanding run`.")
    return max(journals, key=lambda journal: journal.stat().st_mtime).parent
