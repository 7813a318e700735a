"""Experiments as pytest items: one YAML file, one case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from islanding.casebook import book_of
from islanding.chaos.run import case_id, run_experiment
from islanding.chaos.schema import Experiment, load_experiment
from islanding.chaos.verdict import Outcome
from islanding.errors import InconclusiveError, IslandingError
from islanding.model import Verdict


class ExperimentFile(pytest.File):
    """A file with one experiment."""

    def collect(self) -> Iterable[pytest.Item]:
        """The case; a mistake in the file is an error of collection."""
        try:
            experiment = load_experiment(self.path)
        except IslandingError as mistake:
            raise self.CollectError(str(mistake)) from None
        yield ExperimentCase.from_parent(self, name=case_id(self.path), experiment=experiment)


class ExperimentCase(pytest.Item):
    """An experiment that runs as a case."""

    def __init__(self, *, experiment: Experiment, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.title = experiment.title
        self.add_marker(pytest.mark.site(experiment.extension.site))
        self.add_marker(pytest.mark.requirement(*experiment.extension.requirements))

    def runtest(self) -> None:
        """Run it; raises as its verdict demands."""
        book = book_of(self.config)
        site = book.running(book.site_of(self))
        journal = book.journal(self)
        try:
            raise_for(run_experiment(self.path, site, journal, writes_case=False))
        finally:
            journal.close()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A verdict needs no traceback; anything else does."""
        if isinstance(excinfo.value, (IslandingError, ExperimentFailed)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where the case stands."""
        return self.path, None, f"experiment: {self.name}"


class ExperimentFailed(AssertionError):
    """What the experiment claims is not so."""


def raise_for(outcome: Outcome) -> None:
    """Raise what stands for a verdict that is not a pass."""
    if outcome.verdict is Verdict.FAIL:
        raise ExperimentFailed(outcome.reason)
    if outcome.verdict is not Verdict.PASS:
        raise InconclusiveError(outcome.reason)
