"""The report as one HTML file that asks nothing of any other address: no script, no font, no image from outside.

A pure function: the same result, earlier run, controls and language give the same page, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from islanding.errors import SetupError
from islanding.evidence import charts, timeline, topology
from islanding.evidence.clean import clean, clip
from islanding.evidence.controls import Controls
from islanding.evidence.overview import areas, beside_the_table, control_tables, deciding, open_rows
from islanding.evidence.record import RunResult
from islanding.evidence.results import counts, not_covered, slowest
from islanding.evidence.shown import anchors, pairs, short_revision, shown_messages, verdict_class
from islanding.evidence.since import since
from islanding.evidence.wording import LANGUAGES, Language, language
from islanding.model import Verdict
from islanding.paths import content_dir

_STYLES = ("report.css", "drawing.css", "print.css")


def render_html(
    result: RunResult,
    *,
    previous: RunResult | None = None,
    controls: Controls | None = None,
    lang: str = "en",
    paper: bool = False,
) -> str:
    """The whole report as text.

    `previous` is the earlier run that "since last time" means, `controls` the mapping of rows to controls, `lang` one
    of LANGUAGES; `paper` leaves out what only a narrow screen needs. Raises SetupError when the project's templates or
    catalogues are not where they must be.
    """
    folder = content_dir("reports") / "templates"
    if not (folder / "report.html.j2").is_file():
        raise SetupError(f"{folder}: holds no report.html.j2", "Install the project again, or restore the folder.")
    words = language(lang)
    environment = _environment(folder, words)
    style = "\n".join((folder / name).read_text(encoding="utf-8") for name in _STYLES)
    places = anchors(result)
    page: str = environment.get_template("report.html.j2").render(
        result=result,
        style=Markup(style),  # noqa: S704 - ours, and no text of a run
        lang=lang,
        languages=LANGUAGES,
        target=words.target(result.target),
        signs=charts.SIGNS,
        counts=counts(result),
        passed=Verdict.PASS,
        fail=Verdict.FAIL,
        no_verdict=(Verdict.INCONCLUSIVE, Verdict.SKIPPED),
        known_rows={row.requirement.id for row in result.rows},
        areas=areas(result),
        covered=[row for row in result.rows if row.verdict is not Verdict.NOT_COVERED],
        uncovered=[row for row in result.rows if row.verdict is Verdict.NOT_COVERED],
        uncovered_ranges=not_covered(result),
        open_rows=open_rows(result),
        beside_the_table=beside_the_table(result),
        deciding=deciding,
        since=None if previous is None else since(result, previous),
        control_tables=control_tables(result, controls),
        slowest=slowest(result),
        pairs=pairs,
        coverage=lambda: charts.coverage(areas(result), words, paper=paper),
        time_spent=lambda sites: charts.time_spent(sites, words, paper=paper),
        topology=lambda site: topology.draw(site.topology, site.name, words, paper=paper),
        timeline=lambda case: timeline.draw(case, words, paper=paper),
        anchor=lambda case: places[id(case)],
        shown_messages=shown_messages,
        relative=lambda case, t: "" if t is None else words.offset(t - case.zero),
        most_rows=40,
        paper=paper,
    )
    return page


def _environment(folder: Path, words: Language) -> Environment:
    def shown(value: Any) -> Any:
        """What a template prints: texts are made harmless here, once for all of them, and escaped after that."""
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        return clean(words.say(value))

    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # set by the extension: values go to gettext
    environment.globals |= _texts(words, shown)
    environment.filters |= {
        "seconds": words.seconds,
        "number": words.number,
        "clock": words.clock,
        "joined": words.joined,
        "word": words.verdict,
        "row_text": words.requirement,
        "clip": clip,
        "short": short_revision,
        "css": verdict_class,
    }
    return environment


def _texts(words: Language, shown: Callable[[Any], Any]) -> dict[str, Any]:
    """What the templates call for each of their texts: the text is ours, the values in it may be anybody's."""

    def gettext(text: str, **values: Any) -> Markup:
        return _filled(words.template(text), values)

    def ngettext(one: str, many: str, number: int, **values: Any) -> Markup:
        return _filled(words.templates(one, many, number), {**values, "num": words.number(number)})

    def _filled(text: str, values: dict[str, Any]) -> Markup:
        return Markup(text) % {name: shown(value) for name, value in values.items()}  # noqa: S704 - of our catalogue

    return {"gettext": gettext, "ngettext": ngettext, "_": gettext}
