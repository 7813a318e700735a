"""CloudFormation templates: read and checked. Pure.

Source of the sections, of pseudo parameters and of the short forms: CloudFormation user guide, "Template anatomy",
"Pseudo parameters reference" and "Intrinsic function reference"; the errors' wording is AWS's own (memory).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from islanding.lab.region.errors import AwsError

SUB = re.compile(r"\$\{(!?)([A-Za-z0-9:._]+)\}")
PSEUDO = ("AWS::AccountId", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::Partition", "AWS::URLSuffix",
          "AWS::NoValue", "AWS::NotificationARNs")  # fmt: skip
SECTIONS = ("Resources", "Parameters", "Mappings", "Conditions", "Outputs")
_MEMBERS = {
    "Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata",
    "UpdatePolicy",
}  # fmt: skip
_POLICIES = ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot")
_NAME = re.compile(r"[A-Za-z0-9]{1,255}")
_MAX_DEPTH = 60  # AWS gives no figure; no sensible template comes near


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation takes it: dates stay texts, and short forms (`!Ref X`) become long ones."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # a node is one of three
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@dataclass(frozen=True)
class Resource:
    """A resource as the template has it; `needs` are the logical ids that must be there before."""

    id: str
    type: str
    properties: dict[str, Any]
    needs: frozenset[str]
    condition: str = ""
    deletion: str = "Delete"  # DeletionPolicy
    replacement: str = "Delete"  # UpdateReplacePolicy


@dataclass(frozen=True)
class Template:
    """A template that holds together."""

    text: str
    resources: dict[str, Resource]
    parameters: dict[str, dict[str, Any]]
    mappings: dict[str, Any]
    conditions: dict[str, Any]
    outputs: dict[str, dict[str, Any]]
    description: str = ""

    def order(self) -> list[str]:
        """Logical ids, each after all that it needs; raises AwsError when they go round in a circle."""
        return in_order({name: r.needs for name, r in self.resources.items()}, "resources")


def in_order(needs: Mapping[str, Iterable[str]], what: str) -> list[str]:
    """Names, each after those that it needs (all of which are keys); raises AwsError for a circle of `what`."""
    done: dict[str, None] = {}
    waiting = {name: set(wanted) for name, wanted in needs.items()}
    while waiting:
        ready = [name for name, wanted in waiting.items() if not wanted - done.keys()]
        if not ready:
            raise invalid(f"Circular dependency between {what}: [{', '.join(_cycle(waiting))}]")
        for name in ready:
            del waiting[name]
            done[name] = None
    return list(done)


def invalid(message: str) -> AwsError:
    """What CloudFormation answers to a template or a call that cannot be right."""
    return AwsError("ValidationError", message, 400)


def parse(text: str) -> Template:
    """Read a template, JSON or YAML; raises AwsError (ValidationError) in CloudFormation's words."""
    data = _read(text)
    sections = {name: _mapping(data.get(name), name) for name in SECTIONS}
    if not sections["Resources"]:
        raise invalid("Template format error: At least one Resources member must be defined.")
    for section in ("Parameters", "Mappings", "Outputs"):
        for name, body in sections[section].items():
            if not isinstance(body, dict):
                raise invalid(f"Template format error: Every {section} member must be a JSON object: {name}.")
    for name, rules in sections["Parameters"].items():
        if not isinstance(rules.get("Type"), str):
            raise invalid(f"Template format error: Every Parameters object must contain a Type member: {name}.")
    for name, body in sections["Outputs"].items():
        if "Value" not in body:
            raise invalid(f"Template format error: Every Outputs member must contain a Value object: {name}.")
    template = Template(
        text=text,
        resources={name: _resource(name, body, sections["Resources"]) for name, body in sections["Resources"].items()},
        parameters=sections["Parameters"],
        mappings=sections["Mappings"],
        conditions=sections["Conditions"],
        outputs=sections["Outputs"],
        description=str(data.get("Description") or ""),
    )
    _check_references(template)
    _check_conditions(template)
    template.order()
    return template


def _read(text: str) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader with fewer types
    except yaml.YAMLError as error:
        raise invalid(f"Template format error: YAML not well-formed. {_where(error)}".rstrip()) from error
    except (ValueError, TypeError, RecursionError) as error:  # a tag such as !!int before what is no number
        raise invalid("Template format error: YAML not well-formed.") from error
    if not isinstance(data, dict):
        raise invalid("Template format error: unsupported structure.")
    _check_depth(data, _MAX_DEPTH)
    return data


def _check_depth(value: Any, left: int) -> None:
    """An anchor that refers to itself has no end."""
    if left == 0:
        raise invalid("Template format error: unsupported structure.")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(inner, left - 1)


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"Template format error: {name} section must be a JSON object.")
    return {str(key): inner for key, inner in value.items()}


