"""A user's mistake, or a machine that lacks something: one clear message, exit code 3, nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.conftest import HARNESS, TINY, islanding, one_message
from tests.lab.leftovers import Snapshot


@pytest.fixture(autouse=True)
def nothing_is_left(home: Path) -> object:
    """The host is the same before and after."""
    before = Snapshot.take(home / "state")
    yield
    assert {} == Snapshot.take(home / "state").more_than(before)


def test_an_unknown_site_is_answered_with_the_known(home: Path) -> None:
    """The nearest name and all names."""
    told = islanding("lab", "up", "outpost-locl", state=home / "state")
    assert 3 == told.returncode
    assert "no site 'outpost-locl'" in one_message(told)
    assert "Did you mean 'outpost-local'?" in told.stderr


def test_a_path_without_a_site_is_named(home: Path) -> None:
    """The path that was looked for."""
    told = islanding("lab", "up", str(home / "nowhere"), state=home / "state")
    assert 3 == told.returncode
    assert f"no site file {home / 'nowhere'}" in one_message(told)


def test_each_mistake_in_a_site_file_is_named_with_its_line(home: Path) -> None:
    """Two mistakes, two lines, in one message."""
    folder = home / "broken"
    shutil.copytree(TINY, folder)
    file = folder / "site.yaml"
    text = (
        file.read_text().replace("cidr: 192.168.10.0/24", "cidr: 10.2.1.0/24").replace("role: worker", "role: wroker")
    )
    file.write_text(text)
    told = islanding("lab", "up", str(folder), state=home / "state")
    assert 3 == told.returncode
    message = one_message(told)
    lines = text.splitlines()
    for number in (
        1 + lines.index("  cidr: 10.2.1.0/24"),
        next(n for n, line in enumerate(lines, 1) if "wroker" in line),
    ):
        assert f":{number}" in message


def test_missing_parts_are_named_with_the_command_that_brings_them(home: Path) -> None:
    """An empty cache: `islanding setup`."""
    told = islanding("lab", "up", str(TINY), state=home / "state", extra={"ISLANDING_CACHE": str(home / "empty")})
    assert 3 == told.returncode
    assert "islanding setup" in one_message(told)


def test_without_root_it_says_so(home: Path) -> None:
    """In a user namespace where this user is nobody, as the kernel's own checks would see it."""
    told = subprocess.run(
        ["unshare", "--user", HARNESS, "lab", "up", str(TINY)],
        env={**os.environ, "ISLANDING_STATE": str(home / "state")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert 3 == told.returncode
    assert "needs root" in one_message(told)
    assert "use sudo" in told.stderr


def test_a_disk_without_space_is_named(home: Path) -> None:
    """The state folder on a file system of 1 MiB, mounted where only the command sees it."""
    small = home / "small"
    small.mkdir()
    script = f"mount -t tmpfs -o size=1m tmpfs {small} && exec {HARNESS} lab up {TINY}"
    told = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, "ISLANDING_STATE": str(small / "state")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert 3 == told.returncode
    assert f"MiB free below {small}" in one_message(told)


@pytest.mark.parametrize(
    "command", [["status"], ["down"], ["shell", "operator"], ["kubectl", "get", "nodes"], ["logs"]]
)
def test_without_a_lab_each_command_says_so(home: Path, command: list[str]) -> None:
    """`lab status` finds none and that is no mistake; the others need one and say how to bring one up."""
    told = islanding("lab", *command, state=home / "state")
    if command == ["status"]:
        assert (0, "no lab is up\n") == (told.returncode, told.stdout)
    else:
        assert 3 == told.returncode
        assert "no lab is up" in one_message(told)
        assert "islanding lab up" in told.stderr
