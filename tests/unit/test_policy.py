"""Endpoint, bucket and repository policies judged as AWS documents it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.region.policy import Asked, Caller, Effect, judge

ACCOUNT, OTHER = "123456789012", "999988887777"
BUCKET = "arn:aws:s3:::data"
KEY = f"{BUCKET}/reports/2026.csv"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/node"
NODE = Caller(f"arn:aws:sts::{ACCOUNT}:assumed-role/node/i-1", ACCOUNT, ROLE)
USER = Caller(f"arn:aws:iam::{ACCOUNT}:user/hanako", ACCOUNT)
THIEF = Caller(f"arn:aws:iam::{OTHER}:user/thief", OTHER)
ALLOW, DENY, NEUTRAL = Effect.ALLOW, Effect.DENY, Effect.NEUTRAL


def policy(*statements: dict[str, Any]) -> str:
    """A policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str = "Allow", /, **more: Any) -> dict[str, Any]:
    """A statement about everything, changed; what is None is left out."""
    whole = {"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*", **more}
    return {name: value for name, value in whole.items() if value is not None}


def asked(
    action: str = "s3:GetObject", resource: str = KEY, caller: Caller | None = NODE, **context: str | tuple[str, ...]
) -> Asked:
    """A request; `aws__X` in the keywords is the condition key aws:X."""
    keys = {n.replace("__", ":").lower(): v if isinstance(v, tuple) else (v,) for n, v in context.items()}
    return Asked(action, resource, caller, keys)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], NEUTRAL),
        ([statement()], ALLOW),
        ([statement(), statement("Deny")], DENY),
        ([statement("Deny"), statement()], DENY),
        ([statement(Action="s3:Get*")], ALLOW),
        ([statement(Action="S3:getobject")], ALLOW),
        ([statement(Action=["s3:PutObject", "s3:ListBucket"])], NEUTRAL),
        ([statement(Action="s3:GetObjec?")], ALLOW),
        ([statement(Action="s3:Get")], NEUTRAL),
        ([statement(Action=None, NotAction="s3:Get*")], NEUTRAL),
        ([statement(Action=None, NotAction="ec2:*")], ALLOW),
        ([statement(), statement("Deny", Action=None, NotAction="s3:*")], ALLOW),
        ([statement(Resource=f"{BUCKET}/*")], ALLOW),
        ([statement(Resource=BUCKET)], NEUTRAL),
        ([statement(Resource=f"{BUCKET}/Reports/*")], NEUTRAL),
        ([statement(Resource=f"{BUCKET}/reports/????.csv")], ALLOW),
        ([statement(Resource=None, NotResource=f"{BUCKET}/*")], NEUTRAL),
        ([statement(), statement("Deny", Resource=None, NotResource="arn:aws:s3:::other/*")], DENY),
        ([statement(Resource=["arn:aws:s3:::a/*", f"{BUCKET}/[r]*"])], NEUTRAL),
    ],
)
def test_actions_and_resources(statements: list[dict[str, Any]], expected: Effect) -> None:
    """Wildcards, negations, case: actions ignore it, resources do not; a deny goes before an allow in any order."""
    assert expected == judge(policy(*statements), asked())


@pytest.mark.parametrize(
    ("principal", "callers"),
    [
        ("*", {NODE, USER, THIEF, None}),
        ({"AWS": "*"}, {NODE, USER, THIEF, None}),
        ({"AWS": ACCOUNT}, {NODE, USER}),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, {NODE, USER}),
        ({"AWS": ROLE}, {NODE}),
        ({"AWS": NODE.arn}, {NODE}),
        ({"AWS": ["arn:aws:iam::1:user/x", USER.arn]}, {USER}),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}, set()),
        ({"AWS": ""}, set()),
        ({"Service": "ec2.amazonaws.com"}, set()),
    ],
)
def test_principals(principal: Any, callers: set[Caller | None]) -> None:
    """An account names all that it has, a role its sessions; wildcards stand for everybody, and never inside an ARN."""
    everybody = (NODE, USER, THIEF, None)
    named = {
        caller for caller in everybody if judge(policy(statement(Principal=principal)), asked(caller=caller)) is ALLOW
    }
    others = statement(Principal=None, NotPrincipal=principal)
    unnamed = {caller for caller in everybody if judge(policy(others), asked(caller=caller)) is ALLOW}
    assert (callers, set(everybody) - callers) == (named, unnamed)


@pytest.mark.parametrize("resource", [f"{BUCKET}/${{aws:username}}/*", f"{BUCKET}/${{aws:UserName, 'nobody'}}/*"])
def test_variables(resource: str) -> None:
    """A variable stands for its value, taken literally; one that the request does not have matches nothing."""
    document = policy(statement(Resource=resource))
    home = asked(resource=f"{BUCKET}/hanako/a", caller=USER, aws__username="hanako")
    star = asked(resource=f"{BUCKET}/hanako/a", caller=USER, aws__username="*")
    assert (ALLOW, NEUTRAL) == (judge(document, home), judge(document, star))
    assert NEUTRAL == judge(document, asked(resource=f"{BUCKET}/hanako/a"))


def test_a_default_and_literal_wildcards() -> None:
    """`${key, 'x'}` is x without the key; `${*}` is an asterisk and nothing else."""
    default = policy(statement(Resource=BUCKET + "/${aws:username, 'nobody'}/*"))
    literal = policy(statement(Resource=BUCKET + "/${*}"))
    assert ALLOW == judge(default, asked(resource=f"{BUCKET}/nobody/a"))
    assert [ALLOW, NEUTRAL] == [judge(literal, asked(resource=f"{BUCKET}/{key}")) for key in ("*", "a")]


