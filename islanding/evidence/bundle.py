"""Writes what is derived from a run's journal into its folder, by one table of writers; can be done again later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from islanding.errors import SetupError
from islanding.evidence.allure import render_allure
from islanding.evidence.controls import load_controls
from islanding.evidence.html import render_html
from islanding.evidence.junit import render_junit
from islanding.evidence.openmetrics import render_metrics
from islanding.evidence.oscal import FILE as OSCAL
from islanding.evidence.oscal import render_oscal
from islanding.evidence.record import RunResult
from islanding.evidence.resultjson import render_json
from islanding.evidence.results import JOURNAL, load_result
from islanding.evidence.sarif import render_sarif

Writer = Callable[[RunResult], str | bytes]

HTML = "report.html"
JUNIT = "junit.xml"


def _page(result: RunResult) -> str:
    return render_html(result, controls=load_controls())


# Name in the run's folder and in the bundle, and what makes it. A writer is pure: the same journal gives the same
# bytes, on any day and any machine (its times are the journal's, never now).
WRITERS: tuple[tuple[str, Writer], ...] = (
    (HTML, _page),
    (JUNIT, render_junit),
    (OSCAL, render_oscal),
    ("metrics.prom", render_metrics),
    ("result.json", render_json),
    ("findings.sarif", render_sarif),
    ("allure-results.zip", render_allure),
)


@dataclass(frozen=True)
class Reports:
    """The result of a run and the files made from it, in the order of WRITERS."""

    result: RunResult
    files: tuple[Path, ...]

    @property
    def html(self) -> Path:
        return next(path for path in self.files if path.name == HTML)

    @property
    def junit(self) -> Path:
        return next(path for path in self.files if path.name == JUNIT)


def render_reports(result: RunResult) -> dict[str, bytes]:
    """Each derived file's bytes by its name, in the order of WRITERS; nothing is written."""
    made = ((name, writer(result)) for name, writer in WRITERS)
    return {name: text.encode() if isinstance(text, str) else text for name, text in made}


def write_reports(folder: Path, *, closing: bool = False) -> Reports:
    """Make every file of WRITERS from the journal in `folder`, each whole or not at all; `closing`: see `load_result`.

    Raises SetupError when the folder holds no journal, or cannot be written to (disk full, no permission).
    """
    result = load_result(folder, closing=closing)
    home = result.folder or folder
    try:
        files = tuple(_write(home / name, data) for name, data in render_reports(result).items())
    except OSError as error:
        raise SetupError(
            f"{home}: the report cannot be written: {error.strerror}",
            f"The journal is kept; free the disk, then run `islanding report {home}`.",
        ) from error
    return Reports(result, files)


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    temporary.replace(path)
    return path


def latest_run(folder: Path) -> Path:
    """The newest run below `folder`, by the time at which its journal was last written to.

    Raises SetupError when there is none.
    """
    journals = list(folder.glob(f"*/{JOURNAL}")) if folder.is_dir() else []
    if not journals:
        raise SetupError(f"{folder}: holds no run", "Name the folder of a run, or make one: `islanding run`.")
    return max(journals, key=lambda journal: journal.stat().st_mtime).parent
