"""What is wrong with a configuration, as SARIF 2.1.0: what was found before a site was built, what is to blame.

A run's verdicts are not in it: SARIF is for findings about a thing that stands still, and a cut is no such thing. A
blame that was found while a fault of the run was on is what the fault was meant to do: it is told as information.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from islanding.evidence.clean import clip
from islanding.evidence.plain import as_json
from islanding.evidence.record import Case, Diagnosed, RunResult
from islanding.evidence.results import JOURNAL, left

VERSION = "2.1.0"
Level = Literal["error", "warning", "note", "none"]

_AWS_ID = re.compile(r"\b([a-z]{1,12})-[0-9a-f]{8,17}\b")  # vpc-…, subnet-…: new in each lab
_NOT_SLUG = re.compile(r"[^a-z0-9]+")

# What a rule is about, by the beginning of its id; the longest that fits counts.
_ABOUT = {
    "fault": "A fault of the harness was left in place, or nothing says that it healed.",
    "path": "A path that a site needs fails at a hop, and an AWS object is to blame.",
    "preflight": "A site lacks something that it needs before it can be built.",
}


@dataclass(frozen=True)
class Found:
    """One finding: its rule, how bad it is, whose it is, what is said of it; `context` goes into the property bag."""

    rule: str
    level: Level
    site: str
    object: str
    text: str
    context: tuple[tuple[str, str], ...] = ()


def render_sarif(result: RunResult) -> str:
    """The whole file as text; without a finding it has an empty list of results, which says that it was looked."""
    found = list(dict.fromkeys(findings(result)))
    rules = sorted({one.rule for one in found})
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "islanding", "rules": [_rule(rule) for rule in rules]}},
        "columnKind": "utf16CodeUnits",
        "automationDetails": {"id": f"islanding/{result.run}"},
        "properties": {"target": result.target, "revision": result.revision, "complete": result.complete},
        "results": [_result(one, rules.index(one.rule)) for one in found],
    }
    return as_json({"version": VERSION, "runs": [run]})


def findings(result: RunResult) -> Iterator[Found]:
    """Every finding of a run, site by site, in the order of the journal."""
    for site in result.sites.values():
        for lack in site.findings:
            level: Level = "note" if lack.level == "advice" else "error"
            yield Found(f"preflight/{_slug(lack.rule)}", level, site.name, lack.object, lack.text)
        for case in site.cases:
            yield from (_blamed(case, one) for one in case.diagnoses if one.failing or one.blame)
    for where, fault in left(result):
        text = f"fault {fault.name} ({fault.id}) {fault.trouble}: {fault.summary or 'what it did is in the journal'}"
        yield Found("fault/left", "error", where, fault.target or fault.id, text, (("fault", fault.name),))


def _blamed(case: Case, one: Diagnosed) -> Found:
    on = [
        fault.name
        for fault in case.faults.values()
        if fault.applied is not None and fault.applied <= one.t and (fault.undone is None or one.t <= fault.undone)
    ]
    level: Level = "none" if on else "error" if one.conclusive else "warning"
    context = [("case", case.id), ("from", one.source), ("to", one.target), ("packets", one.agreement)]
    context += [("duringFault", name) for name in on[:1]]
    return Found(
        f"path/{_slug(one.failing) or 'unknown'}",
        level,
        case.site,
        clip(one.blame or one.target or "(not told)", 1, 200),
        f"{one.source} to {one.target}: {one.message}" + (f"\nblame: {one.blame}" if one.blame else ""),
        tuple((key, value) for key, value in context if value),
    )


def _rule(rule: str) -> dict[str, Any]:
    kind, _, what = rule.partition("/")
    return {
        "id": rule,
        "name": "".join(word.capitalize() for word in re.split(r"[/-]", rule)),
        "shortDescription": {"text": f"{kind}: {what.replace('-', ' ')}"},
        "fullDescription": {"text": _ABOUT[kind]},
    }


def _result(one: Found, index: int) -> dict[str, Any]:
    where = f"{one.site}/{one.object}"
    same = "|".join((one.rule, one.site, _AWS_ID.sub(r"\1-*", one.object)))
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "kind": "informational" if one.level == "none" else "fail",
        "level": one.level,
        "message": {"text": clip(one.text) or one.rule},
        "locations": [
            {
                # Where the finding was recorded: some readers show nothing without a file.
                "physicalLocation": {"artifactLocation": {"uri": JOURNAL}},
                "logicalLocations": [{"name": one.object, "fullyQualifiedName": where, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"islanding/v1": hashlib.sha256(same.encode("utf-8", "backslashreplace")).hexdigest()},
        "properties": {"site": one.site, **dict(one.context)},
    }


def _slug(text: str) -> str:
    return _NOT_SLUG.sub("-", text.lower()).strip("-")[:60]
