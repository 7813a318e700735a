"""Replies in XML taken apart and put together again, in the one namespace that they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element, ParseError, fromstring, tostring

from islanding.lab.region.http import Response

_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def parse(response: Response) -> Element | None:
    """The root of a reply's body; None when it is not XML."""
    if response.stream is not None or not response.body.lstrip().startswith(b"<"):
        return None
    try:
        return fromstring(response.body)  # noqa: S314 - written by this process
    except ParseError:
        return None


def written(response: Response, root: Element) -> Response:
    """The reply with another body."""
    space = root.tag[1:].partition("}")[0] if root.tag.startswith("{") else None
    try:
        text = tostring(root, encoding="utf-8", default_namespace=space)
    except ValueError:  # something inside has no namespace: prefixes are as good
        text = tostring(root, encoding="utf-8")
    body = text if text.startswith(b"<?xml") else _HEAD + text
    return replace(response, body=body, length=None)


def plain(element: Element) -> str:
    """An element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def child(element: Element, name: str) -> Element | None:
    """The first child of that name."""
    return next((one for one in element if plain(one) == name), None)


def text(element: Element, name: str) -> str:
    """The text of a child; empty when there is none."""
    found = child(element, name)
    return (found.text or "").strip() if found is not None else ""


def put(element: Element, name: str, value: str) -> None:
    """Set the text of a child, which is made when there is none."""
    found = child(element, name)
    if found is None:
        space, brace, _ = str(element.tag).rpartition("}")
        found = Element(f"{space}{brace}{name}")
        element.append(found)
    found.text = value


def lists(root: Element) -> Iterator[Element]:
    """Every element whose children are the items of a list."""
    for element in root.iter():
        if len(element) and plain(element[0]) in ("item", "member"):
            yield element
