"""The site as a drawing: its figures on their grid, its wires, and the names of the BGP sessions that run over them."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

from markupsafe import Markup

from islanding.evidence.svg import drawing, group, tag, words
from islanding.evidence.wording import ENGLISH, Language
from islanding.model import Figure, Topology, Wire

_LINE = 13.0  # pixels from one line of a label to the next
_CHARACTER = 7.5  # width of a character of a label, on the wide side
_APART = 14.0  # between two wires that join the same boxes
_NEAR = 0.6  # grid steps: figures closer than this in one direction stand in each other's way in the other


@dataclass(frozen=True)
class Box:
    """Where a figure stands: centre, width and height in pixels, and its label's lines."""

    figure: Figure
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A drawing's boxes and size in pixels."""

    boxes: dict[str, Box]
    width: float
    height: float


def layout(topology: Topology, *, most: float, wraps: tuple[int, ...] = (20, 14, 11)) -> Layout:
    """Boxes for all figures so that none overlap, not wider than `most` pixels if that can be.

    Labels are broken at fewer and fewer characters first; then rows and columns change places.
    """
    plans = [_place(topology, wrap, turned=turned) for turned in (False, True) for wrap in wraps]
    return next((plan for plan in plans if plan.width <= most), min(plans, key=lambda plan: plan.width))


def _place(topology: Topology, wrap: int, *, turned: bool) -> Layout:
    figures = topology.figures
    at = {f.name: (f.y, f.x) if turned else (f.x, f.y) for f in figures}
    lines = {f.name: _lines(f.label or f.name, wrap) for f in figures}
    width = {name: max(len(line) for line in own) * _CHARACTER + 20 for name, own in lines.items()}
    height = {name: len(own) * _LINE + 17 + 8 for name, own in lines.items()}
    said = {frozenset((w.a, w.b)): w for w in topology.wires}
    step_x, step_y = 40.0, 40.0
    for i, a in enumerate(figures):
        for b in figures[i + 1 :]:
            dx, dy = abs(at[a.name][0] - at[b.name][0]), abs(at[a.name][1] - at[b.name][1])
            wire = said.get(frozenset((a.name, b.name)))
            if dy < _NEAR and dx > 0:
                room = max((len(line) for line in _caption(wire)), default=0) * 5.6 + 14 if wire else 14.0
                step_x = max(step_x, ((width[a.name] + width[b.name]) / 2 + room) / dx)
            if dx < _NEAR and dy > 0:
                room = 24.0 + 12 * len(_caption(wire)) if wire else 18.0
                step_y = max(step_y, ((height[a.name] + height[b.name]) / 2 + room) / dy)
    boxes = {
        f.name: Box(f, at[f.name][0] * step_x, at[f.name][1] * step_y, width[f.name], height[f.name], lines[f.name])
        for f in figures
    }
    left = min(b.x - b.width / 2 for b in boxes.values()) - 4
    top = min(b.y - b.height / 2 for b in boxes.values()) - 4
    moved = {n: Box(b.figure, b.x - left, b.y - top, b.width, b.height, b.lines) for n, b in boxes.items()}
    wide = max(b.x + b.width / 2 for b in moved.values()) + 4
    return Layout(moved, wide, max(b.y + b.height / 2 for b in moved.values()) + 4)


def _lines(label: str, wrap: int) -> tuple[str, ...]:
    """The label's lines: broken at spaces, at hyphens only where a word is too long for a line (`ap-northeast-1`)."""
    whole = textwrap.wrap(label, wrap, break_long_words=False, break_on_hyphens=False)
    return tuple(whole if all(len(line) <= wrap for line in whole) else textwrap.wrap(label, wrap)) or (label,)


def _caption(wire: Wire | None) -> list[str]:
    if wire is None:
        return []
    session = wire.session.replace("-", " ")
    return [text for text in (session, wire.label if wire.label not in (wire.session, session) else "") if text]


def draw(topology: Topology, site: str, language: Language = ENGLISH, *, paper: bool = False) -> Markup:
    """The topology for wide and for narrow pages (`paper` is wide); empty when the site has none."""
    if not topology.figures:
        return Markup("")
    wide = _draw(topology, layout(topology, most=1080), "topology wide", site, language)
    return wide if paper else wide + _draw(topology, layout(topology, most=340), "topology narrow", site, language)


