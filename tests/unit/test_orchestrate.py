"""A run of several sites: which come up, when, and how many are up side by side."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from islanding.cli.orchestrate import Run, SiteRun
from islanding.errors import SetupError

NAMES = ("one", "two", "three", "four", "five")


@pytest.mark.parametrize(("cores", "most"), [(1, 2), (2, 2), (3, 3), (64, 5)])
def test_no_more_sites_are_up_than_there_are_cores_and_two(
    cores: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come up in their order, one at a time; what fails to come up holds up nobody."""
    up: set[str] = set()
    order: list[str] = []
    counting, full, too_many = threading.Lock(), threading.Event(), threading.Event()
    reachable = min(most, len(NAMES) - 1)

    def bring_up(_run: Run, site: str, _journal: object) -> str:
        order.append(site)
        if site == "two":
            raise SetupError("no more space")
        return site

    def cases(_run: Run, _wanted: SiteRun, lab: str, _journal: object) -> None:
        with counting:
            up.add(lab)
            (too_many if len(up) > reachable else full if len(up) == reachable else threading.Event()).set()
        assert full.wait(10)
        too_many.wait(0.2)  # time for one more, were it let
        with counting:
            up.discard(lab)

    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(cores)))
    monkeypatch.setattr(Run, "_started", lambda _run: None)
    monkeypatch.setattr(Run, "_up", bring_up)
    monkeypatch.setattr(Run, "_cases", cases)
    monkeypatch.setattr(Run, "_down", lambda *_: None)

    assert not Run(tmp_path, [SiteRun(name) for name in NAMES]).execute()

    assert order == list(NAMES)
    assert (full.is_set(), too_many.is_set()) == (True, False)
    failed = [event for event in (tmp_path / "journal.jsonl").read_text().splitlines() if "site-failed" in event]
    assert ["no more space" in event for event in failed] == [True]
