"""The result as JUnit XML, for continuous integration: a suite for each site, a test case for each case.

The file keeps to the schema that Jenkins' xUnit plugin publishes (junit-10.xsd) in all but one thing: a test case has
properties, as pytest's own `record_property` writes them, since only there can a case say which rows it covers. A
reader that knows properties of suites alone finds each requirement's verdict and controls there.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

from islanding.evidence.clean import clean, clip
from islanding.evidence.plain import ControlMap, controls_of, project_controls
from islanding.evidence.record import Case, RequirementRow, RunResult, SiteRecord
from islanding.evidence.results import not_covered
from islanding.model import Verdict

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


def render_junit(result: RunResult, controls: ControlMap | None = None) -> str:
    """The whole file as text. What is inconclusive is an error, and so is what is wrong with the run as a whole."""
    controls = controls or project_controls()
    root = ET.Element("testsuites", name="islanding", time=_seconds(result.seconds))
    suites = [_suite(root, result, site, controls) for site in result.sites.values() if site.cases or site.failed]
    if result.problems:
        suite = ET.SubElement(root, "testsuite", name="run", time="0.000")
        case = ET.SubElement(suite, "testcase", classname="run", name="run is whole", time="0.000")
        _child(case, "error", "; ".join(result.problems), "\n".join(result.problems), "incomplete")
        suites.append(suite)
    for suite in [*suites, root]:
        cases = list(suite.iter("testcase"))
        suite.set("tests", str(len(cases)))
        for word, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if suite is not root or word != "skipped":  # the schema has no sum of skipped cases
                suite.set(word, str(sum(case.find(element) is not None for case in cases)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, result: RunResult, site: SiteRecord, controls: ControlMap) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", name=_xml(site.name), time=_seconds(site.total))
    if result.started_wall:
        suite.set("timestamp", _xml(result.started_wall))
    properties = {
        "run": result.run,
        "target": result.target,
        "revision": result.revision,
        "requirements not covered": "; ".join(not_covered(result)),
        **{f"fact: {key}": text for key, text in site.facts.items()},
    }
    rows = [_row(row, controls) for row in result.rows if any(case.site == site.name for case in row.cases)]
    _properties(suite, [*((key, text) for key, text in properties.items() if text), *rows])
    if site.failed:
        element = ET.SubElement(suite, "testcase", classname=_xml(site.name), name="site comes up", time="0.000")
        _child(element, "error", site.failed, site.failed, "set-up")
    for case in site.cases:
        _case(suite, case, result.target, controls)
    return suite


def _row(row: RequirementRow, controls: ControlMap) -> tuple[str, str]:
    """A requirement's verdict over the whole run, with the controls that it is mapped to."""
    mapped = ", ".join(f"{control.framework} {control.id}" for control in controls.of(row.requirement.id))
    return f"requirement {row.requirement.id}", row.verdict.value + (f" ({mapped})" if mapped else "")


def _case(suite: ET.Element, case: Case, target: str, controls: ControlMap) -> None:
    element = ET.SubElement(
        suite, "testcase", classname=_xml(case.site), name=_xml(case.id), time=_seconds(case.seconds)
    )
    rows = [("site", case.site), ("target", target), ("title", case.title)]
    rows += [("requirement", row) for row in case.requirements]
    rows += [("control", f"{c.framework} {c.id}") for c in controls_of(controls, case.requirements)]
    rows += [(f"measured: {m.name}", f"{m.value} {m.unit}".strip()) for m in case.measurements]
    _properties(element, [(key, text) for key, text in rows if text])
    reason = case.reason or "no reason was given"
    if case.verdict is Verdict.FAIL:
        _child(element, "failure", reason, _account(case), "fail")
    elif case.verdict is Verdict.SKIPPED:
        _child(element, "skipped", reason, "", "skipped")
    elif case.verdict is not Verdict.PASS:
        _child(element, "error", f"inconclusive: {reason}", _account(case), "inconclusive")
    if case.warnings:
        ET.SubElement(element, "system-err").text = _xml("\n".join(case.warnings))


def _account(case: Case) -> str:
    """What a reader of a build's log needs: reason, expectations that did not hold, messages, detail."""
    parts = [case.reason]
    parts += [
        f"expected at {e.watch}: {e.claim}: {e.verdict}: {e.reason}"
        for e in case.expectations
        if e.verdict is not Verdict.PASS
    ]
    parts += [
        f"diagnosis, {d.source} to {d.target}: {d.message}" + (f"\n    blame: {d.blame}" if d.blame else "")
        for d in case.diagnoses
    ]
    parts += [
        f"{m.watch}: {m.outcome}, {m.count} times, first at {m.first - case.zero:+.1f} s:\n    "
        + clip(m.text, 20, 2000).replace("\n", "\n    ")
        for m in case.messages
        if m.state != "good"
    ]
    return "\n".join(part for part in [*parts, clip(case.detail, 120, 20000)] if part)


def _properties(parent: ET.Element, rows: list[tuple[str, str]]) -> None:
    if rows:
        properties = ET.SubElement(parent, "properties")
        for name, value in rows:
            ET.SubElement(properties, "property", name=_xml(name), value=_xml(value))


def _child(parent: ET.Element, name: str, message: str, text: str, type_: str) -> None:
    element = ET.SubElement(parent, name, message=_xml(message), type=type_)
    if text:
        element.text = _xml(text)


def _seconds(seconds: float) -> str:
    """Seconds as the schema has them: whole and three places, neither negative nor endless."""
    return f"{max(0.0, seconds) if math.isfinite(seconds) else 0.0:.3f}"


def _xml(text: str) -> str:
    return _NOT_XML.sub("�", clean(text))
