"""From a journal to the verdict of each case and each requirement."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from islanding.errors import SetupError
from islanding.evidence.builder import covered
from islanding.evidence.record import Observation, RunResult
from islanding.evidence.requirements import load_requirements
from islanding.evidence.results import evaluate, load_result, not_covered, requirement_table, slowest
from islanding.evidence.samples import clipped, messages, state_of, stretches
from islanding.journal import parse
from islanding.model import Verdict
from islanding.paths import content_dir
from tests.unit.test_evidence.conftest import UNAUTHORIZED, ZERO, Writer

SITE, CASE = "outpost-local", "test_case"


def verdict_of(result: RunResult, row: str) -> Verdict:
    """The verdict of one row of the table."""
    return {r.requirement.id: r.verdict for r in result.rows}[row]


def whole(writer: Writer, *verdicts: str, rows: tuple[str, ...] = ("O-01",), exit_code: int | None = 0) -> Path:
    """A run at one site with a case of each verdict, all naming `rows`."""
    writer.start(SITE)
    writer.ready(SITE, 5, {"nodes": 4.0})
    for number, verdict in enumerate(verdicts):
        reason = "" if verdict == "pass" else f"because of {verdict}"
        start = 10 + 2 * number
        writer.case(SITE, f"case_{number}", start, start + 1, verdict, requirements=list(rows), reason=reason)
    if exit_code is not None:
        writer.add(50, "run-finished", exit_code=exit_code)
    return writer.save()


@pytest.mark.parametrize(
    ("verdicts", "row", "exit_code"),
    [
        (["pass"], "pass", 0),
        (["pass", "pass"], "pass", 0),
        (["pass", "fail"], "fail", 1),
        (["fail", "inconclusive"], "fail", 1),
        (["pass", "inconclusive"], "inconclusive", 2),
        (["skipped", "inconclusive"], "inconclusive", 2),
        (["pass", "skipped"], "skipped", 2),
        (["skipped"], "skipped", 2),
        (["mostly"], "inconclusive", 2),
    ],
)
def test_a_row_passes_only_if_every_case_that_names_it_passed(
    writer: Writer, verdicts: list[str], row: str, exit_code: int
) -> None:
    """The verdict of a row is that of its worst case, and the exit code follows."""
    result = load_result(whole(writer, *verdicts))

    assert (verdict_of(result, "O-01"), result.exit_code) == (row, exit_code)


def test_a_row_without_a_case_is_not_covered(writer: Writer) -> None:
    """Rows that no case names are not covered, and are condensed per area."""
    result = load_result(whole(writer, "pass", rows=("O-01", "O-03", "O-04")))

    assert verdict_of(result, "O-02") is Verdict.NOT_COVERED
    assert not_covered(result)[:2] == ["O-02, O-05…O-13", "C-01…C-17"]


def test_reasons_reach_the_row(writer: Writer) -> None:
    """A row that did not pass says which case at which site said why."""
    result = load_result(whole(writer, "pass", "skipped"))

    assert result.rows[0].reason == "outpost-local, case_1: because of skipped"


def test_a_run_without_its_end_is_incomplete(writer: Writer) -> None:
    """A crash leaves the run inconclusive although all cases that ended had passed."""
    result = load_result(whole(writer, "pass", exit_code=None))

    assert (result.complete, result.exit_code, result.verdict) == (False, 2, "inconclusive")
    assert result.problems == ["incomplete: the journal ends before the run did"]


def test_the_runner_may_ask_before_it_writes_the_end(writer: Writer) -> None:
    """With `closing`, the run counts as finished, and nothing else changes."""
    path = whole(writer, "pass", exit_code=None)

    assert load_result(path, closing=True).exit_code == 0


@settings(deadline=None, max_examples=60)  # files are written: a busy disk is no failure
@given(cut=st.integers(min_value=0, max_value=2000))
def test_a_journal_cut_anywhere_never_passes(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Whatever byte a crash cut the journal at, the run is incomplete and its open case is not passed."""
    path = whole(Writer(tmp_path_factory.mktemp("cut") / "run" / "journal.jsonl"), "pass", "pass")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size - 2 - cut])

    result = load_result(path)

    assert (result.complete, result.exit_code) == (False, 2)
    assert all(case.finished or case.verdict is Verdict.INCONCLUSIVE for case in result.cases)


