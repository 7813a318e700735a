"""The report as a PDF: the same bytes from the same run, tagged, with what it needs named when it is missing."""

from __future__ import annotations

import contextlib
import importlib
import re
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from islanding.errors import SetupError
from islanding.evidence import pdf
from islanding.evidence.results import load_result
from islanding.paths import content_dir
from tests.unit.test_evidence.conftest import Writer

try:
    importlib.import_module("weasyprint")
except (ImportError, OSError) as lacking:  # the extra `pdf`, or Pango, a library of the system
    pytest.skip(f"WeasyPrint does not run here: {lacking}", allow_module_level=True)


def inside(document: bytes) -> bytes:
    """What a PDF holds: its objects, packed or not."""
    found = [document]
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", document, flags=re.DOTALL):
        with contextlib.suppress(zlib.error):
            found.append(zlib.decompress(packed))
    return b"\n".join(found)


def test_the_same_run_gives_the_same_bytes(writer: Writer) -> None:
    """A tagged PDF/UA that tells nothing of the day on which it was made."""
    writer.start("s")
    writer.ready("s", 2, {"network": 1.0})
    writer.case("s", "c", 3, 12, "fail", requirements=["O-01"], reason="lost")
    writer.cut("s", "c", "service-link-down", 5, 9)
    writer.watch("s", "c", "web", start=3, end=12, interval=1, sample=lambda at: ("UP", at < 5, "up", 0.1))
    path = writer.save()
    steps: list[str] = []

    first = pdf.render_pdf(load_result(path), step=steps.append)

    assert pdf.render_pdf(load_result(path)) == first
    assert first.startswith(b"%PDF-")
    assert b"/MarkInfo" in inside(first)
    assert b"CreationDate" not in inside(first)
    assert any("Step 1" in step for step in steps)


def test_a_drawing_has_its_colours_and_patterns_inside() -> None:
    """The page's style sheets do not reach into a drawing on paper: its rules are put into it, without variables."""
    folder = content_dir("reports") / "templates"
    page = '<svg class="patterns"></svg><svg viewBox="0 0 1 1" role="img"><title>t</title></svg>'

    made = pdf._with_style_inside(page, folder)

    assert made.count("<style>") == 1
    assert "var(" not in made
    assert "stroke: none !important" in made
    assert 'id="hatch"' in made
    assert ".cell.good { fill: #2f7d5c; }" in made


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without WeasyPrint: what to install; without letters for Japanese: which package has them."""

    def missing(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SetupError, match=r"islanding\[pdf\]"):
        pdf._weasyprint()


def test_a_machine_without_japanese_letters_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Boxes in place of letters are refused, with the package that has the letters; English needs none."""
    empty = tmp_path / "fc-list"
    empty.write_text("#!/bin/sh\nexit 0\n")
    empty.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    pdf._need_font("en")
    with pytest.raises(SetupError, match="fonts-noto-cjk"):
        pdf._need_font("ja")
