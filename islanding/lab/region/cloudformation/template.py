"""CloudFormation templates: read, checked and evaluated. Pure.

Source of functions, pseudo parameters and of the words of errors: CloudFormation user guide, "Intrinsic function
reference" and "Pseudo parameters reference"; the errors' wording is AWS's own (memory).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from islanding.lab.region.errors import AwsError

_SUB = re.compile(r"\$\{(!?)([A-Za-z0-9:._]+)\}")
_NO_VALUE = object()
PSEUDO = ("AWS::AccountId", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::Partition", "AWS::URLSuffix",
          "AWS::NoValue", "AWS::NotificationARNs")  # fmt: skip


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
    retained: bool = False  # DeletionPolicy: Retain


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
        """Logical ids, each after all that it needs."""
        done: list[str] = []
        waiting = {name: set(r.needs) for name, r in self.resources.items()}
        while waiting:
            ready = [name for name, needs in waiting.items() if not needs - set(done)]
            if not ready:
                raise invalid(f"Circular dependency between resources: [{', '.join(_cycle(waiting))}]")
            done += ready
            for name in ready:
                del waiting[name]
        return done


@dataclass
class Scope:
    """What functions can refer to while a template is evaluated."""

    template: Template
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    exports: Mapping[str, str]
    zones: tuple[str, ...] = ()
    made: dict[str, Any] = field(default_factory=dict)  # logical id -> Made

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template is true."""
        if condition not in self.template.conditions:
            raise invalid(f"Template format error: Unresolved condition dependency {condition}")
        return bool(self._condition(self.template.conditions[condition]))

    def _condition(self, value: Any) -> bool:
        if isinstance(value, dict) and len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Condition":
                return self.holds(argument)
            if name == "Fn::Equals":
                left, right = (self.value(v) for v in argument)
                return _text(left) == _text(right)
            if name == "Fn::Not":
                return not self._condition(argument[0])
            if name in ("Fn::And", "Fn::Or"):
                return (all if name == "Fn::And" else any)(self._condition(v) for v in argument)
        return _text(self.value(value)) == "true"

    def value(self, value: Any) -> Any:
        """A value of the template with its functions evaluated; raises AwsError as CloudFormation does."""
        if isinstance(value, dict):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if name == "Ref" or name.startswith("Fn::"):
                    return self._function(name, argument)
            inner = {k: self.value(v) for k, v in value.items()}
            return {k: v for k, v in inner.items() if v is not _NO_VALUE}
        if isinstance(value, list):
            return [v for v in map(self.value, value) if v is not _NO_VALUE]
        return value

    def _function(self, name: str, argument: Any) -> Any:
        functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self.ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": lambda a: str(a[0]).join(_text(v) for v in self.value(a[1])),
            "Fn::Select": lambda a: self.value(a[1])[int(self.value(a[0]))],
            "Fn::Split": lambda a: _text(self.value(a[1])).split(a[0]),
            "Fn::Base64": lambda a: base64.b64encode(_text(self.value(a)).encode()).decode(),
            "Fn::If": lambda a: self.value(a[1] if self.holds(a[0]) else a[2]),
            "Fn::FindInMap": self._find_in_map,
            "Fn::ImportValue": self._import,
            "Fn::GetAZs": lambda _: list(self.zones),
            "Fn::Cidr": self._cidr,
        }
        if name not in functions:
            raise invalid(f"Template error: the lab does not have the function {name}")
        try:
            return functions[name](argument)
        except (IndexError, TypeError, ValueError, KeyError) as error:
            raise invalid(f"Template error: {name} cannot be evaluated: {error}") from error

    def ref(self, name: str) -> Any:
        """What `Ref` gives."""
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self.made[name].id

    def _get_att(self, argument: Any) -> Any:
        resource, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        attributes = self.made[resource].attributes
        if attribute not in attributes:
            kind = self.template.resources[resource].type
            raise invalid(f"Template error: resource {resource} of type {kind} has no attribute {attribute}")
        return attributes[attribute]

    def _sub(self, argument: Any) -> str:
        text, local = (argument[0], self.value(argument[1])) if isinstance(argument, list) else (argument, {})

        def replace(found: re.Match[str]) -> str:
            if found[1]:
                return "${" + found[2] + "}"
            if found[2] in local:
                return _text(local[found[2]])
            if "." in found[2]:
                return _text(self._get_att(found[2]))
            return _text(self.ref(found[2]))

        return _SUB.sub(replace, text)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = (self.value(v) for v in argument)
        return self.template.mappings[name][first][second]

    def _import(self, argument: Any) -> str:
        name = _text(self.value(argument))
        if name not in self.exports:
            raise invalid(f"No export named {name} found.")
        return self.exports[name]

    def _cidr(self, argument: list[Any]) -> list[str]:
        block, count, bits = (self.value(v) for v in argument)
        subnets = ipaddress.IPv4Network(block).subnets(new_prefix=32 - int(bits))
        return [str(next(subnets)) for _ in range(int(count))]


