"""Cisco IOS-XE and Junos routers by netmiko over real SSH, to recorded dialogues; no such device was at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from islanding import faults
from islanding.errors import IslandingError
from islanding.faults._revert import timed
from islanding.faults.apply import cut
from islanding.model import Router, RouterLogin, Site
from islanding.routers import terminal
from islanding.routers.driver import RouterError
from tests.unit.test_faults.bench import Bench, make_bench
from tests.unit.test_routers.fake_router import FakeRouter, play

SECRET, VARIABLE = "a-secret", "CND_PASSWORD"
Driver = Literal["ios-xe", "junos"]
Start = Callable[..., FakeRouter]
KINDS: list[tuple[Driver, str]] = [("ios-xe", "GigabitEthernet2"), ("junos", "ge-0/0/1.0")]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A site with a journal; its router is replaced below."""
    return make_bench(tmp_path)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts routers that play dialogues, and ends them; none is kept from one test to the next."""
    started: list[FakeRouter] = []
    monkeypatch.setattr(terminal, "_kept", {})
    monkeypatch.setenv(VARIABLE, SECRET)

    def one(*names: str) -> FakeRouter:
        started.append(play(*names, password=SECRET))
        return started[-1]

    yield one
    for router in started:
        router.close()


def site_of(bench: Bench, tmp_path: Path, fake: FakeRouter, driver: Driver, interface: str) -> Site:
    """The bench's site, with the fake router in the place of FRR."""
    login = RouterLogin(
        host="127.0.0.1",
        port=fake.port,
        user="harness",
        password_variable=VARIABLE,
        known_hosts=fake.known_hosts(tmp_path / "known_hosts"),
    )
    router = Router(name="cnd", role="customer-network-device", asn=65000, place="cnd", driver=driver, login=login)
    session = bench.site.sessions[0].model_copy(update={"interface": interface})
    site = bench.site.model_copy(update={"routers": (router,), "sessions": (session,)})
    site.save(Path(site.folder) / "site.json")
    return site


@pytest.mark.parametrize(("driver", "interface"), KINDS)
def test_a_session_is_shut_with_a_timer_and_comes_back(
    bench: Bench, tmp_path: Path, start: Start, driver: Driver, interface: str
) -> None:
    """Planned, armed by the router itself, applied, seen, undone and confirmed: the dialogue is played to its end."""
    fake = start(*(f"{driver}-{part}" for part in ("login", "before", "shut", "before")))
    site = site_of(bench, tmp_path, fake, driver, interface)
    with cut(site, faults.make("service-link-down"), bench.journal, max_seconds=600) as applied:
        during = applied.fault.is_applied(site, applied.plan)

    assert (fake.unexpected, fake.finished(), fake.connections) == ([], True, 1)
    assert (during.ok, during.seen) == (True, "session Idle, shut")
    assert applied.plan.before == {"local": "169.254.10.2", "routes": {"cnd": ["10.20.0.0/26"]}}
    assert SECRET not in applied.plan.model_dump_json() + bench.journal.path.read_text()


@pytest.mark.parametrize(("driver", "interface"), KINDS)
def test_a_connection_that_was_lost_is_made_anew(
    bench: Bench, tmp_path: Path, start: Start, driver: Driver, interface: str
) -> None:
    """Idle connections are closed by routers: the next question goes through, on a second one."""
    fake = start(f"{driver}-login", f"{driver}-before", f"{driver}-login", f"{driver}-before")
    site = site_of(bench, tmp_path, fake, driver, interface)
    half = len(fake.script) // 2
    questions = [turn.command for turn in fake.script[half - 2 : half]]
    line = terminal.terminal_of(site.routers[0])
    first = [line.show(question) for question in questions]
    fake.hang_up()
    second = [line.show(question) for question in questions]

    assert (first, 2, []) == (second, fake.connections, fake.unexpected)
    assert "Established" in first[0]


