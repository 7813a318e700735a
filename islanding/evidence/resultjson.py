"""The result of a run as JSON, by the schema in reports/schemas: for programs that read no journal."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from islanding.evidence.clean import clip
from islanding.evidence.plain import ControlMap, as_json, controls_of, project_controls
from islanding.evidence.record import Captured, Case, Diagnosed, FaultWindow, RunResult, SiteRecord, Watch
from islanding.evidence.results import counts

FORMAT = "islanding-result"
VERSION = 1


def render_json(result: RunResult, controls: ControlMap | None = None) -> str:
    """The whole file as text; times named `at`, `start` and `end` are seconds on the case's own axis."""
    return as_json(document(result, controls or project_controls()))


def document(result: RunResult, controls: ControlMap) -> dict[str, Any]:
    """What the file holds, before it is made a text."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "run": {
            "id": result.run,
            "target": result.target,
            "revision": result.revision,
            "started": result.started_wall,
            "ended": result.ended_wall,
            "seconds": result.seconds,
            "physics_seconds": result.physics,
            "verdict": result.verdict.value,
            "exit_code": int(result.exit_code),
            "complete": result.complete,
            "problems": result.problems,
            "warnings": result.warnings,
            "parts": result.parts,
            "host": result.host,
        },
        "counts": {verdict.value: count for verdict, count in counts(result).items()},
        "requirements": [
            {
                "id": row.requirement.id,
                "area": row.requirement.area_title,
                "text": row.requirement.text,
                "verdict": row.verdict.value,
                "reason": row.reason,
                "cases": [{"site": case.site, "case": case.id, "verdict": case.verdict.value} for case in row.cases],
                "controls": _controls(controls, [row.requirement.id]),
            }
            for row in result.rows
        ],
        "sites": [_site(site, controls) for site in result.sites.values()],
    }


def _controls(controls: ControlMap, rows: tuple[str, ...] | list[str]) -> list[dict[str, str]]:
    return [{"framework": control.framework, "id": control.id} for control in controls_of(controls, rows)]


def _site(site: SiteRecord, controls: ControlMap) -> dict[str, Any]:
    return {
        "name": site.name,
        "ready_seconds": site.ready_after,
        "down_seconds": site.down_after,
        "seconds": site.total,
        "physics_seconds": site.physics,
        "failed": site.failed,
        "troubles": site.troubles,
        "warnings": site.warnings,
        "facts": site.facts,
        "steps": [{"step": step, "seconds": seconds} for step, seconds in site.steps],
        "findings": [{"rule": f.rule, "object": f.object, "text": f.text, "level": f.level} for f in site.findings],
        "faults": [_fault(fault, 0.0) for fault in site.faults.values()],
        "cases": [_case(case, controls) for case in site.cases],
    }


def _case(case: Case, controls: ControlMap) -> dict[str, Any]:
    zero = case.zero
    return {
        "id": case.id,
        "title": case.title,
        "requirements": list(case.requirements),
        "controls": _controls(controls, case.requirements),
        "verdict": case.verdict.value,
        "reason": case.reason,
        "detail": clip(case.detail, 120, 20000),
        "started": case.wall,
        "seconds": case.seconds,
        "finished": case.finished,
        "faults": [_fault(fault, zero) for fault in case.faults.values()],
        "watches": [_watch(watch, zero) for watch in case.watches.values()],
        "expectations": [
            {
                "watch": e.watch,
                "claim": e.claim,
                "start": _on(zero, e.start),
                "end": _on(zero, e.end),
                "verdict": e.verdict.value,
                "reason": e.reason,
            }
            for e in case.expectations
        ],
        "measurements": [
            {
                "name": m.name,
                "value": m.value,
                "number": _number(m.value),
                "unit": m.unit,
                "limit": m.limit,
                "verdict": m.verdict.value if m.verdict else None,
            }
            for m in case.measurements
        ],
        "messages": [
            {
                "watch": m.watch,
                "outcome": m.outcome,
                "state": m.state,
                "text": m.text,
                "first": m.first - zero,
                "last": m.last - zero,
                "count": m.count,
                "variants": m.variants,
            }
            for m in case.messages
        ],
        "diagnoses": [_diagnosis(one, zero) for one in case.diagnoses],
        "captures": [_capture(one, zero) for one in case.captures],
        "exhibits": [{"at": e.t - zero, "title": e.title, "text": clip(e.text, 200, 20000)} for e in case.exhibits],
        "warnings": case.warnings,
        "troubles": case.troubles,
    }


def _fault(fault: FaultWindow, zero: float) -> dict[str, Any]:
    return {
        "id": fault.id,
        "name": fault.name,
        "target": fault.target,
        "summary": fault.summary,
        "applied": _on(zero, fault.applied),
        "undone": _on(zero, fault.undone),
        "healed_seconds": fault.healed_after,
        "trouble": fault.trouble,
    }


def _capture(one: Captured, zero: float) -> dict[str, Any]:
    return {**asdict(one), "start": one.start - zero, "end": one.end - zero}


def _watch(watch: Watch, zero: float) -> dict[str, Any]:
    return {
        "name": watch.name,
        "probe": watch.probe,
        "place": watch.place,
        "command": watch.command,
        "interval": watch.interval,
        "samples": len(watch.samples),
        "ticks": watch.ticks,
        "missed": watch.missed,
        "unfinished": watch.unfinished,
        "outcomes": dict(Counter(sample.outcome for sample in watch.samples)),
        "stretches": [
            {
                "start": s.start - zero,
                "end": s.end - zero,
                "outcome": s.outcome,
                "state": s.state,
                "count": s.count,
                "slowest": s.slowest,
            }
            for s in watch.stretches
        ],
    }


def _diagnosis(one: Diagnosed, zero: float) -> dict[str, Any]:
    return {
        "at": one.t - zero,
        "source": one.source,
        "target": one.target,
        "step": one.step,
        "failing": one.failing,
        "blame": one.blame,
        "message": one.message,
        "agreement": one.agreement,
        "conclusive": one.conclusive,
        "notes": list(one.notes),
        "hops": [{"hop": h.name, "status": h.status, "detail": h.detail, "seen": h.seen} for h in one.hops],
    }


def _on(zero: float, t: float | None) -> float | None:
    return None if t is None else t - zero


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
