"""A template's functions, evaluated: Ref, GetAtt, Sub, conditions and their kin. Pure.

Source: CloudFormation user guide, "Intrinsic function reference".
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from islanding.lab.region.cloudformation.resource import Made
from islanding.lab.region.cloudformation.template import SUB, Template, as_text, invalid

_NO_VALUE = object()


@dataclass
class Scope:
    """What functions can refer to while a template is evaluated."""

    template: Template
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    exports: Mapping[str, str]
    zones: Callable[[], Sequence[str]] = tuple  # of the Region, asked for only when a template wants them
    made: dict[str, Made] = field(default_factory=dict)  # by logical id
    imported: set[str] = field(default_factory=set)  # names of the exports that were asked for

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template is true; raises AwsError for one that it does not have."""
        if condition not in self.template.conditions:
            raise invalid(f"Template format error: Unresolved condition dependency {condition}")
        return self._condition(self.template.conditions[condition])

    def _condition(self, value: Any) -> bool:
        try:
            return self._judged(value)
        except (IndexError, TypeError, ValueError, KeyError) as error:
            raise invalid("Template error: every condition must be made of condition functions") from error

    def _judged(self, value: Any) -> bool:
        if not isinstance(value, dict):
            raise TypeError(value)
        ((name, argument),) = value.items()
        if name == "Condition":
            return self.holds(argument)
        if name == "Fn::Equals":
            left, right = (self.value(v) for v in argument)
            return as_text(left) == as_text(right)
        if name == "Fn::Not":
            (only,) = argument
            return not self._condition(only)
        if name in ("Fn::And", "Fn::Or"):
            return (all if name == "Fn::And" else any)(self._condition(v) for v in argument)
        raise KeyError(name)

    def value(self, value: Any) -> Any:
        """A value of the template with its functions evaluated; raises AwsError as CloudFormation does."""
        if isinstance(value, dict):
            if len(value) == 1:
                ((name, argument),) = value.items()
                if isinstance(name, str) and (name == "Ref" or name.startswith("Fn::")):
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
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": lambda a: as_text(self.value(a[1])).split(str(a[0])),
            "Fn::Base64": lambda a: base64.b64encode(as_text(self.value(a)).encode()).decode(),
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::ImportValue": self._import,
            "Fn::GetAZs": lambda _: list(self.zones()),
            "Fn::Cidr": self._cidr,
        }
        if name not in functions:
            raise invalid(f"Template error: the lab does not have the function {name}")
        try:
            return functions[name](argument)
        except (IndexError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise invalid(f"Template error: {name} cannot be evaluated: {error}") from error

    def ref(self, name: str) -> Any:
        """What `Ref` gives."""
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._made(name).id

    def _made(self, name: str) -> Made:
        if name not in self.made:  # it has a condition, and that is false
            raise invalid(f"Template format error: Unresolved resource dependencies [{name}] in the Resources block of"
                          " the template")  # fmt: skip
        return self.made[name]

    def _get_att(self, argument: Any) -> Any:
        resource, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        attribute = as_text(self.value(attribute))
        attributes = self._made(resource).attributes
        if attribute not in attributes:
            kind = self.template.resources[resource].type
            raise invalid(f"Template error: resource {resource} of type {kind} has no attribute {attribute}")
        return attributes[attribute]

    def _if(self, argument: Any) -> Any:
        condition, then, otherwise = argument
        return self.value(then if self.holds(condition) else otherwise)

    def _join(self, argument: Any) -> str:
        between, parts = argument
        values = self.value(parts)
        if not isinstance(values, list):
            raise TypeError("it wants a list")
        return str(between).join(as_text(v) for v in values)

    def _select(self, argument: Any) -> Any:
        number, values = (self.value(v) for v in argument)
        if not isinstance(values, list) or not 0 <= int(number) < len(values):
            raise invalid(f"Template error: Fn::Select cannot select nonexistent value at index {number}")
        return values[int(number)]

    def _sub(self, argument: Any) -> str:
        text, local = (argument[0], self.value(argument[1])) if isinstance(argument, list) else (argument, {})

        def replace(found: re.Match[str]) -> str:
            if found[1]:
                return "${" + found[2] + "}"
            if found[2] in local:
                return as_text(local[found[2]])
            if "." in found[2]:
                return as_text(self._get_att(found[2]))
            return as_text(self.ref(found[2]))

        return SUB.sub(replace, text)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = (self.value(v) for v in argument)
        try:
            return self.template.mappings[name][first][second]
        except (KeyError, TypeError):
            raise invalid(
                f"Template error: Unable to get mapping for {as_text(name)}::{as_text(first)}::{as_text(second)}"
            ) from None

    def _import(self, argument: Any) -> str:
        name = as_text(self.value(argument))
        self.imported.add(name)
        if name not in self.exports:
            raise invalid(f"No export named {name} found.")
        return self.exports[name]

    def _cidr(self, argument: list[Any]) -> list[str]:
        block, count, bits = (self.value(v) for v in argument)
        found = list(islice(ipaddress.IPv4Network(block).subnets(new_prefix=32 - int(bits)), int(count)))
        if len(found) < int(count):
            raise ValueError(f"{block} has no {count} ranges of {bits} bits")
        return [str(one) for one in found]
