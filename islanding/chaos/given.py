"""What Chaos Toolkit gives to each activity: the experiment's configuration and secrets, and types that it can show.

Our functions take neither by name: they find them here, for the length of a call.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from islanding.errors import SetupError
from islanding.model import Site

# Keys of an experiment's configuration: the site, where the journal is, and those of chaostoolkit-aws.
SITE_KEY, JOURNAL_KEY = "islanding_site", "islanding_journal"
_REGION_KEY, _PROFILE_KEY = "aws_region", "aws_profile_name"
# Keys of its secrets, as chaostoolkit-aws names them, and the variables of the AWS SDKs that they stand for.
_SECRETS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
}
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Given:
    """Configuration and secrets of the activity that runs."""

    configuration: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def access(self, site: Site) -> Site:
        """The site, asked by these credentials where some are given; raises SetupError for another Region."""
        region = self.configuration.get(_REGION_KEY)
        if region and region != site.aws.region:
            raise SetupError(f"{_REGION_KEY} is {region}, and {site.name} is in {site.aws.region}")
        env = dict(site.aws.env)
        keys = {name: self.secrets[key] for key, name in _SECRETS.items() if self.secrets.get(key)}
        if keys:
            if not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(keys):
                raise SetupError("secrets have an AWS key without its other half", f"give {', '.join(_SECRETS)}")
            env = {name: value for name, value in env.items() if name not in (*_SECRETS.values(), "AWS_PROFILE")} | keys
        elif self.configuration.get(_PROFILE_KEY):
            env = {name: value for name, value in env.items() if name not in _SECRETS.values()}
            env["AWS_PROFILE"] = str(self.configuration[_PROFILE_KEY])
        if env == site.aws.env:
            return site
        return site.model_copy(update={"aws": site.aws.model_copy(update={"env": env})})


now: ContextVar[Given] = ContextVar("given", default=Given())  # noqa: B039 - frozen, and nobody writes into its dicts

# Set while an experiment is only looked at: it gets each fault, which is then not applied.
planner: ContextVar[Callable[[Any], None] | None] = ContextVar("planner", default=None)


def activity(function: Callable[P, R]) -> Callable[P, R]:
    """An action or probe that is given configuration and secrets, and whose arguments have types for `chaos discover`.

    An activity gets only those groups of the experiment's secrets that its provider names.
    """

    @functools.wraps(function)
    def called(*args: Any, **named: Any) -> Any:
        token = now.set(Given(named.pop("configuration", None) or {}, named.pop("secrets", None) or {}))
        try:
            return function(*args, **named)
        finally:
            now.reset(token)

    hints = get_type_hints(function)
    own = inspect.signature(function)
    shown = [one.replace(annotation=_plain(hints[one.name])) for one in own.parameters.values()]
    further = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=dict)
        for name in ("configuration", "secrets")
    ]
    described: Any = called
    described.__signature__ = own.replace(
        parameters=[*shown, *further], return_annotation=_plain(hints.get("return", type(None)))
    )
    return described  # type: ignore[no-any-return]  # it takes what the function takes


def _plain(hint: Any) -> Any:
    """The type by which Chaos Toolkit knows a hint: `list[str] | None` is a list; of several, the first."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(one for one in get_args(hint) if one is not type(None))
    if hint is type(None):
        return None
    return get_origin(hint) or hint
