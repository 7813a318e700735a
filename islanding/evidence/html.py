"""The report as one HTML file that asks nothing of any other address: no script, no font, no image from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from islanding.errors import SetupError
from islanding.evidence import timeline, topology
from islanding.evidence.clean import clean, clip
from islanding.evidence.record import Case, Message, RunResult, SiteRecord
from islanding.evidence.results import counts, not_covered, slowest
from islanding.model import Verdict
from islanding.paths import content_dir

TARGETS = {
    "lab": (
        "Lab",
        "Real parts on one Linux machine, with AWS itself emulated: this says nothing about a live account.",
    ),
    "aws": ("AWS", "Evidence from a live AWS account."),
}
SIGNS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✕",
    Verdict.INCONCLUSIVE: "?",
    Verdict.SKIPPED: "–",
    Verdict.NOT_COVERED: "○",
}
_MOST_MESSAGES = 12  # of one case: the report shows wordings, the journal keeps all


def render_html(result: RunResult) -> str:
    """The whole report as text; raises SetupError when the project's templates are not where they must be."""
    folder = content_dir("reports") / "templates"
    if not (folder / "report.html.j2").is_file():
        raise SetupError(f"{folder}: holds no report.html.j2", "Install the project again, or restore the folder.")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"seconds": seconds, "clip": clip, "css": _verdict_class, "joined": joined, "clock": clock}
    label, sentence = TARGETS.get(result.target, (result.target or "unknown target", "The journal names no target."))
    page: str = environment.get_template("report.html.j2").render(
        result=result,
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - ours, and no text of a run
        target_label=label,
        target_sentence=sentence,
        signs=SIGNS,
        counts=counts(result),
        covered=[row for row in result.rows if row.verdict is not Verdict.NOT_COVERED],
        uncovered=[row for row in result.rows if row.verdict is Verdict.NOT_COVERED],
        uncovered_ranges=not_covered(result),
        slowest=slowest(result),
        pairs=pairs,
        topology=lambda site: topology.draw(site.topology, site.name),
        topology_text=lambda site: topology.describe(site.topology),
        timeline=timeline.draw,
        anchor=anchor,
        slug=slug,
        shown_messages=shown_messages,
        waits_of=waits_of,
        relative=lambda case, t: "" if t is None else f"{t - case.zero:+.1f} s",
        most_rows=40,
    )
    return page


def write_html(result: RunResult, path: Path) -> Path:
    """Write the report to `path`, whole or not at all, and return it."""
    temporary = path.with_suffix(".part")
    temporary.write_text(render_html(result), encoding="utf-8")
    temporary.replace(path)
    return path


def seconds(value: float | None) -> str:
    """A duration as people say it: `0.42 s`, `16.2 s`, `2 min 23 s`."""
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def clock(wall: str) -> str:
    """A wall-clock time of the journal to the second, in UTC; a text that is no time stays as it is."""
    try:
        return datetime.fromisoformat(wall).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return wall


def joined(value: Any) -> str:
    """A list as words, with commas."""
    return ", ".join(map(str, value))


def pairs(value: Any) -> list[tuple[str, str]]:
    """What is told of parts or host, in whatever shape, as names and values to print."""
    if isinstance(value, dict):
        return [(str(key), _flat(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        named = [item for item in value if isinstance(item, dict) and "name" in item]
        rest = [("", _flat(item)) for item in value if item not in named]
        return [(str(i["name"]), _flat({k: v for k, v in i.items() if k != "name"})) for i in named] + rest
    return [("", str(value))] if value else []


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    return joined(value) if isinstance(value, list) else str(value)


def anchor(case: Case, site: SiteRecord) -> str:
    """The case's place in the page; two runs of one case have two places."""
    number = next(n for n, other in enumerate(site.cases) if other is case)
    return f"{slug(f'{site.name}-{case.id}')}-{number}"


def slug(text: str) -> str:
    """`text` as the name of a place in the page."""
    return "".join(char if char.isalnum() else "-" for char in text)


def shown_messages(case: Case) -> tuple[list[Message], int]:
    """The messages to show, those of things that did not work first, and how many wordings are left out."""
    rank = {"unknown": 0, "bad": 0, "good": 1}
    ordered = sorted(case.messages, key=lambda m: (rank[m.state], m.first))
    return ordered[:_MOST_MESSAGES], max(0, len(ordered) - _MOST_MESSAGES)


def waits_of(site: SiteRecord, most: int = 12) -> list[tuple[str, bool, int, float]]:
    """What was waited for: name, whether it was physics, how often and how many seconds in all; longest first."""
    found: dict[tuple[str, bool], list[float]] = {}
    for wait in site.waits:
        found.setdefault((wait.what, wait.physics), []).append(wait.seconds)
    rows = [(what, physics, len(times), sum(times)) for (what, physics), times in found.items()]
    return sorted(rows, key=lambda row: -row[3])[:most]


def _verdict_class(verdict: Verdict) -> str:
    return verdict.value.replace(" ", "-")


def _shown(value: Any) -> Any:
    """What a template prints: texts are made harmless here, once for all of them, and escaped after that."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return clean(value)
