"""A rule of the house that no linter keeps: what AWS may send in pages is read in pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader

ROOT = Path(__file__).resolve().parents[2]
# The lab is AWS itself; its own calls inside the Region are not cut into pages.
OUTSIDE = "islanding/lab/"
HELPER = "islanding/aws/paging.py"
_READS = re.compile(r"(?:describe|list|get|search|lookup|filter|scan|query|simulate)_\w+")


@cache
def paginated() -> frozenset[str]:
    """Every operation, by boto3's method name, that botocore can paginate for some service."""
    loader: Loader = botocore.session.get_session().get_component("data_loader")
    found = set()
    for service in loader.list_available_services("service-2"):
        try:
            found |= set(loader.load_service_model(service, "paginators-1")["pagination"])
        except DataNotFoundError:
            continue
    return frozenset(botocore.xform_name(operation) for operation in found)


def unpaged(text: str) -> Iterator[str]:
    """The calls in a module which would see the first page only: named ones, and those whose name is a value."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and _READS.fullmatch(called.attr) and called.attr in paginated():
            yield f"{node.lineno}: {called.attr}"
        elif isinstance(called, ast.Call) and ast.unparse(called.func) == "getattr" and node.keywords:
            yield f"{node.lineno}: {ast.unparse(called)}"


def modules() -> list[Path]:
    """The harness's own modules."""
    inside = [path for folder in ("islanding", "suites") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in inside if not path.relative_to(ROOT).as_posix().startswith((OUTSIDE, HELPER))]


def test_nothing_that_has_pages_is_called_without_them() -> None:
    """`calls.call`, `paging.whole`, `paging.pages` or a paginator: nothing else reads a list of AWS's."""
    found = [f"{path.relative_to(ROOT)}:{call}" for path in modules() for call in unpaged(path.read_text())]

    assert found == []
    assert len(modules()) > 150


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("ec2.describe_vpcs(VpcIds=[vpc])", ["1: describe_vpcs"]),
        ("self.client('iam').list_roles()['Roles']", ["1: list_roles"]),
        ("getattr(client, operation)(**arguments)", ["1: getattr(client, operation)"]),
        ("ec2.get_paginator('describe_vpcs').paginate()", []),
        ("eks.describe_cluster(name='c')", []),
        ("pages(ec2, 'describe_vpcs', 'Vpcs')", []),
    ],
)
def test_the_rule_sees_what_it_is_for(text: str, calls: list[str]) -> None:
    """Calls of boto3's clients by name or by value, and nothing that botocore cannot paginate."""
    assert list(unpaged(text)) == calls
