"""The report as people read it: order, first page, what changed, controls, headings, text alternatives."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from islanding.evidence.charts import coverage
from islanding.evidence.controls import load_controls
from islanding.evidence.html import render_html
from islanding.evidence.overview import areas, control_tables, open_rows
from islanding.evidence.record import RunResult
from islanding.evidence.results import load_result
from islanding.evidence.since import since
from islanding.evidence.wording import ENGLISH
from islanding.model import Verdict
from tests.unit.test_evidence.conftest import Writer


def text_of(html: str) -> str:
    """The page's text without markup, in one line."""
    return " ".join(re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL).split())


@pytest.fixture(scope="module")
def result(run_folder: Path) -> RunResult:
    """The realistic run: passes, a failure, an inconclusive and a skipped case."""
    return load_result(run_folder)


def earlier(tmp_path: Path) -> RunResult:
    """A run before it: O-09 passed, O-10 was not looked at, another etcd, a case that is gone since."""
    w = Writer(tmp_path / "before" / "journal.jsonl")
    w.add(0, "run-started", run="before", target="lab", sites=["s"], revision="old", parts={"etcd": "3.7.2"}, host={})
    w.case("outpost-extended", "test_workload_answers_through_the_cut", 1, 2, "pass", requirements=["O-09"])
    w.case("outpost-extended", "test_gone", 3, 4, "pass")
    w.add(5, "run-finished", exit_code=0)
    return load_result(w.save())


def test_sections_stand_in_the_order_in_which_they_are_read(result: RunResult, tmp_path: Path) -> None:
    """First what was proven, then requirements, controls, cases, parts and method, and what was not covered."""
    page = render_html(result, previous=earlier(tmp_path), controls=load_controls())
    ids = re.findall(r'<h[12][^>]* id="([^"]+)"', page)

    assert ids == ["verdict", "requirements", "since", "controls", "site-1", "site-2", "method", "not-covered"]


def test_headings_leave_no_level_out(result: RunResult) -> None:
    """A heading is at most one level below the one before it, and there is one of the first level."""
    levels = [int(level) for level in re.findall(r"<h([1-6])", render_html(result))]

    assert levels.count(1) == 1
    assert [pair for pair in pairwise(levels) if pair[1] > pair[0] + 1] == []


def test_the_first_page_says_what_was_not_proven(result: RunResult) -> None:
    """Rows that failed come before those without a verdict, each with its reason; then what no case looked at."""
    said = text_of(render_html(result)).partition("Skip to the requirements")[2].partition("Contents")[0]

    assert [row.requirement.id for row in open_rows(result)] == ["O-09", "O-10", "O-13"]
    assert "1 of 6 cases failed" in said
    assert said.index("HTTP to the workload: HTTP_TIMEOUT") < said.index("waited 300 s for node")
    assert "50 requirements that no case of this run looked at" in said
    assert "No earlier run was given to compare with." in said


def test_a_run_without_a_gap_says_so(writer: Writer) -> None:
    """When each row passed there is nothing under what was not proven."""
    rows = [f"O-{number:02}" for number in range(1, 14)]
    writer.start("s")
    writer.case("s", "c", 1, 2, "pass", requirements=rows)
    writer.add(3, "run-finished", exit_code=0)
    everything = load_result(writer.save())
    everything.rows = tuple(row for row in everything.rows if row.requirement.area == "O")

    said = text_of(render_html(everything))

    assert "The case passed" in said
    assert "Nothing: each requirement of the table was proven." in said
    assert "Each requirement of the table was looked at" in said


def test_what_changed_since_the_run_before(result: RunResult, tmp_path: Path) -> None:
    """Verdicts of rows and cases, parts and code; what is worse comes first, what came or went next."""
    change = since(result, earlier(tmp_path))

    assert [(c.name, c.before, c.after) for c in change.rows[:1]] == [("O-09", Verdict.PASS, Verdict.FAIL)]
    assert ("O-10", Verdict.NOT_COVERED, Verdict.INCONCLUSIVE) in [(c.name, c.before, c.after) for c in change.rows]
    assert [c.name for c in change.cases[:1]] == ["outpost-extended: test_workload_answers_through_the_cut"]
    assert ("outpost-extended: test_gone", Verdict.PASS, None) in [(c.name, c.before, c.after) for c in change.cases]
    assert ("etcd", "3.7.2", "3.7.3") in [(v.name, v.before, v.after) for v in change.values]
    assert ("code", "old", "3f9c2d1 (clean)") in [(v.name, v.before, v.after) for v in change.values]
    assert since(result, result).count == 0
    assert "no verdict, no part and no code changed." in text_of(render_html(result, previous=result))


def test_a_control_passes_only_with_all_of_its_rows(result: RunResult) -> None:
    """A control with a failed row fails; one of whose rows some were not covered has not passed."""
    controls = load_controls()
    tables = control_tables(result, controls)

    assert [framework.title for framework in controls.frameworks] == [table.title for table in tables]
    verdicts = {row.requirement.id: row.verdict for row in result.rows}
    for table in tables:
        for control in table.controls:
            of_rows = {verdicts[row.requirement.id] for row, _ in control.rows}
            assert (control.verdict is Verdict.PASS) == (of_rows == {Verdict.PASS})
            assert (control.verdict is Verdict.FAIL) == (Verdict.FAIL in of_rows)
    assert control_tables(result, None) == []


def test_each_drawing_has_words_for_those_who_do_not_see_it(result: RunResult) -> None:
    """Every drawing is an image with a title and a text that says what it shows."""
    page = render_html(result)
    drawings = re.findall(r'<svg[^>]*role="img".*?</svg>', page, flags=re.DOTALL)

    assert len(drawings) >= 8
    for drawing in drawings:
        assert re.match(r"<svg [^>]*><title>[^<]+</title><desc>[^<]+</desc>", drawing)
    assert "Closed network: 0 of 17 proven" in str(coverage(areas(result), ENGLISH))


def test_what_reads_otherwise_than_it_is_stored_is_made_visible(writer: Writer) -> None:
    """Marks that turn the direction of writing, zero-width marks and tags are shown by their numbers, in any text."""
    sly = "a\u202eb\u200bc\ufeffd\u2066e\U000e0041f\xadg\x1b[2Jh"
    writer.start("s")
    writer.case("s", "c", 1, 2, "fail", title=sly, reason=sly, detail=sly, requirements=["O-01"])
    writer.watch("s", "c", sly, start=1, end=2, interval=0.5, sample=lambda _: (sly, False, sly, 0.1))
    page = render_html(load_result(writer.save()))

    for mark in "\u202e\u200b\ufeff\u2066\U000e0041\xad\x1b":
        assert mark not in page
    assert "‹U+202E›" in page
    assert "‹U+200B›" in page
    assert "‹U+E0041›" in page
