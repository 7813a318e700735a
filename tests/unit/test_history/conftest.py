"""Runs for the history's tests: small journals as a run writes them, each in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from islanding.history.database import Database
from islanding.history.record import RunRecord
from islanding.history.sources import opened
from islanding.history.store import Added, add

EPOCH = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
PARTS = {"kubernetes": "1.36.3", "etcd": "3.7.3"}
HASHES = {"etcd": "e7" * 32, "kubelet": "a1" * 32}
UNAUTHORIZED = "error: You must be logged in to the server (Unauthorized)"


@dataclass(frozen=True)
class CaseOf:
    """A case of a run to be written: seconds it took, samples as (outcome, ok, text), measurements in seconds."""

    name: str
    verdict: str = "pass"
    seconds: float = 10.0
    rows: tuple[str, ...] = ("O-07",)
    reason: str = ""
    samples: tuple[tuple[str, bool, str], ...] = (("ALLOWED", True, "NAME"),)
    measured: dict[str, float] = field(default_factory=dict)


def events(
    run: str,
    day: float,
    cases: Sequence[CaseOf],
    *,
    site: str = "outpost-local",
    target: str = "lab",
    parts: dict[str, str] | None = None,
    hashes: dict[str, str] | None = None,
    revision: str = "3f9c2d1",
    ready: float = 20.0,
    facts: dict[str, str] | None = None,
    finished: bool = True,
    inputs: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The events of a run that began `day` days after EPOCH."""
    found: list[dict[str, Any]] = []
    begun = EPOCH + timedelta(days=day)

    def put(at: float, kind: str, **data: Any) -> None:
        wall = (begun + timedelta(seconds=at)).isoformat(timespec="milliseconds")
        found.append({"v": 1, "type": kind, "t": 100.0 + at, "wall": wall, **data})

    started = {"run": run, "target": target, "sites": [site], "revision": revision}
    host = {"kernel": "6.18.2", "cores": 2}
    put(0, "run-started", **started, parts=parts or PARTS, hashes=hashes or HASHES, host=host, inputs=inputs or {})
    put(
        ready, "site-ready", site=site, seconds=ready, facts=facts or {"metric_period": "1", "vpc_id": "vpc-0a1b2c3d4e"}
    )
    at = ready
    for case in cases:
        key = {"site": site, "case": case.name}
        put(at, "case-started", **key, title=f"{case.name} holds", requirements=list(case.rows))
        for number, (outcome, ok, text) in enumerate(case.samples):
            start = 100.0 + at + number
            sample = {"start": start, "end": start + 0.1, "outcome": outcome, "ok": ok, "text": text}
            put(at + number + 0.1, "sample", **key, watch="kubectl", probe="kubectl", **sample)
        for name, value in case.measured.items():
            put(at + 1, "measurement", **key, name=name, value=value, unit="s", limit=None, verdict="pass")
        at += case.seconds
        ended = {"verdict": case.verdict, "reason": case.reason, "seconds": case.seconds, "detail": ""}
        put(at, "case-finished", **key, **ended)
    if finished:
        code = 1 if any(case.verdict == "fail" for case in cases) else 0
        put(at + 1, "run-finished", exit_code=code)
    return found


class Runs:
    """Writes runs into folders and records them in the history."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database

    def write(self, run: str, day: float = 0.0, *cases: CaseOf, **more: Any) -> Path:
        """A folder with the journal of a run; without cases, of one that passes."""
        home = self.folder / run
        home.mkdir(parents=True, exist_ok=True)
        rows = events(run, day, cases or (CaseOf("kubectl works"),), **more)
        (home / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return home

    def read(self, source: Path) -> RunRecord:
        """Its record."""
        with opened(source) as (record, _):
            return record

    def record(self, source: Path) -> Added:
        """Record it."""
        with opened(source) as (record, journal):
            return add(self.database, record, journal)

    def recorded(self, run: str, day: float = 0.0, *cases: CaseOf, **more: Any) -> RunRecord:
        """Write a run and record it."""
        home = self.write(run, day, *cases, **more)
        assert self.record(home) is Added.ADDED
        return self.read(home)


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    """An empty history."""
    with Database() as opened_:
        yield opened_


@pytest.fixture
def runs(tmp_path: Path, database: Database) -> Runs:
    """Runs to be written and recorded."""
    return Runs(tmp_path / "runs", database)


@pytest.fixture
def case() -> Callable[..., CaseOf]:
    """Makes a case of a run."""
    return CaseOf
