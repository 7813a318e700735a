"""Cases in the journal: which site a case runs at, when it started, and the verdict that its phases add up to."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from islanding import sites
from islanding.errors import InconclusiveError, IslandingError
from islanding.journal import Journal
from islanding.model import Site, Verdict
from islanding.redact import redact
from islanding.runs import journal_path
from islanding.troubles import Troubles

DETAIL = 20_000  # characters of a traceback that are kept
_FAILURES = (AssertionError, pytest.fail.Exception)


@dataclass
class Progress:
    """What is known of a case that runs."""

    started: float
    verdict: Verdict = Verdict.PASS
    reason: str = ""
    detail: str = ""


_PROGRESS = pytest.StashKey[Progress]()


def site_names(node: pytest.Item | pytest.Collector) -> tuple[str, ...]:
    """The sites that a case is marked with, the nearest mark first."""
    mark = node.get_closest_marker("site")
    return tuple(str(name) for name in mark.args) if mark else ()


def rows_of(item: pytest.Item) -> tuple[str, ...]:
    """The ids of the requirements that a case is marked with, each once, in order."""
    return tuple(sorted({str(arg) for mark in item.iter_markers("requirement") for arg in mark.args}))


def is_case(item: pytest.Item) -> bool:
    """Whether an item is a case about a site: the harness's own tests are none."""
    return item.get_closest_marker("site") is not None or item.get_closest_marker("requirement") is not None


def title_of(item: pytest.Item) -> str:
    """The first sentence of the case's docstring; its name without one."""
    said = getattr(item, "title", None) or inspect.getdoc(getattr(item, "function", None)) or ""
    paragraph = " ".join(str(said).split("\n\n", 1)[0].split())
    first = re.match(r".+?[.!?](?=\s|$)", paragraph)
    return first.group(0) if first else paragraph or item.name


def verdict_of(error: BaseException, phase: str) -> Verdict:
    """What an exception in a phase (setup, call, teardown) says of the case.

    Only a claim that does not hold is a failure. Whatever else goes wrong, before, in or after the case, leaves the
    question open. A claim made while setting up is about the harness's own ground, so the question stays open too.
    """
    if isinstance(error, pytest.skip.Exception):
        return Verdict.SKIPPED
    if isinstance(error, _FAILURES) and phase != "setup":
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE


class Casebook:
    """The session's cases, its journal and its sites; makes the journal only when there is a case to write."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._path: Path | None = None
        self._sites: dict[str, Site] = {}
        self._troubles: dict[str, Troubles] = {}
        self._brought_up: list[str] = []
        asked: list[str] = config.getoption("--islanding-site")
        self._asked = {_name_of(text): text for text in asked}
        self.rows = frozenset[str](config.getoption("--islanding-requirement"))

    def wants(self, item: pytest.Item) -> bool:
        """Whether a case is to run: its site, and a requirement that it covers, were asked for, or none were."""
        at_site = not self._asked or self.site_of(item) in self._asked
        return at_site and (not self.rows or not self.rows.isdisjoint(rows_of(item)))

    def site_of(self, item: pytest.Item) -> str:
        """The name of the site at which this very item runs."""
        callspec = getattr(item, "callspec", None)
        chosen = callspec.params.get("site") if callspec else None
        return str(chosen or next(iter(site_names(item)), ""))

    def running(self, name: str) -> Site:
        """The description of the running site `name`; skips the case, saying what to do, when it is not up."""
        if name not in self._sites:
            self._sites[name] = self._find(name)
            self._troubles[name] = Troubles(self._sites[name])
        return self._sites[name]

    def _find(self, name: str) -> Site:
        try:
            return sites.load(sites.find(self._asked.get(name, name)))
        except IslandingError as missing:
            if not self._config.getoption("--islanding-up"):
                pytest.skip(f"site {name} is not up: islanding lab up {name} ({missing.what})")
        done = subprocess.run(
            [sys.executable, "-m", "islanding", "lab", "up", name], capture_output=True, text=True, check=False
        )
        self._brought_up.append(name)  # also when it failed: what half of it is there must go
        if done.returncode:
            raise IslandingError(f"site {name} did not come up: {(done.stderr or done.stdout).strip()}")
        return sites.load(sites.find(name))

    @property
    def path(self) -> Path:
        """The journal of this session."""
        if self._path is None:
            self._path = journal_path(self._config.getoption("--islanding-run"))
        return self._path

    def journal(self, item: pytest.Item) -> Journal:
        """The journal bound to a case and its site."""
        return Journal(self.path, site=self.site_of(item), case=item.name)

    def start(self, item: pytest.Item) -> None:
        """A case begins."""
        item.stash[_PROGRESS] = Progress(time.monotonic())
        self._write(item, "case-started", title=title_of(item), requirements=list(rows_of(item)))

    def note(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """A phase of a case has ended; the first that is not a pass decides, but a failure beats what is open."""
        progress = item.stash[_PROGRESS]
        if call.excinfo is None:
            return
        verdict = verdict_of(call.excinfo.value, call.when)
        report.islanding_verdict = verdict  # type: ignore[attr-defined]  # reports take what plugins add
        if progress.verdict is Verdict.PASS or (verdict is Verdict.FAIL and progress.verdict is not Verdict.FAIL):
            progress.verdict = verdict
            progress.reason = redact(_reason(call.excinfo.value))
            progress.detail = "" if verdict is Verdict.SKIPPED else redact(report.longreprtext)[-DETAIL:]

    def require_sound(self, item: pytest.Item) -> None:
        """Raise InconclusiveError when the site itself failed while the case ran; a failure stands all the same."""
        progress, troubles = item.stash[_PROGRESS], self._troubles.get(self.site_of(item))
        if progress.verdict is Verdict.PASS and troubles and (told := troubles.during(progress.started)):
            raise InconclusiveError(told)

    def interrupted(self, item: pytest.Item, stop: BaseException) -> None:
        """A case was broken off."""
        progress = item.stash[_PROGRESS]
        if progress.verdict is not Verdict.FAIL:
            progress.verdict = Verdict.INCONCLUSIVE
            progress.reason = f"broken off: {_reason(stop)}"

    def finish(self, item: pytest.Item) -> None:
        """A case has ended, its fixtures included."""
        progress = item.stash[_PROGRESS]
        self._write(
            item,
            "case-finished",
            verdict=progress.verdict.value,
            reason=progress.reason,
            seconds=time.monotonic() - progress.started,
            detail=progress.detail,
        )

    def close(self) -> None:
        """Take down what was brought up."""
        while self._brought_up:
            name = self._brought_up.pop()
            subprocess.run([sys.executable, "-m", "islanding", "lab", "down", name], check=False)

    def _write(self, item: pytest.Item, type: str, **data: object) -> None:
        journal = self.journal(item)
        journal.append(type, **data)
        journal.close()


BOOK = pytest.StashKey[Casebook]()


def book_of(config: pytest.Config) -> Casebook:
    """The session's cases, journal and sites."""
    return config.stash[BOOK]


def _reason(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def _name_of(asked: str) -> str:
    """The name of the site asked for by name, id or path; as it stands when no such site runs."""
    try:
        return sites.load(sites.find(asked)).name
    except IslandingError:
        return asked
