"""OSCAL assessment results: valid by schema, bound to the run, and never better than what was shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.evidence.controls import Control, Controls, Framework
from islanding.evidence.oscal import assessment_results, render_oscal
from islanding.evidence.oscal_words import line, markup, moment, stamp, token
from islanding.evidence.record import RunResult
from islanding.evidence.requirements import Requirement
from islanding.evidence.results import load_result
from islanding.model import Verdict
from tests.unit.test_evidence.conftest import Writer

SCHEMA = json.loads((Path(__file__).parent / "oscal-assessment-results.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ROWS = tuple(Requirement(f"O-0{n}", "O", "Outpost", f"row {n} <b>") for n in (1, 2, 3))
TITLES = {"cp-8": "Telecommunications", "sc-7.5": "Deny by Default", "cp-10": "Recovery"}
MAPPED = {
    "O-01": (Control("nist-800-53", "cp-8", "Telecommunications", "the line"),),
    "O-02": (
        Control("nist-800-53", "cp-8", "Telecommunications", "the line again"),
        Control("nist-800-53", "sc-7.5", "Deny by Default", "nothing else"),
        Control("iso-27001", "A.8.20", "Networks security", "nothing else"),
    ),
    "O-03": (Control("nist-800-53", "cp-10", "Recovery", "back"),),
}
CONTROLS = Controls((Framework("nist-800-53", "NIST", "5", "by hand", TITLES),), MAPPED)


def made(tmp_path: Path, *verdicts: str, target: str = "lab", finished: bool = True, rows: str = "12") -> RunResult:
    """A run whose n-th case shows row O-0n, with these verdicts."""
    writer = Writer(tmp_path / "journal.jsonl")
    writer.start("outpost-local", target=target)
    for n, (row, verdict) in enumerate(zip(rows, verdicts, strict=True)):
        reason = "" if verdict == "pass" else "<script>alert(1)</script> \x1b[31m[red](x)"
        writer.case(
            "outpost-local", f"case-{n}", 10.0 + n, 10.5 + n, verdict, requirements=[f"O-0{row}"], reason=reason
        )
    if finished:
        writer.add(60, "run-finished", exit_code=0)
    return load_result(writer.save(), ROWS)


def document(result: RunResult) -> dict[str, Any]:
    """The one result inside the document, which is valid by the schema."""
    whole = assessment_results(result, CONTROLS)
    VALIDATOR.validate(whole)
    return whole["assessment-results"]  # type: ignore[no-any-return] # plain values


def states(result: RunResult) -> dict[str, tuple[str, str]]:
    """State and reason by the objective that a finding is about."""
    findings = document(result)["results"][0].get("findings", [])
    targets = [finding["target"] for finding in findings]
    return {t["target-id"]: (t["status"]["state"], t["status"]["reason"]) for t in targets}


def strings(node: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def test_a_control_is_satisfied_when_all_its_rows_passed(tmp_path: Path) -> None:
    """Two rows passed: both controls that they alone count towards are satisfied; one without a case has no finding."""
    assert states(made(tmp_path, "pass", "pass")) == {
        "cp-8_islanding": ("satisfied", "pass"),
        "cp-8_islanding.o-01": ("satisfied", "pass"),
        "cp-8_islanding.o-02": ("satisfied", "pass"),
        "sc-7.5_islanding": ("satisfied", "pass"),
        "sc-7.5_islanding.o-02": ("satisfied", "pass"),
    }


@pytest.mark.parametrize(
    ("verdict", "reason"), [("fail", "fail"), ("inconclusive", "other"), ("skipped", "other"), ("perhaps", "other")]
)
def test_one_row_that_did_not_pass_keeps_its_control_from_being_satisfied(
    tmp_path: Path, verdict: str, reason: str
) -> None:
    """Whatever is not a pass leaves the control unsatisfied; only a failure is called one."""
    found = states(made(tmp_path, "pass", verdict))
    assert found["cp-8_islanding"] == ("not-satisfied", reason)
    assert found["cp-8_islanding.o-02"] == ("not-satisfied", reason)


def test_a_row_without_a_case_keeps_its_control_from_being_satisfied(tmp_path: Path) -> None:
    """A control one of whose rows is not covered is not satisfied, though the other row's part is."""
    found = states(made(tmp_path, "pass", rows="1"))
    assert found == {
        "cp-8_islanding": ("not-satisfied", "other"),
        "cp-8_islanding.o-01": ("satisfied", "pass"),
    }


