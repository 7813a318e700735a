"""The report as a PDF, by WeasyPrint: the same content, tagged (PDF/UA-1), the same bytes from the same result."""

from __future__ import annotations

import hashlib
import importlib
import logging
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from islanding.errors import SetupError
from islanding.evidence.controls import Controls
from islanding.evidence.html import render_html
from islanding.evidence.record import RunResult
from islanding.paths import content_dir

# The opening of each drawing; its own style and patterns are put after it: WeasyPrint reads a drawing by itself, and
# applies none of the page's style sheets to what is inside.
_DRAWING = re.compile(r'<svg (?=[^>]*role="img")[^>]*>')
# It knows no paint-order: the outline that sets letters off from what is behind them would be drawn over them.
_NO_OUTLINES = "svg text { stroke: none !important }"
_VARIABLE = re.compile(r"var\((--[\w-]+)\)")
_COLOUR = re.compile(r"(--[\w-]+):\s*([^;]+);")


def render_pdf(
    result: RunResult,
    *,
    previous: RunResult | None = None,
    controls: Controls | None = None,
    lang: str = "en",
    step: Callable[[str], None] | None = None,
) -> bytes:
    """The whole report as a PDF; arguments as for `render_html`, and `step` is told of each step, as it takes a while.

    Raises SetupError when WeasyPrint, or a font with the language's letters, is missing.
    """
    weasyprint = _weasyprint()
    _need_font(lang)
    page = render_html(result, previous=previous, controls=controls, lang=lang, paper=True)
    page = _with_style_inside(page, content_dir("reports") / "templates")
    if step is not None:
        _Steps(step).follow()
    # Without an identifier WeasyPrint makes one up; the PDF is told nothing of today's date either.
    identifier = hashlib.sha256(page.encode()).digest()[:16]
    made: bytes = weasyprint.HTML(string=page, url_fetcher=_fetch_nothing).write_pdf(
        pdf_identifier=identifier, pdf_variant="pdf/ua-1", pdf_tags=True
    )
    return made


class _Steps(logging.Handler):
    """Hands WeasyPrint's own words about its progress on."""

    def __init__(self, step: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._step = step

    def follow(self) -> None:
        logger = logging.getLogger("weasyprint.progress")
        logger.setLevel(logging.INFO)
        logger.handlers[:] = [self]
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self._step(record.getMessage())


def _weasyprint() -> ModuleType:
    try:
        weasyprint = importlib.import_module("weasyprint")
    except ImportError as error:
        raise SetupError("WeasyPrint, which writes PDF, is not installed", "pip install 'islanding[pdf]'") from error
    except OSError as error:  # Pango is a library of the system
        raise SetupError(
            f"WeasyPrint cannot be loaded: {error}",
            "Install Pango; on Debian: sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0",
        ) from error
    return weasyprint


def _need_font(lang: str) -> None:
    """Letters without a font would be printed as boxes, which nobody notices before the auditor does."""
    if lang == "en" or shutil.which("fc-list") is None:
        return
    found = subprocess.run(["fc-list", f":lang={lang}", "family"], capture_output=True, text=True, check=False)
    if not found.stdout.strip():
        raise SetupError(
            f"no font of this machine has the letters of the language '{lang}'",
            "Install one; on Debian: sudo apt-get install fonts-noto-cjk",
        )


def _fetch_nothing(url: str) -> None:
    raise SetupError(f"the report asks for {url}", "It must ask for nothing: this is a defect of the templates.")


def _with_style_inside(page: str, folder: Path) -> str:
    colours = dict(_COLOUR.findall((folder / "report.css").read_text(encoding="utf-8").split("@media")[0]))
    printed = (folder / "print.css").read_text(encoding="utf-8")
    colours |= dict(_COLOUR.findall(printed))
    drawn = (folder / "drawing.css").read_text(encoding="utf-8")
    style = _VARIABLE.sub(lambda found: colours[found[1]].strip(), drawn)
    patterns = (folder / "patterns.svg.j2").read_text(encoding="utf-8")
    inside = f"<style>{style}{_NO_OUTLINES}</style><defs>{patterns}</defs>"
    return _DRAWING.sub(lambda found: found[0] + inside, page)
