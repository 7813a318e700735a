"""From the journal to the result of a run: verdict of each requirement, exit code, and what is slowest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from islanding.chain import inspect, read_lines
from islanding.errors import ExitCode, SetupError
from islanding.evidence.builder import Builder
from islanding.evidence.record import Case, FaultWindow, RequirementRow, RunResult
from islanding.evidence.requirements import Requirement, load_requirements
from islanding.evidence.said import Said
from islanding.journal import VERSION, Event, parse, version_of
from islanding.model import Verdict

JOURNAL = "journal.jsonl"
_WORST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.SKIPPED, Verdict.PASS)


@dataclass(frozen=True)
class Slow:
    """Something that took long: where, what, and how many seconds."""

    site: str
    what: str
    seconds: float


def load_result(path: Path, requirements: Sequence[Requirement] | None = None, *, closing: bool = False) -> RunResult:
    """The result of the run whose folder or journal file is `path`.

    `closing` is for the runner itself, which asks for the exit code before it writes `run-finished`: the run then
    counts as finished. Raises SetupError when there is no journal to read.
    """
    journal = path / JOURNAL if path.is_dir() else path
    events: list[Event] = []
    damaged = 0
    try:
        lines = read_lines(journal)
    except SetupError as error:
        raise SetupError(error.what, f"Name the folder of a run: it holds {JOURNAL}.") from error
    for raw in lines:
        line = raw.decode(errors="replace")  # what is no UTF-8 is shown as such, and does not hide the rest
        event = parse(line)
        if event is not None and _is_sound(event):
            events.append(event)
        elif line.strip():
            damaged += 1
            _refuse_newer(journal, line, first=not events)
    if not events:
        raise SetupError(f"{journal}: holds no event of a run", f"Name the folder of a run: it holds {JOURNAL}.")
    result = evaluate(
        events, requirements, damaged_lines=damaged, chain_problems=inspect(lines).problems, closing=closing
    )
    result.folder = journal.parent
    return result


def _refuse_newer(journal: Path, line: str, *, first: bool) -> None:
    """What a newer islanding wrote may mean anything: it is not guessed at. In the middle it is a damaged line."""
    if first and (version := version_of(line)) > VERSION:
        raise SetupError(
            f"{journal}: was written by a newer islanding: its journal has version {version}, this one reads up to "
            f"{VERSION}",
            "Read it with the islanding that wrote it, or a later one.",
        )


def _is_sound(event: Event) -> bool:
    type_: object = event.type  # a line may be JSON and still hold anything
    t: object = event.t
    return isinstance(type_, str) and isinstance(t, int | float) and isinstance(event.wall, str)


def evaluate(
    events: Iterable[Event],
    requirements: Sequence[Requirement] | None = None,
    *,
    damaged_lines: int = 0,
    chain_problems: Sequence[str] = (),
    closing: bool = False,
) -> RunResult:
    """The result that the events of a journal lead to.

    `damaged_lines` is how many lines could not be read, `chain_problems` what its chain of hashes says is wrong.
    """
    rows = load_requirements() if requirements is None else tuple(requirements)
    builder = Builder()
    for event in events:
        builder.feed(event)
    result = builder.close()
    result.damaged_lines = damaged_lines
    result.chain_problems = tuple(chain_problems)
    recorded = result.exit_code if result.finished else 0
    result.finished = result.finished or closing
    for case in result.cases:
        _hold_to_its_evidence(case)
    result.rows = requirement_table(rows, result.cases)
    known = {row.id for row in rows}
    for case in result.cases:
        for row_id in sorted(set(case.requirements) - known):
            result.warnings.append(
                Said(
                    "case %(case)s at %(site)s names %(row)s, which is not in the table",
                    case=case.id,
                    site=case.site,
                    row=row_id,
                )
            )
    result.problems = _problems(result)
    if recorded and recorded not in tuple(ExitCode):
        result.problems.append(Said("the run was broken off (exit code %(code)s)", code=recorded))
    result.exit_code = _exit_code(result, recorded)
    result.verdict = _run_verdict(result)
    return result


def _hold_to_its_evidence(case: Case) -> None:
    """A case is no better than its worst expectation or measurement, whatever it says of itself."""
    if case.verdict is not Verdict.PASS:
        return
    checks = [(e.verdict, e.claim, e.reason) for e in case.expectations]
    checks += [(m.verdict, f"{m.name} {m.value} {m.unit}", f"limit {m.limit}") for m in case.measurements if m.verdict]
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        for found, claim, reason in checks:
            if found is verdict:
                case.verdict = verdict
                case.reason = Said("reported as pass, but: %(claim)s: %(reason)s", claim=claim.strip(), reason=reason)
                return
    if case.troubles:
        case.verdict = Verdict.INCONCLUSIVE
        case.reason = Said(
            "reported as pass, but the site itself failed meanwhile: %(troubles)s", troubles="; ".join(case.troubles)
        )


def requirement_table(requirements: Sequence[Requirement], cases: Sequence[Case]) -> tuple[RequirementRow, ...]:
    """A verdict for each row: pass only if every case that names it passed; the reason is the worst case's."""
    table = []
    for requirement in requirements:
        naming = tuple(case for case in cases if requirement.id in case.requirements)
        if not naming:
            why = Said("no case of this run names it")
            if requirement.uncovered:
                why = Said("no case of this run names it; %(why)s", why=requirement.uncovered)
            table.append(RequirementRow(requirement, Verdict.NOT_COVERED, why, ()))
            continue
        verdict = next(v for v in _WORST if any(case.verdict is v for case in naming))
        reasons = [f"{c.site}, {c.id}: {c.reason or 'no reason was given'}" for c in naming if c.verdict is verdict]
        reason = "" if verdict is Verdict.PASS else "; ".join(reasons)
        table.append(RequirementRow(requirement, verdict, reason, naming))
    return tuple(table)


