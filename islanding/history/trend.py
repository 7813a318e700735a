"""The trend page: how requirement rows, sites and figures went from run to run, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from islanding.errors import SetupError
from islanding.evidence.clean import clean
from islanding.evidence.requirements import load_requirements
from islanding.evidence.wording import ENGLISH
from islanding.history import charts
from islanding.history.database import Database
from islanding.history.queries import Listed
from islanding.history.record import Series
from islanding.paths import content_dir

DURATION = "duration"  # of a case: there are many, so they stand folded below the measured figures


@dataclass
class Trend:
    """What the page shows: runs from old to new; of each row, site and series a value for each run, or None."""

    runs: list[Listed]
    site: str
    sites: dict[str, list[str | None]] = field(default_factory=dict)
    rows: dict[str, list[str | None]] = field(default_factory=dict)
    figures: dict[Series, list[float | None]] = field(default_factory=dict)


def gather(database: Database, runs: Sequence[Listed], site: str = "") -> Trend:
    """The trend over `runs` (newest first, as they are listed); with `site`, of that site's figures alone."""
    trend = Trend(list(reversed(runs)), site)
    count = len(trend.runs)
    with database.reading() as connection:
        for number, run in enumerate(trend.runs):
            key = (run.run, run.journal_sha256)
            (run_id,) = connection.execute("SELECT id FROM runs WHERE run = ? AND journal_sha256 = ?", key).fetchone()
            for name, verdict in run.sites:
                if site in {"", name}:
                    trend.sites.setdefault(name, [None] * count)[number] = verdict
            for row, verdict in connection.execute("SELECT row, verdict FROM requirements WHERE run_id = ?", (run_id,)):
                trend.rows.setdefault(row, [None] * count)[number] = verdict
            for at, case, name, unit, value in connection.execute(
                "SELECT s.site, s.case_name, s.name, s.unit, f.value FROM figures f JOIN series s ON s.id = f.series_id"
                " WHERE f.run_id = ?",
                (run_id,),
            ):
                if site in {"", at}:
                    trend.figures.setdefault(Series(at, case, name, unit), [None] * count)[number] = value
    return trend


def render(trend: Trend) -> str:
    """The page; raises SetupError when the project's templates are not where they must be."""
    folder = content_dir("reports") / "templates"
    if not (folder / "trend.html.j2").is_file():
        raise SetupError(f"{folder}: holds no trend.html.j2", "Install the project again, or restore the folder.")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters |= {"seconds": ENGLISH.seconds, "clock": ENGLISH.clock}
    titles = {requirement.id: requirement.text for requirement in load_requirements()}
    names = [f"{run.run}, {ENGLISH.clock(run.started)}" for run in trend.runs]
    order = sorted(trend.figures, key=lambda series: (series.site, series.case, series.name))
    measured = [series for series in order if not (series.case and series.name == DURATION)]
    page: str = environment.get_template("trend.html.j2").render(
        style=Markup((folder / "trend.css").read_text(encoding="utf-8")),  # noqa: S704 - ours, and no text of a run
        trend=trend,
        titles=titles,
        measured=measured,
        durations=[series for series in order if series not in set(measured)],
        strip=lambda name, verdicts: charts.strip(name, verdicts, names),
        chart=lambda series: charts.line(series, trend.figures[series], names),
        heading=lambda series: " · ".join(part for part in (series.site, series.name) if part),
        said=charts.tally,
    )
    return page
