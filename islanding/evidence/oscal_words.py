"""The few words of OSCAL that every part of a document is made of: identifiers, times, texts, properties.

The forms are those of OSCAL's data types, https://pages.nist.gov/OSCAL/reference/datatypes/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import NAMESPACE_URL, UUID, uuid5

from islanding.evidence.clean import clean

Node: TypeAlias = dict[str, Any]

# The name space of our properties and identifiers: a name, not an address.
NAMESPACE = "urn:islanding:oscal"
_UUIDS = uuid5(NAMESPACE_URL, NAMESPACE)
_MARKUP = re.compile(r"[\\`*\[\]<>&]")  # what Markdown or HTML would act on
_NOT_TOKEN = re.compile(r"[^\w.-]")


class Names:
    """The identifiers of one document: the same things of the same run have the same ones in every copy."""

    def __init__(self, *run: str) -> None:
        self._run: UUID = uuid5(_UUIDS, json.dumps(run))

    def uuid(self, *what: str) -> str:
        """The identifier of a thing that these words name within the run (RFC 9562, version 5)."""
        return str(uuid5(self._run, json.dumps(what)))


def line(text: str) -> str:
    """A text as OSCAL's `string`: one line, no space at its ends, never empty."""
    return " ".join(clean(text).split()) or "-"


def markup(text: str) -> str:
    """A text of unknown origin as OSCAL's `markup`: shown as it is, whatever a reader's Markdown would make of it."""
    return _MARKUP.sub(lambda found: "\\" + found[0], clean(text).strip()) or "-"


def markup_line(text: str) -> str:
    """The same as `markup` in one line, as titles are."""
    return markup(line(text))


def token(text: str) -> str:
    """A text as OSCAL's `token`: letters, digits, full stop, hyphen, underscore; begins with a letter or underscore."""
    made = _NOT_TOKEN.sub("_", line(text))
    return made if made[0].isalpha() or made[0] == "_" else f"_{made}"


def moment(wall: str, plus: float = 0.0) -> datetime | None:
    """The time that a journal's `wall` says, `plus` seconds later; None when it says none with a time zone."""
    try:
        at = datetime.fromisoformat(wall)
        return (at + timedelta(seconds=plus)).astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def stamp(at: datetime) -> str:
    """A time as OSCAL's `dateTime-with-timezone`: UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def prop(name: str, value: str, class_: str = "") -> Node:
    """A property in our name space."""
    found = {"name": name, "ns": NAMESPACE, "value": line(value)}
    return {**found, "class": token(class_)} if class_ else found


def props(pairs: Iterable[tuple[str, str]]) -> list[Node]:
    """The properties that have a value."""
    return [prop(name, value) for name, value in pairs if value]


def filled(node: Node) -> Node:
    """The node without its empty lists and texts, which OSCAL does not allow."""
    return {key: value for key, value in node.items() if value not in ("", [], {}, None)}
