"""Policy documents judged: allow, deny, neither, and unknown rather than a guess."""

from __future__ import annotations

import json
from typing import Any

import pytest

from islanding.aws.policy import Asked, Decision, judge

KEY = "arn:aws:s3:::data/k"
ROLE = "arn:aws:iam::111122223333:role/node"
ASKED = Asked(
    "s3:GetObject", KEY, ROLE, "111122223333", {"aws:sourceVpce": "vpce-1", "aws:PrincipalAccount": "111122223333"}
)


def allow(**more: Any) -> dict[str, Any]:
    """A statement that allows everything, changed."""
    return {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", **more}


def deny(**more: Any) -> dict[str, Any]:
    """A statement that denies everything, changed."""
    return allow(Effect="Deny", **more)


EQUALS = {"StringEquals": {"aws:SourceVpce": "vpce-1"}}
OTHER = {"StringEquals": {"aws:sourceVpce": "vpce-2"}}
NOT_ONE = {"StringNotEquals": {"aws:sourceVpce": "vpce-1"}}
NOT_TWO = {"StringNotEquals": {"aws:sourceVpce": ["vpce-2", "vpce-3"]}}
UNHEARD = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([allow()], Decision.ALLOW),
        ([], Decision.NEUTRAL),
        ([allow(Action="s3:Get*")], Decision.ALLOW),
        ([allow(Action="S3:getobject")], Decision.ALLOW),
        ([allow(Action=["s3:PutObject"])], Decision.NEUTRAL),
        ([allow(NotAction="s3:*", Action="x:y")], Decision.NEUTRAL),
        ([allow(Resource="arn:aws:s3:::data/*")], Decision.ALLOW),
        ([allow(Resource="arn:aws:s3:::data")], Decision.NEUTRAL),
        ([allow(Resource="arn:aws:s3:::dat?/k")], Decision.ALLOW),
        ([allow(Resource="arn:aws:s3:::[d]ata/k")], Decision.NEUTRAL),
        ([allow(), deny()], Decision.DENY),
        ([deny(), allow()], Decision.DENY),
        ([allow(), deny(Condition=NOT_ONE)], Decision.ALLOW),
        ([allow(), deny(Condition=NOT_TWO)], Decision.DENY),
        ([allow(Condition=EQUALS)], Decision.ALLOW),
        ([allow(Condition=OTHER)], Decision.NEUTRAL),
        ([allow(Condition=UNHEARD)], Decision.UNKNOWN),
        ([allow(Condition=UNHEARD), allow()], Decision.ALLOW),
        ([allow(), deny(Condition=UNHEARD)], Decision.UNKNOWN),
        ([allow(Condition=UNHEARD), allow(), deny(Condition=UNHEARD)], Decision.UNKNOWN),
        ([allow(Condition={"Quantum": {"aws:sourceVpce": "x"}})], Decision.UNKNOWN),
        ([allow(Principal={"AWS": ROLE})], Decision.ALLOW),
        ([allow(Principal={"AWS": "arn:aws:iam::999999999999:root"})], Decision.NEUTRAL),
        ([allow(Principal={"AWS": "111122223333"})], Decision.ALLOW),
        ([allow(Principal={"AWS": "arn:aws:iam::111122223333:root"})], Decision.ALLOW),
        ([allow(Principal={"Service": "ec2.amazonaws.com"})], Decision.NEUTRAL),
        ([allow(NotPrincipal={"AWS": ROLE})], Decision.UNKNOWN),
    ],
)
def test_a_document_comes_to_its_decision(statements: list[dict[str, Any]], decision: Decision) -> None:
    """As the IAM user guide's evaluation logic says; what cannot be judged is unknown."""
    assert decision is judge(json.dumps({"Statement": statements}), ASKED).decision


def test_one_statement_need_not_be_a_list() -> None:
    """A document may hold a single statement."""
    assert Decision.ALLOW is judge({"Statement": allow()}, ASKED).decision


def test_an_unknown_caller_is_not_guessed() -> None:
    """Named principals cannot be judged when nobody says who asks."""
    found = judge({"Statement": allow(Principal={"AWS": ROLE})}, Asked("s3:GetObject", KEY))

    assert Decision.UNKNOWN is found.decision
    assert "who asks is not known" in found.reason


@pytest.mark.parametrize("document", ["", "{", "[]", '{"Statement": [1]}', "null"])
def test_a_document_that_cannot_be_read_is_unknown(document: str) -> None:
    """No document that is broken allows or denies anything."""
    assert Decision.UNKNOWN is judge(document, ASKED).decision


def test_the_statement_is_named() -> None:
    """Whoever has to mend a policy is told which statement decided."""
    found = judge({"Statement": [allow(), deny(Sid="OnlyByEndpoint", Condition=NOT_TWO)]}, ASKED)

    assert "OnlyByEndpoint" == found.statement