def test_an_unfinished_case_is_inconclusive(writer: Writer) -> None:
    """A case that started and never ended is inconclusive, and so is the row that it names."""
    writer.start(SITE)
    writer.add(5, "case-started", site=SITE, case=CASE, title="t", requirements=["O-01"])
    writer.add(9, "warning", text="the end")

    result = load_result(writer.save())

    assert (result.cases[0].verdict, result.cases[0].seconds) == (Verdict.INCONCLUSIVE, 4.0)
    assert verdict_of(result, "O-01") is Verdict.INCONCLUSIVE


def test_a_line_that_cannot_be_read_spoils_the_run(writer: Writer) -> None:
    """A damaged line could have held a failure: the run cannot pass."""
    path = whole(writer, "pass")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], '{"type": 5, "t": "x", "wall": 3}', '{"torn', *lines[3:]]) + "\n")

    result = load_result(path)

    assert (result.damaged_lines, result.exit_code) == (2, 2)
    assert result.problems == [
        "incomplete: 2 lines of the journal cannot be read",
        "incomplete: the journal does not hold: lines 4 to 5 were added",
    ]


@pytest.mark.parametrize(("kind", "verdict"), [("expectation", "fail"), ("measurement", "inconclusive")])
def test_a_case_is_no_better_than_its_evidence(writer: Writer, kind: str, verdict: str) -> None:
    """A case that calls itself passed takes the verdict of its worst expectation or measurement."""
    writer.start(SITE)
    writer.case(SITE, CASE, 5, 9, "pass", requirements=["O-01"])
    writer.add(7, kind, site=SITE, case=CASE, claim="ALLOWED", name="time", value=3, verdict=verdict, reason="no")
    writer.add(10, "run-finished", exit_code=0)

    result = load_result(writer.save())

    assert (result.cases[0].verdict, result.verdict) == (verdict, verdict)


def test_a_fault_that_stays_is_a_failure(writer: Writer) -> None:
    """A run that ends with a fault in place fails, although its case passed."""
    writer.start(SITE)
    writer.case(SITE, CASE, 5, 9, "pass")
    writer.add(6, "fault-applied", site=SITE, case=CASE, fault="cut", id="1", start=ZERO + 6, end=ZERO + 6)
    writer.add(10, "run-finished", exit_code=0)

    result = load_result(writer.save())

    assert result.exit_code == 1
    assert result.problems == ["outpost-local: fault cut (1) was applied and not undone"]


def test_a_fault_that_does_not_heal_is_a_failure(writer: Writer) -> None:
    """An undo after which nothing was seen to have healed is not enough."""
    writer.start(SITE)
    writer.case(SITE, CASE, 5, 9, "pass")
    writer.add(6, "fault-applied", site=SITE, case=CASE, fault="cut", id="1", start=ZERO + 6, end=ZERO + 6)
    writer.add(7, "fault-undone", site=SITE, case=CASE, fault="cut", id="1", start=ZERO + 7, end=ZERO + 7)
    writer.add(10, "run-finished", exit_code=0)

    result = load_result(writer.save())

    assert result.exit_code == 1
    assert result.problems == ["outpost-local: fault cut (1) was undone, but nothing says that it healed"]


