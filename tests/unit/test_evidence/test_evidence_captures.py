"""A capture in the journal is shown with its case: its file and hash, or why there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from islanding.evidence.allure import allure_files
from islanding.evidence.html import render_html
from islanding.evidence.record import RunResult
from islanding.evidence.resultjson import render_json
from islanding.evidence.results import load_result
from islanding.journal import Journal
from islanding.paths import content_dir

SCHEMA = json.loads((content_dir("reports") / "schemas" / "result-v1.schema.json").read_text(encoding="utf-8"))
DIGEST = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
KEPT = {
    "place": "cnd", "interface": "any", "expression": "tcp port 179", "start": 1.0, "end": 9.0, "size": 2048,
    "file": "captures/test_cut-cnd-1.pcap", "sha256": DIGEST, "packets": 1234, "dropped": 7, "reason": "",
}  # fmt: skip
LACKING = {"place": "edge", "interface": "any", "expression": "", "start": 1.0, "end": 1.0, "file": ""}


def result_with(tmp_path: Path, *captures: dict[str, Any]) -> RunResult:
    """A run with one case that captured."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("run-started", run="r", target="lab", sites=["s"])
    case = journal.bind(site="s", case="test_cut")
    case.append("case-started", title="A cut shows", requirements=["O-04"])
    for capture in captures:
        case.append("capture", **capture)
    case.append("case-finished", verdict="pass", seconds=1.0)
    journal.append("run-finished", exit_code=0)
    return load_result(journal.path)


def test_the_report_names_file_hash_and_packets(tmp_path: Path) -> None:
    """Also how many the kernel lost, which decides what the file can prove."""
    page = render_html(result_with(tmp_path, KEPT))

    assert "Captures of packets" in page
    assert all(word in page for word in ("captures/test_cut-cnd-1.pcap", DIGEST, "tcp port 179", "1,234", "7 lost"))
    assert "Nothing was recorded beside the verdict" not in page


def test_the_report_says_why_there_is_none(tmp_path: Path) -> None:
    """The reason stands where the file would."""
    page = render_html(result_with(tmp_path, {**LACKING, "reason": "sh: 1: tcpdump: not found"}))

    assert "sh: 1: tcpdump: not found" in page
    assert "SHA-256" not in page.partition("Captures of packets")[2].partition("</table>")[0]


def test_other_reports_have_it_too(tmp_path: Path) -> None:
    """The JSON by its schema, and a text in Allure."""
    result = result_with(tmp_path, KEPT, {**LACKING, "reason": "no"})
    made = json.loads(render_json(result))
    jsonschema.validate(made, SCHEMA)
    [case] = made["sites"][0]["cases"]
    texts = [
        content for content in allure_files(result).values() if b"captures/test_cut-cnd-1.pcap: tcp port" in content
    ]

    assert [DIGEST, ""] == [one["sha256"] for one in case["captures"]]
    assert 1 == len(texts)


@pytest.mark.parametrize(
    "data", [{}, {"size": "x", "packets": None}, {"packets": True, "dropped": [1]}, {"start": "now", "file": 3}]
)
def test_a_damaged_capture_does_not_break_the_report(tmp_path: Path, data: dict[str, Any]) -> None:
    """Whatever the event holds, the report can be made."""
    result = result_with(tmp_path, data)

    assert "Captures of packets" in render_html(result)
    jsonschema.validate(json.loads(render_json(result)), SCHEMA)
