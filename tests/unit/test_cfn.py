"""Templates read for planning: functions give the values that CloudFormation would, and nothing makes it stumble."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding import cfn
from islanding.errors import SetupError

TEXT = """\
Parameters:
  Name: {Type: String, Default: closed}
  Subnets: {Type: CommaDelimitedList, Default: "a,b"}
  Key: {Type: AWS::EC2::KeyPair::KeyName}
  Big: {Type: String, Default: "true"}
Mappings:
  Sizes: {large: {nodes: 4}}
Conditions:
  IsBig: !Equals [!Ref Big, "true"]
  IsSmall: !Not [!Condition IsBig]
  Unknown: !Equals [!Ref Key, x]
Resources:
  Vpc:
    Type: AWS::EC2::VPC
    Properties: {CidrBlock: 10.0.0.0/16}
  Never:
    Type: AWS::EC2::VPC
    Condition: IsSmall
Outputs:
  Id: {Value: !Ref Vpc}
"""


@pytest.fixture
def scope(tmp_path: Path) -> cfn.Scope:
    """A scope of the template above."""
    path = tmp_path / "t.yaml"
    path.write_text(TEXT)
    return cfn.Scope(cfn.read(path), {"AWS::Region": "r"}, "<{}>".format, ("r-a", "r-b"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "closed"),
        ({"Ref": "Subnets"}, ["a", "b"]),
        ({"Ref": "Vpc"}, "<Vpc>"),
        ({"Ref": "AWS::Region"}, "r"),
        ({"Ref": "Key"}, cfn.UNKNOWN),
        ({"Fn::GetAtt": ["Vpc", "VpcId"]}, "<Vpc>"),
        ({"Fn::GetAtt": "Vpc.CidrBlock"}, "10.0.0.0/16"),
        ({"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]}, cfn.UNKNOWN),
        ({"Fn::Sub": "${Name}-${!Literal}-${Vpc.CidrBlock}"}, "closed-${Literal}-10.0.0.0/16"),
        ({"Fn::Sub": ["${a}${Name}", {"a": {"Ref": "Vpc"}}]}, "<Vpc>closed"),
        ({"Fn::Join": [",", {"Ref": "Subnets"}]}, "a,b"),
        ({"Fn::Select": ["1", {"Ref": "Subnets"}]}, "b"),
        ({"Fn::Select": ["0", {"Fn::GetAZs": ""}]}, "r-a"),
        ({"Fn::Split": [",", "x,y"]}, ["x", "y"]),
        ({"Fn::FindInMap": ["Sizes", "large", "nodes"]}, 4),
        ({"Fn::If": ["IsBig", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsSmall", "yes", "no"]}, "no"),
        ({"Fn::If": ["Unknown", "yes", "no"]}, cfn.UNKNOWN),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"Fn::ImportValue": "x"}, cfn.UNKNOWN),
        ({"Fn::Select": [7, ["a"]]}, cfn.UNKNOWN),
    ],
)
def test_functions(scope: cfn.Scope, value: Any, expected: Any) -> None:
    """Each function gives its value; what is not known before it is made says so."""
    assert expected == scope.of(value)


def test_conditions_decide_what_is_made(scope: cfn.Scope) -> None:
    """A resource whose condition does not hold is not made."""
    assert [n for n, raw in scope.template.resources.items() if scope.exists(raw)] == ["Vpc"]


def test_a_template_that_refers_to_itself(tmp_path: Path) -> None:
    """An attribute that is its own value ends, as not known."""
    path = tmp_path / "t.yaml"
    path.write_text("Resources:\n  A: {Type: T, Properties: {CidrBlock: !GetAtt A.CidrBlock}}\n")
    scope = cfn.Scope(cfn.read(path), {}, str)

    assert cfn.UNKNOWN == scope.of({"Fn::GetAtt": "A.CidrBlock"})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Resources:\n  A: 1\n B: 2\n", "t.yaml:3: not valid YAML"),
        ("", "is no CloudFormation template: it has no Resources"),
        ("- a\n", "is no CloudFormation template: it has no Resources"),
        ("Resources: !Ref [\n", "not valid YAML"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_what_is_no_template(tmp_path: Path, text: str, what: str) -> None:
    """What is no template is refused with file and line."""
    path = tmp_path / "t.yaml"
    path.write_text(text)

    with pytest.raises(SetupError) as caught:
        cfn.read(path)
    assert what in str(caught.value)


FUNCTIONS = ("Sub", "GetAtt", "If", "Join", "Select", "Cidr", "FindInMap", "Equals", "Not")
NAMES = st.sampled_from(["Ref", "Condition", *(f"Fn::{name}" for name in FUNCTIONS)])
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["A", "B", "${A.x}", "", "A.CidrBlock"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=12,
)


@given(VALUES, VALUES, VALUES)
def test_evaluation_is_total(value: Any, own: Any, condition: Any) -> None:
    """Whatever a template says, evaluating it raises nothing."""
    resources = {"A": {"Properties": {"CidrBlock": own, "x": value}, "Condition": "B"}}
    scope = cfn.Scope(cfn.Template("t", resources=resources, conditions={"B": condition}), {}, str)

    scope.text(value)
    scope.exists(resources["A"])