def test_a_fault_undone_after_its_case_counts_as_undone(writer: Writer) -> None:
    """An undo by another process, without the case's name, is found by the fault's id."""
    writer.start(SITE)
    writer.case(SITE, CASE, 5, 9, "pass")
    writer.add(6, "fault-applied", site=SITE, case=CASE, fault="cut", id="1", start=ZERO + 6, end=ZERO + 6)
    writer.add(9.5, "fault-undone", site=SITE, fault="cut", id="1", start=ZERO + 9.5, end=ZERO + 9.5)
    writer.add(9.8, "fault-healed", site=SITE, fault="cut", id="1", seconds=0.3)
    writer.add(10, "run-finished", exit_code=0)

    result = load_result(writer.save())

    assert (result.exit_code, result.cases[0].faults["1"].undone) == (0, ZERO + 9.5)


@pytest.mark.parametrize(("verdict", "code"), [("pass", 3), ("fail", 1), (None, 3)])
def test_a_site_that_does_not_come_up_is_a_set_up_error(writer: Writer, verdict: str | None, code: int) -> None:
    """Exit code 3, unless a case failed elsewhere: a failure stands."""
    writer.start(SITE, "outpost-extended")
    writer.add(1, "site-starting", site="outpost-extended")
    writer.add(4, "site-failed", site="outpost-extended", reason="no memory")
    if verdict:
        writer.case(SITE, CASE, 5, 9, verdict)
    writer.add(10, "run-finished", exit_code=code)

    result = load_result(writer.save())

    assert (result.exit_code, "outpost-extended did not come up: no memory" in result.problems) == (code, True)


@pytest.mark.parametrize(("recorded", "code"), [(0, 0), (1, 1), (2, 2), (3, 3), (130, 2)])
def test_what_the_runner_knew_to_be_wrong_stands(writer: Writer, recorded: int, code: int) -> None:
    """The recorded exit code is never made better; one of a broken-off run is inconclusive."""
    assert load_result(whole(writer, "pass", exit_code=recorded)).exit_code == code


@pytest.mark.parametrize(
    ("at", "lasting", "over", "verdicts"),
    [
        (12.5, False, None, ["pass", "inconclusive", "pass"]),
        (12.5, True, None, ["pass", "inconclusive", "inconclusive"]),
        (11.5, True, 12.5, ["pass", "inconclusive", "pass"]),
        (11.5, True, 11.8, ["pass", "pass", "pass"]),
        (3.0, False, None, ["pass", "pass", "pass"]),
    ],
)
def test_no_case_passes_while_the_site_itself_fails_and_neither_does_the_run(
    writer: Writer, at: float, lasting: bool, over: float | None, verdicts: list[str]
) -> None:
    """At that moment, or for as long as it lasts; where no case ran, the run is inconclusive all the same."""
    writer.add(at, "site-troubled", site=SITE, reason="RTNETLINK answers: injected", lasting=lasting)
    if over is not None:
        writer.add(over, "site-sound", site=SITE)

    result = load_result(whole(writer, "pass", "pass", "pass"))

    assert (result.exit_code, result.verdict) == (2, Verdict.INCONCLUSIVE)
    assert f"{SITE} itself failed: RTNETLINK answers: injected" in result.problems
    assert [case.verdict.value for case in result.cases] == verdicts


def test_a_failure_stands_where_the_site_itself_failed(writer: Writer) -> None:
    """It is not made better by what else went wrong."""
    writer.add(10.5, "site-troubled", site=SITE, reason="r", lasting=False)

    result = load_result(whole(writer, "fail", exit_code=1))

    assert (result.exit_code, result.cases[0].verdict) == (1, Verdict.FAIL)


def test_a_run_without_cases_is_inconclusive(writer: Writer) -> None:
    """Nothing shown is nothing passed."""
    assert load_result(whole(writer)).exit_code == 2


def test_a_case_skipped_before_it_started_is_shown(writer: Writer) -> None:
    """A `case-finished` alone makes a case, with title, rows and reason."""
    writer.start(SITE)
    writer.add(
        5, "case-finished", site=SITE, case=CASE, title="t", requirements=["O-13"], verdict="skipped", reason="r"
    )
    writer.add(6, "run-finished", exit_code=0)

    case = load_result(writer.save()).cases[0]

    assert (case.title, case.requirements, case.verdict, case.reason) == ("t", ("O-13",), "skipped", "r")


