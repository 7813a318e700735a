"""What a policy document says about one request: endpoint and bucket policies judged over what is known of the request.

Pure and total: a document that cannot be read, a condition operator or a key that is not known here gives UNKNOWN and
never a guess. Semantics: IAM user guide, "Policy evaluation logic", "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any


class Decision(Enum):
    """What one document comes to; NEUTRAL: no statement speaks of the request, which is an implicit deny."""

    ALLOW = "allow"
    DENY = "deny"
    NEUTRAL = "neutral"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Asked:
    """A request: action (`s3:GetObject`), resource ARN, principal ARN (empty: not known) and condition keys' values."""

    action: str
    resource: str
    principal: str = ""
    account: str = ""  # the principal's
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """A decision and the statement (its Sid or number) and reason that led to it."""

    decision: Decision
    statement: str = ""
    reason: str = ""


def judge(document: str | Mapping[str, Any], asked: Asked) -> Judgement:
    """What `document` (JSON or parsed) says of `asked`: a deny wins over an allow."""
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
        statements = list(enumerate(_items(parsed["Statement"])))
    except (ValueError, KeyError, TypeError):
        return Judgement(Decision.UNKNOWN, reason="the policy document cannot be read")
    found: dict[tuple[str, bool | None], Judgement] = {}  # the first statement of each effect and certainty
    for number, statement in statements:
        if not isinstance(statement, Mapping):
            return Judgement(Decision.UNKNOWN, f"statement {number + 1}", "it cannot be read")
        name = str(statement.get("Sid") or f"statement {number + 1}")
        applies, reason = _applies(statement, asked)
        found.setdefault((str(statement.get("Effect")), applies), Judgement(Decision.UNKNOWN, name, reason))
    for effect, certain, decision, said in (
        ("Deny", True, Decision.DENY, "denies it"),
        ("Deny", None, Decision.UNKNOWN, ""),
        ("Allow", True, Decision.ALLOW, "allows it"),
        ("Allow", None, Decision.UNKNOWN, ""),
    ):
        if (effect, certain) in found:
            first = found[effect, certain]
            return Judgement(decision, first.statement, said or first.reason)
    return Judgement(Decision.NEUTRAL, reason=f"no statement allows {asked.action} on {asked.resource}")


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _applies(statement: Mapping[str, Any], asked: Asked) -> tuple[bool | None, str]:
    """Whether a statement speaks of the request; None with the reason when that cannot be known."""
    parts = (_principal(statement, asked), _action(statement, asked), _resource(statement, asked))
    if False in parts:
        return False, ""
    conditions = _conditions(statement.get("Condition"), asked)
    if conditions[0] is False:
        return False, conditions[1]
    if None in parts:
        return None, "it names principals, and who asks is not known"
    return conditions


def _principal(statement: Mapping[str, Any], asked: Asked) -> bool | None:
    if "NotPrincipal" in statement:
        return None
    named = statement.get("Principal", "*")  # endpoint policies of old consoles may lack it
    values = _items(named.get("AWS", []) if isinstance(named, Mapping) else named)
    if not values:
        return False  # services or federated users only
    if "*" in values:
        return True
    account = {asked.account, f"arn:aws:iam::{asked.account}:root"}
    if asked.account and account & set(map(str, values)):
        return True
    if not asked.principal:
        return None
    return any(_like(str(value), asked.principal) for value in values)


def _action(statement: Mapping[str, Any], asked: Asked) -> bool:
    def among(key: str) -> bool:
        return any(_like(str(v).lower(), asked.action.lower()) for v in _items(statement[key]))

    if "NotAction" in statement:
        return not among("NotAction")
    return "Action" in statement and among("Action")


def _resource(statement: Mapping[str, Any], asked: Asked) -> bool:
    def among(key: str) -> bool:
        return any(_like(str(v), asked.resource) for v in _items(statement[key]))

    if "NotResource" in statement:
        return not among("NotResource")
    return "Resource" in statement and among("Resource")


def _like(pattern: str, value: str) -> bool:
    """IAM's wildcards: `*` and `?`, and nothing else is special."""
    return fnmatchcase(value, re.sub(r"([\[\]])", lambda m: f"[{m[1]}]", pattern))


def _conditions(block: Any, asked: Asked) -> tuple[bool | None, str]:
    if not block:
        return True, ""
    unknown = ""
    for operator, key, wanted in _condition_lines(block):
        holds = _condition(operator, key, wanted, asked)
        if holds is False:
            return False, f"its condition {operator} {key} does not hold"
        if holds is None:
            unknown = unknown or f"its condition {operator} {key} cannot be judged from here"
    return (None, unknown) if unknown else (True, "")


def _condition_lines(block: Any) -> Iterator[tuple[str, str, list[str]]]:
    if not isinstance(block, Mapping):
        yield "?", "?", []
        return
    for operator, lines in block.items():
        for key, wanted in lines.items() if isinstance(lines, Mapping) else [("?", [])]:
            yield str(operator), str(key), [str(item) for item in _items(wanted)]


def _condition(operator: str, key: str, wanted: list[str], asked: Asked) -> bool | None:
    known = {name.lower(): value for name, value in asked.context.items()}
    value = known.get(key.lower())
    base = operator.removesuffix("IfExists")
    if base.startswith(("ForAnyValue:", "ForAllValues:")):
        return None
    if value is None:
        return None  # not known here is not the same as absent from the request
    test = _TESTS.get(base.removeprefix("Not") if base == "NotIpAddress" else base.replace("Not", "", 1))
    if test is None:
        return None
    holds = [test(item, value) for item in wanted]
    if None in holds:
        return None
    return not any(holds) if "Not" in base else any(holds)


def _equal(wanted: str, value: str) -> bool:
    return wanted == value


def _equal_ignoring_case(wanted: str, value: str) -> bool:
    return wanted.lower() == value.lower()


def _in_network(wanted: str, value: str) -> bool | None:
    try:
        return ip_address(value) in ip_network(wanted, strict=False)
    except ValueError:
        return None


_TESTS: dict[str, Callable[[str, str], bool | None]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_ignoring_case,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": _equal_ignoring_case,
    "IpAddress": _in_network,
}
