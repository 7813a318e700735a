"""What `guardrails:` of a site.yaml may say: where, when, how much and by whose leave faults may touch a site.

What is not said is closed or narrow: only the account and Region that the site itself names, only resources that bear
the tag `islanding:faults=allowed`, and no more of them at once than a small site has.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from islanding import yamldoc
from islanding.confmodel import Conf, pattern
from islanding.yamldoc import Document, Mistake

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Time: TypeAlias = Annotated[str, pattern(r"([01]\d|2[0-3]):[0-5]\d", 'a time of day in quotes such as "09:00"')]
Account: TypeAlias = Annotated[str, pattern(r"\d{12}", "an account id: 12 digits in quotes")]
RegionName: TypeAlias = Annotated[str, pattern(r"[a-z]{2}(-[a-z]+)+-\d", "a Region's name such as ap-northeast-1")]
# Kinds of probe that say by one look whether a site is well.
StopProbe = Literal["", "bgp", "dns", "http", "kubectl", "node", "service-link", "tcp"]
KEY_TYPE = "ssh-ed25519"


def _zone(value: Any) -> str:
    try:
        if isinstance(value, str) and value:
            return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise PydanticCustomError("zone", "{given} is no time zone such as Europe/Berlin", {"given": yamldoc.shown(value)})


def _public_key(value: Any) -> str:
    """An Ed25519 key as OpenSSH writes it; the comment after it is left out (RFC 8709, section 4)."""
    words = value.split() if isinstance(value, str) else []
    try:
        raw = base64.b64decode(words[1], validate=True) if words[:1] == [KEY_TYPE] and len(words) > 1 else b""
    except binascii.Error:
        raw = b""
    head = struct.pack(">I", len(KEY_TYPE)) + KEY_TYPE.encode() + struct.pack(">I", 32)
    if raw.startswith(head) and len(raw) == len(head) + 32:
        return f"{KEY_TYPE} {words[1]}"
    what = "{given} is no Ed25519 public key: the line of a file such as id_ed25519.pub"
    raise PydanticCustomError("key", what, {"given": yamldoc.shown(value)})


class Hours(Conf):
    """When faults may be applied: from `from` until before `to`, on these days, by the clocks of a time zone."""

    days: Annotated[tuple[Day, ...], Field(min_length=1, strict=False)] = ("mon", "tue", "wed", "thu", "fri")
    start: Annotated[Time, Field(alias="from")]
    end: Annotated[Time, Field(alias="to")]
    zone: Annotated[str, BeforeValidator(_zone)]


class Production(Conf):
    """What marks a site as production: a fault then needs the confirmation of one of these people, by their keys."""

    confirmers: Annotated[dict[str, Annotated[str, BeforeValidator(_public_key)]], Field(min_length=1)]


class Stop(Conf):
    """A condition under which no fault is applied, and a fault that is held is healed at once.

    Either a CloudWatch `alarm` that is in the state ALARM, or a `probe` of the site (its parameters in `with`) whose
    outcome is among `outcome` (none: any that is not good) for `seconds` without a break.
    """

    alarm: str = ""
    probe: StopProbe = ""
    parameters: Annotated[dict[str, Any], Field(alias="with", default_factory=dict)]
    outcome: Annotated[tuple[str, ...], Field(strict=False)] = ()
    seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 0.0
    interval: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 1.0

    @property
    def name(self) -> str:
        """What the condition is called in messages."""
        return f"alarm {self.alarm}" if self.alarm else f"probe {self.probe}"


class Guardrails(Conf):
    """The limits within which faults may touch a site.

    `accounts` and `regions`: none means the site's own alone. `resources` and `nodes`: at most so many at once.
    `hours`, `production` and `stop` bind only where they are given.
    """

    accounts: Annotated[tuple[Account, ...], Field(strict=False)] = ()
    regions: Annotated[tuple[RegionName, ...], Field(strict=False)] = ()
    resources: Annotated[int, Field(ge=1, le=1000)] = 12
    nodes: Annotated[int, Field(ge=0, le=1000)] = 12
    hours: Hours | None = None
    production: Production | None = None
    stop: Annotated[tuple[Stop, ...], Field(strict=False)] = ()


def mistakes(document: Document) -> Iterator[Mistake]:
    """Every breach of the rules that concern several values of `guardrails`."""
    start, end = document.at("guardrails", "hours", "from"), document.at("guardrails", "hours", "to")
    if isinstance(start, str) and isinstance(end, str) and not start < end:
        what = f"{end!r} must be later than guardrails.hours.from {start!r}: a window ends on the day it begins"
        yield document.mistake(("guardrails", "hours", "to"), what)
    listed = document.at("guardrails", "stop")
    for number, stop in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(stop, dict):
            yield from _of_stop(document, number, stop)
    for key in ("accounts", "regions"):
        given = document.at("guardrails", key)
        own = document.at("region", "account" if key == "accounts" else "name")
        if isinstance(given, list) and given and isinstance(own, str) and own not in given:
            what = f"does not allow {own}, which this site is in: no fault could be applied"
            yield document.mistake(("guardrails", key), what)


def _of_stop(document: Document, number: int, stop: dict[str, Any]) -> Iterator[Mistake]:
    loc = ("guardrails", "stop", number)
    if bool(stop.get("alarm")) == bool(stop.get("probe")):
        yield document.mistake(loc, "a stop condition has either an alarm or a probe")
    elif stop.get("alarm"):
        for key in sorted({"with", "outcome", "seconds"} & set(stop)):
            yield document.mistake((*loc, key), "belongs to a probe; an alarm says itself when it is in ALARM")
