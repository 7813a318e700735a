"""What the terminal shows: a live timeline while a run goes on (plain lines in CI), and a summary at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from islanding.evidence.clean import clean, clip
from islanding.evidence.live import STYLES, LiveState
from islanding.evidence.record import Case, RunResult
from islanding.evidence.results import counts, not_covered, slowest
from islanding.evidence.wording import ENGLISH
from islanding.journal import Event, parse
from islanding.model import Verdict
from islanding.paths import CAPTURES

seconds = ENGLISH.seconds
_POLL = 0.1  # seconds between two looks at the journal
_KEPT = ("logs", CAPTURES)  # folders of a run in which to look when it did not pass


class Tail:
    """Reads what was added to a journal since the last look; a line that is not whole yet waits for the next one."""

    def __init__(self, journal: Path) -> None:
        self._path = journal
        self._at = 0
        self._rest = b""

    def read(self) -> list[Event]:
        """The events added since the last call; none while the journal does not exist."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                added = file.read()
        except FileNotFoundError:
            return []
        self._at += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        return [event for line in lines if (event := parse(line.decode(errors="replace")))]


class LiveView:
    """Shows a run from its journal while the block runs: `with LiveView(journal, console): ...`.

    In a terminal, lanes and bands are drawn below the lines of what has happened; elsewhere only the lines are printed.
    """

    def __init__(self, journal: Path, console: Console) -> None:
        self._tail = Tail(journal)
        self._console = console
        self._state = LiveState()
        self._stop = Flag()
        self._thread = Thread(target=self._show, name="live-view", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)  # a terminal that blocks must not keep a run from ending

    def _show(self) -> None:
        _show(self._tail, self._state, self._console, lambda: self._stop.wait(_POLL))


def follow(journal: Path, console: Console, until: Callable[[], bool] | None = None) -> None:
    """Show a run that another process makes, until it writes `run-finished` or `until()` is true."""
    state, pause = LiveState(), Flag()

    def stop() -> bool:
        return state.finished or (until is not None and until()) or pause.wait(_POLL)

    _show(Tail(journal), state, console, stop)


def _show(tail: Tail, state: LiveState, console: Console, stop: Callable[[], bool]) -> None:
    """Print and draw until `stop()`, which also takes the pause between two looks; what came last is still shown."""

    def look() -> None:
        for event in tail.read():
            row = state.feed(event)
            if row is not None:
                console.print(row, soft_wrap=True)

    if not console.is_terminal:
        while not stop():
            look()
        look()
        return
    # The streams of the process are left alone: pytest and others hold them.
    live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
    with live:
        while not stop():
            look()
            live.update(state.draw(time.monotonic(), console.width, console.height), refresh=True)
        look()


def summary(result: RunResult, console: Console, report: Path | None = None) -> None:
    """Print the end of a run: requirement table, what went wrong and where to look, slowest things, time, report."""
    label, sentence = ENGLISH.target(result.target)
    console.print()
    console.print(_requirements(result))
    for text in not_covered(result):
        console.print(_text(f"○ not covered: {text}", "dim"))
    for case in result.cases:
        if case.verdict is not Verdict.PASS:
            _case(case, console)
    for warning in result.warnings:
        console.print(_text(f"! {warning}", "yellow"))
    for problem in result.problems:
        console.print(_text(f"! {problem}", "bold red"))
    console.print()
    _times(result, console)
    if result.folder and result.exit_code:
        for kind in _KEPT:
            if (result.folder / kind).is_dir():
                console.print(_text(f"{kind}: {result.folder / kind}"), soft_wrap=True)
    if report:
        console.print(_text(f"report: {report}"), soft_wrap=True)
    console.print(_text(f"{label}: {sentence}", "dim"), soft_wrap=True)
    sign, style = STYLES[result.verdict]
    tally = ", ".join(f"{number} {verdict.value}" for verdict, number in counts(result).items()) or "no case ran"
    console.print(_text(f"{sign} {result.verdict.value}: {tally} (exit code {int(result.exit_code)})", style))


def _requirements(result: RunResult) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in result.rows:
        if row.verdict is not Verdict.NOT_COVERED:
            sign, style = STYLES[row.verdict]
            said = _text(row.reason or row.requirement.text, "" if row.reason else "dim")
            table.add_row(_text(row.requirement.id, "bold"), _text(f"{sign} {row.verdict.value}", style), said)
    return table


def _case(case: Case, console: Console) -> None:
    sign, style = STYLES[case.verdict]
    console.print()
    console.print(_text(f"{sign} {case.verdict.value} {case.site} {case.id}", style))
    console.print(_text(f"  {case.reason or 'no reason was given'}"))
    if case.verdict is Verdict.SKIPPED:
        return
    for expectation in case.expectations:
        if expectation.verdict is not Verdict.PASS:
            said = f"  expected at {expectation.watch}: {expectation.claim}: {expectation.reason}"
            console.print(_text(said))
    for found in case.diagnoses[-3:]:
        console.print(_text(f"  diagnosis, {found.source} to {found.target}: {found.message}"))
        if found.hops:
            chain = " → ".join(f"{hop.name} {hop.status}" for hop in found.hops)
            console.print(_text(f"    {chain}", "dim"))
        if found.blame:
            console.print(_text(f"    blame: {found.blame}", "bold"))
    for message in [message for message in case.messages if message.state != "good"][:6]:
        at = f"first at {message.first - case.zero:+.1f} s, {message.count} times"
        console.print(_text(f"  {message.watch}: {message.outcome}, {at}:", "dim"))
        console.print(_text("    " + clip(message.text, 6, 600).replace("\n", "\n    ")))


def _times(result: RunResult, console: Console) -> None:
    for thing in slowest(result, 5):
        console.print(_text(f"  {seconds(thing.seconds):>10}  {thing.site}: {thing.what}", "dim"))
    for site in result.sites.values():
        if site.total:
            said = f"{site.name}: {seconds(site.total)}: physics {seconds(site.physics)}, us {seconds(site.ours)}"
            console.print(_text(said))
    console.print(_text(f"run: {seconds(result.seconds)}, sites side by side"))


def _text(text: str, style: str = "") -> Text:
    return Text(clean(text), style)
