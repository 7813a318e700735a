"""CloudFormation templates: what is read, in which order it is made, and how each mistake is worded."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.region.cloudformation.parameters import parameter_values
from islanding.lab.region.cloudformation.resource import Made
from islanding.lab.region.cloudformation.scope import Scope
from islanding.lab.region.cloudformation.template import Template, parse
from islanding.lab.region.errors import AwsError

VPC = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}
PSEUDO = {"AWS::Region": "ap-northeast-1", "AWS::AccountId": "123456789012"}


def template(**sections: Any) -> Template:
    """A template of these sections; there is a VPC named Net in it, if it is not told what there is."""
    return parse(json.dumps({"Resources": {"Net": VPC}, **sections}))


def refused(text: str) -> str:
    """What CloudFormation says to a template that it refuses."""
    with pytest.raises(AwsError) as refusal:
        parse(text)
    assert refusal.value.code == "ValidationError"
    return refusal.value.message


def read_or_refused(text: str) -> Template | None:
    """The template, or nothing when it is refused in AWS's form; any other exception fails the test."""
    codes = []
    try:
        return parse(text)
    except AwsError as error:
        codes.append(error.code)
    assert codes == ["ValidationError"]
    return None


def scope(**sections: Any) -> Scope:
    """A scope in which the VPC Net has been made."""
    made = {"Net": Made("vpc-1", {"CidrBlock": "10.0.0.0/16", "DefaultSecurityGroup": "sg-1"})}
    one = template(**sections)
    values = parameter_values(one, {}, {})
    return Scope(one, values, PSEUDO, {"other-vpc": "vpc-2"}, lambda: ["ap-northeast-1a", "ap-northeast-1c"], made)


# -- whatever it is ----------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    ["Resources", "Parameters", "Conditions", "Outputs", "Mappings", "Type", "Properties", "DependsOn", "Condition",
     "Ref", "Fn::Sub", "Fn::GetAtt", "Fn::If", "Fn::Not", "Value", "Export", "A", "B", "DeletionPolicy", "Default"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from(["A", "B", "A.B", "${A}", "${!A}", "Retain", "x"])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)
RESOURCES = st.fixed_dictionaries(
    {"Type": st.just("AWS::EC2::VPC")},
    optional={"Properties": TREES, "DependsOn": TREES, "Condition": TREES, "DeletionPolicy": TREES},
)
TEMPLATES = st.fixed_dictionaries(
    {"Resources": st.dictionaries(st.sampled_from("ABC"), RESOURCES | TREES, max_size=3)},
    optional={"Parameters": TREES, "Conditions": TREES, "Outputs": TREES, "Mappings": TREES},
)


@given(TEMPLATES | TREES)
def test_a_template_is_read_or_refused(data: Any) -> None:
    """Whatever a template holds, it is read or refused in AWS's form, and never ends in a fault of ours."""
    read = read_or_refused(yaml.safe_dump(data))

    assert read is None or set(read.order()) == set(read.resources)


