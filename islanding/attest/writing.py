"""What a bundle says of its run: the manifest, and the in-toto statement about it and the main files that is signed.

The predicate test-result v0.1 knows tests that passed, passed with a warning, or failed. What was not shown must never
be taken for passed: an inconclusive case stands among the failed ones, and a skipped one in no list. How each case came
out is in the journal. Both texts are the same for the same run and files: all their times are the journal's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from islanding.attest.contents import LeftOut
from islanding.attest.layout import FORMAT, INPUTS, JOURNAL, MANIFEST, VERSION
from islanding.attest.manifest import Entry
from islanding.attest.statement import PREDICATE, TYPE
from islanding.evidence.record import Case, RunResult
from islanding.model import Verdict


def manifest(result: RunResult, files: Mapping[str, Entry], left_out: Mapping[str, LeftOut]) -> bytes:
    """The manifest's bytes."""
    body = {
        "format": FORMAT,
        "version": VERSION,
        "run": {
            "name": result.run,
            "target": result.target,
            "sites": sorted(result.site_names),
            "revision": result.revision,
            "clean": result.clean,
            "started": result.started_wall,
            "ended": result.ended_wall,
            "complete": result.complete,
            "verdict": result.verdict.value if result.complete else "incomplete",
            "exit_code": int(result.exit_code),
            "problems": result.problems,
        },
        "parts": result.parts,
        "hashes": result.hashes,
        "host": result.host,
        "clock": result.clock,
        "files": {name: asdict(entry) for name, entry in files.items()},
        "left_out": {name: asdict(entry) for name, entry in left_out.items()},
    }
    return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def result_word(result: RunResult) -> str:
    """PASSED, WARNED or FAILED: passed is what ends by exit code 0; warned is a whole run that only skipped cases."""
    if result.verdict is Verdict.PASS and result.complete:
        return "PASSED"
    shown = {case.verdict for case in result.cases}
    whole = result.complete and not result.problems
    return "WARNED" if whole and Verdict.PASS in shown and shown <= {Verdict.PASS, Verdict.SKIPPED} else "FAILED"


def statement(result: RunResult, manifest_sha256: str, files: Mapping[str, Entry], reports: tuple[str, ...]) -> bytes:
    """The statement's bytes. An incomplete run lists nothing as passed: what is missing could have held a failure."""
    passed = [case for case in result.cases if case.verdict is Verdict.PASS] if result.complete else []
    body: dict[str, Any] = {
        "_type": TYPE,
        "subject": [
            {"name": MANIFEST, "digest": {"sha256": manifest_sha256}},
            *(_described(name, files[name]) for name in sorted({JOURNAL, *reports})),
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "result": result_word(result),
            "configuration": [
                *_revision(result),
                *(_described(name, entry) for name, entry in sorted(files.items()) if name.startswith(f"{INPUTS}/")),
            ],
            "passedTests": _names(case for case in passed if not case.warnings),
            "warnedTests": _names(case for case in passed if case.warnings),
            "failedTests": _names(
                case for case in result.cases if case.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)
            ),
        },
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _described(name: str, entry: Entry) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": entry.sha256}}


def _revision(result: RunResult) -> list[dict[str, Any]]:
    commit = result.revision.removesuffix("+changes")
    if len(commit) != 40:
        return []
    return [{"name": "islanding", "digest": {"gitCommit": commit}, "annotations": {"clean": result.clean}}]


def _names(cases: Iterable[Case]) -> list[str]:
    return sorted(f"{case.site}: {case.id}" for case in cases)
