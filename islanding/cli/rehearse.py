"""What a run would do, without doing it: its cases at each site, and what they change by AWS's API."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest
from rich.console import Console
from rich.table import Table

from islanding.casebook import rows_of, title_of
from islanding.cli.orchestrate import SiteRun
from islanding.errors import ExitCode, SetupError


@dataclass(frozen=True)
class Planned:
    """A case that would run: its suite's folder, its id, the rows that it covers, and what it shows."""

    suite: str
    case: str
    rows: tuple[str, ...]
    title: str


class _Collected:
    """What pytest has collected, as a plugin of its."""

    def __init__(self) -> None:
        self.cases: tuple[Planned, ...] = ()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep what is left once everything that was not asked for is deselected."""
        self.cases = tuple(
            Planned(item.path.parent.name, item.name, rows_of(item), title_of(item)) for item in session.items
        )


def planned(wanted: SiteRun) -> tuple[Planned, ...]:
    """The cases that would run at a site, in their order, as pytest chooses them; nothing is run and nothing written.

    Raises SetupError with pytest's own words when it cannot collect them.
    """
    collected, said = _Collected(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = pytest.main([*wanted.arguments(wanted.site), "--collect-only", "-q"], plugins=[collected])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SetupError(f"the cases of {wanted.site} cannot be collected: {said.getvalue().strip()[-2000:]}")
    return collected.cases


def changes(site: str, cases: Iterable[Planned]) -> tuple[str, ...]:
    """What the suites of these cases may call that changes something, at a site like this reference site, sorted.

    As `service:Operation` (`aws/needs`); what only reads is left out, by the names that AWS gives to such operations.
    """
    from islanding.aws import needs

    suites = {case.suite for case in cases}
    called = needs.of_suites(site, suites) - needs.reading()
    return tuple(sorted(one for one in called if not one.partition(":")[2].startswith(("Describe", "List", "Get"))))


def rehearse(runs: Iterable[SiteRun], target: str) -> ExitCode:
    """Print what these runs would do; exit code INCONCLUSIVE where no case is left to run, as a run would have."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 1000  # a line a case, for grep
    found = False
    for wanted in runs:
        cases = planned(wanted)
        found = found or bool(cases)
        console.print(f"{wanted.site}: {len(cases)} case{'' if len(cases) == 1 else 's'}", style="bold")
        console.print(_listed(cases))
        if target == "aws" and cases:
            changed = ", ".join(changes(wanted.site, cases)) or "nothing"
            console.print(f"AWS calls of these suites that change something: {changed}")
    console.print("Nothing was run. What a fault would call, and its inverse: islanding fault plan KIND --site SITE")
    return ExitCode.OK if found else ExitCode.INCONCLUSIVE


def _listed(cases: Iterable[Planned]) -> Table:
    """A line for each case, below a line for each suite."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    suite = ""
    for case in cases:
        if case.suite != suite:
            suite = case.suite
            table.add_row(f"  {suite}")
        table.add_row(f"    {case.case}", ", ".join(case.rows), case.title)
    return table