@given(st.text() | st.text("{}[]:!&*-, \n\t'\"#|>RefSub", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """A text that is no template at all is refused in AWS's form."""
    read = read_or_refused(text)

    assert read is None or read.resources


@given(TEMPLATES)
def test_values_are_evaluated_or_refused(data: Any) -> None:
    """Functions with arguments that make no sense are refused in AWS's form."""
    codes = []
    try:
        read = parse(json.dumps(data))
        inside = Scope(read, parameter_values(read, {}, {}), PSEUDO, {}, made={n: Made(n) for n in read.resources})
        for resource in read.resources.values():
            inside.value(resource.properties)
        for condition in read.conditions:
            inside.holds(condition)
    except AwsError as error:
        codes.append(error.code)

    assert set(codes) <= {"ValidationError"}


@given(
    st.integers(1, 8).flatmap(lambda n: st.lists(st.lists(st.integers(0, n - 1), max_size=n), min_size=n, max_size=n))
)
def test_order_respects_needs(wanted: list[list[int]]) -> None:
    """Every resource comes after all that it needs, whatever the order in which the template has them."""
    resources = {
        f"R{number}": {**VPC, "DependsOn": [f"R{need}" for need in needs if need > number]}
        for number, needs in enumerate(wanted)
    }
    read = template(Resources=resources)

    order = read.order()
    late = [n for i, n in enumerate(order) if read.resources[n].needs - set(order[:i])]

    assert (sorted(order), late) == (sorted(resources), [])


# -- mistakes ----------------------------------------------------------------------------------------------------------

MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("no resources", {"Resources": {}}, "Template format error: At least one Resources member must be defined."),
    (
        "no type",
        {"Resources": {"A": {"Properties": {}}}},
        "Template format error: [/Resources/A] Every Resources object must contain a Type member.",
    ),
    (
        "section is a list",
        {"Outputs": ["A"]},
        "Template format error: Outputs section must be a JSON object.",
    ),
    (
        "unknown Ref",
        {"Resources": {"A": {**VPC, "Properties": {"CidrBlock": {"Ref": "Range"}}}}},
        "Template format error: Unresolved resource dependencies [Range] in the Resources block of the template",
    ),
    (
        "unknown GetAtt",
        {"Resources": {"A": {**VPC, "Properties": {"CidrBlock": {"Fn::GetAtt": ["Pool", "Cidr"]}}}}},
        "Template format error: Unresolved resource dependencies [Pool] in the Resources block of the template",
    ),
    (
        "unknown in Sub",
        {"Resources": {"A": {**VPC, "Properties": {"CidrBlock": {"Fn::Sub": "${Pool.Cidr}/${!Literal}"}}}}},
        "Template format error: Unresolved resource dependencies [Pool] in the Resources block of the template",
    ),
    (
        "unknown DependsOn",
        {"Resources": {"A": {**VPC, "DependsOn": "B"}}},
        "Template format error: Unresolved resource dependencies [B] in the Resources block of the template",
    ),
    (
        "DependsOn a parameter",
        {"Resources": {"A": {**VPC, "DependsOn": "P"}}, "Parameters": {"P": {"Type": "String"}}},
        "Template format error: Unresolved resource dependencies [P] in the Resources block of the template",
    ),
    (
        "unknown in outputs",
        {"Outputs": {"Id": {"Value": {"Ref": "Nothing"}}}},
        "Template format error: Unresolved resource dependencies [Nothing] in the Outputs block of the template",
    ),
    (
        "circle",
        {
            "Resources": {
                "A": {**VPC, "DependsOn": "B"},
                "B": {**VPC, "DependsOn": ["C"]},
                "C": {**VPC, "Properties": {"CidrBlock": {"Ref": "A"}}},
            }
        },
        "Circular dependency between resources: [A, B, C]",
    ),
    ("itself", {"Resources": {"A": {**VPC, "DependsOn": "A"}}}, "Circular dependency between resources: [A]"),
    (
        "unknown condition",
        {"Resources": {"A": {**VPC, "Condition": "Prod"}}},
        "Template format error: Unresolved condition dependency Prod",
    ),
    (
        "unknown condition in Fn::If",
        {"Resources": {"A": {**VPC, "Properties": {"CidrBlock": {"Fn::If": ["Prod", "a", "b"]}}}}},
        "Template format error: Unresolved condition dependency Prod",
    ),
    (
        "conditions in a circle",
        {"Conditions": {"X": {"Condition": "Y"}, "Y": {"Fn::Not": [{"Condition": "X"}]}}},
        "Circular dependency between conditions: [X, Y]",
    ),
    (
        "resource in a condition",
        {"Conditions": {"X": {"Fn::Equals": [{"Ref": "Net"}, "a"]}}},
        (
            "Template format error: Unresolved dependencies [Net]. Cannot reference resources in the"
            " Conditions block of the template"
        ),
    ),
    ("unknown member", {"Resources": {"A": {**VPC, "Depends": "B"}}}, "Invalid template resource property 'Depends'"),
    (
        "unknown policy",
        {"Resources": {"A": {**VPC, "DeletionPolicy": "Keep"}}},
        "Template format error: Unrecognized DeletionPolicy Keep for resource A",
    ),
    ("bad name", {"Resources": {"my-vpc": VPC}}, "Template format error: Resource name my-vpc is non alphanumeric."),
    (
        "parameter without type",
        {"Parameters": {"P": {"Default": "x"}}},
        "Template format error: Every Parameters object must contain a Type member: P.",
    ),
    (
        "output without value",
        {"Outputs": {"Id": {"Description": "x"}}},
        "Template format error: Every Outputs member must contain a Value object: Id.",
    ),
]


@pytest.mark.parametrize(("sections", "said"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes_are_worded_as_on_aws(sections: dict[str, Any], said: str) -> None:
    """A template that cannot be right is refused before anything is made, with what is wrong."""
    assert refused(json.dumps({"Resources": {"Net": VPC}, **sections})) == said


def test_broken_yaml_is_placed() -> None:
    """YAML that cannot be read is refused with line and column."""
    said = refused("Resources:\n  A: [\n")

    assert said == "Template format error: YAML not well-formed. (line 3, column 1)"


@pytest.mark.parametrize("text", ["", "- a", "only a text", "A: &a [*a]", "Resources: !!int x"])
def test_what_is_no_template_is_refused(text: str) -> None:
    """A text, a list, a circle of anchors: none of them is a template."""
    assert refused(text).startswith("Template format error: ")


# -- what is read ------------------------------------------------------------------------------------------------------


def test_short_forms_are_long_forms() -> None:
    """YAML's short forms mean what JSON's long ones say, and dates stay texts."""
    read = parse(
        "AWSTemplateFormatVersion: 2010-09-09\n"
        "Conditions: {Far: !Not [!Equals [a, a]]}\n"
        "Resources:\n"
        "  A: {Type: AWS::EC2::VPC, Properties: {Version: 2012-10-17, X: !GetAtt B.Arn.Part, Y: !Sub '${B}-${B.Id}'}}\n"
        "  B: {Type: AWS::EC2::VPC, Properties: {Z: !If [Far, !Ref AWS::Region, !Join ['-', [a, b]]]}}\n"
    )

    assert read.resources["A"].properties == {
        "Version": "2012-10-17",
        "X": {"Fn::GetAtt": ["B", "Arn.Part"]},
        "Y": {"Fn::Sub": "${B}-${B.Id}"},
    }
    assert read.resources["B"].properties == {
        "Z": {"Fn::If": ["Far", {"Ref": "AWS::Region"}, {"Fn::Join": ["-", ["a", "b"]]}]}
    }
    assert (read.order(), set(read.resources["A"].needs)) == (["B", "A"], {"B"})


FUNCTIONS: list[tuple[Any, Any]] = [
    ({"Ref": "Net"}, "vpc-1"),
    ({"Ref": "Size"}, "2"),
    ({"Ref": "Zones"}, ["a", "c"]),
    ({"Ref": "AWS::Region"}, "ap-northeast-1"),
    ({"Fn::GetAtt": ["Net", "DefaultSecurityGroup"]}, "sg-1"),
    ({"Fn::GetAtt": "Net.CidrBlock"}, "10.0.0.0/16"),
    (
        {"Fn::Sub": "${Net}/${Net.CidrBlock}/${Size}/${AWS::AccountId}/${!Kept}"},
        "vpc-1/10.0.0.0/16/2/123456789012/${Kept}",
    ),
    ({"Fn::Sub": ["${x}-${Size}", {"x": {"Ref": "Net"}}]}, "vpc-1-2"),
    ({"Fn::Join": [",", ["a", 1, True, {"Ref": "Net"}]]}, "a,1,true,vpc-1"),
    ({"Fn::Select": ["1", {"Ref": "Zones"}]}, "c"),
    ({"Fn::Split": ["-", "a-b"]}, ["a", "b"]),
    ({"Fn::Base64": {"Fn::Sub": "${Size}"}}, "Mg=="),
    ({"Fn::If": ["Large", "big", {"Ref": "Size"}]}, "2"),
    ({"a": {"Fn::If": ["Large", 1, {"Ref": "AWS::NoValue"}]}, "b": 2}, {"b": 2}),
    ([1, {"Ref": "AWS::NoValue"}, 2], [1, 2]),
    ({"Fn::FindInMap": ["Types", {"Ref": "AWS::Region"}, "node"]}, "t3.medium"),
    ({"Fn::ImportValue": {"Fn::Sub": "other-vpc"}}, "vpc-2"),
    ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, "ap-northeast-1a"),
    ({"Fn::Cidr": [{"Fn::GetAtt": ["Net", "CidrBlock"]}, 2, "8"]}, ["10.0.0.0/24", "10.0.1.0/24"]),
]
SECTIONS: dict[str, Any] = {
    "Parameters": {
        "Size": {"Type": "Number", "Default": 2},
        "Zones": {"Type": "CommaDelimitedList", "Default": "a, c"},
    },
    "Conditions": {"Large": {"Fn::Equals": [{"Ref": "Size"}, "3"]}},
    "Mappings": {"Types": {"ap-northeast-1": {"node": "t3.medium"}}},
}


@pytest.mark.parametrize(("value", "wanted"), FUNCTIONS, ids=[json.dumps(f[0])[:40] for f in FUNCTIONS])
def test_functions(value: Any, wanted: Any) -> None:
    """Each function gives what CloudFormation's reference says."""
    assert scope(**SECTIONS).value(value) == wanted


WRONG: list[tuple[Any, str]] = [
    ({"Fn::GetAtt": ["Net", "Arn"]}, "Template error: resource Net of type AWS::EC2::VPC has no attribute Arn"),
    ({"Fn::FindInMap": ["Types", "x", "y"]}, "Template error: Unable to get mapping for Types::x::y"),
    ({"Fn::ImportValue": "nothing"}, "No export named nothing found."),
    ({"Fn::Select": [2, ["a"]]}, "Template error: Fn::Select cannot select nonexistent value at index 2"),
    ({"Fn::Transform": {}}, "Template error: the lab does not have the function Fn::Transform"),
    (
        {"Fn::Join": [","]},
        "Template error: Fn::Join cannot be evaluated: not enough values to unpack (expected 2, got 1)",
    ),
]


@pytest.mark.parametrize(("value", "said"), WRONG, ids=[w[1][:40] for w in WRONG])
def test_functions_that_fail(value: Any, said: str) -> None:
    """A function that cannot be evaluated says why."""
    with pytest.raises(AwsError) as refusal:
        scope(**SECTIONS).value(value)

    assert refusal.value.message == said


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ({"Fn::Equals": ["a", "a"]}, True),
        ({"Fn::Equals": [{"Ref": "Size"}, 2]}, True),
        ({"Fn::Not": [{"Condition": "Large"}]}, True),
        ({"Fn::And": [{"Condition": "Large"}, {"Fn::Equals": [1, 1]}]}, False),
        ({"Fn::Or": [{"Condition": "Large"}, {"Fn::Equals": [1, 1]}]}, True),
    ],
)
def test_conditions(condition: Any, wanted: bool) -> None:
    """Conditions are made of each other."""
    sections = {**SECTIONS, "Conditions": {**SECTIONS["Conditions"], "Asked": condition}}

    assert scope(**sections).holds("Asked") is wanted