def _draw(topology: Topology, plan: Layout, class_: str, site: str, language: Language) -> Markup:
    wires, captions = [], []
    for wire in topology.wires:
        a, b = plan.boxes.get(wire.a), plan.boxes.get(wire.b)
        if a is None or b is None:
            continue
        aside_x, aside_y = _aside(topology, wire, a, b)
        ends = {"x1": a.x + aside_x, "y1": a.y + aside_y, "x2": b.x + aside_x, "y2": b.y + aside_y}
        wires.append(tag("line", **ends, class_="wire session" if wire.session else "wire"))
        lines = _caption(wire)
        x, y = _middle(a, b)
        x, y = x + aside_x, y + aside_y
        for number, line in enumerate(lines):
            # On a level wire captions stand on it, or hang below it when another wire runs above.
            above = 13.0 + 12 * number if aside_y > 0 else -6.0 - 12 * (len(lines) - 1 - number)
            across = 4 + 12 * (number - len(lines) / 2 + 0.5)
            class_name = "caption session" if number == 0 and wire.session else "caption"
            captions.append(words(x, y + (above if abs(a.y - b.y) < 1 else across), line, class_name, "middle"))
    kinds = kind_words(language)
    boxes = [_box(box, kinds) for box in plan.boxes.values()]
    pieces = [group(wires, "wires"), *boxes, group(captions, "captions")]
    title = language.gettext("Topology of %(site)s", site=site)
    return drawing(pieces, plan.width, plan.height, class_, title, describe(topology, language))


def _aside(topology: Topology, wire: Wire, a: Box, b: Box) -> tuple[float, float]:
    """How far a wire is moved across its direction, so that several between the same two boxes are told apart."""
    together = [w for w in topology.wires if {w.a, w.b} == {wire.a, wire.b}]
    shift = (together.index(wire) - (len(together) - 1) / 2) * _APART
    length = math.hypot(b.x - a.x, b.y - a.y) or 1.0
    return -(b.y - a.y) / length * shift, (b.x - a.x) / length * shift


def _middle(a: Box, b: Box) -> tuple[float, float]:
    """The middle of the part of the wire that is not behind its boxes."""

    def edge(box: Box, other: Box) -> tuple[float, float]:
        dx, dy = other.x - box.x, other.y - box.y
        share = min(box.width / 2 / abs(dx) if dx else 1.0, box.height / 2 / abs(dy) if dy else 1.0, 1.0)
        return box.x + dx * share, box.y + dy * share

    (x1, y1), (x2, y2) = edge(a, b), edge(b, a)
    return (x1 + x2) / 2, (y1 + y2) / 2


def kind_words(language: Language) -> dict[str, str]:
    """The word for each kind of figure."""
    return {
        "region": language.gettext("Region"),
        "router": language.gettext("router"),
        "outpost": language.gettext("Outpost"),
        "machine": language.gettext("machine"),
        "desk": language.gettext("desk"),
        "service": language.gettext("service"),
    }


def _box(box: Box, kinds: dict[str, str]) -> Markup:
    x, y = box.x - box.width / 2, box.y - box.height / 2
    kind = box.figure.kind
    radius = {"region": 16.0, "service": box.height / 2, "router": 10.0, "desk": 2.0}.get(kind, 5.0)
    pieces = [tag("rect", x=x, y=y, width=box.width, height=box.height, rx=radius, class_="box")]
    pieces.append(words(box.x, y + 15, kinds.get(kind, kind).upper(), "kind", "middle"))
    pieces += [words(box.x, y + 17 + _LINE * (n + 1) - 1, line, "name", "middle") for n, line in enumerate(box.lines)]
    return group(pieces, f"figure {kind}")


def describe(topology: Topology, language: Language = ENGLISH) -> str:
    """The drawing in words: the figures, then which are joined and by which session."""
    labels = {figure.name: figure.label or figure.name for figure in topology.figures}
    wires = []
    for wire in topology.wires:
        ends = {"a": labels.get(wire.a, wire.a), "b": labels.get(wire.b, wire.b)}
        said = ", ".join(_caption(wire))
        wires.append(language.gettext("%(a)s to %(b)s", **ends) + (f" ({said})" if said else ""))
    return language.gettext(
        "Figures: %(figures)s. Wires: %(wires)s.",
        figures=language.joined(labels.values()),
        wires="; ".join(wires) or language.gettext("none"),
    )
