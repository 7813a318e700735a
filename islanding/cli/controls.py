"""`islanding controls`: which requirement row counts towards which control, and why."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from islanding.errors import ExitCode, SetupError

if TYPE_CHECKING:
    from islanding.evidence.controls import Controls, Framework

_COLUMNS = ("row", "framework", "control", "title", "why")


@dataclass(frozen=True)
class _Line:
    """One mapping as it is printed."""

    row: str
    framework: str
    control: str
    title: str
    why: str

    def cells(self) -> tuple[str, ...]:
        return tuple(getattr(self, column) for column in _COLUMNS)


@click.command("controls")
@click.option("--framework", metavar="NAME", help="Only this framework: nist-800-53, iso-27001, cis-eks, fisc.")
@click.option("--row", "rows", multiple=True, metavar="ID", help="Only this requirement row, such as O-07; repeatable.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True, help="How."
)
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare ids and titles of --framework (default: nist-800-53) with an OSCAL catalogue (JSON) instead.",
)
def controls_command(framework: str | None, rows: tuple[str, ...], form: str, against: Path | None) -> ExitCode:
    """List which requirement row gives evidence for which control, and why.

    \b
    Examples:
      islanding controls --row O-07
      islanding controls --framework iso-27001 --format csv > mapping.csv
      islanding controls --against NIST_SP-800-53_rev5_catalog.json

    \b
    Exit codes with --against: 0 every id is there under its title, 1 not so.
    """
    from islanding.evidence.controls import load_controls

    controls = load_controls()
    if against is not None:
        if rows or form != "table":
            raise SetupError("--against lists nothing", "Leave --row and --format out.")
        return _compare(controls.framework(framework or "nist-800-53"), against)
    lines = _lines(controls, framework, rows)
    if form == "json":
        listed = [dict(zip(_COLUMNS, line.cells(), strict=True)) for line in lines]
        sources = {f.id: {"title": f.title, "version": f.version, "source": f.source} for f in controls.frameworks}
        named = {line.framework for line in lines}
        frameworks = {name: about for name, about in sources.items() if name in named}
        click.echo(json.dumps({"frameworks": frameworks, "mappings": listed}, ensure_ascii=False, indent=1))
    elif form == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *(line.cells() for line in lines)])
        click.echo(text.getvalue(), nl=False)
    else:
        _show(lines)
    return ExitCode.OK


def _lines(controls: Controls, framework: str | None, rows: tuple[str, ...]) -> list[_Line]:
    if framework is not None:
        controls.framework(framework)
    unknown = sorted(set(rows) - set(controls.rows))
    if unknown:
        raise SetupError(f"no controls are mapped to {', '.join(unknown)}", f"Rows: {', '.join(controls.rows)}.")
    return [
        _Line(row, control.framework, control.id, control.title, control.why)
        for row, mapped in controls.rows.items()
        for control in mapped
        if (not rows or row in rows) and framework in {None, control.framework}
    ]


def _show(lines: list[_Line]) -> None:
    table = Table(*_COLUMNS, header_style="bold", pad_edge=False, box=None)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line.cells()))
    Console().print(table)


def _compare(framework: Framework, against: Path) -> ExitCode:
    from islanding.evidence.catalogue import differences, read_catalogue

    catalogue = read_catalogue(against)
    found = differences(framework, catalogue)
    for difference in found:
        click.echo(difference)
    same = len(framework.controls) - len(found)
    click.echo(f"{same} of {len(framework.controls)} controls of {framework.title} are in it under their titles.")
    return ExitCode.FAILED if found else ExitCode.OK
