"""A diagnosis in the journal is shown with its case: hops, the first that fails, the object to blame."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from islanding.diagnosis import Agreement, Blame, Diagnosis, Hop, Status
from islanding.evidence.html import render_html
from islanding.evidence.junit import render_junit
from islanding.evidence.live import LiveState
from islanding.evidence.results import load_result
from islanding.evidence.terminal import summary
from islanding.journal import Journal, read

SITE, CASE = "closed-vpc", "image_pull/test_endpoint_removed"
FOUND = Diagnosis(
    "worker-a (i-0abc)",
    "api.ecr.ap-northeast-1.amazonaws.com",
    (
        Hop("name", Status.OK, "answered by the VPC's resolver", seen="52.94.0.10"),
        Hop(
            "route",
            Status.FAILS,
            "rtb-1 has no route to public addresses",
            Blame("VPC endpoint", what="com.amazonaws.ap-northeast-1.ecr.api in vpc-1"),
            seen="silent",
        ),
        Hop("policy", Status.UNKNOWN, "a condition cannot be judged"),
    ),
    step="token",
    agreement=Agreement.AGREES,
    notes=("a note for the reader",),
)


def journal_with(tmp_path: Path, **data: Any) -> Path:
    """A run with one failed case that was diagnosed."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("run-started", run="r", target="lab", sites=[SITE])
    case = journal.bind(site=SITE, case=CASE)
    case.append("case-started", title="A missing endpoint is found", requirements=["C-09"])
    case.append("diagnosis", **{**FOUND.event(), **data})
    case.append("case-finished", verdict="fail", reason="the pull failed", seconds=1.0)
    journal.append("run-finished", exit_code=1)
    return journal.path


def test_the_report_shows_the_chain(tmp_path: Path) -> None:
    """The HTML has each hop with state and packets, the blame, and the note."""
    page = render_html(load_result(journal_with(tmp_path)))

    assert "Diagnosis: worker-a (i-0abc) to api.ecr.ap-northeast-1.amazonaws.com" in page
    assert "missing VPC endpoint: com.amazonaws.ap-northeast-1.ecr.api in vpc-1" in page
    assert '<tr class="fail"><th scope="row">route</th>' in page
    assert all(word in page for word in ("✕ fails", "? unknown", "silent", "a note for the reader", "packets: agrees"))


def test_terminal_and_junit_name_the_blame(tmp_path: Path) -> None:
    """Whoever reads a log sees the answer without opening the report."""
    result = load_result(journal_with(tmp_path))
    printed = StringIO()
    summary(result, Console(file=printed, width=200))
    shown = printed.getvalue()

    for text in (shown, render_junit(result)):
        assert "token: fails at the route: rtb-1 has no route to public addresses" in text
        assert "blame: missing VPC endpoint: com.amazonaws.ap-northeast-1.ecr.api in vpc-1" in text
    assert "name ok → route fails → policy unknown" in shown


def test_the_live_view_prints_a_line(tmp_path: Path) -> None:
    """While the run goes on, the diagnosis is one line."""
    state = LiveState()
    lines = [str(row) for event in read(journal_with(tmp_path)) if (row := state.feed(event))]

    assert 1 == len([row for row in lines if "diagnosis: token: fails at the route" in row])


@pytest.mark.parametrize(
    "data",
    [{"hops": None}, {"hops": "x"}, {"hops": [1, {"hop": None}]}, {"notes": 3, "conclusive": "yes", "blame": None}],
)
def test_a_damaged_diagnosis_does_not_break_the_report(tmp_path: Path, data: dict[str, Any]) -> None:
    """Whatever the event holds, the report can be made."""
    result = load_result(journal_with(tmp_path, **data))

    assert 1 == len(result.cases[0].diagnoses)
    assert "Diagnosis:" in render_html(result)


def test_secrets_in_a_diagnosis_are_taken_out(tmp_path: Path) -> None:
    """A presigned address in a hop or a note loses its signature."""
    secret = "https://x.s3.amazonaws.com/?X-Amz-Signature=0123456789abcdef"
    path = journal_with(tmp_path, hops=[{"hop": "service", "detail": secret}], notes=[secret], message=secret)

    assert "0123456789abcdef" not in render_html(load_result(path))
