"""Allure's result files, made from the journal: a result for each case, with steps, attachments and labels.

The format is that of Allure 2, which Allure 3 and the plugins of CI servers read too (allurereport.org, "How it
works": test result file, container file, categories file, environment file, executor file).
"""

from __future__ import annotations

import hashlib
import io
import re
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from islanding.evidence.allure_steps import STATUS, Attachments, attach_all, steps_of
from islanding.evidence.clean import clean
from islanding.evidence.plain import ControlMap, as_json, controls_of, milliseconds, project_controls
from islanding.evidence.record import Case, RequirementRow, RunResult, SiteRecord
from islanding.model import Verdict

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:islanding:allure")
_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")  # ASCII punctuation may be escaped by a backslash (CommonMark, 2.4)
_NO_PARAMETERS = hashlib.md5(b"", usedforsecurity=False).hexdigest()
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold: the same bytes on any day

# Groups that a reader wants apart, the first that fits counts. Both generations of Allure read these fields; patterns
# have to fit the whole message there, and in one of them `.` is no end of line.
CATEGORIES: tuple[dict[str, Any], ...] = (
    {"name": "A requirement is not met", "matchedStatuses": ["failed"]},
    {
        "name": "The site itself failed",
        "matchedStatuses": ["broken"],
        "messageRegex": r"[\s\S]*the site itself[\s\S]*",
    },
    {"name": "Inconclusive: no verdict could be reached", "matchedStatuses": ["broken"]},
    {"name": "Not covered at this site", "matchedStatuses": ["skipped"], "messageRegex": r"not covered[\s\S]*"},
    {"name": "Skipped", "matchedStatuses": ["skipped"]},
)


def render_allure(result: RunResult, controls: ControlMap | None = None) -> bytes:
    """All of Allure's result files as a zip, byte for byte the same for the same journal."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # builds of zlib deflate differently
        for name, data in sorted(allure_files(result, controls).items()):
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def allure_files(result: RunResult, controls: ControlMap | None = None) -> dict[str, bytes]:
    """Each file of Allure's results by its name; `controls` become labels beside the requirements."""
    attachments = Attachments(lambda name: str(uuid.uuid5(_NAMESPACE, clean(f"{result.run}/{name}"))))
    rows = {row.requirement.id: row for row in result.rows}
    files: dict[str, str] = {}
    for site in result.sites.values():
        ids = []
        for number, case in enumerate(site.cases):
            made = _case(case, number, rows, controls or project_controls(), attachments)
            ids.append(made["uuid"])
            files[f"{made['uuid']}-result.json"] = as_json(made)
        if ids and site.steps:
            made = _bring_up(site, ids, attachments.identify(f"site {site.name}"))
            files[f"{made['uuid']}-container.json"] = as_json(made)
    for made in _whole_run(result, attachments):
        files[f"{made['uuid']}-result.json"] = as_json(made)
    files["categories.json"] = as_json(list(CATEGORIES))
    files["environment.properties"] = _properties(_environment(result))
    files["executor.json"] = as_json({"name": "islanding", "type": "islanding", "buildName": result.run})
    return {**{name: text.encode() for name, text in files.items()}, **attachments.files}


def case_id(site: str, case: str) -> str:
    """What a case at a site is called from run to run."""
    return clean(f"{site}: {case}")


def history_id(site: str, case: str) -> str:
    """The id by which Allure 3 knows a case over the runs (its core/store/convert.js, for no parameters)."""
    return f"{_md5(case_id(site, case))}.{_NO_PARAMETERS}"


