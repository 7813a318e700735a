"""Our block among an experiment's extensions: site, requirements, what is watched and what is claimed of it."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from islanding.errors import IslandingError
from islanding.outcomes import named
from islanding.probes import kinds, probe_class
from islanding.probes.of_site import FROM_SITE


class Part(BaseModel):
    """A part of an experiment: a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class WatchSpec(Part):
    """A watch that runs through the whole experiment: a kind of probe with its parameters in `with`."""

    name: str
    probe: str
    place: str | None = None
    interval: float | None = Field(default=None, gt=0)
    timeout: float | None = Field(default=None, gt=0)
    overlap: int | None = Field(default=None, ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict, alias="with")

    @model_validator(mode="after")
    def _is_a_probe(self) -> WatchSpec:
        if self.probe not in kinds():
            raise ValueError(f"no probe of kind {self.probe!r}; allowed: {', '.join(kinds())}")
        cls: Any = probe_class(self.probe)
        shared = {"name", "place", "interval", "timeout", "overlap"}
        known = {field.name for field in fields(cls)} - shared | FROM_SITE.get(self.probe, set())
        odd = sorted(set(self.parameters) - known)
        if odd:
            allowed = ", ".join(sorted(known))
            raise ValueError(f"a {self.probe} probe has no {', '.join(odd)}; allowed in with: {allowed}")
        return self


class ExpectSpec(Part):
    """A claim about a watch.

    `when`: the whole experiment, before the first fault, while all faults are in force, or after they are undone.
    `holds`: throughout that time, at least once in it, or never. `within` seconds instead: at most so late after
    the start of the cut (or of its undoing), and from then on. `gap`: at most so many seconds between two answers.
    """

    watch: str
    outcome: tuple[str, ...] = ()
    when: Literal["all", "before", "cut", "after"] = "all"
    holds: Literal["throughout", "once", "never"] = "throughout"
    within: float | None = Field(default=None, gt=0)
    gap: float | None = Field(default=None, gt=0)
    hole: float | None = Field(default=None, gt=0)

    @field_validator("outcome", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_one_claim(self) -> ExpectSpec:
        try:
            named(self.outcome)
        except IslandingError as unknown:
            raise ValueError(str(unknown).replace("\n ", ";")) from None
        if bool(self.outcome) == (self.gap is not None):
            raise ValueError("a claim has either an outcome or a gap")
        if self.within is not None and ("holds" in self.model_fields_set or self.gap is not None):
            raise ValueError("within goes with neither holds nor gap: it means from then on")
        if self.within is not None and self.when not in ("cut", "after"):
            raise ValueError("within counts from a cut or its end: say when: cut or when: after")
        return self


class Extension(Part):
    """Our block among the experiment's extensions."""

    name: Literal["islanding"]
    site: str
    requirements: tuple[str, ...] = Field(min_length=1)
    watch: tuple[WatchSpec, ...] = ()
    expect: tuple[ExpectSpec, ...] = ()
    irreversible: Literal["accepted"] | None = None  # for actions of others that nothing can undo
    drain: float = Field(default=2.0, ge=0)  # seconds that samples in flight have to end
    fault_seconds: float | None = Field(default=None, gt=0)  # after which a fault is undone, come what may

    @field_validator("requirements")
    @classmethod
    def _are_ids(cls, rows: tuple[str, ...]) -> tuple[str, ...]:
        for row in rows:
            if not re.fullmatch(r"[A-Z]-\d\d", row):
                raise ValueError(f"{row!r} is no requirement's id; they look like O-01")
        return rows

    @model_validator(mode="after")
    def _claims_are_of_watches(self) -> Extension:
        names = [watch.name for watch in self.watch]
        if len(set(names)) < len(names):
            raise ValueError("two watches have the same name")
        odd = sorted({claim.watch for claim in self.expect} - set(names))
        if odd:
            raise ValueError(f"expect names no watch: {', '.join(odd)}; watches: {', '.join(names) or 'none'}")
        silent = sorted(set(names) - {claim.watch for claim in self.expect})
        if silent:
            raise ValueError(f"nothing is expected of {', '.join(silent)}: a watch without a claim proves nothing")
        return self
