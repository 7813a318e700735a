"""The parameters of a stack: which values they have, and whether the template lets them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from operator import gt as _above
from operator import lt as _below
from typing import Any

from islanding.lab.region.cloudformation.template import Template, as_text, invalid

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def parameter_values(template: Template, given: Mapping[str, str], before: Mapping[str, str]) -> dict[str, Any]:
    """The values of all parameters: given, or as before (of an update), or the default; raises AwsError."""
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    texts: dict[str, str] = {}
    for name, rules in template.parameters.items():
        if name in given:
            texts[name] = given[name]
        elif name in before:
            texts[name] = before[name]
        elif "Default" in rules:
            texts[name] = as_text(rules["Default"])
    missing = [name for name in template.parameters if name not in texts]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, text in texts.items():
        _check_parameter(name, text, template.parameters[name])
    return {name: _typed(text, str(template.parameters[name]["Type"])) for name, text in texts.items()}


def _check_parameter(name: str, text: str, rules: Mapping[str, Any]) -> None:
    kind = str(rules["Type"])
    if kind.startswith("AWS::SSM::"):
        raise invalid(f"The lab's CloudFormation does not have the parameter type {kind} of {name}")
    allowed = [as_text(v) for v in rules.get("AllowedValues") or []]
    if allowed and text not in allowed:
        raise invalid(f"Parameter '{name}' must be one of AllowedValues")
    if kind == "Number" and not _NUMBER.fullmatch(text):
        raise invalid(f"Parameter '{name}' must be a number.")
    if broken := next(_broken(text, kind, rules), ""):
        raise invalid(f"Parameter {name} failed to satisfy constraint: {rules.get('ConstraintDescription') or broken}")


def _broken(text: str, kind: str, rules: Mapping[str, Any]) -> Iterator[str]:
    """The rules that a text breaks, in words."""
    if pattern := rules.get("AllowedPattern"):
        try:
            matches = re.fullmatch(str(pattern), text) is not None
        except re.error as error:
            raise invalid(
                f"Template format error: AllowedPattern {pattern} is no regular expression: {error}"
            ) from error
        if not matches:
            yield f"must match pattern {pattern}"
    size = float(text) if kind == "Number" else len(text)
    noun, unit = ("Value", "") if kind == "Number" else ("Length", "have a length of ")
    for end, word, wrong in (("Min", "at least", _below), ("Max", "at most", _above)):
        limit = as_text(rules.get(f"{end}{noun}", ""))
        if _NUMBER.fullmatch(limit) and wrong(size, float(limit)):
            yield f"must {unit or 'be '}{word} {limit}"


def _typed(text: str, kind: str) -> Any:
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [item.strip() for item in text.split(",")] if text else []
    return text  # numbers too: templates write them as they were given
