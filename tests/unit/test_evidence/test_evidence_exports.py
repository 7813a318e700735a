"""What is derived for machines: result.json, SARIF and JUnit keep to their schemas, whatever a message holds."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from islanding.evidence.allure import allure_files
from islanding.evidence.bundle import render_reports
from islanding.evidence.controls import Control
from islanding.evidence.junit import render_junit
from islanding.evidence.record import RunResult
from islanding.evidence.requirements import Requirement
from islanding.evidence.resultjson import render_json
from islanding.evidence.results import evaluate, load_result
from islanding.evidence.sarif import render_sarif
from islanding.journal import Event
from islanding.paths import content_dir
from tests.unit.test_evidence.conftest import ZERO, Writer

SCHEMA = json.loads((content_dir("reports") / "schemas" / "result-v1.schema.json").read_text(encoding="utf-8"))
HOSTILE = "\x1b]0;x\x07<script>alert(1)</script>&]]>\x00\x9b31m\ud800\ufffe\u202e![x](http://evil.example/x)"
# Characters that a file or its reader would trip over; an escape, a C1 control, a surrogate, a turn of direction.
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")

# The grammar of junit-10.xsd (Jenkins' xUnit plugin) in our words, with the one thing that we add: testcase/properties.
ELEMENTS: dict[str, tuple[set[str], set[str], set[str]]] = {  # required and other attributes, children
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"time", "skipped", "timestamp", "hostname", "id"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname"},
        {"properties", "skipped", "error", "failure", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, set(), set()),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
    "system-err": (set(), set(), set()),
}
# The parts of SARIF 2.1.0 that we write, closed: a name that SARIF does not have cannot slip in.
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
SARIF = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "additionalProperties": False,
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "uniqueItems": True,
                                        "items": {
                                            "additionalProperties": False,
                                            "required": ["id"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "name": {"pattern": "^[A-Za-z0-9]+$"},
                                                "shortDescription": TEXT,
                                                "fullDescription": TEXT,
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "automationDetails": {"properties": {"id": {"type": "string"}}},
                    "properties": {"type": "object"},
                    "results": {
                        "type": "array",
                        "items": {
                            "additionalProperties": False,
                            "required": ["message"],
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "kind": {"enum": ["fail", "informational"]},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": TEXT,
                                "locations": {
                                    "items": {
                                        "additionalProperties": False,
                                        "properties": {
                                            "physicalLocation": {"required": ["artifactLocation"]},
                                            "logicalLocations": {
                                                "items": {
                                                    "additionalProperties": False,
                                                    "properties": {
                                                        "name": {"type": "string"},
                                                        "fullyQualifiedName": {"type": "string"},
                                                        "kind": {"const": "resource"},
                                                    },
                                                }
                                            },
                                        },
                                    }
                                },
                                "partialFingerprints": {"additionalProperties": {"type": "string"}},
                                "properties": {"type": "object"},
                            },
                            # SARIF 3.27.10: a kind other than fail has the level none.
                            "if": {"properties": {"kind": {"const": "informational"}}},
                            "then": {"properties": {"level": {"const": "none"}}},
                        },
                    },
                },
            },
        },
    },
}

BY_SCHEMA, BY_SARIF = jsonschema.Draft202012Validator(SCHEMA), jsonschema.Draft202012Validator(SARIF)


class Mapped:
    """A mapping with one control for each row."""

    def of(self, row_id: str, /) -> tuple[Control, ...]:
        return (Control("nist-800-53", "SC-7", "Boundary Protection", "why"),) if row_id == "O-09" else ()


def diagnosed(writer: Writer, *, fault: tuple[float, float] | None = None, conclusive: bool = True) -> RunResult:
    """A run with one diagnosis at second 20, and a fault from `fault[0]` to `fault[1]`."""
    writer.start("s")
    writer.case("s", "c", 10, 30, "pass", requirements=["C-09"])
    if fault:
        writer.cut("s", "c", "endpoint-removed", *fault)
    writer.add(
        20, "diagnosis", site="s", case="c", source="node (i-3788058a134c91d26)", target="ec2.amazonaws.com",
        step="", hops=[], failing="security group", blame="security group sg-0123456789abcdef0: no rule",
        message="fails at the security group", agreement="agrees", conclusive=conclusive, notes=[],
    )  # fmt: skip
    writer.add(40, "run-finished", exit_code=0)
    return load_result(writer.save())


def sarif_results(result: RunResult) -> list[dict[str, Any]]:
    """The results of the file made, which has kept to the schema."""
    made = json.loads(render_sarif(result))
    jsonschema.validate(made, SARIF)
    found: list[dict[str, Any]] = made["runs"][0]["results"]
    return found


def test_result_json_keeps_to_its_schema(run_folder: Path) -> None:
    """The file of a realistic run validates, and says what the journal does."""
    made = json.loads(render_json(load_result(run_folder), Mapped()))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(made, SCHEMA)
    rows = {row["id"]: row for row in made["requirements"]}

    assert {"pass": 3, "fail": 1, "inconclusive": 1, "skipped": 1} == made["counts"]
    assert ("fail", [{"framework": "nist-800-53", "id": "SC-7"}]) == (
        rows["O-09"]["verdict"],
        rows["O-09"]["controls"],
    )
    assert made["run"]["exit_code"] == 1


def test_the_schema_knows_every_name(run_folder: Path) -> None:
    """A name that the schema does not have, or one that is missing, is refused."""
    made = json.loads(render_json(load_result(run_folder)))
    more, less = json.loads(json.dumps(made)), json.loads(json.dumps(made))
    more["sites"][0]["cases"][0]["surprise"] = 1
    del less["run"]["verdict"]

    for wrong in (more, less):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)


def test_times_are_on_the_axis_of_the_case(run_folder: Path) -> None:
    """Zero is the first fault of the case, as in the report."""
    made = json.loads(render_json(load_result(run_folder)))
    case = next(c for s in made["sites"] for c in s["cases"] if c["id"] == "test_access_through_the_cut")

    assert [0.0] == [fault["applied"] for fault in case["faults"]]
    assert [40.05] == [fault["undone"] for fault in case["faults"]]


def test_a_blame_is_an_error_with_its_object(writer: Writer) -> None:
    """A path that failed by itself is a finding: its hop is the rule, the object its logical location."""
    (found,) = sarif_results(diagnosed(writer))

    assert ("path/security-group", "error", "fail") == (found["ruleId"], found["level"], found["kind"])
    (where,) = found["locations"][0]["logicalLocations"]
    assert where["fullyQualifiedName"] == "s/security group sg-0123456789abcdef0: no rule"


def test_a_blame_during_a_fault_is_information(writer: Writer) -> None:
    """What the run's own fault took away is no finding about the site."""
    (found,) = sarif_results(diagnosed(writer, fault=(15, 25)))

    assert ("none", "informational") == (found["level"], found["kind"])
    assert found["properties"]["duringFault"] == "endpoint-removed"


