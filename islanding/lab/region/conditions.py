"""Condition operators of IAM policies: whether the keys of a request satisfy a statement's `Condition`. Pure and total.

Source: "IAM JSON policy elements: Condition operators" and "… Multivalued context keys", IAM user guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

Context = Mapping[str, tuple[str, ...]]  # values by condition key, the key in lower case; an absent key has no value

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NEGATED = re.compile(r"^(String|Numeric|Date|Arn)Not|^NotIpAddress")
Matcher = Callable[[str, str], bool]  # (value of the request, value of the policy)


class Unreadable(ValueError):
    """A policy says something that cannot be evaluated."""


def expand(text: str, context: Context) -> str:
    """A policy's text with its variables replaced, in the notation of `like`; raises LookupError for an unknown one.

    `${aws:username, 'nobody'}` has a default. What a variable stands for is taken literally, as are `${*}`, `${?}` and
    `${$}` (IAM user guide, "Policy variables").
    """

    def value(match: re.Match[str]) -> str:
        inner = match[1]
        if inner in ("*", "?", "$"):
            return f"\\{inner}"
        name, _, default = inner.partition(",")
        found = context.get(name.strip().lower(), ())
        if len(found) != 1 and not default:
            raise LookupError(name)
        literal = found[0] if len(found) == 1 else default.strip().strip("'")
        return re.sub(r"([*?\\])", r"\\\1", literal)

    parts = re.split(r"(\$\{[^}]*\})", text)
    return "".join(_VARIABLE.sub(value, p) if p.startswith("${") else p.replace("\\", "\\\\") for p in parts)


def plain(text: str) -> str:
    """Expanded text without the marks that keep wildcards literal."""
    return re.sub(r"\\(.)", r"\1", text)


@lru_cache(maxsize=4096)
def _pattern(text: str, ignore_case: bool) -> re.Pattern[str]:
    pieces = re.findall(r"\\.|[*?]|[^\\*?]+|\\", text, re.DOTALL)
    body = "".join(
        {"*": ".*", "?": "."}.get(p) or re.escape(p[1:] if len(p) == 2 and p[0] == "\\" else p) for p in pieces
    )
    return re.compile(body, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def like(value: str, pattern: str, *, ignore_case: bool = False) -> bool:
    """Whether a value fits a pattern in which `*` stands for any text and `?` for one character; `\\*` is literal."""
    return _pattern(pattern, ignore_case).fullmatch(value) is not None


def arn_like(value: str, pattern: str) -> bool:
    """Whether an ARN fits a pattern, each of its six parts by itself."""
    ours, theirs = value.split(":", 5), pattern.split(":", 5)
    return len(ours) == 6 == len(theirs) and all(like(a, b) for a, b in zip(ours, theirs, strict=True))


def _in_range(value: str, cidr: str) -> bool:
    try:
        address, network = ip_address(value), ip_network(plain(cidr), strict=False)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _number(text: str) -> float:
    try:
        return float(plain(text))
    except ValueError:
        return float("nan")


def _moment(text: str) -> float:
    text = plain(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _number(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(read: Callable[[str], float]) -> dict[str, Matcher]:
    return {
        "Equals": lambda a, b: read(a) == read(b),
        "NotEquals": lambda a, b: read(a) == read(b),
        "LessThan": lambda a, b: read(a) < read(b),
        "LessThanEquals": lambda a, b: read(a) <= read(b),
        "GreaterThan": lambda a, b: read(a) > read(b),
        "GreaterThanEquals": lambda a, b: read(a) >= read(b),
    }


_POSITIVE: dict[str, Matcher] = {  # a negated operator is listed with what it negates
    "StringEquals": lambda a, b: a == plain(b),
    "StringEqualsIgnoreCase": lambda a, b: a.lower() == plain(b).lower(),
    "StringLike": like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": lambda a, b: a.lower() == plain(b).lower(),
    "BinaryEquals": lambda a, b: a == plain(b),
    "IpAddress": _in_range,
    "StringNotEquals": lambda a, b: a == plain(b),
    "StringNotEqualsIgnoreCase": lambda a, b: a.lower() == plain(b).lower(),
    "StringNotLike": like,
    "ArnNotEquals": arn_like,
    "ArnNotLike": arn_like,
    "NotIpAddress": _in_range,
    **{f"Numeric{name}": matcher for name, matcher in _ordered(_number).items()},
    **{f"Date{name}": matcher for name, matcher in _ordered(_moment).items()},
}
_OPERATORS = {name.lower(): name for name in _POSITIVE}


def holds(condition: Any, context: Context) -> bool:
    """Whether every operator and every key of a statement's `Condition` holds; raises Unreadable for what is none."""
    if not isinstance(condition, Mapping):
        raise Unreadable("Condition is no object")
    return all(
        _holds(str(operator), str(key), wanted, context)
        for operator, keys in condition.items()
        for key, wanted in _keys(keys).items()
    )


def _keys(keys: Any) -> Mapping[Any, Any]:
    if not isinstance(keys, Mapping):
        raise Unreadable("a condition operator without keys")
    return keys


def _holds(operator: str, key: str, wanted: Any, context: Context) -> bool:
    values = context.get(key.lower(), ())
    policy = [_text(item) for item in (wanted if isinstance(wanted, list | tuple) else [wanted])]
    if operator.lower() == "null":
        return all(item.lower() == ("false" if values else "true") for item in policy)
    quantifier, _, rest = operator.rpartition(":")
    name = rest
    if name.lower().endswith("ifexists"):
        if not values:
            return True
        name = name[: -len("ifexists")]
    known = _OPERATORS.get(name.lower())
    if known is None or quantifier.lower() not in ("", "forallvalues", "foranyvalue"):
        raise Unreadable(f"unknown condition operator {operator}")
    negated = _NEGATED.match(known) is not None
    fits = _fits(_POSITIVE[known], policy, context)
    if quantifier.lower() == "forallvalues":
        return all(fits(value) != negated for value in values)
    if quantifier.lower() == "foranyvalue":
        return any(fits(value) != negated for value in values)
    if not values:
        return negated
    return not any(fits(v) for v in values) if negated else any(fits(v) for v in values)


def _fits(matcher: Matcher, policy: Sequence[str], context: Context) -> Callable[[str], bool]:
    patterns = []
    for item in policy:
        try:
            patterns.append(expand(item, context))
        except LookupError:
            continue  # a variable that the request does not have makes the value match nothing
    return lambda value: any(matcher(value, pattern) for pattern in patterns)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
