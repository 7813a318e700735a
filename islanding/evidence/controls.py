"""Which requirement row gives evidence for which control of a framework, and why: reports/controls/*.yaml, validated.

A mapping says that the evidence of a row counts towards a control, never that the row fulfils it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import ValidationError

from islanding import yamldoc
from islanding.confmodel import Conf, pattern
from islanding.errors import SetupError
from islanding.evidence.requirements import Requirement, load_requirements
from islanding.paths import content_dir
from islanding.yamldoc import Document, Mistake

Text: TypeAlias = Annotated[str, pattern(r"\S(.*\S)?", "a text of one line")]


@dataclass(frozen=True)
class Control:
    """A control towards which a row's evidence counts: framework (`nist-800-53`), id, title, and the reason."""

    framework: str
    id: str
    title: str
    why: str


@dataclass(frozen=True)
class Framework:
    """A set of controls: its name, title and version, what its ids were checked against, and titles by id."""

    id: str
    title: str
    version: str
    source: str
    controls: Mapping[str, str]


@dataclass(frozen=True)
class Controls:
    """The whole mapping: frameworks in the order of their names, and each row's controls in that order."""

    frameworks: tuple[Framework, ...] = ()
    rows: Mapping[str, tuple[Control, ...]] = field(default_factory=dict)

    def of(self, row_id: str) -> tuple[Control, ...]:
        """The controls of the row `row_id` (`O-07`), framework by framework; none for a row that has no mapping."""
        return self.rows.get(row_id, ())

    def framework(self, name: str) -> Framework:
        """The framework of that name. Raises SetupError with the names that there are."""
        for framework in self.frameworks:
            if framework.id == name:
                return framework
        names = ", ".join(framework.id for framework in self.frameworks)
        raise SetupError(f"there is no framework '{name}'", f"There are: {names}.")

    def rows_of(self, framework: str, control_id: str) -> tuple[tuple[str, Control], ...]:
        """The rows whose evidence counts towards a control, each with the mapping, in the order of the rows."""
        return tuple(
            (row, control)
            for row, mapped in self.rows.items()
            for control in mapped
            if (control.framework, control.id) == (framework, control_id)
        )


class _File(Conf):
    """What a file of reports/controls may say."""

    framework: Annotated[str, pattern(r"[a-z][a-z0-9-]*", "a name such as nist-800-53")]
    title: Text
    version: Text
    ids: Text
    source: Text
    controls: dict[str, Text]
    rows: dict[str, dict[str, Text]]


def load_controls(folder: Path | None = None, requirements: Sequence[Requirement] | None = None) -> Controls:
    """Read every framework's file in `folder`, by default the project's own; `requirements` are the rows that exist.

    Raises SetupError that names file and line of each mistake: an unknown key or row, a control that is not declared or
    never used, an id not of the framework's form, a mapping without its reason, a framework given twice.
    """
    folder = folder or content_dir("reports") / "controls"
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not paths:
        raise SetupError(f"{folder}: holds no mapping of controls", "Restore the folder from the project.")
    order = [row.id for row in (load_requirements() if requirements is None else requirements)]
    mapped: dict[str, list[Control]] = {row: [] for row in order}
    frameworks: dict[str, Framework] = {}
    for path in paths:
        document = yamldoc.read(path)
        file = _checked(document, set(order))
        if file.framework in frameworks:
            what = f"framework {file.framework} is in another file too"
            raise document.reject([document.mistake(("framework",), what)])
        frameworks[file.framework] = Framework(file.framework, file.title, file.version, file.source, file.controls)
        for row, reasons in file.rows.items():
            for control, why in reasons.items():
                mapped[row].append(Control(file.framework, control, file.controls[control], why))
    return Controls(tuple(frameworks.values()), {row: tuple(found) for row, found in mapped.items() if found})


def _checked(document: Document, known: set[str]) -> _File:
    try:
        file = _File.model_validate(document.data)
    except ValidationError as error:
        raise document.reject([*document.mistakes, *yamldoc.explain(error, document, _File)]) from error
    mistakes = [*document.mistakes, *_crossed(document, file, known)]
    if mistakes:
        raise document.reject(mistakes)
    return file


def _crossed(document: Document, file: _File, known: set[str]) -> list[Mistake]:
    """What is wrong between the parts of a file: ids and their form, rows and the controls they name."""
    try:
        form = re.compile(file.ids)
    except re.error as error:
        return [document.mistake(("ids",), f"not a regular expression: {error}")]
    found = [
        document.mistake(("controls", control), f"not an id of this framework (ids: {file.ids})")
        for control in file.controls
        if not form.fullmatch(control)
    ]
    found += [document.mistake(("rows", row), "no such requirement") for row in file.rows if row not in known]
    found += [document.mistake(("rows", row), "names no control") for row in file.rows if not file.rows[row]]
    used = {control for reasons in file.rows.values() for control in reasons}
    found += [
        document.mistake(("rows", row, control), "not among the controls of this file")
        for row, reasons in file.rows.items()
        for control in reasons
        if control not in file.controls
    ]
    unused = [control for control in file.controls if control not in used]
    found += [document.mistake(("controls", control), "no row names it") for control in unused]
    return found
