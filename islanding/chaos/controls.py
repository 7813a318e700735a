"""Chaos Toolkit controls: watches run around an experiment, and its verdict is written to the journal.

Declared in each experiment, so that a plain `chaos run FILE` inside a running lab leaves the same verdict as
`islanding experiment run FILE`: there, the site is $ISLANDING_SITE (or the only lab of the extension's site), the
journal $ISLANDING_JOURNAL (or that of a new run).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from chaoslib.exceptions import InterruptExecution

from islanding import sites
from islanding.chaos import foreign
from islanding.chaos.actions import undo_mine
from islanding.chaos.claims import judge
from islanding.chaos.given import JOURNAL_KEY, SITE_KEY
from islanding.chaos.schema import Experiment, parse_extension
from islanding.chaos.verdict import Outcome, verdict_of
from islanding.errors import IslandingError
from islanding.faults._foreign import ForeignAction
from islanding.guard import stops
from islanding.journal import Journal, read
from islanding.kube.current import refreshed
from islanding.model import Site, Verdict
from islanding.probes.of_site import SiteProbes
from islanding.redact import redact
from islanding.runs import VARIABLE, journal_path
from islanding.troubles import Troubles
from islanding.watching import Watch

SITE, CASE = "ISLANDING_SITE", "ISLANDING_CASE"
FAULT_SECONDS = "ISLANDING_FAULT_SECONDS"
__all__ = [
    "after_experiment_control",
    "after_hypothesis_control",
    "before_activity_control",
    "before_experiment_control",
]
logger = logging.getLogger("chaostoolkit")


@dataclass
class Conduct:
    """One experiment on its way: given by whoever runs it, else made when it begins."""

    site: Site
    journal: Journal
    writes_case: bool = True  # False when pytest writes the case's start and verdict
    watch: Watch | None = None
    trouble: str = ""
    started: float = field(default_factory=time.monotonic)
    steady: float | None = None  # when the steady-state hypothesis was first met
    outcome: Outcome | None = None


_current: Conduct | None = None


def conduct(given: Conduct | None) -> None:
    """Say by which site and journal the next experiment of this process runs; None when it is over."""
    global _current  # noqa: PLW0603 - Chaos Toolkit calls module functions, and one experiment at a time
    _current = given


def before_experiment_control(context: dict[str, Any], configuration: dict[str, Any] | None = None, **_: Any) -> None:
    """Start the watches; an experiment that cannot be watched is interrupted before anything is cut."""
    if threading.current_thread() is threading.main_thread():
        # Chaos Toolkit's own handler raises an Exception, which a Python action swallows (docs/measurements.md 9)
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        experiment = parse_extension(context)
        case = experiment.extension
        if _current is None:
            conduct(_find(experiment, configuration or {}))
        now = _current
        assert now is not None  # noqa: S101 - set in the line above
        if now.site.name != case.site:
            raise IslandingError(f"the experiment is for site {case.site}, and {now.site.name} was given")
        if now.writes_case:
            rows = list(case.requirements)
            now.journal.append("case-started", title=experiment.title, requirements=rows)
        now.site = refreshed(now.site)
        probes = SiteProbes(now.site)
        made = []
        for spec in case.watch:
            shared = spec.model_dump(include={"name", "place", "interval", "timeout", "overlap"}, exclude_none=True)
            made.append(probes.make(spec.probe, **{**spec.parameters, **shared}))
        if case.fault_seconds is not None:
            os.environ[FAULT_SECONDS] = str(case.fault_seconds)  # for the actions
        if made:
            now.watch = Watch(now.site, now.journal, *made, drain=case.drain)
            now.watch.__enter__()
    except Exception as error:  # Chaos Toolkit swallows every other exception of a control and runs on
        if _current is not None:
            _current.trouble = f"could not be watched: {error}"
        raise InterruptExecution(f"islanding: {error}") from error


def after_hypothesis_control(state: dict[str, Any] | None = None, **_: Any) -> None:
    """Note when the steady state was first met: what the experiment before it left behind is not held against it."""
    now = _current
    if now is not None and now.steady is None and (state or {}).get("steady_state_met"):
        now.steady = time.monotonic()


def before_activity_control(
    context: dict[str, Any],
    configuration: dict[str, Any] | None = None,
    secrets: dict[str, Any] | None = None,
    **_: Any,
) -> None:
    """Before an action of chaostoolkit-aws: its undo on disk, or the experiment is interrupted and it does not run."""
    now = _current
    if now is None or not foreign.is_concerned(context):
        return
    try:
        foreign.begin(now.site, now.journal, context, configuration, secrets)
    except Exception as error:  # Chaos Toolkit swallows every other exception of a control and runs on
        now.trouble = f"{context['name']}: {error}"
        raise InterruptExecution(f"islanding: {now.trouble}") from error


def after_experiment_control(context: dict[str, Any], state: dict[str, Any] | None = None, **_: Any) -> None:
    """Stop the watches, judge the claims, write the verdict."""
    now = _current
    if now is None:
        return
    now.trouble = now.trouble or stops.stopped(now.site.id)
    try:
        undo_mine(now.site, now.journal, ForeignAction.kind)  # what no rollback has undone
    except Exception as error:  # the verdict must be written whatever happens
        now.trouble = now.trouble or f"an action of others was not undone: {error}"
    outcome = Outcome(Verdict.INCONCLUSIVE, now.trouble)
    try:
        findings: list[Outcome] = []
        if now.watch is not None:
            now.watch.stop()
            events = [event for event in read(now.journal.path) if event.t >= now.started]
            extension = parse_extension(context).extension
            findings = judge(extension, now.watch, events, now.site.name, now.steady or now.started)
        outcome = verdict_of(state, findings, now.trouble or Troubles(now.site).during(now.started))
    except Exception as error:  # a verdict must be written whatever happens: Chaos Toolkit swallows exceptions here
        outcome = Outcome(Verdict.INCONCLUSIVE, f"could not be judged: {error}")
    finally:
        os.environ.pop(FAULT_SECONDS, None)
        now.outcome = Outcome(outcome.verdict, redact(outcome.reason))
        if now.writes_case:
            now.journal.append(
                "case-finished",
                verdict=now.outcome.verdict.value,
                reason=now.outcome.reason,
                seconds=time.monotonic() - now.started,
                detail="",
            )
        logger.info("islanding: %s %s", now.outcome.verdict.value, now.outcome.reason)
        logger.info("islanding: journal %s", now.journal.path)


def _find(experiment: Experiment, configuration: dict[str, Any]) -> Conduct:
    """Site and journal for a plain `chaos run`: the configuration's, the environment's, or the extension's site."""
    from islanding.chaos.default_session import call  # boto3 takes half a second

    name = str(configuration.get(SITE_KEY) or os.environ.get(SITE) or experiment.extension.site)
    site = sites.load(sites.find(name))
    if configuration.get(JOURNAL_KEY):
        os.environ.setdefault(VARIABLE, str(configuration[JOURNAL_KEY]))
    path = journal_path()
    os.environ[VARIABLE], os.environ[SITE] = str(path), name  # the actions act on, and write to, the same
    call(site)  # actions of others act on it, too
    case = os.environ.setdefault(CASE, _slug(experiment.title))
    return Conduct(site, Journal(path, site=site.name, case=case))


def _slug(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(f"signal {signal.Signals(number).name}")
