"""The report in other languages, as PDF, beside an earlier run: options of `islanding report`, and what they make."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from islanding.errors import SetupError
from islanding.evidence.bundle import HTML
from islanding.evidence.controls import load_controls
from islanding.evidence.html import render_html
from islanding.evidence.record import RunResult
from islanding.evidence.results import load_result
from islanding.evidence.wording import LANGUAGES

_BOTH = "both"


@dataclass(frozen=True)
class Wanted:
    """What was asked for: a language or both, PDF too, the folder of the run to compare with."""

    lang: str
    pdf: bool
    since: Path | None


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options `--lang`, `--pdf` and `--since`."""
    for option in (
        click.option(
            "--since",
            type=click.Path(path_type=Path),
            metavar="RUN",
            help="The run before: what changed since then is said on the first page.",
        ),
        click.option("--pdf", is_flag=True, help="Make report.pdf too (needs the extra `pdf`)."),
        click.option(
            "--lang",
            type=click.Choice([*LANGUAGES, _BOTH]),
            default="en",
            show_default=True,
            help="Language: report.html is English, report.ja.html Japanese.",
        ),
    ):
        command = option(command)
    return command


def name_of(lang: str, kind: str) -> str:
    """The file's name: English has the plain one."""
    return f"report.{kind}" if lang == "en" else f"report.{lang}.{kind}"


def write(result: RunResult, folder: Path, wanted: Wanted) -> tuple[Path, ...]:
    """Write what was asked for beyond the plain English page into `folder`, and return the paths, in order.

    Raises SetupError for an earlier run that cannot be read, for a missing PDF writer or font, and for a full disk.
    """
    previous = None if wanted.since is None else load_result(wanted.since)
    languages = list(LANGUAGES) if wanted.lang == _BOTH else [wanted.lang]
    given: dict[str, Any] = {"previous": previous, "controls": load_controls()}
    made = []
    for lang in languages:
        page = folder / name_of(lang, "html")
        if page.name != HTML or previous is not None:  # else it is there already
            made.append(_put(page, render_html(result, lang=lang, **given).encode()))
        if wanted.pdf:
            from islanding.evidence.pdf import render_pdf

            path = folder / name_of(lang, "pdf")
            click.echo(f"{path.name}: setting the pages ...", err=True)
            made.append(_put(path, render_pdf(result, lang=lang, step=_step, **given)))
    return tuple(made)


def _step(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"  {text}", err=True)


def _put(path: Path, data: bytes) -> Path:
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}", "Free the disk, then run it again.") from error
    return path
