"""The result of a run as OSCAL assessment results (JSON), for tools of governance, risk and compliance.

Model: https://pages.nist.gov/OSCAL/reference/latest/assessment-results/json-outline/. Pure: identifiers come from the
run, times from its journal, so that the same journal gives the same bytes.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from urllib.parse import quote

from islanding.evidence.controls import Controls, load_controls
from islanding.evidence.oscal_findings import Account, Assessed, assess
from islanding.evidence.oscal_words import (
    Names,
    Node,
    filled,
    line,
    markup,
    markup_line,
    moment,
    prop,
    props,
    stamp,
)
from islanding.evidence.record import RunResult

FILE = "oscal-assessment-results.json"
OSCAL_VERSION = "1.2.1"  # the newest that compliance-trestle 5.2.0 knows
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS = {
    "lab": "Shown in a lab of real parts, which is not the live site: no finding here is one about a live site.",
    "aws": "Shown at a live site on AWS.",
}
_INPUT = "A file that the run was given, as it was when the run began."
_LIMITS = (
    "A row's evidence counts towards a control; it does not show the control as a whole, which asks for policies and "
    "people too. The objectives are our own, one for each control, with a part for each row."
)


def render_oscal(result: RunResult, controls: Controls | None = None) -> str:
    """The whole document as JSON; `controls` is the project's own mapping unless another is given.

    Raises SetupError when the mapping's files cannot be read.
    """
    document = assessment_results(result, load_controls() if controls is None else controls)
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def assessment_results(result: RunResult, controls: Controls) -> Node:
    """The document as plain values."""
    names = Names(result.run, result.started_wall)
    environment = result.target if result.target in _KINDS else "unknown"
    start = moment(result.started_wall) or _EPOCH
    plan, journal, tool = (names.uuid(word) for word in ("plan", "journal", "platform"))
    account = Account(result, controls, names, environment, tool, journal, start)
    assessed = assess(result, controls)
    covered = [control for control in assessed if control.covered]
    title = f"Assessment results of islanding, run {line(result.run)} ({environment})"
    return {
        "assessment-results": filled(
            {
                "uuid": names.uuid("document"),
                "metadata": {
                    "title": markup(title),
                    "last-modified": stamp(_end(result) or start),
                    "version": line(result.run),
                    "oscal-version": OSCAL_VERSION,
                    "props": _about(result, environment),
                    "remarks": _KINDS.get(environment, "The journal does not tell where this was shown."),
                },
                "import-ap": {"href": f"#{plan}", "remarks": "The plan is the table of requirements and its suites."},
                "local-definitions": filled({"objectives-and-methods": [_objective(control) for control in covered]}),
                "results": [_result(account, assessed)],
                "back-matter": {"resources": [*_resources(plan, journal), *_inputs(account)]},
            }
        )
    }


def _about(result: RunResult, environment: str) -> list[Node]:
    said = [("environment", environment), ("run", result.run), ("revision", result.revision)]
    return props([*said, ("verdict", result.verdict), ("exit-code", str(int(result.exit_code)))])


def _end(result: RunResult) -> datetime | None:
    """When the last thing was recorded: the run's end, else that of its last case."""
    ended = [moment(case.wall, case.seconds) for case in result.cases]
    return moment(result.ended_wall) or max((at for at in ended if at), default=None)


def _objective(control: Assessed) -> Node:
    """What our rows show of a control, as an objective of its own with a part for each row."""
    parts = [
        {"id": control.part(row), "name": "assessment-objective", "prose": markup(row.requirement.text)}
        for row, _ in control.rows
    ]
    whole = {
        "id": control.objective,
        "name": "assessment-objective",
        "prose": "All rows below are shown.",
        "parts": parts,
    }
    return {"control-id": control.id, "description": _LIMITS, "parts": [whole]}


def _result(account: Account, assessed: tuple[Assessed, ...]) -> Node:
    result, environment = account.result, account.environment
    problems = [f"- {markup_line(problem)}" for problem in result.problems]
    if problems:
        problems.insert(0, "The run as a whole cannot count as passed, so nothing in it satisfies a control:\n")
    end = _end(result)
    return filled(
        {
            "uuid": account.names.uuid("result"),
            "title": markup_line(f"Run {result.run} ({environment})"),
            "description": f"{_KINDS.get(environment, 'It is not told where this was shown.')} {_LIMITS}",
            "start": stamp(account.start),
            "end": stamp(max(end, account.start)) if end and result.finished else "",
            "props": _about(result, environment),
            "local-definitions": {"components": _components(account), "assessment-assets": _assets(account)},
            "reviewed-controls": _reviewed(assessed),
            "observations": account.observations(),
            "findings": account.findings(assessed),
            "remarks": "\n".join(problems),
        }
    )


