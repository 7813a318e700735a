"""Shows a set-up's steps and the time left: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True)
class Step:
    """One step: a name, what is being done, and how many seconds it takes on a machine with two cores."""

    name: str
    title: str
    seconds: float


class Reporter(Protocol):
    """Told what a set-up does, as it happens."""

    def plan(self, steps: Sequence[Step]) -> None: ...
    def start(self, step: Step) -> None: ...
    def note(self, text: str) -> None: ...
    def say(self, text: str) -> None: ...
    def finish(self, step: Step, how: str) -> None: ...


@dataclass
class TimeLeft:
    """Estimates the seconds left from the steps' weights and from how fast the steps so far have been."""

    steps: Sequence[Step]
    expected: float = 0.0
    taken: float = 0.0
    done: set[str] = field(default_factory=set)

    def finish(self, step: Step, seconds: float) -> None:
        """Note that a step has ended after so many seconds."""
        self.done.add(step.name)
        self.expected += step.seconds
        self.taken += seconds

    def pace(self) -> float:
        """Seconds taken per second expected; 20 seconds as expected are assumed, since short steps say little."""
        return min(4.0, max(0.05, (self.taken + 20.0) / (self.expected + 20.0)))

    def left(self, current: Step | None = None, elapsed: float = 0.0) -> float:
        """Seconds left when `current` has run for `elapsed` seconds; a step past its time counts as nearly done."""
        waiting = [s for s in self.steps if s.name not in self.done and (current is None or s.name != current.name)]
        rest = sum(step.seconds for step in waiting) * self.pace()
        if current is None:
            return rest
        return rest + max(current.seconds * self.pace() - elapsed, min(5.0, current.seconds * 0.1))


def duration(seconds: float) -> str:
    """Seconds as a reader says them: `8 s`, `2 min`, `7 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Silent:
    """Shows nothing; for callers that only want the result."""

    def plan(self, steps: Sequence[Step]) -> None: ...
    def start(self, step: Step) -> None: ...
    def note(self, text: str) -> None: ...
    def say(self, text: str) -> None: ...
    def finish(self, step: Step, how: str) -> None: ...


class Plain:
    """One line at the start and end of a step, and one each half minute between, for logs."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._left = TimeLeft(())
        self._step: Step | None = None
        self._began = self._spoke = 0.0

    def plan(self, steps: Sequence[Step]) -> None:
        self._left = TimeLeft(steps)

    def start(self, step: Step) -> None:
        self._step, self._began = step, self._clock()
        left = duration(self._left.left(step))
        self.say(f"[{len(self._left.done) + 1}/{len(self._left.steps)}] {step.title} (about {left} left in all)")

    def note(self, text: str) -> None:
        if self._step and self._clock() - self._spoke >= HEARTBEAT_SECONDS:
            elapsed = self._clock() - self._began
            self.say(f"      {duration(elapsed)}, about {duration(self._left.left(self._step, elapsed))} left: {text}")

    def say(self, text: str) -> None:
        self._spoke = self._clock()
        print(text, file=self._out, flush=True)

    def finish(self, step: Step, how: str) -> None:
        seconds = self._clock() - self._began
        self._left.finish(step, seconds)
        self._step = None
        self.say(f"      done in {seconds:.1f} s: {how}")


class _Left(ProgressColumn):
    """The column with the time left in all."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = seconds

    def render(self, task: Task) -> Text:
        return Text("" if task.finished else f"about {duration(self._seconds())} left", style="cyan")


class Live:
    """A bar that moves with the time expected, and one line a finished step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._left = TimeLeft(())
        self._step: Step | None = None
        self._began = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _Left(self._seconds_left))
        self.bar = Progress(*columns, TextColumn("[dim]{task.fields[detail]}"), console=console, transient=True)
        self._task = self.bar.add_task("", total=1.0, detail="", visible=False)

    def _seconds_left(self) -> float:
        left = self._left.left(self._step, time.monotonic() - self._began)
        whole = sum(step.seconds for step in self._left.steps) * self._left.pace()
        # Drawing is when the bar learns how far it is: nothing else ticks while a compiler runs.
        self.bar.update(self._task, completed=max(0.0, 1.0 - left / whole) if whole else 0.0)
        return left

    def plan(self, steps: Sequence[Step]) -> None:
        self._left = TimeLeft(steps)

    def start(self, step: Step) -> None:
        self._step, self._began = step, time.monotonic()
        self.bar.update(self._task, description=step.title, detail="", visible=True)

    def note(self, text: str) -> None:
        self.bar.update(self._task, detail=text[-60:])

    def say(self, text: str) -> None:
        self.bar.print(text, markup=False, highlight=False)

    def finish(self, step: Step, how: str) -> None:
        seconds = time.monotonic() - self._began
        self._left.finish(step, seconds)
        self._step = None
        self.bar.print(f"[green]✓[/] {step.title} [dim]{seconds:.1f} s, {how}[/]")


@contextmanager
def reporter(out: TextIO) -> Iterator[Reporter]:
    """The reporter that suits `out`: live when it is a terminal, plain lines otherwise."""
    console = Console(file=out)
    if not console.is_terminal:
        yield Plain(out)
        return
    live = Live(console)
    with live.bar:
        yield live
