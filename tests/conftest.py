"""What the harness's own tests share: a home of their own, and a word when the lab cannot be tested."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

LAB = Path(__file__).parent / "lab"
# moto reads it when it is imported; with its own list each test's account holds hundreds of images, and gigabytes go.
os.environ["MOTO_AMIS_PATH"] = str(Path(__file__).parent / "unit" / "amis.json")

# A shell ignores Ctrl-C in what it starts in the background, and that is inherited: some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Two busy cores must not fail a property: time limits are for benchmarks. HYPOTHESIS_PROFILE=thorough looks harder.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is below tests/lab, and skip it with its reason where it cannot run."""
    for item in items:
        if LAB in item.path.parents:
            item.add_marker(pytest.mark.lab)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="the lab makes namespaces and cgroups: needs root"))


@pytest.fixture(autouse=True)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Unit tests see none of the user's cache, state and AWS settings; lab tests need the real cache."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "ISLANDING_DEBUG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ISLANDING_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ISLANDING_HISTORY", str(tmp_path / "history.sqlite"))
    if LAB not in request.path.parents:
        monkeypatch.setenv("ISLANDING_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test's faults have a watchdog of their own only where it is marked `watched`: starting one takes long."""
    if LAB not in request.path.parents and not request.node.get_closest_marker("watched"):
        monkeypatch.setattr("islanding.watchdog.spawn.ensure", lambda *_: None)