def _problems(result: RunResult) -> list[str]:
    found: list[str] = []
    if not result.finished:
        found.append(Said("incomplete: the journal ends before the run did"))
    if result.damaged_lines:
        number = result.damaged_lines
        one = Said("incomplete: 1 line of the journal cannot be read")
        found.append(
            one if number == 1 else Said("incomplete: %(number)s lines of the journal cannot be read", number=number)
        )
    found += [Said("incomplete: the journal does not hold: %(problem)s", problem=one) for one in result.chain_problems]
    for site in result.sites.values():
        if site.failed:
            found.append(Said("%(site)s did not come up: %(reason)s", site=site.name, reason=site.failed))
        elif not site.cases and site.ready_after is None and site.name in result.site_names:
            found.append(Said("%(site)s was to be shown, but nothing of it is in the journal", site=site.name))
        found += [Said("%(site)s itself failed: %(reason)s", site=site.name, reason=r) for r in site.troubles]
    for where, fault in left(result):
        named = {"site": where, "fault": fault.name, "id": fault.id, "trouble": fault.trouble}
        found.append(Said("%(site)s: fault %(fault)s (%(id)s) %(trouble)s", **named))
    if not result.cases:
        found.append(Said("no case ran"))
    return found


def left(result: RunResult) -> list[tuple[str, FaultWindow]]:
    """The faults that were applied and never undone, or never seen to have healed, each with its site."""
    found = []
    for site in result.sites.values():
        owners = [site.faults, *(case.faults for case in site.cases)]
        found += [(site.name, fault) for faults in owners for fault in faults.values() if fault.trouble]
    return found


def _exit_code(result: RunResult, recorded: int) -> int:
    verdicts = {case.verdict for case in result.cases}
    if Verdict.FAIL in verdicts or (result.finished and left(result)):
        return ExitCode.FAILED  # a failure stands, even where another site could not be brought up
    if any(site.failed for site in result.sites.values()):
        return ExitCode.SETUP
    if verdicts != {Verdict.PASS} or result.problems:
        return recorded if recorded == ExitCode.SETUP else ExitCode.INCONCLUSIVE
    # All passed as far as the record goes; what the runner itself knew to be wrong stands.
    return ExitCode.OK if not recorded else recorded if recorded in tuple(ExitCode) else ExitCode.INCONCLUSIVE


def _run_verdict(result: RunResult) -> Verdict:
    if result.exit_code == ExitCode.OK:
        return Verdict.PASS
    return Verdict.FAIL if result.exit_code == ExitCode.FAILED else Verdict.INCONCLUSIVE


def slowest(result: RunResult, count: int = 8) -> list[Slow]:
    """The cases and site steps that took longest, longest first."""
    things = [Slow(case.site, f"case {case.id}", case.seconds) for case in result.cases]
    for site in result.sites.values():
        things += [Slow(site.name, f"bring-up: {step}", seconds) for step, seconds in site.steps]
    return sorted(things, key=lambda thing: -thing.seconds)[:count]


def counts(result: RunResult) -> dict[Verdict, int]:
    """How many cases came to each verdict; verdicts that no case came to are left out."""
    return {v: n for v in _WORST[::-1] if (n := sum(case.verdict is v for case in result.cases))}


def not_covered(result: RunResult) -> list[str]:
    """The rows without a case, condensed per area: `C-01…C-17`, `O-05, O-11…O-13`."""
    areas: dict[str, list[int]] = {}
    for row in result.rows:
        if row.verdict is Verdict.NOT_COVERED:
            areas.setdefault(row.requirement.area, []).append(int(row.requirement.id.split("-")[1]))
    return [", ".join(_ranges(area, sorted(numbers))) for area, numbers in areas.items()]


def _ranges(area: str, numbers: list[int]) -> list[str]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    ids = [[f"{area}-{number:02}" for number in run] for run in ranges]
    return [text for run in ids for text in (run if len(run) < 3 else [f"{run[0]}…{run[-1]}"])]
