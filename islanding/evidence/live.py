"""The state of a run as it goes on, and how it is drawn in a terminal: lanes for the probes, a band for the fault."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.text import Text

from islanding.evidence.clean import clean
from islanding.evidence.record import State
from islanding.evidence.samples import state_of
from islanding.journal import Event
from islanding.model import Verdict
from islanding.redact import redact

STYLES: dict[Verdict, tuple[str, str]] = {
    Verdict.PASS: ("✓", "green"),
    Verdict.FAIL: ("✕", "bold red"),
    Verdict.INCONCLUSIVE: ("?", "yellow"),
    Verdict.SKIPPED: ("–", "blue"),
    Verdict.NOT_COVERED: ("○", "dim"),
}
_CELLS: dict[State, tuple[str, str]] = {"good": ("━", "green"), "unknown": ("?", "yellow"), "bad": ("╳", "bold red")}
_RANK: tuple[State, ...] = ("good", "unknown", "bad")
_NAME, _OUTCOME = 30, 22  # characters
_KEEP = 600.0  # seconds of samples that are kept for drawing
_MOST_LANES = 12


@dataclass
class Lane:
    """The last samples of one watch, as (start, end, state), and the last outcome."""

    samples: deque[tuple[float, float, State]] = field(default_factory=deque)
    outcome: str = ""
    state: State = "unknown"


@dataclass
class SiteView:
    """What is drawn of one site: its phase, and of its current case the lanes and faults."""

    phase: str = "starting"
    since: float = 0.0
    done: int = 0
    case: str = ""
    title: str = ""
    case_since: float = 0.0
    lanes: dict[str, Lane] = field(default_factory=dict)
    faults: dict[str, tuple[str, float, float | None]] = field(default_factory=dict)  # id: name, on, off


class LiveState:
    """Feed it events; `line` is what to print once for an event, `draw` is how things stand now."""

    def __init__(self) -> None:
        self.sites: dict[str, SiteView] = {}
        self.finished = False

    def feed(self, event: Event) -> Text | None:
        """Take one event in and return the line to print for it, or None for one that is only drawn."""
        name = _word(event, "site")
        view = self.sites.setdefault(name, SiteView(since=event.t)) if name else None
        if event.type == "run-finished":
            self.finished = True
        if view:
            _update(view, event)
        return line(event)

    def draw(self, now: float, width: int, height: int = 40) -> RenderableType:
        """The live part of the terminal: each site with its case, band and lanes; `now` is CLOCK_MONOTONIC."""
        rows: list[Text] = []
        room = min(_MOST_LANES, height // max(1, len(self.sites)) - 4)
        for name, view in self.sites.items():
            rows += _site_rows(name, view, now, width, max(2, room))
        return Group(*rows)


def _update(view: SiteView, event: Event) -> None:
    kind = event.type
    if kind == "site-step":
        view.phase = f"coming up: {_word(event, 'step')} {_time(event)}"
    elif kind == "site-ready":
        view.phase, view.since = "ready", event.t
    elif kind in ("site-failed", "site-down"):
        view.phase, view.case = ("failed" if kind == "site-failed" else "down"), ""
        view.lanes, view.faults = {}, {}
    elif kind == "case-started":
        view.case, view.title, view.case_since = _word(event, "case"), _word(event, "title"), event.t
        view.lanes = {}
        view.faults = {key: fault for key, fault in view.faults.items() if fault[2] is None}
    elif kind == "case-finished":
        view.done += 1
        if view.case == _word(event, "case"):
            view.case, view.lanes = "", {}
    elif kind == "watch-started":
        view.lanes.setdefault(_word(event, "watch"), Lane())
    elif kind == "sample":
        _sample(view.lanes.setdefault(_word(event, "watch"), Lane()), event)
    elif kind == "fault-applied":
        view.faults[_fault_key(event)] = (_word(event, "fault"), float(event.get("start") or event.t), None)
    elif kind == "fault-undone" and _fault_key(event) in view.faults:
        name, on, _ = view.faults[_fault_key(event)]
        view.faults[_fault_key(event)] = (name, on, float(event.get("end") or event.t))


def _sample(lane: Lane, event: Event) -> None:
    lane.outcome = _word(event, "outcome") or "UNKNOWN"
    lane.state = state_of(lane.outcome, event.get("ok"))
    start, end = float(event.get("start") or event.t), float(event.get("end") or event.t)
    lane.samples.append((start, end, lane.state))
    while lane.samples and lane.samples[0][1] < event.t - _KEEP:
        lane.samples.popleft()


def _site_rows(name: str, view: SiteView, now: float, width: int, most: int) -> list[Text]:
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{clean(name)} ", "bold")
    if view.case:
        head.append(f"{clean(view.case)} {now - view.case_since:.0f} s  ", "cyan")
        head.append(clean(view.title), "dim")
    else:
        head.append(f"{clean(view.phase)}, {view.done} cases done", "dim")
    rows = [head]
    cells = max(10, width - _NAME - _OUTCOME - 4)
    step = 0.5 if cells * 0.5 >= 45 else 1.0  # seconds a cell: a cut of 40 s should fit
    for fault, on, off in view.faults.values():
        if off is None or off > now - cells * step:
            rows.append(_band(fault, on, off, now, cells, step))
    lanes = list(view.lanes.items())
    rows += [_lane(watch, lane, now, cells, step) for watch, lane in lanes[:most]]
    if len(lanes) > most:
        rows.append(Text(f"  … {len(lanes) - most} more probes", "dim"))
    return rows


def _band(fault: str, on: float, off: float | None, now: float, cells: int, step: float) -> Text:
    start = now - cells * step
    until = now if off is None else off
    marks = "".join("▇" if on < start + (n + 1) * step and until > start + n * step else " " for n in range(cells))
    row = Text(no_wrap=True, overflow="ellipsis")
    row.append(f"  {_fit(fault, _NAME)} ", "bold magenta").append(marks, "magenta")
    age = f"{now - on:.0f} s" if off is None else f"undone after {off - on:.0f} s"
    return row.append(f" {age}", "bold magenta")


def _lane(watch: str, lane: Lane, now: float, cells: int, step: float) -> Text:
    worst: list[State | None] = [None] * cells
    origin = now - cells * step
    following = float("inf")
    for start, finish, state in sorted(lane.samples, reverse=True):  # samples may overlap: a later one ends one before
        end, following = min(finish, following), start
        if end < origin:
            continue
        for n in range(max(0, int((start - origin) / step)), min(cells - 1, int((end - origin) / step)) + 1):
            before = worst[n]
            if before is None or _RANK.index(state) > _RANK.index(before):
                worst[n] = state
    row = Text(no_wrap=True, overflow="ellipsis")
    row.append(f"  {_fit(watch, _NAME)} ")
    for seen in worst:
        row.append(*(_CELLS[seen] if seen else ("·", "dim")))
    return row.append(f" {_fit(lane.outcome, _OUTCOME)}", _CELLS[lane.state][1])


def line(event: Event) -> Text | None:
    """One line for an event that a reader of a log wants to see; None for all others (samples, steps of a watch)."""
    site, case = _word(event, "site"), _word(event, "case")
    where = " ".join(part for part in (site, case) if part)
    said = {
        "run-started": ("run", _word(event, "run"), "bold"),
        "site-starting": (site, "coming up", ""),
        "site-step": (site, f"{_word(event, 'step')} {_time(event)}", "dim"),
        "site-ready": (site, f"ready {_time(event)}", "green"),
        "site-failed": (site, f"did not come up: {_word(event, 'reason')}", "bold red"),
        "site-troubled": (site, f"itself failed: {_word(event, 'reason')}", "bold red"),
        "site-down": (site, f"down {_time(event)}", "dim"),
        "case-started": (where, _word(event, "title"), "cyan"),
        "fault-applied": (where, f"fault {_word(event, 'fault')} applied", "magenta"),
        "fault-undone": (where, f"fault {_word(event, 'fault')} undone", "magenta"),
        "diagnosis": (where, _diagnosed(event), "magenta"),
        "warning": (where or "run", f"warning: {_word(event, 'text')}", "yellow"),
    }
    clock = event.wall[11:19]
    if event.type == "case-finished":
        verdict = _verdict(_word(event, "verdict"))
        sign, style = STYLES[verdict]
        reason = f": {_word(event, 'reason')}" if verdict is not Verdict.PASS and event.get("reason") else ""
        return _line(clock, where, f"{sign} {verdict.value} {_time(event)}{reason}", style)
    if event.type not in said:
        return None
    who, text, style = said[event.type]
    return _line(clock, who, text, style)


def _diagnosed(event: Event) -> str:
    blame = _word(event, "blame")
    return f"diagnosis: {_word(event, 'message')}" + (f"; blame: {blame}" if blame else "")


def _line(clock: str, where: str, text: str, style: str) -> Text:
    row = Text(f"{clock} ", "dim", overflow="fold")
    row.append(f"{clean(redact(where))}: ", "default")
    return row.append(clean(redact(text)).replace("\n", " "), style)


def _verdict(word: str) -> Verdict:
    try:
        return Verdict(word)
    except ValueError:
        return Verdict.INCONCLUSIVE


def _time(event: Event) -> str:
    seconds = event.get("seconds")
    return f"{seconds:.1f} s" if isinstance(seconds, int | float) else ""


def _word(event: Event, key: str) -> str:
    value = event.get(key)
    return "" if value is None else str(value)


def _fault_key(event: Event) -> str:
    return _word(event, "id") or _word(event, "fault")


def _fit(text: str, width: int) -> str:
    text = clean(text).replace("\n", " ")
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