def test_a_revert_timer_without_an_archive_is_refused_before_anything_is_changed(
    bench: Bench, tmp_path: Path, start: Start
) -> None:
    """IOS-XE needs a place for its backup: without it there is no timer, and then no fault."""
    fake = start("ios-xe-login", "ios-xe-before", "ios-xe-no-archive")
    site = site_of(bench, tmp_path, fake, *KINDS[0])
    fault = faults.make("service-link-down")
    plan = timed(site, fault.plan(site), 600)
    with pytest.raises(IslandingError, match=r"(?s)Turn config archive on.*path bootflash"):
        fault.apply(site, plan)

    assert (fake.typed[-1], fake.unexpected) == ("configure terminal revert timer 10", [])


def test_undoing_what_the_timer_has_taken_back_is_no_error(bench: Bench, tmp_path: Path, start: Start) -> None:
    """There is nothing left to confirm, and nothing wrong."""
    fake = start("ios-xe-login", "ios-xe-late")
    site = site_of(bench, tmp_path, fake, *KINDS[0])
    lines = ["router bgp 65000", "no neighbor 169.254.10.1 shutdown"]
    terminal.terminal_of(site.routers[0]).configure(lines, minutes=0, confirm=True)

    assert (fake.unexpected, fake.finished()) == ([], True)


def test_ios_xe_waits_two_hours_at_most(bench: Bench, tmp_path: Path, start: Start) -> None:
    """A deadline that its timer cannot hold is refused before anything is changed."""
    fake = start("ios-xe-login", "ios-xe-late")
    line = terminal.terminal_of(site_of(bench, tmp_path, fake, *KINDS[0]).routers[0])
    with pytest.raises(RouterError, match="after 120 minutes at most"):
        line.configure(["interface x", "shutdown"], minutes=121, confirm=False)

    assert not [one for one in fake.typed if one.startswith("configure")]


@pytest.mark.parametrize(
    ("driver", "dialogue", "says"),
    [
        ("ios-xe", "ios-xe-refused", "refused `interface GigabitEthernet9; shutdown`: % Invalid input detected"),
        ("junos", "junos-refused", r"did not commit `set interfaces ge-0/0/9 disable`: error: .*check-out failed"),
    ],
)
def test_a_line_that_the_router_refuses_is_an_error(
    bench: Bench, tmp_path: Path, start: Start, driver: Driver, dialogue: str, says: str
) -> None:
    """What the router printed is told; on Junos nothing of the candidate is left."""
    fake = start(f"{driver}-login", dialogue)
    site = site_of(bench, tmp_path, fake, driver, "x")
    lines = {"ios-xe": ["interface GigabitEthernet9", "shutdown"], "junos": ["set interfaces ge-0/0/9 disable"]}
    with pytest.raises(RouterError, match=says):
        terminal.terminal_of(site.routers[0]).configure(lines[driver], minutes=0, confirm=False)

    assert (fake.unexpected, fake.finished()) == ([], True)


@pytest.mark.parametrize("known", ["another's", "none"])
def test_a_router_that_is_not_known_is_not_spoken_to(bench: Bench, tmp_path: Path, start: Start, known: str) -> None:
    """A host key that is not the known one ends the connection before the password is sent."""
    fake, other = start("ios-xe-login"), start("ios-xe-login")
    site = site_of(bench, tmp_path, fake, *KINDS[0])
    keys = Path(other.known_hosts(tmp_path / "others")).read_text().replace(str(other.port), str(fake.port))
    (tmp_path / "known_hosts").write_text(keys if known != "none" else "")
    with pytest.raises(RouterError, match=r"cnd \(127\.0\.0\.1\)") as refused:
        terminal.terminal_of(site.routers[0]).show("show clock")

    assert (fake.connections, fake.typed) == (0, [])
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"login": None}, "does not say how cnd is logged in to"),
        ({"password_variable": "NOT_SET"}, "the environment variable NOT_SET is not set"),
    ],
)
def test_a_login_that_is_not_whole_is_named(
    bench: Bench, tmp_path: Path, start: Start, change: dict[str, str | None], says: str
) -> None:
    """What is lacking, and where it belongs."""
    router = site_of(bench, tmp_path, start("ios-xe-login"), *KINDS[0]).routers[0]
    assert router.login is not None
    update = change if "login" in change else {"login": router.login.model_copy(update=change)}
    with pytest.raises(RouterError, match=says):
        terminal.terminal_of(router.model_copy(update=update)).show("show clock")
