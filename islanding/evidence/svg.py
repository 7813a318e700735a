"""The few words of SVG that the report's drawings need, escaped as they are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from markupsafe import Markup, escape

from islanding.evidence.clean import clean

CHARACTER = 6.4  # width of a character of the drawings' 11 px sans-serif, on the wide side


def tag(name: str, *content: str | Markup, **attributes: str | float | None) -> Markup:
    """One element; `class_` and `stroke_width` become `class` and `stroke-width`; None leaves an attribute out."""
    given = [(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None]
    opening = " ".join([name, *(f'{key}="{_value(value)}"' for key, value in given)])
    inner = "".join(escape(piece) for piece in content)
    return Markup(f"<{opening}>{inner}</{name}>")  # noqa: S704 - each piece was escaped above


def words(x: float, y: float, text: str, class_: str, anchor: str = "start") -> Markup:
    """A line of text."""
    return tag("text", clean(text), x=x, y=y, class_=class_, text_anchor=anchor)


def group(pieces: Iterable[Markup], class_: str) -> Markup:
    """Elements drawn as one, in their order."""
    return tag("g", Markup("").join(pieces), class_=class_)


def drawing(pieces: Iterable[Markup], width: float, height: float, class_: str, title: str, text: str) -> Markup:
    """A whole drawing with a title and a text that says the same to those who do not see it."""
    head = (tag("title", clean(title)), tag("desc", clean(text)))
    return tag(
        "svg",
        *head,
        *pieces,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=clean(title),
        class_=class_,
    )


def cells_of(text: str) -> int:
    """How many characters' widths `text` takes: East Asian wide ones take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def shorten(text: str, width: float, character: float = CHARACTER) -> str:
    """`text`, cut with an ellipsis so that it fits `width` pixels; empty when nothing fits."""
    room = int(width / character)
    if cells_of(text) <= room:
        return text
    if room < 4:
        return ""
    kept = text[:room]
    while cells_of(kept) > room - 1:
        kept = kept[:-1]
    return kept + "…"


def _value(value: str | float) -> Markup:
    return escape(f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value)
