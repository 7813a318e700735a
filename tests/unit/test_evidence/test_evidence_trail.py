"""A journal that was altered, cut off, or written by another version: whatever it still shows, it is never a pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.evidence.bundle import write_reports
from islanding.evidence.results import load_result
from islanding.model import Verdict
from tests.unit.test_evidence.conftest import Writer

SITE = "outpost-local"


def finished_run(writer: Writer, verdict: str) -> Path:
    """The journal of a run with one case at one site, of that verdict."""
    writer.start(SITE)
    writer.ready(SITE, 5, {"nodes": 4.0})
    writer.case(SITE, "test_case", 10, 11, verdict, requirements=["O-01"])
    writer.add(50, "run-finished", exit_code=0)
    return writer.save()


def test_altered_journal_never_passes(writer: Writer) -> None:
    """A run whose record was altered afterwards is incomplete, whatever is left of it says."""
    path = finished_run(writer, "fail")
    assert load_result(path).verdict is Verdict.FAIL
    path.write_bytes(path.read_bytes().replace(b'"verdict": "fail"', b'"verdict": "pass"'))

    result = load_result(path)

    assert (result.complete, result.verdict, result.exit_code) == (False, Verdict.INCONCLUSIVE, 2)
    assert "was changed" in result.problems[0]


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_journal_cut_off_in_the_middle_still_gives_a_report(writer: Writer, kept: float) -> None:
    """A crash leaves part of a journal: what is there is shown, nothing of it makes the run pass."""
    path = finished_run(writer, "pass")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])

    reports = write_reports(path.parent)

    assert (reports.result.complete, reports.result.exit_code) == (False, 2)
    assert "incomplete: the journal ends before the run did" in reports.result.problems
    assert "incomplete" in reports.html.read_text()


def test_journal_of_a_newer_version_is_refused(writer: Writer) -> None:
    """What a newer islanding wrote is not guessed at: its version and ours are named."""
    path = finished_run(writer, "pass")
    path.write_bytes(path.read_bytes().replace(b'{"v": 2', b'{"v": 3'))

    with pytest.raises(SetupError, match="newer islanding: its journal has version 3, this one reads up to 2"):
        load_result(path)


def test_line_of_a_newer_version_spoils_the_run(writer: Writer) -> None:
    """A single such line among ours cannot be read, and may have held a failure."""
    path = finished_run(writer, "pass")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], lines[2].replace(b'{"v": 2', b'{"v": 9'), *lines[3:]]))

    result = load_result(path)

    assert (result.damaged_lines, result.exit_code) == (1, 2)


def test_journal_of_version_1_is_read_as_it_always_was(writer: Writer) -> None:
    """Older journals have no chain, which is no fault of theirs."""
    path = finished_run(writer, "pass")
    path.write_text(re.sub(r', "n": \d+, "hash": "\w+"', "", path.read_text()).replace('{"v": 2', '{"v": 1'))

    assert (load_result(path).problems, load_result(path).exit_code) == ([], 0)


def test_bytes_that_are_no_text_are_shown_and_do_not_hide_the_rest(writer: Writer) -> None:
    """A log text that was no UTF-8 when an older journal was written leaves the event readable."""
    path = finished_run(writer, "fail")
    content = re.sub(rb', "n": \d+, "hash": "\w+"', b"", path.read_bytes()).replace(b'{"v": 2', b'{"v": 1')
    path.write_bytes(content.replace(b'"title": "', b'"title": "\xff\xfe'))

    result = load_result(path)

    assert (result.damaged_lines, result.verdict) == (0, Verdict.FAIL)
    assert result.cases[0].title.startswith("\ufffd\ufffd")