def _resource(name: str, body: Any, all_of_them: Mapping[str, Any]) -> Resource:
    where = f"[/Resources/{name}]"
    if not isinstance(body, dict) or not isinstance(body.get("Type"), str):
        raise invalid(f"Template format error: {where} Every Resources object must contain a Type member.")
    if not _NAME.fullmatch(name):
        raise invalid(f"Template format error: Resource name {name} is non alphanumeric.")
    if unknown := sorted(str(member) for member in set(body) - _MEMBERS):
        raise invalid(f"Invalid template resource property '{unknown[0]}'")
    properties = body.get("Properties") or {}
    if not isinstance(properties, dict):
        raise invalid(f"Template format error: {where} Properties must be a JSON object.")
    depends = body.get("DependsOn") or []
    listed = [depends] if isinstance(depends, str) else depends
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise invalid(f"Template format error: {where} DependsOn must be a string or a list of strings.")
    if missing := sorted(one for one in listed if one not in all_of_them):
        raise _unresolved(missing, "Resources")
    policies = []
    for member in ("DeletionPolicy", "UpdateReplacePolicy"):
        policy = body.get(member, "Delete")
        if policy not in _POLICIES:
            raise invalid(f"Template format error: Unrecognized {member} {as_text(policy)} for resource {name}")
        policies.append(str(policy))
    needs = {*listed, *(found for found in references(properties) if found in all_of_them)}
    return Resource(
        name, body["Type"], properties, frozenset(needs), str(body.get("Condition") or ""), policies[0], policies[1]
    )


def references(value: Any) -> Iterator[str]:
    """The logical ids and parameters that a value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                yield item
            elif key == "Fn::GetAtt" and (name := _first_part(item)):
                yield name
            elif key == "Fn::Sub":
                yield from _in_text(item)
            else:
                yield from references(item)


def _first_part(argument: Any) -> str:
    first = argument[0] if isinstance(argument, list) and argument else argument
    return first.split(".", 1)[0] if isinstance(first, str) else ""


def _in_text(argument: Any) -> Iterator[str]:
    text, local = (argument[0], argument[1]) if isinstance(argument, list) and len(argument) > 1 else (argument, {})
    if isinstance(text, str):
        names = (found[2] for found in SUB.finditer(text) if not found[1])
        yield from (name.split(".", 1)[0] for name in names if name not in (local or {}))
    yield from references(local)


def _unresolved(missing: list[str], section: str) -> AwsError:
    listed = ", ".join(missing)
    return invalid(
        f"Template format error: Unresolved resource dependencies [{listed}] in the {section} block of the template"
    )


def _check_references(template: Template) -> None:
    known = {*template.resources, *template.parameters, *PSEUDO}
    for section, values in (
        ("Resources", [r.properties for r in template.resources.values()]),
        ("Outputs", list(template.outputs.values())),
    ):
        if missing := sorted({name for value in values for name in references(value)} - known):
            raise _unresolved(missing, section)


def _check_conditions(template: Template) -> None:
    """Conditions refer to parameters and to each other only, and not in a circle."""
    needs = {name: set(_conditions_in(value)) for name, value in template.conditions.items()}
    used = {r.condition for r in template.resources.values() if r.condition}
    used |= {as_text(output["Condition"]) for output in template.outputs.values() if "Condition" in output}
    for inner in (*needs.values(), used, *(_ifs_in(r.properties) for r in template.resources.values()),
                  _ifs_in(template.outputs)):  # fmt: skip
        if missing := sorted(set(inner) - set(template.conditions)):
            raise invalid(f"Template format error: Unresolved condition dependency {missing[0]}")
    if wrong := sorted(set(references(template.conditions)) - {*template.parameters, *PSEUDO}):
        listed = ", ".join(wrong)
        raise invalid(f"Template format error: Unresolved dependencies [{listed}]. Cannot reference resources in the"
                      " Conditions block of the template")  # fmt: skip
    in_order(needs, "conditions")


def _conditions_in(value: Any) -> Iterator[str]:
    """The conditions that a condition refers to."""
    yield from _named(value, "Condition", lambda item: item)


def _ifs_in(value: Any) -> Iterator[str]:
    """The conditions that a value's Fn::If ask for."""
    yield from _named(value, "Fn::If", lambda item: item[0] if isinstance(item, list) and item else None)


def _named(value: Any, key: str, name: Callable[[Any], Any]) -> Iterator[str]:
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from _named(inner, key, name)
    if isinstance(value, dict) and len(value) == 1 and key in value and isinstance(name(value[key]), str):
        yield name(value[key])


def as_text(value: Any) -> str:
    """A value as CloudFormation writes it into a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)


def _cycle(waiting: Mapping[str, Iterable[str]]) -> list[str]:
    """The names of one circle: each still waits for another that waits."""
    path = [next(iter(waiting))]
    while True:
        following = next(need for need in sorted(waiting[path[-1]]) if need in waiting)
        if following in path:
            return path[path.index(following) :]
        path.append(following)


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"(line {mark.line + 1}, column {mark.column + 1})" if mark else ""
