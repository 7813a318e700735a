"""What a resource type is: which properties it knows, and the API calls that make, change and delete one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Clients = Callable[[str], Any]  # boto3's client of a service, by its name
Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """A resource that is there: what `Ref` and `Fn::GetAtt` give."""

    id: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a resource's calls may need to know of where they are made."""

    clients: Clients
    account: str
    region: str
    stack: str
    name: str  # a name made for the resource, where the template gives none
    logical_id: str = ""
    begun: list[Made] = field(default_factory=list)  # what is there already while `create` is not yet done

    def short_name(self, most: int) -> str:
        """The name made for the resource, with at most so many characters; its unique end stays."""
        return self.name if len(self.name) <= most else f"{self.name[: most - 13].rstrip('-')}-{self.name[-12:]}"

    def begin(self, id: str) -> str:
        """Say that the resource is there, before further calls: if one of them fails it has to be deleted."""
        self.begun.append(Made(id))
        return id


@dataclass(frozen=True)
class ResourceType:
    """One type of resource.

    `create(context, properties)`, `delete(context, id, properties)`; `update(context, made, old, new)` changes in place
    the properties in `changes`, any other change makes a new resource in place of the old one.
    """

    name: str
    properties: frozenset[str]
    create: Callable[[Context, Properties], Made]
    delete: Callable[[Context, str, Properties], None]
    update: Callable[[Context, Made, Properties, Properties], Made] | None = None
    changes: frozenset[str] = frozenset()
    wait: Callable[[Context, str], bool] | None = None  # whether it is ready, where that takes time
    required: frozenset[str] = frozenset()


REGISTRY: dict[str, ResourceType] = {}


def resource_type(  # noqa: PLR0917  # a type's calls, in the order of its life
    name: str,
    properties: str,
    create: Callable[[Context, Properties], Made],
    delete: Callable[[Context, str, Properties], None],
    update: Callable[[Context, Made, Properties, Properties], Made] | None = None,
    changes: str = "",
    wait: Callable[[Context, str], bool] | None = None,
) -> None:
    """Make a type known; `properties` and `changes` are names with blanks between, `!` before what must be given."""
    names = properties.split()
    known, required = frozenset(n.lstrip("!") for n in names), frozenset(n[1:] for n in names if n.startswith("!"))
    REGISTRY[name] = ResourceType(name, known, create, delete, update, frozenset(changes.split()), wait, required)


def chosen(properties: Properties, names: str, **renamed: str) -> dict[str, Any]:
    """The properties of these names (blanks between) that are given, for an API call; `renamed` maps them to others."""
    found = {name: properties[name] for name in names.split() if name in properties}
    return found | {theirs: properties[ours] for ours, theirs in renamed.items() if ours in properties}


def truth(value: Any) -> bool:
    """CloudFormation takes booleans as texts too."""
    return str(value).lower() == "true"


def listed(value: Any) -> list[Any]:
    """One or many, as a list."""
    return value if isinstance(value, list) else [value]


def document(value: Any) -> str:
    """A policy as the API takes it: JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def tag_list(properties: Properties) -> list[dict[str, str]]:
    """The tags that a template gives, as texts."""
    return [{"Key": str(t["Key"]), "Value": str(t["Value"])} for t in properties.get("Tags") or []]