class TestClosedNetworks:
    """Policies of AWS's own documents: PrivateLink guide, S3 user guide, data perimeter samples, ECR user guide."""

    def test_the_least_that_a_gateway_endpoint_needs_for_ecr(self) -> None:
        """The layer bucket's objects may be read, nothing else ("Amazon ECR interface VPC endpoints")."""
        bucket = "arn:aws:s3:::prod-ap-northeast-1-starport-layer-bucket"
        rule = statement(Sid="Access-to-specific-bucket-only", Action=["s3:GetObject"], Resource=[f"{bucket}/*"])
        document = policy(rule)
        assert ALLOW == judge(document, asked(resource=f"{bucket}/docker/registry/v2/blobs/x"))
        assert NEUTRAL == judge(document, asked())
        assert NEUTRAL == judge(document, asked("s3:PutObject", f"{bucket}/x"))

    def test_a_bucket_that_is_read_through_one_endpoint_only(self) -> None:
        """Deny unless aws:SourceVpce; also by the internet, where there is no such key ("Example bucket policies")."""
        rule = {"StringNotEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}}
        document = policy(statement("Deny", Action="s3:*", Resource=[BUCKET, f"{BUCKET}/*"], Condition=rule))
        found = [judge(document, asked(aws__sourceVpce=e)) for e in ("vpce-1a2b3c4d", "vpce-other")]
        assert [NEUTRAL, DENY, DENY] == [*found, judge(document, asked())]

    def test_only_principals_of_my_organization(self) -> None:
        """Deny StringNotEqualsIfExists aws:PrincipalOrgID spares services of AWS, which have no such key."""
        rule = {
            "StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-mine"},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        }
        document = policy(statement(), statement("Deny", Condition=rule))
        mine = asked(aws__PrincipalOrgID="o-mine", aws__PrincipalIsAWSService="false")
        theirs = asked(caller=THIEF, aws__PrincipalOrgID="o-theirs", aws__PrincipalIsAWSService="false")
        service = asked(aws__PrincipalIsAWSService="true")
        assert [ALLOW, DENY, ALLOW] == [judge(document, each) for each in (mine, theirs, service)]

    def test_my_principals_and_my_resources_and_the_layer_bucket(self) -> None:
        """An endpoint for S3 that lets my account to my buckets, and everybody to AWS's own layer bucket."""
        mine = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": "${aws:PrincipalAccount}"}}
        layers = "arn:aws:s3:::prod-ap-northeast-1-starport-layer-bucket/*"
        document = policy(statement(Condition=mine), statement(Action="s3:GetObject", Resource=layers))
        own = asked(aws__PrincipalAccount=ACCOUNT, aws__ResourceAccount=ACCOUNT)
        foreign_bucket = asked(aws__PrincipalAccount=ACCOUNT, aws__ResourceAccount=OTHER)
        foreign_caller = asked(caller=THIEF, aws__PrincipalAccount=OTHER, aws__ResourceAccount=ACCOUNT)
        layer = asked(resource=layers.replace("*", "sha256"), caller=THIEF, aws__PrincipalAccount="602401143452")
        found = [judge(document, each) for each in (own, foreign_bucket, foreign_caller, layer)]
        assert [ALLOW, NEUTRAL, NEUTRAL, ALLOW] == found

    def test_no_clear_text(self) -> None:
        """Deny Bool aws:SecureTransport false."""
        document = policy(statement(), statement("Deny", Condition={"Bool": {"aws:SecureTransport": False}}))
        found = [judge(document, asked(aws__SecureTransport=secure)) for secure in ("true", "false")]
        assert [ALLOW, DENY] == found


@pytest.mark.parametrize(
    "document",
    ["", "{", "[]", "null", "{}", '{"Statement": "x"}', '{"Statement": [1]}', '{"Statement": [{"Effect": "Allow"}]}'],
)
def test_what_cannot_be_read_allows_nothing(document: str) -> None:
    """A document that is none lets nobody through."""
    assert ALLOW is not judge(document, asked())


def test_an_unknown_operator_is_never_to_the_callers_good() -> None:
    """It keeps an allow from allowing, and lets a deny deny."""
    odd = {"StringResembles": {"aws:SourceVpc": "vpc-1"}}
    assert NEUTRAL == judge(policy(statement(Condition=odd)), asked())
    assert DENY == judge(policy(statement(), statement("Deny", Condition=odd)), asked())


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["*", "s3:*", KEY, "${aws:x}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_element = st.sampled_from(
    ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "Sid"]
)
_statements = st.lists(st.dictionaries(_element, _values | st.sampled_from(["Allow", "Deny"]), max_size=5), max_size=4)


@given(st.text(max_size=40))
def test_no_text_whatever_raises(text: str) -> None:
    """Total over documents that are no JSON."""
    assert ALLOW is not judge(text, asked())


@given(_statements)
def test_no_document_whatever_raises(statements: list[dict[str, Any]]) -> None:
    """Total over documents of any shape, and a plain deny is never overruled."""
    assert judge(policy(*statements), asked()) in Effect
    assert DENY == judge(policy(*statements, statement("Deny")), asked())


@given(st.permutations([statement(), statement("Deny", Action="s3:Put*"), statement(Resource=BUCKET)]))
def test_the_order_of_statements_does_not_matter(statements: list[dict[str, Any]]) -> None:
    """The same effects in each order."""
    found = [judge(policy(*statements), asked(action)) for action in ("s3:GetObject", "s3:PutObject")]
    assert [ALLOW, DENY] == found