def test_a_case_that_names_an_unknown_row_is_told(writer: Writer) -> None:
    """A misspelt row is a warning: it would silently be not covered."""
    result = load_result(whole(writer, "pass", rows=("O-99",)))

    assert result.warnings == ["case case_0 at outpost-local names O-99, which is not in the table"]


def test_messages_are_relative_to_the_cut(run_folder: Path) -> None:
    """The exact text of each outcome is kept with its count and first time since the fault."""
    case = next(case for case in load_result(run_folder).cases if case.id == "test_access_through_the_cut")
    message = next(message for message in case.messages if message.outcome == "UNAUTHORIZED")

    assert (message.text, message.count, round(message.first - case.zero, 1)) == (UNAUTHORIZED, 4, 0.0)


def test_texts_that_differ_in_digits_are_one_message() -> None:
    """The first exact wording is kept, and how many texts there were."""
    samples = [Observation(t, t + 0.1, "DOWN", "bad", f"timeout after {t} ms") for t in (1.0, 2.0, 2.0)]

    found = messages([("w", samples)])

    assert [(m.text, m.count, m.variants) for m in found] == [("timeout after 1.0 ms", 3, 2)]


@pytest.mark.parametrize(
    ("outcome", "ok", "state"),
    [
        ("ALLOWED", True, "good"),
        ("DOWN", False, "bad"),
        ("UNKNOWN", True, "unknown"),
        ("UNKNOWN", False, "unknown"),
        ("ALLOWED", None, "unknown"),
    ],
)
def test_only_what_says_that_it_worked_is_good(outcome: str, ok: bool | None, state: str) -> None:
    """UNKNOWN, or no word on whether it worked, is never good."""
    assert state_of(outcome, ok) == state


@given(st.lists(st.tuples(st.sampled_from(["A", "B"]), st.floats(0.01, 5.0)), max_size=60))
def test_stretches_keep_extremes(drawn: list[tuple[str, float]]) -> None:
    """No sample is lost by merging: counts, the slowest sample and each outcome's first start stay."""
    samples, at = [], 0.0
    for outcome, took in drawn:
        samples.append(Observation(at, at + took, outcome, "good", ""))
        at += took

    merged = stretches(samples, 1.0)

    assert sum(s.count for s in merged) == len(samples)
    assert max((s.slowest for s in merged), default=0) == max((s.end - s.start for s in samples), default=0)
    assert all(a.outcome != b.outcome for a, b in pairwise(merged))


def test_a_hole_in_sampling_is_not_painted_over() -> None:
    """Two samples of one outcome with ten intervals between them are two stretches."""
    samples = [Observation(t, t + 0.01, "UP", "good", "") for t in (0.0, 1.0, 12.0)]

    assert [(s.start, s.count) for s in stretches(samples, 1.0)] == [(0.0, 2), (12.0, 1)]


def test_a_slow_failure_does_not_lie_over_the_recovery() -> None:
    """Of samples that overlap, the one that started later decides what is drawn; the record keeps the true end."""
    slow = [Observation(t, t + 30.0, "UNAUTHORIZED", "bad", "") for t in (0.0, 10.0, 20.0)]
    fast = [Observation(t, t + 0.2, "ALLOWED", "good", "") for t in (30.0, 31.0)]

    merged = stretches([*slow, *fast], 1.0)

    assert [(s.outcome, s.start, s.end) for s in merged] == [("UNAUTHORIZED", 0.0, 50.0), ("ALLOWED", 30.0, 31.2)]
    assert [s.end for s in clipped(merged)] == [30.0, 31.2]


