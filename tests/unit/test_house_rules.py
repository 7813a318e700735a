"""Rules of the house that no linter keeps: size, docstrings, sleeping, imports, reasons for exceptions."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 400
MAX_TEST_LINES = 600  # tables of cases are long and flat
GENERATED = re.compile(r"\.(lock|sum)$")
# What evidence may know besides itself: a report must be makeable on a machine without a lab.
EVIDENCE_KNOWS = {"chain", "confmodel", "errors", "evidence", "journal", "model", "paths", "redact", "yamldoc"}
# wait_until sleeps between looks, a sampler keeps its ticks; anything else must wait for a condition.
# The log shipper runs on a machine, without the package, and looks at the journal for as long as the machine runs.
MAY_SLEEP = ("islanding/wait.py", "islanding/probes/", "islanding/lab/guest/ship_logs.py")
# Spelt in pieces, so that this file names none itself.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("static", "crates", "io"),
        ("index", "crates", "io"),
        ("rubygems", "org"),
        ("repo1", "maven", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
    )
]
MACHINE_PATHS = re.compile(
    "|".join(rf"(?<![\w./}}-])(?<!\$\d\")/{name}/[\w.]" for name in ("wor" + "k", "roo" + "t", "ho" + "me"))
)
SILENCED = re.compile(r"#\s*(?:type:\s*ignore(?:\[[\w, -]+\])?|noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?)(?P<rest>.*)")


@cache
def files() -> tuple[Path, ...]:
    """The files of the tree that are, or would be, under version control."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return tuple(sorted(path for name in listed if name and (path := ROOT / name).is_file()))


def name(path: Path) -> str:
    """The path as it is shown: relative to the tree."""
    return path.relative_to(ROOT).as_posix()


@cache
def modules() -> tuple[Path, ...]:
    """Every Python file of the tree."""
    return tuple(path for path in files() if path.suffix == ".py")


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def text_files() -> Iterator[tuple[Path, str]]:
    """Every file that is text."""
    for path in files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_the_tree_is_seen() -> None:
    """The rules below look at something."""
    assert ROOT / "islanding" / "model.py" in modules()
    assert Path(__file__) in modules()


def test_no_binary_files() -> None:
    """Everything in the tree can be read and reviewed as text."""
    readable = {path for path, text in text_files() if "\0" not in text}

    assert [name(path) for path in files() if path not in readable] == []


def test_modules_are_small() -> None:
    """A module holds one idea: at most 400 lines."""
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    limits = {path: MAX_TEST_LINES if path.startswith("tests/") else MAX_LINES for path in lengths}

    assert {path: lines for path, lines in lengths.items() if lines > limits[path]} == {}


def test_every_module_says_what_it_is_for() -> None:
    """Each module starts with a sentence."""
    silent = [name(path) for path in modules() if not (ast.get_docstring(tree(path)) or "").strip()]

    assert silent == []


def test_only_waiting_and_sampling_sleep() -> None:
    """Everything else waits for a condition with a deadline."""
    found = [
        f"{name(path)}:{node.lineno}"
        for path in modules()
        if not name(path).startswith(MAY_SLEEP)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep", "asyncio.sleep"}
    ]

    assert found == []


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_registry_is_named(host: str) -> None:
    """Where packages come from is the machine's own setting."""
    assert [name(path) for path, text in text_files() if host in text] == []


def test_no_path_of_the_makers_machine_is_named() -> None:
    """Nothing depends on where it was written."""
    found = [
        f"{name(path)}:{number}: {line.strip()[:80]}"
        for path, text in text_files()
        if not GENERATED.search(path.name)
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]

    assert found == []


def test_every_silenced_warning_has_its_reason() -> None:
    """Beside each type: ignore and noqa, or on the line above, stands why."""
    found = []
    for path in modules():
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            silenced = SILENCED.search(token.string) if token.type == tokenize.COMMENT else None
            above = lines[token.start[0] - 2].strip() if token.start[0] > 1 else ""
            if silenced and len(silenced["rest"].strip(" #-:")) < 8 and not above.startswith("#"):
                found.append(f"{name(path)}:{token.start[0]}: {token.string}")

    assert found == []


def imports(path: Path) -> set[str]:
    """The full names that a module imports; of `from a import b` both a and a.b."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def of_islanding(path: Path) -> set[str]:
    """The parts of islanding that a module knows: `lab` for islanding.lab.machine."""
    return {full.split(".")[1] for full in imports(path) if full.startswith("islanding.")}


def test_evidence_knows_the_record_only() -> None:
    """A report is made from journal and words, on any machine."""
    inside = [path for path in modules() if name(path).startswith("islanding/evidence/")]

    assert inside != []
    assert {name(path): extra for path in inside if (extra := of_islanding(path) - EVIDENCE_KNOWS)} == {}


def test_suites_do_not_know_the_lab() -> None:
    """A case runs on a live account too, so it may not reach into the lab."""
    suites = [path for path in modules() if name(path).startswith("suites/")]

    assert {name(path): known for path in suites if (known := of_islanding(path) & {"lab", "cli"})} == {}


def test_nothing_in_the_package_imports_what_stands_on_it() -> None:
    """Suites and tests use the package, never the other way round."""
    above = {"suites", "tests", "conftest", "benchmarks"}
    package = [path for path in modules() if name(path).startswith("islanding/")]

    assert {name(p): up for p in package if (up := {full.split(".")[0] for full in imports(p)} & above)} == {}
