"""Condition operators of IAM policies, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.region.conditions import Unreadable, arn_like, expand, holds, like

ROLE = "arn:aws:iam::123456789012:role/node"
CONTEXT = {
    "aws:sourcevpce": ("vpce-1",),
    "aws:sourceip": ("203.0.113.7",),
    "aws:principalarn": (ROLE,),
    "aws:securetransport": ("true",),
    "aws:principalaccount": ("123456789012",),
    "aws:tagkeys": ("team", "stage"),
    "s3:max-keys": ("10",),
    "aws:currenttime": ("2026-11-21T06:00:00+00:00",),
}


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("StringEquals", "aws:SourceVpce", "vpce-1", True),
        ("stringequals", "AWS:sourcevpce", ["vpce-2", "vpce-1"], True),
        ("StringEquals", "aws:SourceVpce", "VPCE-1", False),
        ("StringEquals", "aws:SourceVpce", "vpce-*", False),
        ("StringEqualsIgnoreCase", "aws:SourceVpce", "VPCE-1", True),
        ("StringLike", "aws:SourceVpce", "vpce-?", True),
        ("StringLike", "aws:SourceVpce", "vpce", False),
        ("StringNotEquals", "aws:SourceVpce", "vpce-2", True),
        ("StringNotEquals", "aws:SourceVpce", ["vpce-2", "vpce-1"], False),
        ("StringNotLike", "aws:SourceVpce", "vpce-*", False),
        ("StringEquals", "aws:PrincipalAccount", "${aws:PrincipalAccount}", True),
        ("StringEquals", "aws:PrincipalAccount", 123456789012, True),
        ("StringEquals", "aws:SourceVpc", "vpc-1", False),
        ("StringNotEquals", "aws:SourceVpc", "vpc-1", True),
        ("StringEqualsIfExists", "aws:SourceVpc", "vpc-1", True),
        ("StringEqualsIfExists", "aws:SourceVpce", "vpce-2", False),
        ("StringNotEqualsIfExists", "aws:SourceVpc", "vpc-1", True),
        ("Null", "aws:SourceVpc", "true", True),
        ("Null", "aws:SourceVpce", True, False),
        ("Null", "aws:SourceVpce", "false", True),
        ("Bool", "aws:SecureTransport", True, True),
        ("Bool", "aws:SecureTransport", "false", False),
        ("Bool", "aws:MultiFactorAuthPresent", "true", False),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", "false", True),
        ("IpAddress", "aws:SourceIp", "203.0.113.0/24", True),
        ("IpAddress", "aws:SourceIp", ["198.51.100.0/24", "203.0.113.7"], True),
        ("IpAddress", "aws:SourceIp", "2001:db8::/32", False),
        ("IpAddress", "aws:SourceIp", "no address", False),
        ("NotIpAddress", "aws:SourceIp", "203.0.113.0/24", False),
        ("NotIpAddress", "aws:VpcSourceIp", "10.0.0.0/8", True),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/n*", True),
        ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::123456789012:role/*", True),
        ("ArnLike", "aws:PrincipalArn", "arn:*", False),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/admin", True),
        ("ArnNotEquals", "aws:PrincipalArn", ROLE, False),
        ("NumericLessThanEquals", "s3:max-keys", "10", True),
        ("NumericGreaterThan", "s3:max-keys", 10, False),
        ("NumericEquals", "s3:max-keys", "ten", False),
        ("DateLessThan", "aws:CurrentTime", "2026-11-21T07:00:00Z", True),
        ("DateGreaterThan", "aws:CurrentTime", "2026-11-21T07:00:00Z", False),
        ("ForAnyValue:StringEquals", "aws:TagKeys", "team", True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", "owner", False),
        ("ForAnyValue:StringEquals", "aws:Nothing", "owner", False),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team", "stage", "owner"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team"], False),
        ("ForAllValues:StringEquals", "aws:Nothing", "owner", True),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", "team", True),
    ],
)
def test_an_operator(operator: str, key: str, value: Any, expected: bool) -> None:
    """As its page says; keys and operators in any case, an absent key only where an operator is negated."""
    assert expected == holds({operator: {key: value}}, CONTEXT)


def test_all_operators_and_keys_must_hold() -> None:
    """Operators and keys are joined by and, values by or."""
    good = {"aws:SourceVpce": ["x", "vpce-1"], "aws:PrincipalAccount": "123456789012"}
    assert holds({"StringEquals": good, "Bool": {"aws:SecureTransport": "true"}}, CONTEXT)
    assert not holds({"StringEquals": good, "Bool": {"aws:SecureTransport": "false"}}, CONTEXT)
    assert not holds({"StringEquals": {**good, "aws:SourceVpc": "vpc-1"}}, CONTEXT)


@pytest.mark.parametrize(
    "condition", [[], "x", None, {"StringEquals": "x"}, {"Like": {"a": "b"}}, {"Some:Bool": {"a": 1}}]
)
def test_what_is_no_condition_is_told(condition: Any) -> None:
    """Neither a guess nor an exception of another kind."""
    with pytest.raises(Unreadable):
        holds(condition, CONTEXT)


@given(st.text(max_size=20))
def test_a_text_is_like_itself_and_like_everything(text: str) -> None:
    """Literal text matches itself once its wildcards are written as variables; `*` matches all."""
    literal = "".join(f"${{{c}}}" if c in "*?" else c for c in text.replace("$", ""))
    assert like(text.replace("$", ""), expand(literal, {}))
    assert like(text, "*")


@given(st.text(alphabet="ab*?:/", max_size=12), st.text(alphabet="ab:/", max_size=12))
def test_arns_are_compared_part_by_part(pattern: str, value: str) -> None:
    """An ARN that fits by its parts fits as a whole too; never the other way round only."""
    if arn_like(value, pattern):
        assert like(value, pattern)


_names = st.sampled_from(["String", "Arn", "Bool", "IpAddress", "Null", "NumericLessThan", "DateEquals", "StringLike"])


@given(_names, st.text(max_size=8), st.lists(st.text(max_size=8), max_size=3), st.booleans())
def test_total_over_values(operator: str, value: str, wanted: list[str], exists: bool) -> None:
    """Whatever is compared, the answer is yes, no, or that it is no condition."""
    context = {"aws:x": (value,)} if exists else {}
    try:
        assert holds({operator: {"aws:x": wanted}}, context) in (True, False)
    except Unreadable:
        assert operator in ("String", "Arn")


@given(st.sampled_from(["vpce-1", "vpce-2", ""]), st.lists(st.sampled_from(["vpce-1", "vpce-2"]), min_size=1))
def test_a_negated_operator_is_the_opposite(value: str, wanted: list[str]) -> None:
    """StringNotEquals holds exactly where StringEquals does not, an absent key included."""
    context = {"aws:sourcevpce": (value,)} if value else {}
    positive, negative = (
        holds({operator: {"aws:SourceVpce": wanted}}, context) for operator in ("StringEquals", "StringNotEquals")
    )
    assert positive is not negative
