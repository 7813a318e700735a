"""The pytest plugin: cases marked with sites and requirements, their verdicts in the journal, experiments as cases."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from islanding import given
from islanding.casebook import BOOK, Casebook, book_of, is_case, rows_of, site_names
from islanding.errors import NotCoveredError
from islanding.model import Verdict
from islanding.paths import content_dir
from islanding.scrubbing import scrub, scrub_allure

_REQUIREMENT = re.compile(r"[A-Z]-\d\d")
_HANDLER = pytest.StashKey[Any]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the plugin."""
    group = parser.getgroup("islanding", "Kubernetes sites under failure")
    group.addoption(
        "--islanding-site",
        action="append",
        default=[],
        metavar="SITE",
        help="run the cases of this site only: a name, a lab's id, or the path of a site.json; repeatable",
    )
    group.addoption(
        "--islanding-requirement",
        action="append",
        default=[],
        metavar="ID",
        help="run only the cases that cover this row of the requirements, such as O-07; repeatable",
    )
    group.addoption("--islanding-run", metavar="DIR", help="folder of the run: the journal is written there")
    group.addoption(
        "--islanding-up", action="store_true", help="bring up each site that is not up, and take it down at the end"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register markers and fixtures; these late, as they have to win over those of other plugins."""
    config.addinivalue_line("markers", "site(*names): the sites at which this case runs, one after the other")
    config.addinivalue_line("markers", "requirement(*ids): the rows of the requirements that this case covers")
    config.stash[BOOK] = Casebook(config)
    config.pluginmanager.register(given, "islanding-given")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let SIGTERM end a session as Ctrl-C does, so that every fault is undone on the way out."""
    scrub_allure()
    if threading.current_thread() is threading.main_thread():
        session.stash[_HANDLER] = signal.signal(signal.SIGTERM, _interrupt)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take down the sites that this session brought up."""
    book_of(session.config).close()
    if _HANDLER in session.stash:
        signal.signal(signal.SIGTERM, session.stash[_HANDLER])


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(f"signal {signal.Signals(number).name}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case marked with several sites runs at each."""
    names = site_names(metafunc.definition)
    if len(names) > 1:
        if "site" not in metafunc.fixturenames:
            metafunc.fixturenames.append("site")
        metafunc.parametrize("site", names, indirect=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Experiments are collected as cases: YAML files in a folder named experiments."""
    if file_path.suffix in (".yaml", ".yml") and file_path.parent.name == "experiments":
        from islanding.chaos.collecting import ExperimentFile

        made: pytest.Collector = ExperimentFile.from_parent(parent, path=file_path)
        return made
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse cases without site or requirement, and two of one name; deselect those not asked for."""
    suites = content_dir("suites")
    cases = [item for item in items if is_case(item) or item.path.is_relative_to(suites)]
    book = book_of(config)
    problems = [
        f"--islanding-requirement {row}: this is no requirement's id, such as O-07"
        for row in sorted(book.rows)
        if not _REQUIREMENT.fullmatch(row)
    ]
    seen: dict[str, str] = {}
    for item in cases:
        rows = rows_of(item)
        if not rows:
            problems.append(f'{item.nodeid}: no requirement; add @pytest.mark.requirement("O-01")')
        problems += [
            f"{item.nodeid}: {row!r} is no requirement's id" for row in rows if not _REQUIREMENT.fullmatch(row)
        ]
        if not site_names(item):
            problems.append(f'{item.nodeid}: no site; add @pytest.mark.site("outpost-local")')
        if seen.setdefault(item.name, item.nodeid) != item.nodeid:
            problems.append(f"{item.nodeid}: {seen[item.name]} has the same name, and a name is a case's id")
    if problems:
        raise pytest.UsageError("\n".join(problems))
    other = {item for item in cases if not book.wants(item)}
    if other:
        config.hook.pytest_deselected(items=[item for item in items if item in other])
        items[:] = [item for item in items if item not in other]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Write the start and the verdict of each case to the journal."""
    book = book_of(item.config)
    if not is_case(item):
        return (yield)
    book.start(item)
    try:
        return (yield)
    except BaseException as stop:
        book.interrupted(item, stop)
        raise
    finally:
        book.finish(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """What the site lacks is no fault of the case: it is skipped."""
    with _skipping_what_is_not_covered():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """The same while the case runs."""
    with _skipping_what_is_not_covered():
        return (yield)


@contextmanager
def _skipping_what_is_not_covered() -> Iterator[None]:
    try:
        yield
    except NotCoveredError as lack:
        pytest.skip(f"not covered: {lack}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """A case during which the site itself failed proves nothing, whatever it saw."""
    result = yield
    if is_case(item):
        book_of(item.config).require_sound(item)
    return result


@pytest.hookimpl(wrapper=True, trylast=True)  # the innermost: other plugins see the report without secrets
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what each phase of a case came to, and leave no secret in what pytest and Allure write of it."""
    report = yield
    if is_case(item):
        book_of(item.config).note(item, call, report)
        scrub(call, report)
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Show an inconclusive case as what it is."""
    if getattr(report, "islanding_verdict", None) is Verdict.INCONCLUSIVE and report.failed:
        return "inconclusive", "?", "INCONCLUSIVE"
    return None