def invalid(message: str) -> AwsError:
    """What CloudFormation answers to a template or a call that cannot be right."""
    return AwsError("ValidationError", message, 400)


def parse(text: str) -> Template:
    """Read a template, JSON or YAML; raises AwsError (ValidationError) in CloudFormation's words."""
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader with fewer types
    except yaml.YAMLError as error:
        raise invalid(f"Template format error: YAML not well-formed. {_where(error)}") from error
    if not isinstance(data, dict):
        raise invalid("Template format error: unsupported structure.")
    sections = {k: data.get(k) or {} for k in ("Resources", "Parameters", "Mappings", "Conditions", "Outputs")}
    if not sections["Resources"]:
        raise invalid("Template format error: At least one Resources member must be defined.")
    if not all(isinstance(section, dict) for section in sections.values()):
        raise invalid("Template format error: unsupported structure.")
    resources = {}
    for name, body in sections["Resources"].items():
        if not isinstance(body, dict) or not isinstance(body.get("Type"), str):
            where = f"[/Resources/{name}]"
            raise invalid(f"Template format error: {where} Every Resources object must contain a Type member.")
        resources[str(name)] = _resource(str(name), body, sections["Resources"])
    template = Template(
        text=text,
        resources=resources,
        parameters={str(k): v or {} for k, v in sections["Parameters"].items()},
        mappings=sections["Mappings"],
        conditions=sections["Conditions"],
        outputs=sections["Outputs"],
        description=str(data.get("Description") or ""),
    )
    _check_references(template)
    template.order()
    return template


def _resource(name: str, body: dict[str, Any], all_of_them: Mapping[str, Any]) -> Resource:
    properties = body.get("Properties") or {}
    depends = body.get("DependsOn") or []
    needs = {str(d) for d in ([depends] if isinstance(depends, str) else depends)}
    needs |= {found for found in references(properties) if found in all_of_them}
    return Resource(
        name,
        body["Type"],
        properties,
        frozenset(needs),
        condition=str(body.get("Condition") or ""),
        retained=body.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate"),
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
            elif key == "Fn::GetAtt":
                yield str(item[0] if isinstance(item, list) else item.split(".", 1)[0])
            elif key == "Fn::Sub":
                text, local = (item[0], item[1]) if isinstance(item, list) else (item, {})
                names = [found[2].split(".", 1)[0] for found in _SUB.finditer(str(text)) if not found[1]]
                yield from (n for n in names if n not in local)
                yield from references(local)
            else:
                yield from references(item)


def _check_references(template: Template) -> None:
    known = {*template.resources, *template.parameters, *PSEUDO}
    for section, values in (
        ("Resources", [(r.properties, r.needs) for r in template.resources.values()]),
        ("Outputs", [(output, frozenset()) for output in template.outputs.values()]),
    ):
        used: set[str] = set()
        for value, needs in values:
            used |= set(references(value)) | set(needs)
        missing = sorted(used - known)
        if missing:
            raise invalid(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}]"
                f" in the {section} block of the template"
            )


def parameter_values(template: Template, given: Mapping[str, str], before: Mapping[str, str]) -> dict[str, Any]:
    """The values of all parameters: given, or as before (of an update), or the default; raises AwsError."""
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    texts = {}
    for name, rules in template.parameters.items():
        if name in given:
            texts[name] = given[name]
        elif name in before:
            texts[name] = before[name]
        elif "Default" in rules:
            texts[name] = _text(rules["Default"])
    missing = [name for name in template.parameters if name not in texts]
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    for name, text in texts.items():
        _check_parameter(name, text, template.parameters[name])
    return {name: _typed(text, str(template.parameters[name].get("Type", "String"))) for name, text in texts.items()}


def _check_parameter(name: str, text: str, rules: Mapping[str, Any]) -> None:
    allowed = [_text(v) for v in rules.get("AllowedValues") or []]
    if allowed and text not in allowed:
        raise invalid(f"Parameter '{name}' must be one of AllowedValues")
    pattern = rules.get("AllowedPattern")
    if pattern and not re.fullmatch(str(pattern), text):
        raise invalid(rules.get("ConstraintDescription") or f"Parameter {name} failed to satisfy constraint: {pattern}")
    if rules.get("Type") == "Number" and not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise invalid(f"Parameter '{name}' must be a number.")


def _typed(text: str, kind: str) -> Any:
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [item.strip() for item in text.split(",")] if text else []
    return text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _cycle(waiting: Mapping[str, Iterable[str]]) -> list[str]:
    """The resources of one cycle: each still waits for another that waits."""
    path = [next(iter(waiting))]
    while True:
        following = next(need for need in sorted(waiting[path[-1]]) if need in waiting)
        if following in path:
            return path[path.index(following) :]
        path.append(following)


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"(line {mark.line + 1}, column {mark.column + 1})" if mark else ""
