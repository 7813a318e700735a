"""What an Allure result shows of a case: faults, watches, expectations and diagnoses as steps, texts as attachments."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from islanding.evidence.clean import clean
from islanding.evidence.plain import milliseconds
from islanding.evidence.record import Captured, Case, Diagnosed, FaultWindow, Watch
from islanding.model import Verdict

# Allure has no word for inconclusive: `broken` is a test that came to no verdict, and counts as no pass.
STATUS = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.INCONCLUSIVE: "broken",
    Verdict.SKIPPED: "skipped",
    Verdict.NOT_COVERED: "skipped",
}
_FORMULA = ("=", "+", "-", "@", "\t")  # by these a spreadsheet would take a text for a formula


class Attachments:
    """The attachments of a run: `identify` gives the id of a name, `files` has what was attached, by file name."""

    def __init__(self, identify: Callable[[str], str]) -> None:
        self.identify = identify
        self.files: dict[str, bytes] = {}

    def add(self, owner: str, title: str, text: str, kind: str = "txt") -> dict[str, str]:
        """Attach a text, cleaned, as `kind` (txt or csv), and return what a result says of it."""
        source = f"{self.identify(f'{owner}/{title}/{len(self.files)}')}-attachment.{kind}"
        self.files[source] = clean(text).encode()
        return {"name": title, "source": source, "type": "text/csv" if kind == "csv" else "text/plain"}


def steps_of(case: Case, owner: str, attachments: Attachments) -> list[dict[str, Any]]:
    """The steps of a case in the order in which they began; `owner` names the case among the attachments."""
    found: list[tuple[float, dict[str, Any]]] = []
    found += [_fault(case, fault) for fault in case.faults.values()]
    found += [_watch(case, watch, owner, attachments) for watch in case.watches.values()]
    found += [_diagnosis(case, one, owner, attachments) for one in case.diagnoses]
    ordered = [step for _, step in sorted(found, key=lambda one: one[0])]
    return [*ordered, *_claims(case), *_figures(case)]


def attach_all(case: Case, owner: str, attachments: Attachments) -> list[dict[str, str]]:
    """What belongs to the case as a whole: messages, timeline, exhibits, warnings; only what there is."""
    made = []
    if case.messages:
        made.append(attachments.add(owner, "messages", _messages(case)))
    if case.watches:
        made.append(attachments.add(owner, "timeline", _timeline(case), "csv"))
    made += [attachments.add(owner, exhibit.title or "evidence", exhibit.text) for exhibit in case.exhibits]
    if case.captures:
        made.append(attachments.add(owner, "captures", "\n".join(_capture(one) for one in case.captures)))
    if case.warnings or case.troubles:
        made.append(attachments.add(owner, "warnings", "\n".join([*case.warnings, *case.troubles])))
    return made


def _step(case: Case, name: str, status: str, start: float, end: float, **more: Any) -> tuple[float, dict[str, Any]]:
    times = {"start": milliseconds(case, start), "stop": milliseconds(case, max(start, end))}
    return start, {"name": name, "status": status, "stage": "finished", **times, **more}


def _fault(case: Case, fault: FaultWindow) -> tuple[float, dict[str, Any]]:
    name = f"fault {fault.name}" + (f" at {fault.target}" if fault.target else "")
    if fault.applied is None:
        return _step(case, f"{name}: planned, not applied", "skipped", case.started, case.started)
    end = case.ended if fault.undone is None else fault.undone
    parameters = [("what it does", fault.summary)]
    if fault.healed_after is not None:
        parameters.append(("healed after the undo", f"{fault.healed_after:.1f} s"))
    details = {"statusDetails": {"message": fault.trouble}} if fault.trouble else {}
    status = "broken" if fault.trouble else "passed"
    return _step(case, name, status, fault.applied, end, parameters=_parameters(parameters), **details)


def _watch(case: Case, watch: Watch, owner: str, attachments: Attachments) -> tuple[float, dict[str, Any]]:
    start = watch.samples[0].start if watch.samples else case.started
    end = max((sample.end for sample in watch.samples), default=start)
    parameters = [("probe", watch.probe), ("from", watch.place), ("command", watch.command)]
    parameters += [("samples", str(len(watch.samples))), ("every", f"{watch.interval:g} s" if watch.interval else "")]
    held = [attachments.add(owner, f"timeline of {watch.name}", _rows(case, [watch]), "csv")] if watch.samples else []
    # A step that looks is as it should be whatever it saw: what counts is said by the expectations.
    status = "passed" if watch.samples else "skipped"
    return _step(case, f"watch {watch.name}", status, start, end, parameters=_parameters(parameters), attachments=held)


def _diagnosis(case: Case, one: Diagnosed, owner: str, attachments: Attachments) -> tuple[float, dict[str, Any]]:
    hops = [
        f"{hop.name}: {hop.status}: {hop.detail}" + (f" (seen: {hop.seen})" if hop.seen else "") for hop in one.hops
    ]
    told = [one.message, f"blame: {one.blame}" if one.blame else "", f"packets: {one.agreement}", "", *hops, *one.notes]
    held = [attachments.add(owner, "diagnosis", "\n".join(told))]
    name = f"diagnosis of {one.source} to {one.target}: {one.message}"
    return _step(case, name, "passed" if one.conclusive else "broken", one.t, one.t, attachments=held)


def _capture(one: Captured) -> str:
    what = f"{one.expression or 'all packets'} at {one.place} ({one.interface})"
    return f"{one.file}: {what}, {one.packets} packets, SHA-256 {one.sha256}" if one.file else f"{what}: {one.reason}"


def _claims(case: Case) -> list[dict[str, Any]]:
    made = []
    for one in case.expectations:
        start = case.started if one.start is None else one.start
        _, step = _step(
            case, f"expect {one.watch}: {one.claim}", STATUS[one.verdict], start, start if one.end is None else one.end
        )
        made.append({**step, "statusDetails": {"message": one.reason}} if one.reason else step)
    return made


def _figures(case: Case) -> list[dict[str, Any]]:
    made = []
    for one in case.measurements:
        name = f"measured {one.name}: {one.value} {one.unit}".rstrip() + (f" (limit {one.limit})" if one.limit else "")
        status = STATUS[one.verdict] if one.verdict else "passed"
        made.append(_step(case, name, status, case.ended, case.ended)[1])
    return made


def _parameters(rows: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in rows if value]


def _messages(case: Case) -> str:
    blocks = []
    for one in case.messages:
        times = "once" if one.count == 1 else f"{one.count} times, last at {one.last - case.zero:+.1f} s"
        variants = f", in {one.variants} wordings that differ in digits" if one.variants > 1 else ""
        head = f"{one.first - case.zero:+.1f} s  {one.watch}: {one.outcome} ({one.state}), {times}{variants}"
        blocks.append(head + "\n" + "\n".join(f"    {line}" for line in one.text.split("\n")))
    return "\n\n".join(blocks) + "\n"


def _timeline(case: Case) -> str:
    return _rows(case, list(case.watches.values()))


def _rows(case: Case, watches: list[Watch]) -> str:
    """Stretches of one outcome as CSV; seconds since the first fault, or since the case began."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("watch", "from_s", "to_s", "outcome", "state", "samples", "slowest_s"))
    for watch in watches:
        for one in watch.stretches:
            times = [f"{value:.3f}" for value in (one.start - case.zero, one.end - case.zero)]
            cells = (_cell(watch.name), *times, _cell(one.outcome), one.state, one.count, f"{one.slowest:.3f}")
            writer.writerow(cells)
    return table.getvalue()


def _cell(text: str) -> str:
    text = clean(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
