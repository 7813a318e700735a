"""What the lab's tests share: one lab for those that only look and cut, commands as a user gives them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from islanding.lab import launch, registry
from islanding.model import Site

TINY = Path(__file__).parent / "sites" / "tiny"
HARNESS = str(Path(sys.executable).with_name("islanding"))


def islanding(
    *arguments: str, state: Path, timeout: float = 120.0, extra: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an `islanding` command to its end, as a user would; both streams and the exit code are returned."""
    return subprocess.run(
        [HARNESS, *arguments],
        env={**os.environ, "ISLANDING_STATE": str(state), **(extra or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(*arguments: str, state: Path) -> subprocess.Popen[str]:
    """Start an `islanding` command in a session of its own and return while it runs."""
    return subprocess.Popen(
        [HARNESS, *arguments],
        env={**os.environ, "ISLANDING_STATE": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def one_message(result: subprocess.CompletedProcess[str]) -> str:
    """What the user was told; fails for a traceback, or for more than one message."""
    told = result.stderr
    assert "Traceback" not in told
    assert 1 == len(re.findall(r"^islanding: ", told, re.MULTILINE)), told
    return told


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those last that use the lab that most share: it stays to the end, and takes half of two cores while idle."""
    items.sort(key=lambda item: "shared_lab" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def lab_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of the lab that most tests share."""
    return tmp_path_factory.mktemp("lab") / "state"


@pytest.fixture(scope="session")
def shared_lab(lab_state: Path) -> Iterator[registry.Lab]:
    """The site outpost-local, brought up once for all tests that ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISLANDING_STATE", str(lab_state))
        lab = launch.up("outpost-local")
    yield lab
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISLANDING_STATE", str(lab_state))
        launch.down(lab)


@pytest.fixture
def lab(shared_lab: registry.Lab, lab_state: Path, monkeypatch: pytest.MonkeyPatch) -> registry.Lab:
    """That lab, with its state folder as this test's."""
    monkeypatch.setenv("ISLANDING_STATE", str(lab_state))
    return shared_lab


@pytest.fixture
def site(lab: registry.Lab) -> Site:
    """The description of that lab's site."""
    return Site.load(lab.site_file)


@pytest.fixture
def at(site: Site) -> Callable[..., str]:
    """Run a command at a place and return what it prints: `at("client", "curl", url)`; it must succeed."""

    def run(place: str, *command: str, timeout: float = 30.0) -> str:
        return site.place(place).run(command, timeout=timeout).stdout

    return run