def test_a_blame_after_the_fault_is_an_error(writer: Writer) -> None:
    """Once the fault is undone, what fails is the site's."""
    (found,) = sarif_results(diagnosed(writer, fault=(12, 15)))

    assert found["level"] == "error"


def test_an_inconclusive_blame_is_a_warning(writer: Writer) -> None:
    """Where packets and AWS's state disagree, nobody is accused."""
    (found,) = sarif_results(diagnosed(writer, conclusive=False))

    assert found["level"] == "warning"


def test_a_finding_keeps_its_fingerprint_over_labs(tmp_path: Path) -> None:
    """The ids of a new lab do not make a new finding of an old one."""
    prints = []
    for number, identity in enumerate(("sg-0123456789abcdef0", "sg-0fedcba9876543210")):
        writer = Writer(tmp_path / str(number) / "journal.jsonl")
        result = diagnosed(writer)
        text = writer.path.read_text().replace("sg-0123456789abcdef0", identity)
        writer.path.write_text(text)
        result = load_result(writer.path)
        prints.append(sarif_results(result)[0]["partialFingerprints"])

    assert prints[0] == prints[1]


def test_lacks_are_findings_and_advice_is_a_note(writer: Writer) -> None:
    """What a look before the bring-up found has the name of its rule."""
    writer.start("s")
    writer.add(1, "finding", site="s", rule="free-addresses", object="subnet-1", text="5 are free", level="lack")
    writer.add(1, "finding", site="s", rule="few-addresses", object="subnet-2", text="9 are free", level="advice")
    found = sarif_results(load_result(writer.save()))

    assert [("preflight/free-addresses", "error"), ("preflight/few-addresses", "note")] == [
        (one["ruleId"], one["level"]) for one in found
    ]


def test_a_fault_left_is_a_finding(writer: Writer) -> None:
    """A site that a run left changed is not as it is configured."""
    writer.start("s")
    writer.add(2, "fault-applied", site="s", fault="route-removed", id="f1", start=ZERO + 2, end=ZERO + 2)
    writer.add(3, "run-finished", exit_code=1)
    (found,) = sarif_results(load_result(writer.save()))

    assert ("fault/left", "error") == (found["ruleId"], found["level"])


