"""What a case is given: the fixtures of the pytest plugin.

They are registered after all plugins are loaded, since pytest-testinfra has a `host` of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest

from islanding.capturing import Capture
from islanding.capturing import capture as capture_by
from islanding.casebook import book_of, site_names
from islanding.errors import IslandingError
from islanding.faults import Fault, make
from islanding.faults.apply import Applied
from islanding.faults.apply import cut as cut_by
from islanding.journal import Journal
from islanding.model import Sample, Site, Verdict
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.sampling import observe as observe_once
from islanding.stopping import watching_stops
from islanding.watching import Watch
from islanding.watching import watch as watch_by


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    """The running site of this case; the case is skipped, with the command that helps, when it is not up."""
    book = book_of(request.config)
    name = getattr(request, "param", None) or next(iter(site_names(request.node)), "")
    if not name:
        pytest.fail(f'{request.node.nodeid} wants a site and has no @pytest.mark.site("...")', pytrace=False)
    return book.running(name)


@pytest.fixture
def journal(request: pytest.FixtureRequest) -> Iterator[Journal]:
    """The run's journal, bound to this case and its site."""
    opened = book_of(request.config).journal(request.node)
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
def capture(site: Site, journal: Journal) -> Callable[..., AbstractContextManager[Capture]]:
    """Captures packets at a place for a `with` block; their file's name is in the report.

    `with capture("cnd", "tcp port 179"):`.
    """

    def begin(at: str, expression: str = "", **options: Any) -> AbstractContextManager[Capture]:
        return capture_by(site, journal, at, expression, **options)

    return begin


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


@pytest.fixture
def host(site: Site) -> Callable[[str], Any]:
    """A testinfra host for a node or instance, over SSH: `host("w1").service("kubelet").is_running`."""
    import testinfra

    def connect(name: str) -> Any:
        config = site.facts.get("ssh_config")
        if not config:
            raise IslandingError(f"site {site.name} says nothing on how to reach {name} by SSH")
        return testinfra.get_host(f"paramiko://{name}", ssh_config=config)

    return connect
