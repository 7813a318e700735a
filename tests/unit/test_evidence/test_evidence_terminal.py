"""The live timeline and the summary, as the terminal shows them."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from islanding.cli.report import report_command
from islanding.evidence.bundle import WRITERS
from islanding.evidence.live import LiveState
from islanding.evidence.results import load_result
from islanding.evidence.terminal import LiveView, Tail, follow, summary
from islanding.journal import Event, Journal, read
from tests.unit.test_evidence.conftest import ZERO, Writer


def plain(width: int = 120) -> Console:
    """A console that is no terminal, as in CI."""
    return Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)


def printed(console: Console) -> str:
    """What was printed to it."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lines_tell_the_run_in_ci(run_folder: Path) -> None:
    """Without a terminal: one line for each site ready, case and fault, in order; no escape of a terminal."""
    console = plain(200)

    follow(run_folder / "journal.jsonl", console)

    lines = printed(console).splitlines()
    assert "09:00:16 outpost-local: ready 16.2 s" in lines
    assert "09:00:30 outpost-local test_access_through_the_cut: fault service-link-bgp-shut applied" in lines
    assert "09:01:10 outpost-local test_access_through_the_cut: fault service-link-bgp-shut undone" in lines
    assert "09:00:19 outpost-local test_site_comes_up: ✓ pass 2.5 s" in lines
    assert any("test_eviction: ? inconclusive 8.0 s: waited 300 s" in line for line in lines)
    assert "\x1b" not in printed(console)


def test_the_live_view_shows_what_another_thread_writes(tmp_path: Path) -> None:
    """Events are shown as they come, from a journal that does not exist yet when the view starts."""
    console = plain()
    with LiveView(tmp_path / "journal.jsonl", console):
        journal = Journal(tmp_path / "journal.jsonl", site="s")
        journal.append("site-ready", seconds=1.5)
        journal.append("case-finished", case="c", verdict="pass", seconds=2.0)
        journal.close()

    assert [line[9:] for line in printed(console).splitlines()] == ["s: ready 1.5 s", "s c: ✓ pass 2.0 s"]


def test_the_live_view_ends_with_the_block_that_raises(tmp_path: Path) -> None:
    """An exception passes through, the thread is gone, and the terminal is given back (cursor shown)."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    before = threading.active_count()

    with pytest.raises(KeyboardInterrupt), LiveView(tmp_path / "journal.jsonl", console):
        raise KeyboardInterrupt

    assert threading.active_count() == before
    assert printed(console).rfind("\x1b[?25h") >= printed(console).rfind("\x1b[?25l")


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    """A line that is still being written is neither lost nor read in two."""
    path = tmp_path / "journal.jsonl"
    tail = Tail(path)
    line = json.dumps({"v": 1, "type": "warning", "t": 1.0, "wall": "w", "text": "é"}, ensure_ascii=False).encode()

    assert tail.read() == []
    path.write_bytes(line[:-4])
    assert tail.read() == []
    with path.open("ab") as file:
        file.write(line[-4:] + b"\n")
    assert [event["text"] for event in tail.read()] == ["é"]
    assert tail.read() == []


def test_lanes_and_band_are_drawn(run_folder: Path) -> None:
    """In the middle of the cut, each probe has a lane with its outcome, below a band with the fault's age."""
    state = LiveState()
    for event in read(run_folder / "journal.jsonl"):
        if event.t <= ZERO + 62:
            state.feed(event)
    console = plain()

    console.print(state.draw(ZERO + 62, 120))

    rows = {line[2:32].strip(): line for line in printed(console).splitlines()}
    assert rows["service-link-bgp-shut"].rstrip().endswith("▇ 32 s")
    assert rows["kubectl as X.509 operator"].rstrip().endswith("━ ALLOWED")
    assert rows["BGP service link"].count("━") == 6
    assert rows["BGP service link"].rstrip().endswith("╳ DOWN")
    assert rows["DNS of sts.ap-northeast-1.ama…"].count("?") == 4
    assert all(len(line) <= 120 for line in printed(console).splitlines())


