"""What an endpoint's, bucket's or repository's policy says of one request. Pure and total: unreadable means no.

Source: "Policy evaluation logic" and "IAM JSON policy elements reference", IAM user guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from islanding.lab.region import conditions
from islanding.lab.region.conditions import Context, Unreadable, expand, like


class Effect(Enum):
    """What a policy comes to; NEUTRAL: no statement speaks of the request."""

    ALLOW = "Allow"
    DENY = "Deny"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Caller:
    """Who asks, as policies name him: ARN of the session or user, account, and the role's ARN of a session."""

    arn: str
    account: str
    role_arn: str = ""


@dataclass(frozen=True)
class Asked:
    """What is judged: action (`s3:GetObject`), resource ARN or `*`, caller (None: anonymous), condition keys."""

    action: str
    resource: str
    caller: Caller | None = None
    context: Context = field(default_factory=dict)


def judge(document: str, asked: Asked, *, attached: bool = False, identity: bool = False) -> Effect:
    """What `document` (JSON) says of `asked`; a deny goes before an allow.

    `attached`: it is the policy of the one resource that is asked for, and need not name it (ECR's repositories).
    `identity`: it is the caller's own, and names no principal. What cannot be read allows nothing: a statement of that
    kind denies when it is there to deny.
    """
    found = Effect.NEUTRAL
    for statement in _statements(document):
        if statement is None:
            return Effect.DENY
        effect = statement.get("Effect")
        try:
            speaks = _speaks(statement, asked, attached, identity)
        except Unreadable:
            speaks = effect != Effect.ALLOW.value
        if speaks and effect != Effect.ALLOW.value:
            return Effect.DENY
        if speaks:
            found = Effect.ALLOW
    return found


@lru_cache(maxsize=256)
def _statements(document: str) -> tuple[Mapping[str, Any] | None, ...]:
    """The statements; None stands for what is none."""
    try:
        parsed = json.loads(document)
        statements = _items(parsed["Statement"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return (None,)
    return tuple(s if isinstance(s, Mapping) else None for s in statements)


def _speaks(statement: Mapping[str, Any], asked: Asked, attached: bool, identity: bool) -> bool:
    unsaid = attached and not {"Resource", "NotResource"} & statement.keys()
    return (
        (identity or _either(statement, "Principal", "NotPrincipal", lambda given: _names(given, asked.caller)))
        and _either(statement, "Action", "NotAction", lambda given: _acts(given, asked.action))
        and (unsaid or _either(statement, "Resource", "NotResource", lambda given: _covers(given, asked)))
        and conditions.holds(statement.get("Condition", {}), asked.context)
    )


def _either(statement: Mapping[str, Any], name: str, negated: str, matches: Any) -> bool:
    if name in statement:
        return bool(matches(statement[name]))
    if negated in statement:
        return not matches(statement[negated])
    raise Unreadable(f"a statement without {name}")


def _names(given: Any, caller: Caller | None) -> bool:
    """Whether a Principal element names the caller; `*` names everybody, also the anonymous."""
    if given == "*":
        return True
    if not isinstance(given, Mapping):
        raise Unreadable("Principal is no object")
    named = [str(item) for item in _items(given.get("AWS", []))]
    if "*" in named:
        return True
    if caller is None:
        return False
    account = (caller.account, f"arn:aws:iam::{caller.account}:root")
    return any(item in (*account, caller.arn) or (item == caller.role_arn and item) for item in named)


def _acts(given: Any, action: str) -> bool:
    return any(like(action, str(item).replace("\\", "\\\\"), ignore_case=True) for item in _items(given))


def _covers(given: Any, asked: Asked) -> bool:
    for item in _items(given):
        try:
            pattern = expand(str(item), asked.context)
        except LookupError:
            continue
        if like(asked.resource, pattern):
            return True
    return False


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
