"""Which cases ask for which fact of a site, read from the suites' own text: so that a lack is told with its price."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from islanding.paths import content_dir


def cases_for(site: str, lacking: str) -> tuple[str, ...]:
    """The cases of a reference site that ask for a fact, an identity or a place of that name."""
    return tuple(sorted(case for case, asked in _cases(site).items() if lacking in asked))


@cache
def _cases(site: str) -> dict[str, frozenset[str]]:
    """The names that each case of a site asks for, itself or by the functions of its file."""
    found: dict[str, frozenset[str]] = {}
    for path in sorted(content_dir("suites").rglob("test_*.py")):
        found |= _of_file(path, site)
    return found


def _of_file(path: Path, site: str) -> dict[str, frozenset[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    asked = {name: frozenset(_asked(node)) for name, node in functions.items()}
    called = {name: {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & set(functions) for name, node in
              functions.items()}  # fmt: skip
    cases = {}
    for name, node in functions.items():
        if name.startswith("test_") and site in _marked(node):
            reached, left = set[str](), [name]
            while left:
                one = left.pop()
                if one not in reached:
                    reached.add(one)
                    left += called[one]
            cases[name] = frozenset[str]().union(*(asked[one] for one in reached))
    return cases


def _marked(function: ast.FunctionDef) -> set[str]:
    """The sites that a case is marked with."""
    return {
        str(argument.value)
        for mark in function.decorator_list
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == "site"
        for argument in mark.args
        if isinstance(argument, ast.Constant)
    }


def _asked(function: ast.FunctionDef) -> Iterator[str]:
    """Names in `facts["NAME"]`, `identity("NAME")`, `login(site, "NAME")` and the like, `identity="NAME"`, `place=`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and _name(node.value) == "facts" and isinstance(node.slice, ast.Constant):
            yield str(node.slice.value)
        elif isinstance(node, ast.Call):
            named = node.args if _name(node.func) in ("identity", "place", "require", "login", "_at") else ()
            words = [k.value for k in node.keywords if k.arg in ("identity", "place")]
            yield from (str(a.value) for a in (*named, *words) if isinstance(a, ast.Constant))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