def test_a_run_that_does_not_hold_satisfies_nothing(tmp_path: Path) -> None:
    """A run cut off in the middle satisfies no control, although each of its cases passed; it says why."""
    result = made(tmp_path, "pass", "pass", finished=False)
    assert {state for state, _ in states(result).values()} == {"not-satisfied"}
    assert "incomplete" in document(result)["results"][0]["remarks"]
    assert "end" not in document(result)["results"][0]


@pytest.mark.parametrize(("target", "environment"), [("lab", "lab"), ("aws", "aws"), ("moon", "unknown")])
def test_where_it_was_shown_stands_in_every_observation_and_finding(
    tmp_path: Path, target: str, environment: str
) -> None:
    """Nothing of a lab can be taken for a live site: document, result, observations and findings say which it was."""
    found = document(made(tmp_path, "pass", "pass", target=target))
    result = found["results"][0]
    nodes = [found["metadata"], result, *result["observations"], *result["findings"]]
    said = [{p["value"] for p in node["props"] if p["name"] == "environment"} for node in nodes]
    assert len(said) == 2 + 2 + 5
    assert {value for values in said for value in values} == {environment}
    assert all(said)


def test_controls_without_a_case_are_excluded(tmp_path: Path) -> None:
    """Only controls of which something was shown are called reviewed; the others are named as left out."""
    selection = document(made(tmp_path, "pass", "fail"))["results"][0]["reviewed-controls"]["control-selections"][0]
    assert [c["control-id"] for c in selection["include-controls"]] == ["cp-8", "sc-7.5"]
    assert [c["control-id"] for c in selection["exclude-controls"]] == ["cp-10"]


def test_every_reference_leads_to_something_in_the_document(tmp_path: Path) -> None:
    """Observations, subjects, actors, resources and objectives that are referred to are all there, each once."""
    found = document(made(tmp_path, "pass", "fail"))
    text = json.dumps(found)
    uuids = re.findall(r'"uuid": "([^"]+)"', text)
    assert len(uuids) == len(set(uuids))
    referred = re.findall(r'"(?:[a-z]+-uuid|href)": "#?([0-9a-f-]{36})"', text)
    assert set(referred) <= set(uuids)
    assert len(referred) > 10
    parts = set(re.findall(r'"id": "([^"]+)"', text))
    assert set(re.findall(r'"(?:target-id|objective-id)": "([^"]+)"', text)) <= parts


def test_times_are_the_journals(tmp_path: Path) -> None:
    """Start, end, and when an observation was made are read from the journal."""
    result = document(made(tmp_path, "pass", "pass"))["results"][0]
    assert (result["start"], result["end"]) == ("2026-11-21T09:00:00.000Z", "2026-11-21T09:01:00.000Z")
    assert [o["collected"] for o in result["observations"]] == ["2026-11-21T09:00:10.500Z", "2026-11-21T09:00:11.500Z"]


def test_the_same_journal_gives_the_same_bytes_and_another_run_other_identifiers(tmp_path: Path) -> None:
    """Made twice it is the same; the identifiers of two runs have nothing in common."""
    first = made(tmp_path, "pass", "pass")
    once = render_oscal(first, CONTROLS)
    assert once == render_oscal(load_result(tmp_path, ROWS), CONTROLS)
    first.run = "another"
    uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
    assert set(uuid.findall(once)) & set(uuid.findall(render_oscal(first, CONTROLS))) == set()


def test_what_a_message_says_is_shown_and_not_acted_on(tmp_path: Path) -> None:
    """HTML, Markdown and terminal escapes in a reason are escaped wherever they stand."""
    found = "\n".join(strings(document(made(tmp_path, "pass", "fail"))))
    assert r"\<script\>alert(1)\</script\> ‹ESC›\[31m\[red\](x)" in found
    assert "<script>" not in found


