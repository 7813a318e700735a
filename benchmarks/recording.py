"""How long an event takes to be written, beside the same line written plainly, and how long a journal's check takes."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figure import Figure, Say, milliseconds, spread
from islanding import chain
from islanding.journal import Journal

EVENTS = 5000
APPEND_MS = 1.0


def journal_figures(_rounds: int, folder: Path, say: Say) -> list[Figure]:
    """Samples appended in turns with plain writes of what version 1 wrote: no lock, no hash, no redaction."""
    book = Journal(folder / "journal.jsonl", site="outpost-local", case="test_case")
    plain = os.open(folder / "plain.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    chained, unchained = [], []
    for number in range(EVENTS):
        sample = {"watch": "http", "probe": "http", "start": time.monotonic(), "end": time.monotonic(), "outcome": "OK"}
        sample["text"] = f"200 OK, served by web-7d4b9c-{number % 50}, {number % 997} bytes"
        chained.append(milliseconds(partial(book.append, "sample", **sample)))
        unchained.append(milliseconds(partial(_write, plain, sample)))
    os.close(plain)
    book.append("run-finished", exit_code=0)
    began = time.process_time()
    if problems := chain.check(book.path):
        raise RuntimeError(f"the chain does not hold: {problems}")
    checked = (time.process_time() - began) / EVENTS * 100_000
    say(f"journal append: {spread(chained)}, plain {spread(unchained)}")
    return [
        Figure("journal append", median(chained), "ms", APPEND_MS, "limit", 1.0, spread(chained)),
        Figure("journal append, beside a plain write", median(chained), "ms", median(unchained), "plain write", None),
        Figure("journal's chain checked, 100,000 lines, processor time", checked, "s", 1.0, "limit", 1.0),
    ]


def _write(file: int, event: dict[str, Any]) -> None:
    os.write(file, json.dumps({"v": 1, **event}).encode() + b"\n")
