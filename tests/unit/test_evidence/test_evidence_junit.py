"""The result as JUnit XML, as CI systems read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from islanding.evidence.junit import render_junit
from islanding.evidence.results import load_result
from tests.unit.test_evidence.conftest import Writer


def parsed(path: Path) -> ET.Element:
    """The file made for a run, read back."""
    return ET.fromstring(render_junit(load_result(path)))  # noqa: S314 - written by ourselves


def test_each_verdict_has_its_element(run_folder: Path) -> None:
    """Pass has none, fail a failure, skipped a skip with its reason, inconclusive an error."""
    root = parsed(run_folder)
    verdicts = ("failure", "skipped", "error")
    found = {case.get("name"): [child.tag for child in case if child.tag in verdicts] for case in root.iter("testcase")}

    assert found == {
        "test_site_comes_up": [],
        "test_access_through_the_cut": [],
        "test_resolver_lost": ["skipped"],
        "test_operator_cut_off": [],
        "test_workload_answers_through_the_cut": ["failure"],
        "test_eviction": ["error"],
    }
    assert [root.get(key) for key in ("tests", "failures", "errors")] == ["6", "1", "1"]
    assert [suite.get("skipped") for suite in root] == ["1", "0"]


def test_rows_and_site_are_properties(run_folder: Path) -> None:
    """A case carries its site and each requirement that it names."""
    root = parsed(run_folder)
    case = next(case for case in root.iter("testcase") if case.get("name") == "test_access_through_the_cut")
    found = [(p.get("name"), p.get("value")) for p in case.iter("property")]

    assert ("site", "outpost-local") in found
    assert [value for name, value in found if name == "requirement"] == ["O-04", "O-06", "O-07", "O-09"]


def test_a_failure_holds_reason_and_messages(run_folder: Path) -> None:
    """A reader of the build's log sees why, what was expected, and what users saw."""
    failure = next(parsed(run_folder).iter("failure"))

    assert failure.get("message") == "HTTP to the workload: HTTP_TIMEOUT at +4.2 s, ANSWERED was expected throughout"
    assert "HTTP to the workload: HTTP_TIMEOUT, 5 times, first at +4.3 s:\n    timed out after 1102 ms" in (
        failure.text or ""
    )


def test_a_skip_holds_its_reason(run_folder: Path) -> None:
    """The reason stands in the message."""
    skipped = next(parsed(run_folder).iter("skipped"))

    assert skipped.get("message") == "the site has no resolver of its own: dnsmasq is not installed"


def test_a_run_that_broke_off_is_an_error(writer: Writer) -> None:
    """Set-up errors and crashes are visible to tools that read nothing but this file, whatever the text holds."""
    writer.start("s")
    writer.add(1, "site-failed", site="s", reason="\x00\x1b[31m]]> & \ud800 no memory")

    root = parsed(writer.save())
    found = [(case.get("name"), [child.tag for child in case]) for case in root.iter("testcase")]

    assert found == [("site comes up", ["error"]), ("run is whole", ["error"])]
    assert "‹ESC›[31m]]> & ‹U+D800› no memory" in (root[0][-1][-1].text or "")
