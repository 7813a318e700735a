"""What the stacks of a site will make, as far as templates and values say it before anything is made. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from islanding import cfn
from islanding.stackconf import StacksConf
from islanding.stackrules import REFERENCE


@dataclass(frozen=True)
class Planned:
    """A resource that a stack will make; `token` is what others refer to it by."""

    token: str
    id: str
    file: str
    type: str
    properties: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.id} in {self.file}"

    def text(self, name: str) -> str:
        """A property as text; empty when it has none."""
        value = self.properties.get(name)
        return "" if value is None else cfn.text_of(value)

    def items(self, name: str) -> list[str]:
        """A property that is a list, or a text with commas between."""
        value = self.properties.get(name)
        found = value if isinstance(value, list) else [] if value is None else cfn.text_of(value).split(",")
        # A list of one reference to a list is a list of lists.
        return [cfn.text_of(item) for inner in found for item in (inner if isinstance(inner, list) else [inner])]


@dataclass(frozen=True)
class Given:
    """A parameter's value, and where it is used."""

    stack: str
    name: str
    type: str
    value: str

    def __str__(self) -> str:
        return f"parameter {self.name} of stack {self.stack}"


@dataclass(frozen=True)
class Plan:
    """Everything that a site's stacks will make, and the subnets that the cluster is given."""

    resources: Mapping[str, Planned] = field(default_factory=dict)
    parameters: tuple[Given, ...] = ()
    subnets: tuple[str, ...] = ()  # tokens, or ids of subnets that are there already

    def of(self, type_: str) -> Iterator[Planned]:
        """The resources of a type, in the order of the templates."""
        return (one for one in self.resources.values() if one.type == type_)


def plan(conf: StacksConf, folder: Path, around: Mapping[str, Mapping[str, str]], zones: tuple[str, ...] = ()) -> Plan:
    """The plan of a site whose templates lie in `folder`; raises SetupError for a template that is none.

    `around` is what references may name beside stacks and cluster, `zones` the Region's for Fn::GetAZs.
    """
    cluster = {"name": conf.cluster.name, "service_cidr": str(conf.cluster.service_cidr)}
    known: dict[str, Mapping[str, str]] = {**around, "cluster": cluster}
    resources: dict[str, Planned] = {}
    parameters: list[Given] = []
    for stack in conf.stacks:
        template = cfn.read(folder / stack.template)
        given = {name: _known(value, known) for name, value in stack.parameters.items()}
        pseudo = {
            "AWS::Region": conf.region.name,
            "AWS::AccountId": conf.region.account,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": f"{conf.name}-{stack.name}",
        }
        scope = cfn.Scope(template, {**given, **pseudo}, _tokens(stack.name), zones)
        parameters += [
            Given(stack.name, name, parameter.type, given.get(name, parameter.default or ""))
            for name, parameter in template.parameters.items()
        ]
        for id_, raw in template.resources.items():
            if scope.exists(raw):
                token, made = scope.token(id_), scope.of(raw.get("Properties") or {})
                properties = made if isinstance(made, dict) else {}
                resources[token] = Planned(token, id_, template.name, str(raw.get("Type", "")), properties)
        known[stack.name] = {name: scope.text(value) for name, value in template.outputs.items()}
    return Plan(resources, tuple(parameters), tuple(_known(conf.cluster.subnets, known).split(",")))


def _tokens(stack: str) -> Any:
    return lambda id_: f"<{stack}.{id_}>"


def _known(text: str, known: Mapping[str, Mapping[str, str]]) -> str:
    return REFERENCE.sub(lambda found: known.get(found[1], {}).get(found[2], cfn.UNKNOWN), text)
