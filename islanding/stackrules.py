"""Rules of the `site.yaml` of a site made of stacks that concern several of its values, and its files.

They read the document and not the validated model, so that they also hold for the good parts of a file with mistakes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from typing import Any

from islanding import cfn, yamldoc
from islanding.cfn import Template
from islanding.errors import SetupError
from islanding.yamldoc import Document, Loc, Mistake

REFERENCE = re.compile(r"\$\{([A-Za-z0-9_-]+)\.([A-Za-z0-9_]+)\}")
# What a reference may name beside the outputs of stacks; what each means is in docs/adding-a-site.md.
SURROUNDINGS: dict[str, tuple[str, ...]] = {
    "workstation": ("address",),
    "key": ("name",),
    "image": ("operator", "worker"),
    "cluster": ("name", "service_cidr", "endpoint", "certificate_authority", "id"),
}
FROM_THE_START = ("name", "service_cidr")  # of the cluster: the file itself says them
SERVICE_PREFIXES = (12, 24)  # EKS API reference, CreateCluster, serviceIpv4Cidr
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))  # the same


def mistakes(document: Document) -> list[Mistake]:
    """Every breach of the rules in `document`, whatever else is wrong with it."""
    rules = _Rules(document)
    return [*rules.stacks(), *rules.references(), *rules.parameters(), *rules.workload(), *rules.services()]


class _Rules:
    def __init__(self, document: Document) -> None:
        self._document = document
        listed = document.at("stacks")
        self._stacks = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        self._names = [str(stack.get("name")) for stack in self._stacks]
        self._templates: dict[int, Template] = {}
        self._broken: dict[int, str] = {}
        for number, stack in enumerate(self._stacks):
            self._read(number, stack.get("template"))

    def _read(self, number: int, name: Any) -> None:
        if not isinstance(name, str) or not name:
            return
        wrong = self._no_file(name)
        if wrong:
            self._broken[number] = wrong
            return
        try:
            self._templates[number] = cfn.read(self._document.path.parent / name)
        except SetupError as error:
            self._broken[number] = error.what

    def _no_file(self, name: str) -> str:
        """What is wrong with the name of a file beside site.yaml; empty when it is there."""
        folder = self._document.path.parent
        if "\0" in name or "/" in name or name.startswith("."):
            return f"{name!r} must name a file beside {self._document.path.name}"
        if (folder / name).is_file():
            return ""
        there = ", ".join(sorted(p.name for p in folder.glob("*.yaml") if p.name != self._document.path.name))
        return f"no file '{name}' beside {self._document.path.name}; there are: {there or '(none)'}"

    def stacks(self) -> Iterator[Mistake]:
        """Stacks have names of their own and templates that can be read; the cluster follows one of them."""
        for number, name in enumerate(self._names):
            if name in SURROUNDINGS:
                yield self._mistake(("stacks", number, "name"), f"'{name}' is kept for what is no stack")
            elif name in self._names[:number]:
                line = self._document.line(("stacks", self._names.index(name), "name"))
                yield self._mistake(("stacks", number, "name"), f"'{name}' is taken (line {line})")
            if number in self._broken:
                yield self._mistake(("stacks", number, "template"), self._broken[number])
        after = self._document.at("cluster", "after")
        if isinstance(after, str) and after not in self._names:
            what = f"'{after}' is no stack of this site; there are: {', '.join(self._names) or '(none)'}"
            yield self._mistake(("cluster", "after"), what)

    def references(self) -> Iterator[Mistake]:
        """A value may refer to what is made before it; the cluster's endpoint is known after the stack it follows."""
        for loc, text in _strings(self._document.data, ()):
            for found in REFERENCE.finditer(text):
                what = self._wrong(found[1], found[2], loc)
                if what:
                    yield self._mistake(loc, f"{found[0]}{what}")
            # `${image}` alone is written in manifests, not here.
            if "${" in REFERENCE.sub("", text):
                yield self._mistake(loc, f"{yamldoc.shown(text)}: a reference is ${{STACK.Output}}")

    def _wrong(self, name: str, attribute: str, loc: Loc) -> str:
        """What is wrong with a reference at `loc`; empty when it will be known there."""
        if name in SURROUNDINGS:
            return self._wrong_around(name, attribute, loc)
        if name not in self._names:
            return f": there is no stack {name}; there are {', '.join([*self._names, *SURROUNDINGS])}"
        number = self._names.index(name)
        if number >= self._place(loc):
            return f": stack {name} is made later"
        template = self._templates.get(number)
        if template is not None and attribute not in template.outputs:
            return f": stack {name} has no such output; {_near(attribute, template.outputs)}"
        return ""

    def _wrong_around(self, name: str, attribute: str, loc: Loc) -> str:
        if attribute not in SURROUNDINGS[name]:
            return f": {name} has {', '.join(SURROUNDINGS[name])}"
        after = self._document.at("cluster", "after")
        made = name == "cluster" and attribute not in FROM_THE_START and after in self._names
        if made and (loc[:1] == ("cluster",) or self._place(loc) <= self._names.index(after)):
            return f" is not known before the cluster is made, after stack {after}"
        return ""

    def _place(self, loc: Loc) -> int:
        """How many stacks are made before the value at `loc` is needed."""
        if loc[:1] == ("stacks",) and len(loc) > 1 and isinstance(loc[1], int):
            return loc[1]
        after = self._document.at("cluster", "after")
        # aws-auth is written as soon as there is a cluster, before any node asks.
        if loc[:1] in {("cluster",), ("mappings",)} and after in self._names:
            return self._names.index(after) + 1
        return len(self._names)

    def parameters(self) -> Iterator[Mistake]:
        """Each parameter is one of the template's, those without a default are given, and values are allowed."""
        for number, template in self._templates.items():
            loc: Loc = ("stacks", number, "parameters")
            given = self._document.at(*loc)
            given = given if isinstance(given, dict) else {}
            for name, value in given.items():
                if name not in template.parameters:
                    what = f"{template.name} has no such parameter; {_near(name, template.parameters)}"
                    yield self._mistake((*loc, name), what)
                elif isinstance(value, str) and "${" not in value:
                    yield from (self._mistake((*loc, name), what) for what in _not_allowed(template, name, value))
            for name, parameter in template.parameters.items():
                if parameter.default is None and name not in given:
                    yield self._mistake(loc, f"{name} is missing: {template.name} has no default for it")

    def workload(self) -> Iterator[Mistake]:
        """The manifest is there."""
        name = self._document.at("workload", "manifest")
        wrong = self._no_file(name) if isinstance(name, str) and name else ""
        if wrong:
            yield self._mistake(("workload", "manifest"), wrong)

    def services(self) -> Iterator[Mistake]:
        """The range of Services is one that EKS takes."""
        loc = ("cluster", "service_cidr")
        try:
            network = IPv4Network(self._document.at(*loc))
        except ValueError:  # the schema says what is wrong
            return
        low, high = SERVICE_PREFIXES
        if not low <= network.prefixlen <= high:
            yield self._mistake(loc, f"{network}: the prefix length must be from /{low} to /{high}")
        if not any(network.subnet_of(private) for private in PRIVATE):
            yield self._mistake(loc, f"{network} must lie in one of {', '.join(map(str, PRIVATE))}")

    def _mistake(self, loc: Loc, what: str) -> Mistake:
        return self._document.mistake(loc, what)


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}There are: {', '.join(names) or '(none)'}"


def _not_allowed(template: Template, name: str, value: str) -> Iterator[str]:
    parameter = template.parameters[name]
    if parameter.allowed and value not in parameter.allowed:
        yield f"{yamldoc.shown(value)} is not allowed; allowed: {', '.join(parameter.allowed)}"
    try:
        matches = not parameter.pattern or re.fullmatch(parameter.pattern, value) is not None
    except re.error:  # CloudFormation's patterns are Java's: a few of them are none here
        return
    if not matches:
        yield f"{yamldoc.shown(value)} does not match {parameter.pattern}, which {template.name} asks for"


def _strings(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, (*loc, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _strings(inner, (*loc, number))
