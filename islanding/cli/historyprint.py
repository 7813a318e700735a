"""How `islanding history` shows what it found: as a table, as JSON, as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from islanding.evidence.clean import clean
from islanding.evidence.requirements import Requirement
from islanding.evidence.wording import ENGLISH
from islanding.history.diff import name_of
from islanding.history.flakes import RULE, Flake
from islanding.history.queries import Listed, Standing
from islanding.history.record import RunRecord

NONE = "The history holds no such run. A run records itself at its end; `islanding history import` records older ones."
_NEVER = "never"


def listing(runs: Sequence[Listed], shape: str) -> str:
    """The runs."""
    if shape == "json":
        return as_json([{**asdict(run), "sites": dict(run.sites)} for run in runs])
    rows = [
        {
            "run": run.run,
            "started": ENGLISH.clock(run.started) if shape == "table" else run.started,
            "target": run.target,
            "sites": ", ".join(site for site, _ in run.sites),
            "verdict": run.verdict if run.complete else f"{run.verdict} (incomplete)",
            "cases": ", ".join(f"{count} {verdict}" for verdict, count in run.counts.items()) or "none",
            "duration": ENGLISH.seconds(run.seconds) if shape == "table" else f"{run.seconds:.3f}",
            "revision": _revision(run.revision) if shape == "table" else run.revision,
        }
        for run in runs
    ]
    return as_csv(rows) if shape == "csv" else as_table(rows) if rows else NONE


def _revision(text: str) -> str:
    head, plus, rest = text.partition("+")
    return f"{head[:12]}{plus}{rest}"


def flakes(found: Sequence[Flake], shape: str) -> str:
    """The flaky cases, and the rule by which they are."""
    if shape == "json":
        return as_json({"rule": RULE, "flakes": [asdict(flake) for flake in found]})
    rows = [
        {
            "site": flake.site,
            "case": flake.case,
            "flips": str(flake.flips),
            "not passed": f"{flake.failed + flake.inconclusive} of {flake.runs}",
            "share (95 %)": f"{flake.share:.0%} ({flake.low:.0%} to {flake.high:.0%})",
            "from": ENGLISH.clock(flake.first) if shape == "table" else flake.first,
            "to": ENGLISH.clock(flake.last) if shape == "table" else flake.last,
        }
        for flake in found
    ]
    if shape == "csv":
        return as_csv(rows)
    return "\n".join([as_table(rows) if rows else "No case flips.", "", RULE])


def requirements(found: Sequence[Standing], table: Iterable[Requirement], shape: str) -> str:
    """Each row of the table of requirements, also those that no run has covered."""
    by_row = {standing.row: standing for standing in found}
    told = {requirement.id: requirement for requirement in table}
    rows = []
    for row in dict.fromkeys((*told, *by_row)):
        standing = by_row.get(row)
        passed = standing.passed if standing else None
        rows.append(
            {
                "row": row,
                "verdict": standing.verdict if standing else "not covered",
                "last run": standing.last.started if standing else "",
                "last pass": passed.started if passed else _NEVER,
                "in run": passed.run if passed else "",
            }
        )
    if shape == "json":
        return as_json(rows)
    if shape == "csv":
        return as_csv(rows)
    return as_table([{key: ENGLISH.clock(value) for key, value in row.items()} for row in rows])


def whole(run: RunRecord, standings: Mapping[str, Standing], shape: str) -> str:
    """One run with all that is kept of it."""
    passed = {row: standing.passed.started for row, standing in standings.items() if standing.passed}
    if shape == "json":
        body = {**asdict(run), "last_pass": {row: passed.get(row) for row in run.requirements}}
        body["figures"] = [{**asdict(series), "value": value} for series, value in run.figures]
        for record, case in zip(body["cases"], run.cases, strict=True):
            record["outcomes"] = sorted(case.outcomes)
        return as_json(body)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in run.counts.items()) or "no case"
    lines = [
        f"{run.run}: {run.verdict.value} (exit code {run.exit_code}), {counts}",
        f"{ENGLISH.clock(run.started)}, {ENGLISH.seconds(run.seconds)}",
        f"target {run.target}, revision {run.revision or 'unknown'}",
        f"{run.place}, journal sha256 {run.journal_sha256}",
        *(f"! {problem}" for problem in run.problems),
    ]
    for site in run.sites:
        ready = f", ready after {ENGLISH.seconds(site.ready_after)}" if site.ready_after is not None else ""
        why = f" ({site.reason})" if site.reason else ""
        lines += ["", f"{site.site}: {site.verdict.value}{why}{ready}"]
        for case in run.cases:
            if case.site == site.site:
                lines.append(f"  {case.verdict.value:12} {case.case} ({ENGLISH.seconds(case.seconds)})")
                lines += [" " * 15 + line for line in case.reason.splitlines()]
    lines += ["", "Requirement rows"]
    for row, (verdict, _) in run.requirements.items():
        last = ENGLISH.clock(passed[row]) if row in passed else _NEVER
        lines.append(f"  {row:6} {verdict.value:12} last pass {last}")
    lines += ["", "Components"]
    lines += [
        f"  {c.kind:5} {c.name} {c.version}" + (f" sha256 {c.sha256}" if c.sha256 else "") for c in run.components
    ]
    lines += [f"  {c.kind:5} {c.name} {c.version}" for site in run.sites for c in site.settings]
    lines += ["", "Figures", *(f"  {name_of(series)}: {value:.4g} {series.unit}" for series, value in run.figures)]
    return clean("\n".join(lines))


def as_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Columns as wide as their widest cell; lines are never cut, so that they can be searched."""
    heads = list(rows[0])
    cells = [heads, *([clean(row[head]).replace("\n", " ") for head in heads] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(heads))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def as_csv(rows: Sequence[Mapping[str, str]]) -> str:
    """Comma-separated values with a head; what a spreadsheet would run as a formula gets an apostrophe before it."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: f"'{v}" if v[:1] in "=+-@\t" and v else v for key, v in row.items()} for row in rows)
    return out.getvalue().rstrip("\n")


def as_json(value: Any) -> str:
    """JSON for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
