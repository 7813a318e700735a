"""The schema of an experiment: Chaos Toolkit's own keys and our extension, each misspelling named with file and line.

Chaos Toolkit itself overlooks misspelt keys, undefined variables and unknown strategies, ignores `timeout` on a Python
provider, and by default skips rollbacks when it is interrupted (docs/measurements.md 9): here these are mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from islanding.chaos.extension import Extension, Part
from islanding.chaos.foreign import irreversible
from islanding.errors import SetupError
from islanding.yamldoc import Document, Mistake, explain, read

CONTROLS = "islanding.chaos.controls"
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")
_OF_TYPE = {
    "python": {"module", "func", "arguments", "secrets"},
    "process": {"path", "arguments", "timeout", "secrets"},
    "http": {"url", "method", "headers", "arguments", "expected_status", "timeout", "verify_tls", "secrets"},
}
_NEEDED = {"python": ("module", "func"), "process": ("path",), "http": ("url",)}


class Provider(Part):
    """Who does an activity: a Python function, a process or an HTTP call."""

    type: Literal["python", "process", "http"]
    module: str | None = None
    func: str | None = None
    path: str | None = None
    url: str | None = None
    method: str | None = None
    headers: dict[str, str] | None = None
    expected_status: int | None = None
    verify_tls: bool | None = None
    timeout: float | tuple[float, float] | None = None
    arguments: dict[str, Any] | list[str] | str | None = None
    secrets: list[str] | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> Provider:
        given = self.model_fields_set - {"type"}
        odd = sorted(given - _OF_TYPE[self.type])
        if odd:
            hint = "; Chaos Toolkit ignores a Python provider's timeout: bound the wait in its arguments"
            raise ValueError(
                f"a {self.type} provider has no {', '.join(odd)}; allowed: {', '.join(sorted(_OF_TYPE[self.type]))}"
                + (hint if self.type == "python" and "timeout" in odd else "")
            )
        missing = [key for key in _NEEDED[self.type] if getattr(self, key) is None]
        if missing:
            raise ValueError(f"a {self.type} provider needs {', '.join(missing)}")
        return self


class ControlProvider(Part):
    """The Python module of a control."""

    type: Literal["python"]
    module: str
    arguments: dict[str, Any] | None = None
    secrets: list[str] | None = None


class Control(Part):
    """A control: code that Chaos Toolkit calls around experiment and activities."""

    name: str
    provider: ControlProvider
    scope: Literal["before", "after"] | None = None
    automatic: bool | None = None


class Pauses(Part):
    """Seconds of waiting before and after an activity."""

    before: float | str | None = None
    after: float | str | None = None


class Activity(Part):
    """A probe or an action, or a reference to one."""

    type: Literal["probe", "action"] | None = None
    name: str | None = None
    ref: str | None = None
    provider: Provider | None = None
    tolerance: Any = None
    pauses: Pauses | None = None
    background: bool | None = None
    controls: list[Control] = Field(default_factory=list)
    dry: Literal["probes", "actions", "activities", "pause"] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Activity:
        if self.ref is None:
            missing = [key for key in ("type", "name", "provider") if getattr(self, key) is None]
            if missing:
                raise ValueError(f"an activity needs {', '.join(missing)} (or a ref)")
        if self.type == "action" and "tolerance" in self.model_fields_set:
            raise ValueError("an action has no tolerance; only a probe of the hypothesis has")
        return self


class Hypothesis(Part):
    """The steady state: probes with the values that they must have."""

    title: str
    probes: list[Activity] = Field(min_length=1)
    controls: list[Control] = Field(default_factory=list)

    @field_validator("probes")
    @classmethod
    def _have_tolerances(cls, probes: list[Activity]) -> list[Activity]:
        for activity in probes:
            if activity.ref is None and "tolerance" not in activity.model_fields_set:
                raise ValueError(f"probe {activity.name!r} of the hypothesis has no tolerance")
        return probes


class RuntimeRollbacks(Part):
    """When rollbacks run; the default of Chaos Toolkit skips them on interrupt, so `always` is the one allowed."""

    strategy: Literal["always"]


class RuntimeHypothesis(Part):
    """When the hypothesis is tested."""

    strategy: Literal["default", "before-method-only", "after-method-only", "during-method-only", "continuously"] = (
        "default"
    )
    frequency: float | None = None
    fail_fast: bool | None = None
    fail_fast_ratio: float | None = None


class Runtime(Part):
    """Chaos Toolkit's strategies."""

    rollbacks: RuntimeRollbacks
    hypothesis: RuntimeHypothesis | None = None


