"""The sampler: a process of its own that looks at set times and writes each sample to the journal.

    python -m islanding.probes.sampler SPEC.json      # until SIGTERM or the end of its standard input
    python -m islanding.probes.sampler --once          # one probe as JSON on standard input, one sample as JSON out

It runs at a place (in its network namespace), apart from the case, so that a busy test does not blur the times. It dies
with whoever started it: its standard input is a pipe that ends with the runner.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from islanding.errors import IslandingError
from islanding.journal import Journal
from islanding.probes import command, load
from islanding.probes.base import Probe, Reading
from islanding.probes.schedule import Ticks
from islanding.redact import redact

TEXT_LIMIT = 8000  # characters kept of one message


def observe(probe: Probe, look: Callable[[], Reading]) -> dict[str, Any]:
    """One sample as it is journalled: start and end (CLOCK_MONOTONIC seconds), outcome, whether it is ok, text."""
    start = time.monotonic()
    try:
        reading = look()
    except Exception as error:  # a broken probe must be seen as one, and must not stop the others
        reading = Reading(1, f"the probe failed: {type(error).__name__}: {error}")
    end = time.monotonic()
    outcome = probe.recognise(reading)
    text = redact(reading.text)[:TEXT_LIMIT]
    return {"start": start, "end": end, "outcome": outcome.name, "ok": outcome.ok, "text": text}


class Lane:
    """One watch: a probe, its ticks and what is in flight."""

    def __init__(self, watch: str, probe: Probe, journal: Journal, stopping: threading.Event) -> None:
        self.watch, self.probe, self.ticks = watch, probe, Ticks(probe.interval)
        self._journal, self._stopping = journal, stopping
        self._free = threading.Semaphore(probe.overlap)
        self._flying: set[threading.Thread] = set()
        self._session = ExitStack()
        self._look = self._session.enter_context(probe.session())
        self.held = self.taken = 0

    def started(self) -> None:
        """Tell the journal what is about to be watched."""
        probe = self.probe
        self._journal.append(
            "watch-started",
            watch=self.watch,
            probe=probe.kind,
            place=probe.place,
            interval=probe.interval,
            overlap=probe.overlap,
            command=redact(probe.command()),
        )

    def tick(self) -> None:
        """Take a sample in a thread of its own, unless as many as allowed are still in flight."""
        if not self._free.acquire(blocking=False):
            self.held += 1
            return
        thread = threading.Thread(target=self._sample, daemon=True)
        self._flying.add(thread)
        thread.start()

    def drain(self, deadline: float) -> None:
        """Wait until `deadline` for what is in flight."""
        for thread in list(self._flying):
            thread.join(max(0.0, deadline - time.monotonic()))

    def stopped(self) -> None:
        """Tell the journal how well the interval was held; `unfinished` samples were in flight and are not recorded."""
        unfinished = sum(thread.is_alive() for thread in list(self._flying))
        self._journal.append(
            "watch-stopped",
            watch=self.watch,
            ticks=self.ticks.due,
            missed=self.ticks.missed,
            held=self.held,
            samples=self.taken,
            unfinished=unfinished,
        )
        self._session.close()

    def _sample(self) -> None:
        try:
            seen = observe(self.probe, self._look)
            if not self._stopping.is_set():  # past the drain: it was broken off by us and shows nothing
                self._journal.append("sample", watch=self.watch, probe=self.probe.kind, **seen)
                self.taken += 1
        finally:
            self._flying.discard(threading.current_thread())
            self._free.release()


def run(spec: dict[str, Any], stop: threading.Event) -> None:
    """Sample until `stop` is set, then give what is in flight `drain` seconds to end."""
    journal = Journal(Path(spec["journal"]), **spec["context"])
    broken_off = threading.Event()
    lanes = [Lane(each["watch"], load(each["probe"]), journal, broken_off) for each in spec["watches"]]
    for lane in lanes:
        lane.started()
    start = time.monotonic()
    for lane in lanes:
        lane.ticks.begin(start)
    while True:
        now = time.monotonic()
        for lane in lanes:
            if lane.ticks.take(now):
                lane.tick()
        next_tick = min(lane.ticks.next for lane in lanes)
        if stop.wait(max(0.0, next_tick - time.monotonic())):
            break
    deadline = time.monotonic() + float(spec.get("drain", 0.0))
    for lane in lanes:
        lane.drain(deadline)
    broken_off.set()
    command.end_all()
    for lane in lanes:
        lane.stopped()


def main(arguments: list[str]) -> int:
    """Run as a command; returns its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's: it ends us by closing our input
    try:
        if arguments == ["--once"]:
            probe = load(json.load(sys.stdin))
            with probe.session() as look:
                sys.stdout.write(json.dumps(observe(probe, look)) + "\n")
            return 0
        if len(arguments) != 1:
            sys.stderr.write("usage: python -m islanding.probes.sampler SPEC.json | --once\n")
            return 3
        spec_file = Path(arguments[0])
        spec = json.loads(spec_file.read_text())
        spec_file.unlink()  # it may name credentials' places: not to be left in the run's folder
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
        run(spec, stop)
    except IslandingError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    else:
        return 0
    finally:
        command.end_all()


def _wait_for_end_of_input(stop: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stop.set()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # threads that hang in a name look-up must not hold the process
