"""The timeline of a case as a drawing: a lane for each watch, the fault as a band, seconds since the cut below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from islanding.evidence.clean import clean
from islanding.evidence.record import Case, State, Stretch, Watch
from islanding.evidence.samples import clipped
from islanding.evidence.svg import CHARACTER, cells_of, drawing, group, shorten, tag, words
from islanding.evidence.wording import ENGLISH, Language

MAX_CELLS = 300  # more stretches than this in a lane are drawn by pixel column
_MIN_CELL = 2.0  # pixels: the shortest outage must be seen
_LABELLED = 11.0  # pixels: from here on a cell has a label, or its sign
_TOLD = 8  # stretches of a lane that are told in words: all are in the table below
_CAPITAL = 8.0  # pixels: width of a bold capital of 10.5 px, on the wide side
_ORDER: tuple[State, ...] = ("good", "unknown", "bad")  # what is drawn last is on top
_SIGN: dict[State, str] = {"good": "", "bad": "✕", "unknown": "?"}


@dataclass(frozen=True)
class Cell:
    """A coloured part of a lane, in pixels from the lane's left end."""

    x: float
    width: float
    outcome: str
    state: State


@dataclass(frozen=True)
class _Shape:
    class_: str
    width: float
    left: float  # where lanes begin
    label_above: bool


_WIDE = _Shape("timeline wide", 1040, 250, label_above=False)
_PAPER = _Shape("timeline wide", 720, 180, label_above=False)  # so that letters can be read on A4
_NARROW = _Shape("timeline narrow", 350, 2, label_above=True)


def span(case: Case) -> tuple[float, float]:
    """Start and end of what the timeline shows: all samples and fault windows, else the case."""
    points = [point for w in case.watches.values() for s in w.stretches for point in (s.start, s.end)]
    points += [p for f in case.faults.values() for p in (f.applied, f.undone) if p is not None]
    start, end = min(points, default=case.started), max(points, default=case.ended)
    return start, max(end, start + 0.1)


def cells(stretches: Sequence[Stretch], start: float, end: float, width: float) -> list[Cell]:
    """The cells of a lane, bad ones last, so that none is hidden; at most about two per pixel, however many samples.

    Above MAX_CELLS stretches, a cell covers the pixel columns in which its outcome was seen: nothing seen is lost,
    only its exact length, which the table beside the drawing gives.
    """
    scale = width / (end - start)
    stretches = clipped(stretches)
    if len(stretches) <= MAX_CELLS:
        found = [
            Cell((s.start - start) * scale, max(_MIN_CELL, (s.end - s.start) * scale), s.outcome, s.state)
            for s in stretches
        ]
    else:
        columns: dict[tuple[str, State], set[int]] = {}
        for s in stretches:
            first, last = math.floor((s.start - start) * scale), math.ceil((s.end - start) * scale)
            columns.setdefault((s.outcome, s.state), set()).update(range(first, max(last, first + 2)))
        found = [Cell(x, w, *key) for key, seen in columns.items() for x, w in _joined(seen)]
    fitted = [Cell(min(c.x, width - _MIN_CELL), min(c.width, width - c.x), c.outcome, c.state) for c in found]
    fitted = [Cell(c.x, max(_MIN_CELL, c.width), c.outcome, c.state) for c in fitted]
    return sorted(fitted, key=lambda cell: (_ORDER.index(cell.state), cell.x))


def _joined(columns: set[int]) -> list[tuple[float, float]]:
    joined: list[list[int]] = []
    for column in sorted(columns):
        if joined and column == joined[-1][1]:
            joined[-1][1] += 1
        else:
            joined.append([column, column + 1])
    return [(float(first), float(last - first)) for first, last in joined]