def _case(
    case: Case,
    number: int,
    rows: Mapping[str, RequirementRow],
    controls: ControlMap,
    attachments: Attachments,
) -> dict[str, Any]:
    name = f"{case.site}/{case.id}/{number}"  # a case may be in a journal twice
    areas = dict.fromkeys(rows[row].requirement.area_title for row in case.requirements if row in rows)
    labels = [
        ("parentSuite", case.site),
        ("suite", next(iter(areas), "other")),
        ("framework", "islanding"),
        ("host", case.site),
        *(("epic", area) for area in areas),
        *(("feature", _row(row, rows)) for row in case.requirements),
        *(("requirement", row) for row in case.requirements),
        *(("tag", row) for row in case.requirements),
    ]
    mapped = [f"{control.framework} {control.id}" for control in controls_of(controls, case.requirements)]
    labels += [("control", control) for control in mapped] + [("tag", control) for control in mapped]
    steps = steps_of(case, name, attachments)
    made = {
        **_head(attachments.identify(name), case.site, case.id, labels),
        "description": markdown(case.title),
        "status": STATUS[case.verdict],
        "statusDetails": {"message": case.reason, "trace": case.detail},
        "start": milliseconds(case, case.started),
        "stop": milliseconds(case, case.started + case.seconds),
        "steps": steps,
        "attachments": attach_all(case, name, attachments),
    }
    if case.verdict is Verdict.PASS:
        del made["statusDetails"]
    return made


def _head(identity: str, site: str, case: str, labels: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {
        "uuid": identity,
        "historyId": _md5(case_id(site, case)),
        "testCaseId": case_id(site, case),
        "fullName": case_id(site, case),
        "name": case,
        "stage": "finished",
        "labels": [{"name": name, "value": value} for name, value in labels],
    }


def _row(row: str, rows: Mapping[str, RequirementRow]) -> str:
    return f"{row}: {rows[row].requirement.text}" if row in rows else row


def _bring_up(site: SiteRecord, children: list[str], identity: str) -> dict[str, Any]:
    """The site's bring-up, as a fixture of all its cases; the journal has durations, and no clock, for its steps."""
    steps = [
        {"name": f"{step} ({seconds:.1f} s)", "status": "passed", "stage": "finished"} for step, seconds in site.steps
    ]
    status = "broken" if site.failed else "passed"
    before = {"name": f"{site.name} comes up", "status": status, "stage": "finished", "steps": steps}
    return {"uuid": identity, "name": site.name, "children": children, "befores": [before]}


def _whole_run(result: RunResult, attachments: Attachments) -> Iterable[dict[str, Any]]:
    """What is wrong with the run as a whole, as a result of its own: nothing else of Allure's would show it."""
    if result.problems:
        name = "run is whole"
        yield {
            **_head(attachments.identify(name), "run", name, [("parentSuite", "run"), ("framework", "islanding")]),
            "status": "broken",
            "statusDetails": {"message": "; ".join(result.problems), "trace": "\n".join(result.problems)},
        }


def _environment(result: RunResult) -> dict[str, str]:
    facts = {
        "run": result.run,
        "target": result.target,
        "revision": result.revision,
        "started": result.started_wall,
        "sites": ", ".join(result.sites),
        "complete": "yes" if result.complete else "no",
    }
    for what, told in (("part", result.parts), ("host", result.host)):
        if isinstance(told, Mapping):
            facts |= {
                f"{what} {key}": str(value) for key, value in told.items() if isinstance(value, str | int | float)
            }
    return {key: value for key, value in facts.items() if value}


def _properties(facts: Mapping[str, str]) -> str:
    """A properties file as java.util.Properties reads it; its text is ASCII, the rest escaped."""
    return "".join(f"{_escaped(key, ' =:#!')} = {_escaped(value, '')}\n" for key, value in facts.items())


def _escaped(text: str, special: str) -> str:
    text = clean(text).replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    text = "".join(f"\\{character}" if character in special else character for character in text)
    units = text.encode("utf-16-be")
    numbers = [int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)]
    return "".join(chr(number) if number < 0x7F else f"\\u{number:04x}" for number in numbers)


def markdown(text: str) -> str:
    """`text` as Markdown that shows it as it stands: no markup, no link and no picture can come of it."""
    return _MARKDOWN.sub(r"\\\1", clean(text))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()  # the id that Allure itself makes of it
