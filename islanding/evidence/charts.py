"""Bars of the report as drawings: requirements by area and verdict, seconds by site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from islanding.evidence.overview import ORDER, Area
from islanding.evidence.record import SiteRecord
from islanding.evidence.shown import verdict_class
from islanding.evidence.svg import CHARACTER, cells_of, drawing, shorten, tag, words
from islanding.evidence.wording import Language
from islanding.model import Verdict

SIGNS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✕",
    Verdict.INCONCLUSIVE: "?",
    Verdict.SKIPPED: "–",
    Verdict.NOT_COVERED: "○",
}
_WIDE, _NARROW = 620.0, 340.0  # pixels
_BAR, _ROW = 18.0, 46.0


@dataclass(frozen=True)
class Piece:
    """A part of a bar: its share in the bar's unit, its class, what is written on it, what it means in words."""

    value: float
    class_: str
    label: str
    text: str


@dataclass(frozen=True)
class Bar:
    """A bar under its name, with a figure at the right end of the name's line."""

    name: str
    figure: str
    pieces: tuple[Piece, ...]

    @property
    def total(self) -> float:
        return sum(piece.value for piece in self.pieces)


def bars(rows: Sequence[Bar], title: str, *, paper: bool = False) -> Markup:
    """The bars below each other, on one scale, for wide pages and narrow ones (`paper`: narrow); empty without rows."""
    if not rows:
        return Markup("")
    told = " ".join(f"{row.name}: {row.figure}; {', '.join(p.text for p in row.pieces if p.value)}." for row in rows)
    narrow = _draw(rows, _NARROW, "bars narrow", title, told)
    return narrow if paper else _draw(rows, _WIDE, "bars wide", title, told) + narrow


def _draw(rows: Sequence[Bar], width: float, class_: str, title: str, told: str) -> Markup:
    longest = max(row.total for row in rows) or 1.0
    drawn: list[Markup] = []
    for number, row in enumerate(rows):
        y = number * _ROW
        room = width - cells_of(row.figure) * CHARACTER * 1.15 - 16
        drawn.append(words(1, y + 14, shorten(row.name, room, CHARACTER * 1.1), "bar-name"))
        drawn.append(words(width - 1, y + 14, row.figure, "bar-figure", "end"))
        x = 1.0
        for piece in row.pieces:
            long = piece.value / longest * (width - 2)
            if long <= 0:
                continue
            name = tag("title", piece.text)
            drawn.append(tag("rect", name, x=x, y=y + 20, width=long, height=_BAR, class_=f"bar {piece.class_}"))
            if cells_of(piece.label) * 7.0 + 6 <= long:
                drawn.append(words(x + long / 2, y + 33.5, piece.label, f"bar-label {piece.class_}", "middle"))
            x += long
    return drawing(drawn, width, len(rows) * _ROW, class_, title, told)


def coverage(areas: Sequence[Area], language: Language, *, paper: bool = False) -> Markup:
    """A bar for each area: how many of its requirements were proven, failed, stayed open, were not covered."""
    rows = [
        Bar(
            f"{area.letter} · {language.requirement(area.title)}",
            language.gettext(
                "%(proven)s of %(total)s proven",
                proven=language.number(area.proven),
                total=language.number(area.total),
            ),
            tuple(
                Piece(
                    area.counts[verdict] / (area.total or 1),
                    verdict_class(verdict),
                    f"{SIGNS[verdict]} {area.counts[verdict]}",
                    f"{language.number(area.counts[verdict])} {language.verdict(verdict)}",
                )
                for verdict in ORDER
            ),
        )
        for area in areas
    ]
    return bars(rows, language.gettext("Requirements by area and verdict"), paper=paper)


def time_spent(sites: Sequence[SiteRecord], language: Language, *, paper: bool = False) -> Markup:
    """A bar for each site: the system's own time, and ours."""
    rows = []
    for site in sites:
        physics = Piece(
            site.physics,
            "physics",
            language.seconds(site.physics),
            language.gettext("physics %(time)s", time=language.seconds(site.physics)),
        )
        ours = Piece(
            site.ours,
            "ours",
            language.seconds(site.ours),
            language.gettext("us %(time)s", time=language.seconds(site.ours)),
        )
        rows.append(Bar(site.name, language.seconds(site.total), (physics, ours)))
    return bars(rows, language.gettext("Where the time went"), paper=paper)
