"""What the models of a site's file have in common: strict, closed, and with words for what does not fit."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from islanding import yamldoc


class Conf(BaseModel):
    """A part of a file that a person wrote: a key that it does not know is a mistake, and so is a slip of type."""

    # Strict: YAML has types of its own, and `replicas: "3"` is a slip that the author wants to hear about.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def pattern(regex: str, words: str) -> BeforeValidator:
    """A validator for text that must match `regex`; `words` say so to a person."""

    def check(value: Any) -> str:
        if isinstance(value, str) and re.fullmatch(regex, value, re.ASCII):
            return value
        raise PydanticCustomError("pattern", "{given} is not {words}", {"given": yamldoc.shown(value), "words": words})

    return BeforeValidator(check)