def test_a_resource_whose_condition_is_false_cannot_be_referred_to() -> None:
    """What is not made has no id."""
    inside = scope(
        Resources={"Net": VPC, "Other": {**VPC, "Condition": "No"}}, Conditions={"No": {"Fn::Equals": [1, 2]}}
    )

    with pytest.raises(AwsError, match=r"Unresolved resource dependencies \[Other\]"):
        inside.value({"Ref": "Other"})


# -- parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "given", "said"),
    [
        ({"Type": "String"}, None, "Parameters: [P] must have values"),
        ({"Type": "Number"}, "two", "Parameter 'P' must be a number."),
        ({"Type": "Number", "MaxValue": 3}, "4", "Parameter P failed to satisfy constraint: must be at most 3"),
        (
            {"Type": "String", "MinLength": "3"}, "ab",
            "Parameter P failed to satisfy constraint: must have a length of at least 3",
        ),
        ({"Type": "String", "AllowedValues": ["a", 1]}, "2", "Parameter 'P' must be one of AllowedValues"),
        (
            {"Type": "String", "AllowedPattern": "[a-z]+"}, "A",
            "Parameter P failed to satisfy constraint: must match pattern [a-z]+",
        ),
        (
            {"Type": "String", "AllowedPattern": "[a-z]+", "ConstraintDescription": "small letters only"}, "A",
            "Parameter P failed to satisfy constraint: small letters only",
        ),
        (
            {"Type": "AWS::SSM::Parameter::Value<String>"}, "/a",
            "The lab's CloudFormation does not have the parameter type AWS::SSM::Parameter::Value<String> of P",
        ),
    ],
)  # fmt: skip
def test_parameters_that_are_refused(rules: dict[str, Any], given: str | None, said: str) -> None:
    """A value that the template does not let is refused before anything is made."""
    with pytest.raises(AwsError) as refusal:
        parameter_values(template(Parameters={"P": rules}), {} if given is None else {"P": given}, {})

    assert refusal.value.message == said


def test_unknown_parameters_are_refused() -> None:
    """A parameter that the template does not have is named."""
    with pytest.raises(AwsError, match=r"Parameters: \[Q\] do not exist in the template"):
        parameter_values(template(), {"Q": "1"}, {})


def test_parameters_come_from_the_call_or_from_before_or_from_the_template() -> None:
    """A value that is given counts before the one of the last time, and that one before the default."""
    rules = {name: {"Type": "String", "Default": "default"} for name in "ABC"}

    values = parameter_values(template(Parameters=rules), {"A": "given"}, {"A": "before", "B": "before"})

    assert values == {"A": "given", "B": "before", "C": "default"}
