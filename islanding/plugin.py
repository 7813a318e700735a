"""The pytest plugin: sites, watches and cuts as fixtures, cases in the journal, experiments collected as cases."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from islanding.casebook import Casebook, is_case, rows_of, site_names
from islanding.errors import IslandingError, NotCoveredError
from islanding.faults import Fault, make
from islanding.faults.apply import Applied
from islanding.faults.apply import cut as cut_by
from islanding.journal import Journal
from islanding.model import Sample, Site, Verdict
from islanding.paths import content_dir
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.sampling import observe as observe_once
from islanding.stopping import watching_stops
from islanding.watching import Watch
from islanding.watching import watch as watch_by

_REQUIREMENT = re.compile(r"[A-Z]-\d\d")
_BOOK = pytest.StashKey[Casebook]()
_HANDLER = pytest.StashKey[Any]()


def book_of(config: pytest.Config) -> Casebook:
    """The session's cases, journal and sites."""
    return config.stash[_BOOK]


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
    """Register markers, and the fixtures that have to win over those of other plugins."""
    config.addinivalue_line("markers", "site(*names): the sites at which this case runs, one after the other")
    config.addinivalue_line("markers", "requirement(*ids): the rows of the requirements that this case covers")
    config.stash[_BOOK] = Casebook(config)
    config.pluginmanager.register(_LateFixtures(), "islanding-fixtures")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let SIGTERM end a session as Ctrl-C does, so that every fault is undone on the way out."""
    if threading.current_thread() is threading.main_thread():
        session.stash[_HANDLER] = signal.signal(signal.SIGTERM, _interrupt)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take down the sites that this session brought up."""
    session.config.stash[_BOOK].close()
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
    book = config.stash[_BOOK]
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
    book = item.config.stash[_BOOK]
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
        item.config.stash[_BOOK].require_sound(item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what each phase of a case came to."""
    report = yield
    if is_case(item):
        item.config.stash[_BOOK].note(item, call, report)
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Show an inconclusive case as what it is."""
    if getattr(report, "islanding_verdict", None) is Verdict.INCONCLUSIVE and report.failed:
        return "inconclusive", "?", "INCONCLUSIVE"
    return None


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    """The running site of this case; the case is skipped, with the command that helps, when it is not up."""
    book = request.config.stash[_BOOK]
    name = getattr(request, "param", None) or next(iter(site_names(request.node)), "")
    if not name:
        pytest.fail(f'{request.node.nodeid} wants a site and has no @pytest.mark.site("...")', pytrace=False)
    return book.running(name)


@pytest.fixture
def journal(request: pytest.FixtureRequest) -> Iterator[Journal]:
    """The run's journal, bound to this case and its site."""
    opened = request.config.stash[_BOOK].journal(request.node)
    yield opened
    opened.close()


@pytest.fixture
def probe(site: Site) -> SiteProbes:
    """What this site can be watched by: `probe.kubectl("get", "svc", identity="x509")` and so on."""
    return SiteProbes(site)


@pytest.fixture
def observe(site: Site) -> Callable[[Probe], Sample]:
    """Takes one sample of a probe."""

    def once(what: Probe) -> Sample:
        return observe_once(site, what)

    return once


@pytest.fixture
def watch(site: Site, journal: Journal) -> Iterator[Callable[..., Watch]]:
    """Watches for a `with` block, stopped at the end of the case at the latest.

    `with watch(probe.http()) as web: ...`, and for several probes `as (web, api)`.
    """
    with ExitStack() as left:

        def start(*probes: Probe, **options: Any) -> Watch:
            started = watch_by(site, journal, *probes, **options)
            left.callback(started.stop)
            return started

        yield start


@pytest.fixture
def cut(site: Site, journal: Journal) -> Callable[..., AbstractContextManager[Applied]]:
    """Holds a fault for a `with` block.

    `with cut("service-link-down"):`, with parameters by name, or `with cut(ServiceLinkDown()):`.
    """

    @contextmanager
    def hold(fault: Fault | str, *, heal_timeout: float = 60.0, **parameters: Any) -> Iterator[Applied]:
        chosen = make(fault, **parameters) if isinstance(fault, str) else fault
        with watching_stops(site, journal), cut_by(site, chosen, journal, heal_timeout=heal_timeout) as applied:
            yield applied

    return hold


@pytest.fixture
def measure(journal: Journal) -> Callable[..., None]:
    """Records a number for the report; above its limit the case fails.

    `measure("cut to NotReady", 15.2, "s", limit=60)`.
    """

    def record(name: str, value: float, unit: str, limit: float | None = None) -> None:
        verdict = Verdict.PASS if limit is None or value <= limit else Verdict.FAIL
        journal.append("measurement", name=name, value=value, unit=unit, limit=limit, verdict=verdict.value)
        if verdict is Verdict.FAIL:
            raise AssertionError(f"{name}: {value:g} {unit}, at most {limit:g} {unit} allowed")

    return record


@pytest.fixture
def evidence(journal: Journal) -> Callable[[str, str], None]:
    """Keeps a text word for word, without its secrets.

    `evidence("kubectl get nodes", text)`.
    """
    from islanding.redact import redact

    def keep(title: str, text: str) -> None:
        journal.append("evidence", title=title, text=redact(text))

    return keep


@pytest.fixture
def physics(journal: Journal) -> Callable[[str], AbstractContextManager[None]]:
    """Marks time that belongs to the system and not to us.

    `with physics("the BGP hold timer"): ...`.
    """

    @contextmanager
    def waiting(what: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            journal.append("wait", what=what, seconds=time.monotonic() - start, physics=True)

    return waiting


class _LateFixtures:
    """Fixtures registered after all plugins are loaded, since pytest-testinfra has a `host` of its own."""

    @pytest.fixture
    def host(self, site: Site) -> Callable[[str], Any]:
        """A testinfra host for a node or instance, over SSH: `host("w1").service("kubelet").is_running`."""
        import testinfra

        def connect(name: str) -> Any:
            config = site.facts.get("ssh_config")
            if not config:
                raise IslandingError(f"site {site.name} says nothing on how to reach {name} by SSH")
            return testinfra.get_host(f"paramiko://{name}", ssh_config=config)

        return connect