def _components(account: Account) -> list[Node]:
    """The sites, and the parts that they ran on."""
    result, environment = account.result, account.environment
    found = [
        _component(account, ("site", name), "system", name, f"A site, {environment}.", [("environment", environment)])
        for name in dict.fromkeys((*result.site_names, *result.sites))
    ]
    versions, hashes = _texts(result.parts), _texts(result.hashes)
    for part in sorted({*versions, *hashes}):
        about = "A part that sites of the run ran on."
        said = [("version", versions.get(part, "")), ("sha-256", hashes.get(part, ""))]
        found.append(_component(account, ("part", part), "software", part, about, said))
    return found


def _texts(node: object) -> dict[str, str]:
    """A mapping of the journal's as texts; nothing where the journal holds something else."""
    return {str(key): str(value) for key, value in node.items()} if isinstance(node, dict) else {}


def _component(
    account: Account, what: tuple[str, ...], type_: str, title: str, description: str, said: list[tuple[str, str]]
) -> Node:
    return filled(
        {
            "uuid": account.names.uuid(*what),
            "type": type_,
            "title": markup_line(title),
            "description": description,
            "props": props(said),
            "status": {"state": "operational"},
        }
    )


def _assets(account: Account) -> Node:
    host = _texts(account.result.host)
    said = [("version", host.get("islanding", "")), ("revision", account.result.revision)]
    tool = _component(account, ("islanding",), "software", "islanding", "The harness that ran the cases.", said)
    platform = filled(
        {
            "uuid": account.tool,
            "title": "islanding",
            "props": [
                *(prop("host", f"{key}: {value}") for key, value in sorted(host.items())),
                *(prop("clock", f"{key}: {value}") for key, value in sorted(_texts(account.result.clock).items())),
            ],
            "uses-components": [{"component-uuid": tool["uuid"]}],
        }
    )
    return {"components": [tool], "assessment-platforms": [platform]}


def _reviewed(assessed: tuple[Assessed, ...]) -> Node:
    """Which controls something was shown of in this run, and which of the mapping's were left out."""
    inside = [control for control in assessed if control.covered]
    outside = [control for control in assessed if not control.covered]
    if inside:
        description = (
            "Controls towards which a case of this run counts; those of the mapping that none counts towards are "
            "excluded, and nothing is said of them."
        )
    else:  # a selection must name something (compliance-trestle refuses one that only excludes)
        description = "No case of this run counts towards any of these controls: nothing was shown of them."
        inside, outside = outside, []
    selection = filled(
        {
            "description": description,
            "include-controls": [{"control-id": control.id} for control in inside],
            "exclude-controls": [{"control-id": control.id} for control in outside],
        }
    )
    objectives = [{"objective-id": control.objective} for control in inside if control.covered]
    return filled(
        {
            "control-selections": [selection],
            "control-objective-selections": [{"include-objectives": objectives}] if objectives else [],
        }
    )


def _resources(plan: str, journal: str) -> list[Node]:
    return [
        {
            "uuid": plan,
            "title": "Requirements and cases",
            "description": "What a site must be shown to do (reports/requirements.yaml) and the cases and experiments "
            "that show it (suites/, experiments/), at the revision of the run.",
        },
        {
            "uuid": journal,
            "title": "The run's journal",
            "description": "The one record from which all of this is derived. Its SHA-256 is in the manifest of the "
            "bundle that both lie in.",
            "rlinks": [{"href": "journal.jsonl", "media-type": "application/jsonl"}],
        },
    ]


def _inputs(account: Account) -> list[Node]:
    """What the run was given, with its hashes: the files lie beside the journal."""
    found = []
    for name, digest in sorted(_texts(account.result.inputs).items()):
        link: Node = {"href": quote(f"inputs/{name}")}
        if re.fullmatch(r"[0-9a-f]{64}", digest):
            link["hashes"] = [{"algorithm": "SHA-256", "value": digest}]
        uuid = account.names.uuid("input", name)
        found.append({"uuid": uuid, "title": markup_line(name), "description": _INPUT, "rlinks": [link]})
    return found
