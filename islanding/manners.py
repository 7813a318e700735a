"""Manners of a real account as a user names them: `iam,consistency=2s,throttling,pages=5,failures=0.02`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from islanding.errors import SetupError
from islanding.siteconf import MANNERS, MannersConf

ENV = "ISLANDING_MANNERS"
# The setting that a manner's value is for; `seed` is of all of them.
_VALUES = {"consistency": "delay", "throttling": "buckets", "pages": "page", "failures": "rate", "seed": "seed"}
_EXAMPLE = "for example iam,consistency=2s,throttling,pages=5,failures=0.02,seed=1; or all, or none"


def parse(text: str) -> dict[str, Any]:
    """What `text` sets, by the names of MannersConf's fields; raises SetupError for what is no manner or no value.

    Values: `consistency` seconds, `throttling` the size of its buckets as a factor of AWS's, `pages` things in one
    reply, `failures` the share of calls that fail; `seed` is what chances are drawn from.
    """
    chosen: dict[str, Any] = {"on": []}
    for part in (part.strip() for part in text.split(",")):
        name, given, value = (word.strip() for word in part.partition("="))
        if part in ("all", "none", ""):
            chosen["on"] += MANNERS if part == "all" else ()
            continue
        if name not in (*MANNERS, "seed") or (given and name not in _VALUES):
            raise SetupError(f"{part!r} is no manner; there are: {', '.join(MANNERS)}", _EXAMPLE)
        if given:
            chosen[_VALUES[name]] = _number(part, value.removesuffix("s") if name == "consistency" else value)
        chosen["on"] += [name] if name != "seed" else []
    chosen["on"] = tuple(name for name in MANNERS if name in chosen["on"])
    try:
        MannersConf.model_validate(chosen)
    except ValidationError as error:
        raise SetupError(f"manners {text!r}: {_first(error)}", _EXAMPLE) from error
    return chosen


def overrides(given: str = "", env: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The values of a site file that are replaced by what is `given`, else by the variable ISLANDING_MANNERS.

    Dotted keys, as `stackconf.load` takes them; none where nothing was said. Raises SetupError as `parse` does.
    """
    text = given or env.get(ENV, "")
    if not text:
        return {}
    return {f"lab.manners.{key}": list(value) if key == "on" else value for key, value in parse(text).items()}


def said(conf: MannersConf) -> str:
    """The manners that are on, as they are named, with the seed; empty when none is."""
    settings = {name: getattr(conf, field) for name, field in _VALUES.items()}
    parts = [f"{name}={settings[name]:g}" if name in settings else name for name in conf.on]
    return ",".join([*parts, f"seed={conf.seed}"]) if parts else ""


def _number(part: str, value: str) -> float | int:
    try:
        return int(value) if value.isdecimal() else float(value)
    except ValueError as error:
        raise SetupError(f"{part!r}: {value!r} is no number", _EXAMPLE) from error


def _first(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
