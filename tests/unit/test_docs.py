"""The documents: links lead somewhere, commands exist, and the map of the modules is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from islanding.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PACKAGE = ROOT / "islanding"


def name(path: Path) -> str:
    """The path as it is shown."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every link to a file of the tree has its file."""
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))

    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_commands_exist(document: Path) -> None:
    """Every `islanding WORD` and `make WORD` that a reader may type is there."""
    text = document.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    typed = re.findall(r"(?:`|^ {4,})islanding ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE)
    made = re.findall(r"(?:`|^ {4,})make ([a-z]+)", text, re.MULTILINE)

    assert [word for word in typed if word not in COMMANDS] == []
    assert [word for word in made if word not in targets] == []


def test_every_module_is_on_the_map() -> None:
    """Each module that others may use has its sentence in docs/architecture.md, and the map names no ghosts."""
    mapped = set(
        re.findall(r"^\| `([\w/]+)` \|", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    modules = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
    wanted = {m for m in modules if not m.rpartition("/")[2].startswith("_")} | {"cli/__init__", "__main__"}

    assert sorted(wanted - mapped) == []
    assert sorted(mapped - modules) == []


def test_every_decision_is_listed() -> None:
    """The list of decisions names each page."""
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")

    assert [page.name for page in folder.glob("0*.md") if page.name not in listed] == []
