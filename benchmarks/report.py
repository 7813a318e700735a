"""The report of a large run: how long it takes to make, and to open in Chromium. `report` group."""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, Say, load, milliseconds
from islanding.evidence.controls import load_controls
from islanding.evidence.html import render_html
from islanding.evidence.results import evaluate
from islanding.journal import Event

CASES, SAMPLES = 200, 1000  # of each case: 200,000 in all
WALL = "2026-11-21T09:00:00.000+00:00"
OPENED = "performance.timing.loadEventEnd - performance.timing.navigationStart"


def large_run() -> list[Event]:
    """The events of a run of 200 cases with 1,000 samples each: steady ones, flapping ones, and a lone outage."""
    events = [Event("run-started", 0.0, WALL, {"run": "large", "target": "lab", "sites": ["s"]})]
    for number in range(CASES):
        key = {"site": "s", "case": f"test_case_{number}"}
        at = 1.0 + number * 200
        rows = [f"O-{number % 13 + 1:02}"]
        events.append(Event("case-started", at, WALL, {**key, "title": f"Case {number}", "requirements": rows}))
        named = {**key, "watch": "web", "probe": "http"}
        events.append(Event("watch-started", at, WALL, {**named, "interval": 0.1}))
        for tick in range(SAMPLES):
            flapping = number % 4 == 0 and tick % 2
            good = not (flapping or tick == 500)
            outcome, text = ("ANSWERED", "200 nginx") if good else ("HTTP_TIMEOUT", f"timed out after {tick} ms")
            seen = {"start": at + tick * 0.1, "end": at + tick * 0.1 + 0.01, "outcome": outcome, "ok": good}
            events.append(Event("sample", at + tick * 0.1, WALL, {**named, **seen, "text": text}))
        events.append(Event("case-finished", at + 150, WALL, {**key, "verdict": "pass", "seconds": 150.0}))
    return [*events, Event("run-finished", 1.0 + CASES * 200, WALL, {"exit_code": 0})]


def opening(page: Path, rounds: int) -> list[float]:
    """Milliseconds from the call for the page to the end of its load event, in a fresh tab each time."""
    from playwright.sync_api import sync_playwright

    seen = []
    with sync_playwright() as driver:
        # As root, Chromium starts without its sandbox only; the page is our own file.
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(rounds + 1):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri(), wait_until="load")
            seen.append(float(tab.evaluate(OPENED)))
            tab.close()
        browser.close()
    return seen[1:]  # the first pays for what the browser loads once


def report_figures(rounds: int, folder: Path, say: Say) -> list[Figure]:
    """Making and opening the report of 200 cases and 200,000 samples; opening is left out without Chromium."""
    before = load()
    result = evaluate(large_run())
    made: list[str] = []
    took = [milliseconds(lambda: made.append(render_html(result, controls=load_controls()))) for _ in range(rounds)]
    page = folder / "report.html"
    page.write_text(made[-1], encoding="utf-8")
    note = f"{CASES} cases, {CASES * SAMPLES} samples, {page.stat().st_size / 1e6:.1f} MB; load average {before:.1f}"
    figures = [Figure("report of a large run: made", median(took) / 1000, "s", 5.0, "limit", 1.0, note)]
    if shutil.which("chromium") is None:
        say("report: not opened, there is no chromium")
        return figures
    seen = opening(page, max(rounds, 3))
    note = f"{min(seen):.0f} to {max(seen):.0f} ms in {len(seen)} rounds"
    return [*figures, Figure("the same: opened in Chromium", median(seen) / 1000, "s", 1.0, "limit", 1.0, note)]
