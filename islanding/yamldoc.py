"""YAML files read with their line numbers, so that each mistake in one is named where it stands."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args

import yaml
from pydantic import BaseModel, ValidationError

from islanding.errors import SetupError

Loc: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 40  # nesting of a file that a person wrote; far below what Python's stack allows


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake: line (from 1), where in the document, and what is wrong with it."""

    line: int
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


@dataclass
class Document:
    """A YAML file as plain values, with the line on which each value or key stands."""

    path: Path
    data: Any
    lines: dict[Loc, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)  # found while reading: a key given twice

    def line(self, loc: Loc) -> int:
        """The line of the value at `loc`; of the nearest value around it when there is none there."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def at(self, *loc: str | int) -> Any:
        """The value at `loc`, None when the document has none there."""
        value = self.data
        for step in loc:
            items = dict(enumerate(value)) if isinstance(value, list) else value
            if not isinstance(items, dict) or step not in items:
                return None
            value = items[step]
        return value

    def put(self, loc: tuple[str, ...], value: Any) -> None:
        """Set the value at the keys `loc`, which need not be there yet; where it cannot be set, that is a mistake."""
        holder = self.data
        for step in loc[:-1]:
            holder = holder.setdefault(step, {}) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder[loc[-1]] = value
        else:
            self.mistakes.append(self.mistake(loc, f"cannot be set to {shown(value)}: there is no such key"))

    def mistake(self, loc: Loc, what: str) -> Mistake:
        """A mistake at `loc`."""
        return Mistake(self.line(loc), dotted(loc), what)

    def reject(self, mistakes: Iterable[Mistake]) -> SetupError:
        """The error that names all `mistakes`, each once, in the order of their lines."""
        found = sorted(set(mistakes))
        count = "a mistake" if len(found) == 1 else f"{len(found)} mistakes"
        lines = "".join(f"\n  {self.path}:{mistake.line}: {mistake}" for mistake in found)
        return SetupError(f"{self.path} has {count}:{lines}")


def dotted(loc: Loc) -> str:
    """`("instances", 2, "address")` as `instances[2].address`."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read(path: Path) -> Document:
    """Read a YAML file. Raises SetupError when it cannot be read or is not YAML that a person would write."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}") from error
    return parse(content, path)


def parse(content: bytes | str, path: Path) -> Document:
    """Parse the content of the YAML file `path`; one document, without anchors, aliases and tags of its own.

    Raises SetupError that names the line of what YAML itself does not allow.
    """
    document = Document(path, None)
    try:
        loader = yaml.SafeLoader(content)
        try:
            _refuse_aliases_and_depth(content, document)
            node = loader.get_single_node()
            document.data = None if node is None else _plain(loader, node, (), document)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not valid YAML: {error.problem or error.context}"
        raise document.reject([Mistake(mark.line + 1 if mark else 1, "", what)]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise document.reject([Mistake(1, "", f"not valid YAML: {str(error).splitlines()[0]}")]) from error
    return document


def _refuse_aliases_and_depth(content: bytes | str, document: Document) -> None:
    """An alias could make a small file without end, deep nesting exhausts the stack: neither has a use here."""
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise document.reject([Mistake(line, "", f"'*{event.anchor}': aliases are not allowed here")])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise document.reject([Mistake(line, "", f"nested more than {MAX_DEPTH} levels deep")])


def _plain(loader: yaml.SafeLoader, node: yaml.Node, loc: Loc, document: Document) -> Any:
    """The value of a node as dict, list or scalar; notes the line of each on the way."""
    document.lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, loc, document)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*loc, i), document) for i, item in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except (ValueError, OverflowError, ArithmeticError, LookupError, AttributeError) as error:
        # PyYAML's own constructors stumble over values that only look like a number or a date (0b_, 2001-99-99).
        what = f"'{node.value}' looks like a number or a date but is none; put it in quotes"
        raise document.reject([document.mistake(loc, what)]) from error


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, loc: Loc, document: Document) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            document.mistakes.append(Mistake(line, dotted(loc), "a key must be a plain name"))
            continue
        name = str(key.value)
        if name in plain:
            first = document.lines[(*loc, name)]
            document.mistakes.append(Mistake(line, dotted((*loc, name)), f"given twice, first on line {first}"))
            continue
        document.lines[(*loc, name)] = line
        plain[name] = _plain(loader, value, (*loc, name), document)
    return plain


def explain(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Mistake]:
    """What pydantic found wrong with a document, in words for the person who wrote it."""
    details = error.errors(include_url=False, include_context=True, include_input=True)
    misspelt: set[Loc] = set()  # keys that are missing because they were misspelt are named once
    mistakes: list[Mistake] = []
    for detail in (d for d in details if d["type"] == "extra_forbidden"):
        loc: Loc = detail["loc"]
        keys = _keys(model, loc[:-1])
        given = document.at(*loc[:-1])
        free = [key for key in keys if not (isinstance(given, dict) and key in given)]
        near = difflib.get_close_matches(str(loc[-1]), free, n=1)
        if near:
            misspelt.add((*loc[:-1], near[0]))
        hint = f"did you mean '{near[0]}'? " if near else ""
        mistakes.append(document.mistake(loc, f"unknown key; {hint}Allowed: {', '.join(keys)}"))
    for detail in details:
        loc = detail["loc"]
        if detail["type"] != "extra_forbidden" and loc not in misspelt:
            what = "missing; it is required" if detail["type"] == "missing" else _words(detail)
            mistakes.append(document.mistake(loc, what))
    return mistakes


_TYPES = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "list_type": "a list",
    "finite_number": "a finite number",
}
_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "less_than": ("less than", "lt"),
}


def _words(detail: Any) -> str:
    context = detail.get("ctx", {})
    kind: str = detail["type"]
    if kind in _TYPES:
        return f"{shown(detail['input'])} is not {_TYPES[kind]}"
    if kind == "literal_error":
        return f"{shown(detail['input'])} is not allowed; allowed: {str(context['expected']).replace(chr(39), '')}"
    if kind in _LIMITS:
        word, key = _LIMITS[kind]
        return f"{shown(detail['input'])} is out of range; it must be {word} {context[key]}"
    if kind == "too_short":
        return f"too few; at least {context['min_length']} needed"
    message: str = detail["msg"]
    return message[0].lower() + message[1:]


def shown(value: Any) -> str:
    """A value as it is quoted in a message: short, on one line."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys that `model` allows at `loc`."""
    current: Any = model
    for step in loc:
        if isinstance(step, int):
            continue  # the model of a list's items was taken when the list was passed
        info = next((f for n, f in current.model_fields.items() if step in {n, f.alias}), None)
        current = _inner_model(info.annotation) if info else None
        if current is None:
            return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Instance, ...]` or `Router | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _inner_model(arg))), None)