def test_physics_waits_at_once_count_once(run_folder: Path) -> None:
    """Time is told per site, and for the run without counting two sites' waits twice."""
    result = load_result(run_folder)

    assert [round(site.physics, 3) for site in result.sites.values()] == [40.0, 40.0]
    assert round(result.physics, 3) == 42.0
    assert covered([(0, 4), (1, 2), (3, 6), (8, 9)]) == 7


def test_slowest_things_come_first(run_folder: Path) -> None:
    """Cases and steps of the bring-up are ranked together."""
    found = slowest(load_result(run_folder), 5)

    assert [thing.what for thing in found][::4] == ["case test_operator_cut_off", "bring-up: control plane"]


def test_events_of_any_shape_do_not_stop_the_reader() -> None:
    """Odd data in an event is left out or shown as it is; the reader never raises."""
    odd = {"site": 5, "case": None, "start": "x", "seconds": "y", "requirements": "O-01", "topology": [1], "facts": 3}
    kinds = ("case-started", "sample", "site-ready", "fault-applied", "measurement", "expectation", "wait", "evidence")
    events = [parse(json.dumps({"type": kind, "t": 1.0, "wall": "w", **odd})) for kind in kinds]

    result = evaluate([event for event in events if event])

    assert result.exit_code == 2


def test_no_journal_is_the_users_to_mend(tmp_path: Path) -> None:
    """A folder without a journal is named, with what to do."""
    with pytest.raises(SetupError, match="cannot be read"):
        load_result(tmp_path)


def test_the_table_holds_all_rows() -> None:
    """The project's own table is valid and complete."""
    areas: dict[str, int] = {}
    for row in load_requirements():
        areas[row.area] = areas.get(row.area, 0) + 1

    assert areas == {"O": 13, "C": 17, "V": 8, "F": 7, "K": 9, "X": 6}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "must be a mapping"),
        ("O: {title: t}", "title"),
        ("O: {title: t, rows: {C-01: x}}", "C-01"),
        ("O: {title: t, rows: {O-1: x}}", "O-1"),
        ("O: {title: t, rows: {O-01: ''}}", "O-01 has no text"),
        ("O: {title: t, rows: {O-01: x, O-01: y}}", "given twice"),
        ("oo: {title: t, rows: {O-01: x}}", "'oo'"),
        ("O: {title: '', rows: {O-01: x}}", "no title"),
        ("O: {title: t, rows: []}", "no rows"),
        ("O: {title: t, rows: {O-01: x}, uncovered: 1}", "`uncovered` is no text"),
        ("O: {title: t, rows: {O-01: x}, uncovered: {O-01: ''}}", "`uncovered` is no text"),
        ("O: {title: t, rows: {O-01: x}, uncovered: {O-02: why}}", "`uncovered` names O-02"),
        ("O: [", "not valid YAML"),
    ],
)
def test_each_mistake_in_the_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    """A broken table is a set-up error that names the place."""
    path = tmp_path / "requirements.yaml"
    path.write_text(text)

    with pytest.raises(SetupError, match=said):
        load_requirements(path)


def test_a_row_without_a_case_says_why(tmp_path: Path) -> None:
    """What was not covered in this run is said, and where no case was ever written, why: for an area or a row."""
    path = tmp_path / "requirements.yaml"
    path.write_text("O: {title: t, rows: {O-01: x}}\nV: {title: t, rows: {V-01: x}, uncovered: no such site}\n")
    reasons = [row.reason for row in requirement_table(load_requirements(path), ())]
    assert reasons == ["no case of this run names it", "no case of this run names it; no such site"]


def test_rows_of_the_table_have_cases_or_say_why_not() -> None:
    """A row that no case and no experiment names says why; one that says why has none."""
    sources = [*content_dir("suites").rglob("*.py"), *content_dir("experiments").rglob("*.yaml")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    rows = load_requirements()
    named = {row.id for row in rows if re.search(rf"\b{row.id}\b", text)}
    assert {row.id for row in rows if not row.uncovered} == named