class Experiment(Part):
    """A whole experiment."""

    title: str
    description: str
    version: str | None = None
    tags: list[str] = Field(default_factory=list)
    contributions: dict[str, Literal["high", "medium", "low", "none"]] = Field(default_factory=dict)
    configuration: dict[str, Any] = Field(default_factory=dict)
    secrets: dict[str, Any] = Field(default_factory=dict)
    controls: list[Control]
    extensions: list[Extension] = Field(min_length=1, max_length=1)
    runtime: Runtime
    steady_state_hypothesis: Hypothesis | None = Field(default=None, alias="steady-state-hypothesis")
    method: list[Activity] = Field(min_length=1)
    rollbacks: list[Activity] = Field(min_length=1)

    @model_validator(mode="after")
    def _gives_a_verdict(self) -> Experiment:
        if CONTROLS not in {control.provider.module for control in self.controls}:
            raise ValueError(f"controls must have one with module {CONTROLS}: it watches and writes the verdict")
        if not self.extension.expect and self.steady_state_hypothesis is None:
            raise ValueError("nothing is claimed: give a steady-state-hypothesis, or expect in the extension")
        return self

    @model_validator(mode="after")
    def _can_be_undone(self) -> Experiment:
        every = [one.model_dump() for one in (*self.method, *self.rollbacks)]
        lost = [f"{one['name']} ({one['provider']['func']})" for one in every if irreversible(one)]
        if lost and self.extension.irreversible is None:
            raise ValueError(
                f"nothing undoes {', '.join(lost)}: name what it changes where it can be undone (docs/chaos.md), or"
                " say irreversible: accepted in the extension islanding"
            )
        return self

    @property
    def extension(self) -> Extension:
        """Our block."""
        return self.extensions[0]


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment; raises SetupError naming each mistake with file, line and what is allowed."""
    document = read(path)
    try:
        experiment = Experiment.model_validate(document.data)
    except ValidationError as error:
        raise document.reject([*document.mistakes, *explain(error, document, Experiment)]) from None
    mistakes = [*document.mistakes, *_undefined(document, experiment)]
    if mistakes:
        raise document.reject(mistakes)
    _ask_chaos_toolkit(path, document.data)
    return experiment


def parse_extension(raw: dict[str, Any]) -> Experiment:
    """An experiment that Chaos Toolkit has loaded by itself, checked by the same schema; raises SetupError."""
    known = {field.alias or name for name, field in Experiment.model_fields.items()}
    try:
        return Experiment.model_validate({key: value for key, value in raw.items() if key in known})
    except ValidationError as error:
        fix = "islanding experiment validate FILE names the lines"
        raise SetupError(f"not an experiment of this project: {error}", fix) from None


def _undefined(document: Document, experiment: Experiment) -> Iterator[Mistake]:
    defined = set(experiment.configuration) | {key for group in experiment.secrets.values() for key in group}
    for loc, text in _texts(document.data, ()):
        for name in _VARIABLE.findall(text):
            if name not in defined:
                known = ", ".join(sorted(defined)) or "none"
                what = f"${{{name}}} is defined neither in configuration nor secrets; known: {known}"
                yield document.mistake(loc, what)


def _texts(value: Any, loc: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*loc, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*loc, number))


def _ask_chaos_toolkit(path: Path, raw: dict[str, Any]) -> None:
    """Chaos Toolkit's own check: functions exist and take these arguments."""
    import logging

    from chaoslib.exceptions import ChaosException
    from chaoslib.experiment import ensure_experiment_is_valid

    logger = logging.getLogger("chaostoolkit")
    quiet = logger.disabled
    logger.disabled = True  # it announces its check at level info
    try:
        ensure_experiment_is_valid(raw)
    except ChaosException as error:
        raise SetupError(f"{path}: {error}", "Chaos Toolkit refuses it; see the activity named above") from None
    finally:
        logger.disabled = quiet
