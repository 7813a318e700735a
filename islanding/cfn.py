"""CloudFormation templates as files: their parameters, resources and outputs, and what their values are. Pure.

Source of the functions: CloudFormation template reference, "Intrinsic function reference".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from islanding.errors import SetupError

UNKNOWN = "(not known yet)"
MAX_DEPTH = 60  # of values that refer to values: a template that refers to itself ends here
# Attributes by which AWS gives the same id as Ref does.
_IDS = {"SubnetId", "VpcId", "GroupId", "RouteTableId", "InstanceId", "InternetGatewayId", "Id"}
_SUB = re.compile(r"\$\{(!?)([A-Za-z0-9:._]+)\}")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (`!Ref X`), which become long ones; dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]  # a node is one of three
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a template: type, default (None: it must be given), and what a value must be."""

    type: str = "String"
    default: str | None = None
    pattern: str = ""
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A template: what it is read from, and its sections as plain values."""

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, Any] = field(default_factory=dict)


def read(path: Path) -> Template:
    """Read a template (YAML or JSON); raises SetupError with file and line for what is none."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SetupError(f"{path}:{line}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise SetupError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from error
    resources = _mapping(data, "Resources")
    if not resources:
        raise SetupError(f"{path} is no CloudFormation template: it has no Resources")
    return Template(
        path.name,
        {str(name): _parameter(raw) for name, raw in _mapping(data, "Parameters").items()},
        {str(name): raw for name, raw in resources.items() if isinstance(raw, dict)},
        {str(n): raw.get("Value") for n, raw in _mapping(data, "Outputs").items() if isinstance(raw, dict)},
        _mapping(data, "Conditions"),
        _mapping(data, "Mappings"),
    )


def _join(done: Any) -> str:
    return str(done[0]).join(map(text_of, done[1])) if isinstance(done[1], list) else UNKNOWN


def _select(done: Any) -> Any:
    return done[1][int(done[0])] if isinstance(done[1], list) else UNKNOWN


def _cidr(done: Any) -> list[str]:
    parts = IPv4Network(done[0]).subnets(new_prefix=32 - int(done[2]))
    return [str(part) for part in islice(parts, int(done[1]))]


# Functions whose value is made of their evaluated argument alone.
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "Join": _join,
    "Select": _select,
    "Split": lambda done: str(done[1]).split(str(done[0])),
    "Cidr": _cidr,
    "Base64": lambda done: done,
}


def _mapping(data: Any, key: str) -> dict[str, Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def _parameter(raw: Any) -> Parameter:
    if not isinstance(raw, dict):
        return Parameter()
    default, allowed = raw.get("Default"), raw.get("AllowedValues")
    return Parameter(
        str(raw.get("Type", "String")),
        None if default is None else text_of(default),
        str(raw.get("AllowedPattern", "")),
        tuple(map(text_of, allowed)) if isinstance(allowed, list) else (),
    )


def text_of(value: Any) -> str:
    """A scalar as CloudFormation writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Scope:
    """What a template's values are evaluated by: parameters, pseudo parameters, and the Region's zones.

    `token` is what stands for the id of a resource that is still to be made.
    """

    template: Template
    values: Mapping[str, str]
    token: Callable[[str], str]
    zones: tuple[str, ...] = ()

    def of(self, value: Any, depth: int = 0) -> Any:
        """`value` with its functions done; what cannot be known before it is made holds UNKNOWN. Never raises."""
        if depth > MAX_DEPTH:
            return UNKNOWN
        if isinstance(value, list):
            return [self.of(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self._ref(str(argument))
            if str(name).startswith("Fn::") or name == "Condition":
                return self._function(str(name).removeprefix("Fn::"), argument, depth + 1)
        return {key: self.of(inner, depth + 1) for key, inner in value.items()}

    def text(self, value: Any) -> str:
        """The same as text; lists with commas between."""
        done = self.of(value)
        return ",".join(map(text_of, done)) if isinstance(done, list) else text_of(done)

    def _ref(self, name: str) -> Any:
        if name in self.template.resources:
            return self.token(name)
        text = self.values.get(name)
        if text is None:
            parameter = self.template.parameters.get(name)
            text = UNKNOWN if parameter is None or parameter.default is None else parameter.default
        kind = self.template.parameters.get(name, Parameter()).type
        return text.split(",") if kind.startswith("List<") or kind == "CommaDelimitedList" else text

    def _function(self, name: str, argument: Any, depth: int) -> Any:
        special = {"GetAtt": self._attribute, "Sub": self._sub, "If": self._if}
        try:
            if name in special:
                return special[name](argument, depth)
            done = self.of(argument, depth)
            if name == "FindInMap":
                return self.of(self.template.mappings[done[0]][done[1]][done[2]], depth)
            if name == "GetAZs":
                return list(self.zones) or UNKNOWN
            return _PLAIN[name](done)
        except (ValueError, LookupError, TypeError, AttributeError):
            return UNKNOWN  # a function that is not known here, or arguments that CloudFormation will refuse

    def _if(self, argument: Any, depth: int) -> Any:
        condition, yes, no = argument
        truth = self._truth(condition, depth)
        return UNKNOWN if truth is None else self.of(yes if truth else no, depth)

    def _attribute(self, argument: Any, depth: int) -> Any:
        id_, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        resource = self.template.resources[id_]
        if attribute in _IDS:
            return self.token(id_)
        properties = resource.get("Properties") or {}
        return self.of(properties[attribute], depth) if attribute in properties else UNKNOWN

    def _sub(self, argument: Any, depth: int) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def one(found: re.Match[str]) -> str:
            name = found[2]
            if found[1]:
                return f"${{{name}}}"
            if name in own:
                return text_of(self.of(own[name], depth))
            return text_of(self._attribute(name, depth) if "." in name else self._ref(name))

        return _SUB.sub(one, text)

    def _truth(self, name: Any, depth: int) -> bool | None:
        """Whether a condition holds; None when that is not known."""
        if depth > MAX_DEPTH:
            return None
        condition = self.template.conditions[name] if isinstance(name, str) else name
        kind, argument = next(iter(condition.items()))
        if kind == "Condition":
            return self._truth(argument, depth + 1)
        if kind == "Fn::Equals":
            sides = [self.text(side) for side in argument]
            return None if any(UNKNOWN in side for side in sides) else sides[0] == sides[1]
        parts = [self._truth(part, depth + 1) for part in argument]
        if None in parts:
            return None
        return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[kind]

    def exists(self, resource: Mapping[str, Any]) -> bool:
        """Whether a resource is made at all; one whose condition is not known counts as made."""
        condition = resource.get("Condition")
        try:
            return not isinstance(condition, str) or self._truth(condition, 0) is not False
        except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
            return True
