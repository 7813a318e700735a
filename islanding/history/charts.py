"""The trend page's drawings: a strip of verdicts and a line of figures, each with a text that says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from islanding.evidence.clean import clean
from islanding.evidence.svg import drawing, group, tag, words
from islanding.history.noise import CUTOFF, ENOUGH
from islanding.history.record import Series

_CELL, _GAP, _HIGH = 10.0, 1.0, 20.0
# Height of a verdict's bar as a share of the strip's: told apart without colours.
_HEIGHTS = {"pass": 0.35, "skipped": 0.5, "inconclusive": 0.75, "fail": 1.0}
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 340.0, 112.0, 8.0, 16.0, 18.0
NOT_RUN = "not run"


def strip(name: str, verdicts: Sequence[str | None], runs: Sequence[str]) -> Markup:
    """One bar a run, from old to new; the higher, the worse. A run without a verdict has a dot."""
    cells = []
    for number, (verdict, run) in enumerate(zip(verdicts, runs, strict=True)):
        share = _HEIGHTS.get(verdict or "", 0.08)
        title = tag("title", clean(f"{run}: {verdict or NOT_RUN}"))
        high = _HIGH * share
        x = number * _CELL
        cells.append(tag("rect", title, x=x, y=_HIGH - high, width=_CELL - _GAP, height=high, class_=verdict or "none"))
    return drawing(cells, len(verdicts) * _CELL, _HIGH, "strip", name, f"{name}: {tally(verdicts)}.")


def tally(verdicts: Sequence[str | None]) -> str:
    """The verdicts in words: how many of each, and for how many runs the last one has stood."""
    told = [verdict for verdict in verdicts if verdict]
    if not told:
        return NOT_RUN
    same = next((n for n, verdict in enumerate(reversed(told)) if verdict != told[-1]), len(told))
    counts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(told).most_common())
    return f"{counts}; last {told[-1]}" + (f", for {same} runs" if same > 1 else "")


def odd(values: Sequence[float | None]) -> set[int]:
    """Which values lie outside the noise of all: modified z-scores above CUTOFF (see `noise`); none of a few values."""
    known = [value for value in values if value is not None]
    if len(known) < ENOUGH:
        return set()
    middle = median(known)
    spread = 1.4826 * median(abs(value - middle) for value in known)
    limit = max(CUTOFF * spread, 0.05 * abs(middle))
    return {n for n, value in enumerate(values) if value is not None and abs(value - middle) > limit}


def line(series: Series, values: Sequence[float | None], runs: Sequence[str]) -> Markup:
    """The values from old to new as a line with a point a run; odd ones are ringed, a run without a value has none."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    step = (_WIDTH - 2 * _LEFT) / max(len(values) - 1, 1)
    strange = odd(values)
    corners, points = [], []
    for number, value in enumerate(values):
        if value is None:
            continue
        share = (value - low) / (high - low) if high > low else 0.5
        x, y = _LEFT + number * step, _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)
        corners.append(f"{x:.1f},{y:.1f}")
        title = tag("title", clean(f"{runs[number]}: {_told(value, series.unit)}"))
        radius, kind = (4.5, "odd") if number in strange else (2.0, "point")
        points.append(tag("circle", title, cx=x, cy=y, r=radius, class_=kind))
    path = tag("polyline", points=" ".join(corners), class_="line")
    labels = [
        words(_LEFT, 11, f"most {_told(high, series.unit)}", "label"),
        words(_LEFT, _HEIGHT - 4, f"least {_told(low, series.unit)}", "label"),
        words(_WIDTH - _LEFT, _HEIGHT - 4, f"last {_told(known[-1], series.unit)}", "label last", "end"),
    ]
    name = ", ".join(part for part in (series.site, series.case, series.name) if part)
    said = {word: _told(value, series.unit) for word, value in (("from", low), ("to", high), ("median", median(known)))}
    ends = f"first {_told(known[0], series.unit)}, last {_told(known[-1], series.unit)}"
    text = (
        f"{len(known)} of {len(values)} runs: {ends}"
        + "".join(f", {word} {value}" for word, value in said.items())
        + "."
    )
    if strange:
        rings = (f"{runs[n]} ({_told(values[n] or 0.0, series.unit)})" for n in sorted(strange))
        text += f" Outside the noise: {'; '.join(rings)}."
    return drawing([path, group(points, "points"), *labels], _WIDTH, _HEIGHT, "chart", name, text)


def _told(value: float, unit: str) -> str:
    return f"{value:.4g} {unit}".strip()
