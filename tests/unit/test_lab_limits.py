"""The kernel's inotify limit: raised where it is low, and said in words where it may not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.lab.limits import raise_inotify


def test_a_low_limit_is_raised(tmp_path: Path) -> None:
    """128, the kernel's default, becomes what labs side by side need."""
    setting = tmp_path / "max_user_instances"
    setting.write_text("128\n")
    raise_inotify(setting, wanted=1024)
    assert "1024\n" == setting.read_text()


def test_a_high_limit_is_left_alone(tmp_path: Path) -> None:
    """Somebody's own, higher setting is never lowered."""
    setting = tmp_path / "max_user_instances"
    setting.write_text("524288\n")
    raise_inotify(setting, wanted=1024)
    assert "524288\n" == setting.read_text()


class _ReadOnly:
    """A setting below a /proc/sys that is mounted read-only, as in an unprivileged container."""

    def __init__(self, now: int) -> None:
        self._now = now

    def read_text(self) -> str:
        return f"{self._now}\n"

    def write_text(self, _: str) -> None:
        raise OSError(30, "Read-only file system")


def test_a_limit_that_cannot_be_raised_is_named() -> None:
    """The message says how much there is, how much is needed, and the command for the host."""
    with pytest.raises(SetupError) as caught:
        raise_inotify(_ReadOnly(128), wanted=1024, needed=256)  # type: ignore[arg-type]  # stands in for a path
    assert "allows 128 inotify instances" in caught.value.what
    assert "need 256" in caught.value.what
    assert "on the host: sysctl -w fs.inotify.max_user_instances=1024" == caught.value.fix


def test_a_limit_that_is_just_enough_need_not_be_raised() -> None:
    """Read-only and above the need: the lab comes up."""
    raise_inotify(_ReadOnly(256), wanted=1024, needed=256)  # type: ignore[arg-type]  # the same
