"""The doctor: each check tells a good machine from a lacking one, and says what mends it."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from click.testing import CliRunner

from islanding.cli.setup import doctor_command
from islanding.errors import ExitCode
from islanding.lab.parts import apt, doctor, pins
from islanding.lab.parts.doctor import LACK, OK, WARNING, Check
from islanding.lab.parts.found import Layout
from islanding.lab.parts.recipe import Recipe

V1 = "\n".join(
    f"3{n} 30 0:2{n} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}"
    for n, name in enumerate((*doctor.V1_CONTROLLERS, "name=systemd"))
)
V2 = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate"


@pytest.mark.parametrize(
    ("mountinfo", "controllers", "expected"),
    [
        (V2, "cpuset cpu io memory hugetlb pids", (OK, "version 2")),
        (V2, "cpu memory", (LACK, "version 2, without cpuset, pids")),
        (V1, "", (OK, "version 1")),
        (V1.replace("rw,pids", "rw,rdma"), "", (LACK, "version 1, without pids")),
        (V1 + "\n40 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw", "", (OK, "version 1")),
        ("25 1 0:20 / /proc rw - proc proc rw", "", (LACK, "none mounted")),
    ],
)
def test_both_cgroup_versions_are_recognised(mountinfo: str, controllers: str, expected: tuple[str, str]) -> None:
    """Version 2, version 1, the hybrid of both, and none: each is named with the controllers that it lacks."""
    check = doctor.cgroup_check(mountinfo, controllers)
    assert expected == (check.status, check.found)


@pytest.mark.parametrize(
    ("effective", "expected"),
    [
        ("000001ffffffffff", (OK, "all 12 that are used")),
        ("000001fffeffffff", (OK, "all 12 that are used")),  # without CAP_SYS_RESOURCE
        ("000001ffffffefff", (LACK, "without CAP_NET_ADMIN")),
        ("00000000a80425fb", (LACK, "without CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN")),  # an ordinary container
    ],
)
def test_missing_capabilities_are_named(effective: str, expected: tuple[str, str]) -> None:
    """Only what the lab uses is asked for."""
    check = doctor.capability_check(f"Name:\tsh\nCapEff:\t{effective}\n")
    assert expected == (check.status, check.found)


@pytest.mark.parametrize(
    ("total", "free", "expected"), [(16, 12, OK), (8, 3, WARNING), (3, 2, LACK)], ids=["room", "tight", "too small"]
)
def test_memory_is_judged_by_size_and_by_what_is_free(total: int, free: int, expected: str) -> None:
    """A small machine lacks memory; a busy one gets a warning."""
    meminfo = f"MemTotal: {total * 1024**2} kB\nMemAvailable: {free * 1024**2} kB\n"
    assert expected == doctor.memory_check(meminfo).status


@pytest.mark.parametrize(
    ("instances", "watches", "expected"),
    [("1024", "65536", OK), ("128", "192536", WARNING), ("64", "65536", LACK), ("", "", LACK)],
)
def test_inotify_limits_have_three_grades(instances: str, watches: str, expected: str) -> None:
    """Enough for many machines, enough for one site, too little or unreadable."""
    assert expected == doctor.inotify_check(instances, watches).status


def test_open_files_without_a_limit_are_enough() -> None:
    """No limit is no lack, a low one is."""
    assert [doctor.files_check(n).status for n in (resource.RLIM_INFINITY, 20000, 1024)] == [OK, OK, LACK]


def test_missing_devices_are_named(tmp_path: Path) -> None:
    """A container without /dev/kmsg cannot run a kubelet."""
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (tmp_path / name).touch()
    assert (doctor.device_check(tmp_path).status, doctor.device_check(tmp_path).found) == (LACK, "without kmsg")


def test_missing_commands_say_what_installs_them() -> None:
    """With apt the command to run; without it the package's name in Debian."""
    missing = [tool for tool in apt.TOOLS if tool.command == "bgpd"]
    fixes = [doctor.tool_checks(missing, has_apt=has)[0].fix for has in (True, False)]
    assert "sudo apt-get install -y --no-install-recommends frr" in fixes[0]
    assert "Debian has it in the package frr" in fixes[1]


@pytest.mark.parametrize(
    ("families", "status"),
    [("Noto Sans CJK JP\nNoto Serif CJK JP\n", doctor.OK), ("\n", doctor.WARNING), (None, doctor.WARNING)],
)
def test_letters_for_a_japanese_pdf_are_looked_for(families: str | None, status: str) -> None:
    """Without a font that has them, or without fc-list, the package is named; the lab itself needs none."""
    check = doctor.font_check(families)

    assert status == check.status
    assert ("fonts-noto-cjk" in check.fix) == (status != doctor.OK)


def test_an_empty_cache_lacks_everything_and_needs_room_to_build(tmp_path: Path) -> None:
    """Binaries, image and container images are missing; the disk must hold a first build."""
    place = Layout(tmp_path, pins.load(), Recipe())
    checks = doctor.part_checks(place)
    assert [(check.name, check.status) for check in checks] == [
        ("binaries", LACK),
        ("machine image", LACK),
        ("manifests", LACK),
        ("container images", LACK),
    ]
    assert [doctor.disk_check(place, free * 1024**3).status for free in (15, 17)] == [LACK, OK]


def _answers(status: str) -> list[Check]:
    return [Check("user", OK, "root", "all"), Check("disk", status, "1 GiB", "parts", "Free 10 GiB")]


@pytest.mark.parametrize(("status", "code"), [(OK, ExitCode.OK), (WARNING, ExitCode.OK), (LACK, ExitCode.SETUP)])
def test_exit_code_and_json_agree(monkeypatch: pytest.MonkeyPatch, status: str, code: ExitCode) -> None:
    """A lack gives exit code 3 and `ok: false`; a warning does not."""
    monkeypatch.setattr(doctor, "diagnose", lambda _: _answers(status))
    result = CliRunner().invoke(doctor_command, ["--json"], standalone_mode=False)
    shown = json.loads(result.output)
    assert (code, code is ExitCode.OK, status) == (result.return_value, shown["ok"], shown["checks"][1]["status"])


def test_a_lack_is_shown_with_what_it_is_for_and_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text for a reader names the check, its use and the command."""
    monkeypatch.setattr(doctor, "diagnose", lambda _: _answers(LACK))
    output = CliRunner().invoke(doctor_command, [], standalone_mode=False).output
    wanted = ("missing disk: needed for parts", "Free 10 GiB", "1 of 2 checks found something missing.")
    assert list(wanted) == [text for text in wanted if text in output]