def test_a_lane_shows_the_recovery_under_a_slow_failure() -> None:
    """A failure that began before the recovery and ended after it does not hide the answers in the lane."""
    state = LiveState()
    for start, end, ok in ((10.0, 40.0, False), (20.0, 20.1, True), (21.0, 21.1, True), (39.0, 39.1, True)):
        data = {"site": "s", "watch": "w", "start": start, "end": end, "outcome": "X", "ok": ok}
        state.feed(Event("sample", end, "2026-11-21T09:00:00+00:00", data))
    console = plain()

    console.print(state.draw(40.0, 120))

    lane = printed(console).splitlines()[1]
    assert (lane.count("╳"), lane.count("━")) == (11, 2)  # a cell is a second wide here, and shows the worst of it


def test_the_summary_tells_what_matters(run_folder: Path) -> None:
    """Rows, condensed rows without a case, reasons, messages, slowest things, physics, report, exit code."""
    console = plain()

    summary(load_result(run_folder), console, run_folder / "report.html")

    text = " ".join(printed(console).split())
    for said in (
        "O-07 ✓ pass",
        "O-09 ✕ fail outpost-extended, test_workload_answers_through_the_cut",
        "○ not covered: C-01…C-17",
        "expected at HTTP to the workload: ANSWERED throughout: HTTP_TIMEOUT at +4.2 s",
        "timed out after 1102 ms",
        "1 min 4 s outpost-extended: case test_operator_cut_off",
        "outpost-local: 2 min 22 s: physics 40.0 s, us 1 min 42 s",
        "Lab: Real parts",
        "✕ fail: 3 pass, 1 skipped, 1 inconclusive, 1 fail (exit code 1)",
    ):
        assert said in text
    assert f"report: {run_folder / 'report.html'}" in printed(console)


@pytest.mark.parametrize(
    ("verdict", "kept", "named"),
    [
        ("fail", ("logs", "captures"), ["logs", "captures"]),
        ("inconclusive", ("logs",), ["logs"]),
        ("fail", (), []),
        ("pass", ("logs", "captures"), []),
    ],
)
def test_the_summary_says_where_to_look(writer: Writer, verdict: str, kept: tuple[str, ...], named: list[str]) -> None:
    """A run that did not pass names its folders of logs and captures, one line each, whatever lies below them."""
    writer.start("s")
    writer.case("s", "c", 1, 9, verdict, reason="r")
    writer.add(10, "run-finished", exit_code=0)
    folder = writer.save().parent
    for kind in kept:
        for part in ("w1.journal/4f1c", "w2.journal/9e0a"):
            (folder / kind / "s" / part).mkdir(parents=True)
            (folder / kind / "s" / part / "system.journal").touch()
    console = plain()

    summary(load_result(folder), console)

    lines = [line for line in printed(console).splitlines() if str(folder) in line]
    assert [f"{kind}: {folder / kind}" for kind in named] == lines


def test_the_summary_obeys_no_text(writer: Writer) -> None:
    """Terminal escapes, rich markup and secrets in a message are shown as text, or not at all."""
    writer.start("s")
    writer.case("s", "c", 1, 9, "fail", reason="[bold]\x1b[2J k8s-aws-v1.c0ffeec0ffee")
    console = plain()

    summary(load_result(writer.save()), console)
    follow(writer.path, console, until=lambda: True)

    assert printed(console).count("[bold]‹ESC›[2J k8s-aws-v1.[redacted]") == 2
    assert "\x1b" not in printed(console)


@pytest.mark.parametrize(("arguments", "lines"), [(["--quiet"], len(WRITERS) + 1), ([], None)])
def test_the_command_makes_the_report_again(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, arguments: list[str], lines: int | None
) -> None:
    """`islanding report` finds the run by path, by name or as the newest, and ends with the run's own exit code."""
    writer.start("s")
    writer.case("s", "c", 1, 9, "fail", reason="r")
    writer.add(10, "run-finished", exit_code=1)
    folder = writer.save().parent
    (folder.parent / "runs").mkdir()
    folder.rename(folder.parent / "runs" / "run")
    monkeypatch.chdir(folder.parent)

    for run in ([], ["run"], ["runs/run"], ["runs/run/journal.jsonl"]):
        (folder.parent / "runs" / "run" / "report.html").unlink(missing_ok=True)
        result = CliRunner().invoke(report_command, [*run, *arguments], standalone_mode=False)

        assert result.exception is None
        assert result.return_value == 1
        assert (folder.parent / "runs" / "run" / "report.html").is_file()
        assert lines is None or len(result.output.splitlines()) == lines