def test_junit_keeps_to_its_grammar(run_folder: Path) -> None:
    """Elements, attributes and times are those that Jenkins' schema has."""
    root = ET.fromstring(render_junit(load_result(run_folder), Mapped()))  # noqa: S314 - written by ourselves

    for element in root.iter():
        required, other, children = ELEMENTS[element.tag]
        assert required <= set(element.attrib) <= required | other
        assert {child.tag for child in element} <= children
        assert re.fullmatch(r"\d+\.\d{3}", element.get("time", "0.000"))


def test_junit_has_target_and_controls(run_folder: Path) -> None:
    """A case carries the controls of its rows, its suite each row's verdict with them."""
    root = ET.fromstring(render_junit(load_result(run_folder), Mapped()))  # noqa: S314 - written by ourselves
    case = next(one for one in root.iter("testcase") if one.get("name") == "test_access_through_the_cut")
    told = [(p.get("name"), p.get("value")) for p in case.iter("property")]
    suite = [(p.get("name"), p.get("value")) for p in root[0].findall("properties/property")]

    assert ("target", "lab") in told
    assert [value for name, value in told if name == "control"] == ["nist-800-53 SC-7"]
    assert ("requirement O-09", "fail (nist-800-53 SC-7)") in suite


def texts_in(value: Any) -> list[str]:
    """Every text of a JSON value, keys too."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts_in(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    return [value] if isinstance(value, str) else []


def hostile_result(text: str, number: float) -> RunResult:
    """A run in which every text is `text` and times are odd."""
    at = {"site": text, "case": text, "watch": text, "fault": text, "id": text}
    fields: dict[str, dict[str, Any]] = {
        "run-started": {"run": text, "target": text, "revision": text, "parts": {text: text}, "host": {text: text}},
        "site-ready": {"facts": {text: text}, "seconds": number},
        "site-step": {"step": text, "seconds": number},
        "finding": {"rule": text, "object": text, "text": text, "level": text},
        "case-started": {"title": text, "requirements": [text, "O-09"]},
        "watch-started": {"probe": text, "place": text, "command": [text], "interval": number},
        "fault-applied": {"target": text, "start": number, "end": number},
        "sample": {"start": number, "end": number, "outcome": text, "ok": False, "text": text},
        "expectation": {"claim": text, "start": number, "end": number, "verdict": "fail", "reason": text},
        "measurement": {"name": text, "value": number, "unit": text, "limit": text},
        "evidence": {"title": text, "text": text},
        "diagnosis": {
            "source": text, "target": text, "failing": text, "blame": text, "message": text,
            "hops": [{"hop": text, "status": text, "detail": text, "seen": text}], "notes": [text],
        },
        "capture": {
            "place": text, "interface": text, "expression": text, "start": number, "end": number, "file": text,
            "sha256": text, "size": number, "packets": number, "dropped": number, "reason": text,
        },
        "warning": {"text": text},
        "case-finished": {"verdict": "fail", "reason": text, "detail": text, "seconds": number},
    }  # fmt: skip
    rows = [Requirement("O-09", "O", "Area", "Text")]
    return evaluate([Event(type_, number, text, {**at, **data}) for type_, data in fields.items()], rows)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(st.just(HOSTILE), st.text(st.characters(codec=None, categories=None), max_size=12)),
    st.floats(allow_nan=True, allow_infinity=True),
)
def test_no_text_harms_a_derived_file(text: str, number: float) -> None:
    """Escapes, markup, surrogates and endless numbers leave every file well-formed, harmless and by its schema."""
    result = hostile_result(text, number)
    made = json.loads(render_json(result, Mapped()))
    sarif = json.loads(render_sarif(result))
    junit = render_junit(result, Mapped())
    allure = allure_files(result, Mapped())

    BY_SCHEMA.validate(made)
    BY_SARIF.validate(sarif)
    ET.fromstring(junit)  # noqa: S314 - written by ourselves
    told = [*texts_in(made), *texts_in(sarif), junit.replace("\n", "")]
    for name, data in allure.items():
        decoded = data.decode("utf-8")
        told += texts_in(json.loads(decoded)) if name.endswith(".json") else [decoded.replace("\n", "")]
    assert [one for one in told if HARMFUL.search(one.replace("\n", "").replace("\t", ""))] == []


def test_every_derived_file_is_the_same_each_time(run_folder: Path) -> None:
    """The same journal gives the same bytes, read anew."""
    assert render_reports(load_result(run_folder)) == render_reports(load_result(run_folder))