def ticks(start: float, end: float, most: int) -> list[float]:
    """Round seconds between `start` and `end`, `most` at the most, zero among them if it lies between."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
    length = end - start
    step = next((s for s in steps if length / s <= most), length / most)
    first = math.ceil(start / step - 1e-9)
    return [n * step for n in range(first, math.floor(end / step + 1e-9) + 1)]


def draw(case: Case, language: Language = ENGLISH, *, paper: bool = False) -> Markup:
    """The timeline of a case for wide and narrow pages, or for `paper`; empty when nothing was watched or cut."""
    if not case.has_fault and not any(watch.stretches for watch in case.watches.values()):
        return Markup("")
    if paper:
        return _draw(case, _PAPER, language)
    return _draw(case, _WIDE, language) + _draw(case, _NARROW, language)


def _draw(case: Case, shape: _Shape, language: Language) -> Markup:
    start, end = span(case)
    width = shape.width - shape.left - 8
    scale = width / (end - start)
    lanes, y = _lanes(case, shape, width, language)
    marks: list[Markup] = []
    for second in ticks(start - case.zero, end - case.zero, 12 if not shape.label_above else 6):
        x = shape.left + (second + case.zero - start) * scale
        marks.append(tag("line", x1=x, x2=x, y1=_top(case), y2=y + 4.0, class_="tick zero" if second == 0 else "tick"))
        anchor = "end" if x > shape.width - 24 else "start" if x < 14 else "middle"
        marks.append(words(x, y + 17, f"{second:+g} s" if second else "0 s", "axis", anchor))
    title = language.gettext("Timeline of %(case)s at %(site)s", case=case.id, site=case.site)
    pieces = [*_bands(case, shape, scale, y, language), group(marks, "ticks"), *lanes]
    return drawing(pieces, shape.width, y + 24, shape.class_, title, describe(case, language))


def _top(case: Case) -> float:
    return 6.0 + 20.0 * sum(fault.applied is not None for fault in case.faults.values())


def _bands(case: Case, shape: _Shape, scale: float, bottom: float, language: Language) -> list[Markup]:
    pieces = []
    start, end = span(case)
    applied = [(f.applied, f) for f in case.faults.values() if f.applied is not None]
    for number, (on, fault) in enumerate(sorted(applied, key=lambda pair: pair[0])):
        off = end if fault.undone is None else fault.undone
        x, width = shape.left + (on - start) * scale, max(_MIN_CELL, (off - on) * scale)
        y = 2.0 + 20.0 * number
        label = f"{fault.name} {language.number(off - on, 1)} s"
        label += "" if fault.undone is not None else f" ({language.gettext('not undone')})"
        pieces.append(tag("rect", x=x, y=y, width=width, height=bottom - y, class_="cut"))
        pieces.append(tag("rect", tag("title", clean(label)), x=x, y=y, width=width, height=16, class_="band"))
        if cells_of(label) * CHARACTER + 8 <= width:
            pieces.append(words(x + 6, y + 12, label, "band-label"))
        elif x + width / 2 > shape.width / 2:
            pieces.append(words(x - 5, y + 12, shorten(label, x), "band-label out", "end"))
        else:
            pieces.append(words(x + width + 5, y + 12, shorten(label, shape.width - x - width), "band-label out"))
    return pieces


def _lanes(case: Case, shape: _Shape, width: float, language: Language) -> tuple[list[Markup], float]:
    start, end = span(case)
    y, height = _top(case) + 4.0, 22.0
    lanes = []
    for watch in case.watches.values():
        if shape.label_above:
            lanes.append(words(shape.left, y + 11, shorten(watch.name, shape.width - 8, 6.8), "lane"))
            y += 16
        else:
            lanes.append(words(shape.left - 10, y + 15, shorten(watch.name, shape.left - 12, 6.8), "lane", "end"))
        pieces = [tag("rect", x=shape.left, y=y, width=width, height=height, class_="track")]
        pieces += _cells(cells(watch.stretches, start, end, width), shape.left, y, height)
        if not watch.stretches:
            pieces.append(words(shape.left + 6, y + 15, language.gettext("no sample"), "cell-label none"))
        lanes.append(group(pieces, "lane-cells"))
        y += height + 8
    return lanes, y


def _cells(drawn: Sequence[Cell], left: float, y: float, height: float) -> list[Markup]:
    """The cells of a lane; small ones of one outcome are one shape, as there may be hundreds of them."""
    pieces: list[Markup] = []
    for state in _ORDER:
        small: dict[str, list[Cell]] = {}
        for cell in drawn:
            if cell.state == state and cell.width < _LABELLED:
                small.setdefault(cell.outcome, []).append(cell)
        for outcome, together in small.items():
            line = "".join(f"M{left + c.x:.5g} {y:.4g}h{c.width:.3g}v{height:g}h-{c.width:.3g}z" for c in together)
            pieces.append(tag("path", tag("title", clean(outcome)), d=line, class_=f"cell {state}"))
        pieces += [_cell(c, left, y, height) for c in drawn if c.state == state and c.width >= _LABELLED]
    return pieces


def _cell(cell: Cell, left: float, y: float, height: float) -> Markup:
    label = cell.outcome if len(cell.outcome) * _CAPITAL + 8 <= cell.width else _SIGN[cell.state]
    x, name = left + cell.x, tag("title", clean(cell.outcome))
    rect = tag("rect", name, x=x, y=y, width=cell.width, height=height, class_=f"cell {cell.state}")
    if not label:
        return rect
    return rect + words(x + cell.width / 2, y + 15, label, f"cell-label {cell.state}", "middle")


def describe(case: Case, language: Language = ENGLISH) -> str:
    """The timeline in words: each fault's window, then each lane's outcomes with their seconds."""
    parts = []
    for fault in case.faults.values():
        if fault.applied is None:
            continue
        values = {"fault": fault.name, "on": language.offset(fault.applied - case.zero)}
        if fault.undone is None:
            parts.append(language.gettext("Fault %(fault)s applied at %(on)s, not undone.", **values))
        else:
            values["off"] = language.offset(fault.undone - case.zero)
            parts.append(language.gettext("Fault %(fault)s applied at %(on)s, undone at %(off)s.", **values))
    parts += [f"{watch.name}: {_in_words(watch, case.zero, language)}." for watch in case.watches.values()]
    return " ".join(parts)


def _in_words(watch: Watch, zero: float, language: Language) -> str:
    if not watch.stretches:
        return language.gettext("no sample")
    said = [
        language.gettext(
            "%(outcome)s from %(start)s to %(end)s",
            outcome=s.outcome,
            start=language.offset(s.start - zero),
            end=language.offset(s.end - zero),
        )
        for s in watch.stretches[:_TOLD]
    ]
    more = len(watch.stretches) - len(said)
    if more:
        said.append(language.ngettext("and %(num)s more change", "and %(num)s more changes", more))
    return language.joined(said)