def test_inputs_parts_and_clock_are_named_with_their_hashes(tmp_path: Path) -> None:
    """What the run was given is a resource with its SHA-256, parts have theirs as a property, and the clock is told."""
    result = made(tmp_path, "pass", "pass")
    result.inputs = {"sites/my site.yaml": "a" * 64, "odd": ["no", "hash"]}
    result.hashes = {"etcd": "b" * 64, "cni": "c" * 64}
    result.clock = {"source": "ntp", "offset": 0.002}
    found = document(result)
    links = {r["title"]: r["rlinks"][0] for r in found["back-matter"]["resources"] if r.get("rlinks")}
    digest = [{"algorithm": "SHA-256", "value": "a" * 64}]
    assert links["sites/my site.yaml"] == {"href": "inputs/sites/my%20site.yaml", "hashes": digest}
    assert links["odd"] == {"href": "inputs/odd"}
    local = found["results"][0]["local-definitions"]
    said = {c["title"]: {p["name"]: p["value"] for p in c["props"]} for c in local["components"]}
    assert said["etcd"] == {"version": "3.7.3", "sha-256": "b" * 64}
    assert said["cni"] == {"sha-256": "c" * 64}
    clock = [p["value"] for p in local["assessment-assets"]["assessment-platforms"][0]["props"] if p["name"] == "clock"]
    assert clock == ["offset: 0.002", "source: ntp"]


def test_a_run_without_any_case_is_valid_and_finds_nothing(tmp_path: Path) -> None:
    """An empty run makes a valid document without findings."""
    result = document(made(tmp_path, rows=""))["results"][0]
    assert "findings" not in result
    assert "observations" not in result
    assert "nothing was shown" in result["reviewed-controls"]["control-selections"][0]["description"]


def test_a_run_without_times_is_valid(tmp_path: Path) -> None:
    """A journal whose wall clock says nothing makes a document all the same, dated at the epoch."""
    result = made(tmp_path, "pass", "pass")
    result.started_wall = result.ended_wall = ""
    for case in result.cases:
        case.wall = "yesterday"
    assert document(result)["results"][0]["start"] == "1970-01-01T00:00:00.000Z"


def test_the_schema_refuses_what_is_not_oscal(tmp_path: Path) -> None:
    """The schema by which all of this is checked does refuse: another state, another key, an empty list, no uuid."""
    whole = json.loads(render_oscal(made(tmp_path, "pass", "pass"), CONTROLS))
    text = json.dumps(whole)
    breaks = {
        "state": text.replace('"satisfied"', '"inconclusive"'),
        "key": text.replace('"observations"', '"observation"'),
        "list": text.replace('"methods": ["TEST"]', '"methods": []'),
        "uuid": re.sub(r'"uuid": "[^"]+"', '"uuid": "1"', text),
    }
    assert [name for name, broken in breaks.items() if broken == text or VALIDATOR.is_valid(json.loads(broken))] == []


STRING = re.compile(r"\S(.*\S)?")
TOKEN = re.compile(r"[^\W\d][\w.-]*")


@given(st.text())
def test_any_text_becomes_a_string_and_a_token_of_oscal(text: str) -> None:
    """Whatever a text holds, it fits OSCAL's types, and its letters survive."""
    assert STRING.fullmatch(line(text))
    assert TOKEN.fullmatch(token(text)) or not token(text)[0].isalpha()
    assert STRING.fullmatch(markup(text).replace("\n", " "))


@given(st.text() | st.datetimes().map(str))
def test_a_wall_clock_is_a_time_with_a_zone_or_none(text: str) -> None:
    """What is no time with a zone is None, never an exception; what is one has OSCAL's form."""
    at = moment(text)
    assert at is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp(at))


def test_verdicts_of_the_model_are_all_thought_of() -> None:
    """A new verdict has to be thought of here: of today's, one alone satisfies."""
    assert [v for v in Verdict if v is not Verdict.PASS] == ["fail", "inconclusive", "skipped", "not covered"]
