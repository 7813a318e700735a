"""Set-up around the providers: what is missing is named, damage is dropped, progress and packages behave."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.errors import SetupError
from islanding.lab import parts
from islanding.lab.parts import apt, assemble, machine_image, pins
from islanding.lab.parts.cache import write_json
from islanding.lab.parts.found import LIMITS, Layout, find
from islanding.lab.parts.progress import Plain, Silent, Step, TimeLeft
from islanding.lab.parts.recipe import Recipe
from islanding.lab.parts.runner import stream
from islanding.process import Result


def complete(cache: Path) -> Layout:
    """A cache in which everything is there, with one-line files for programs."""
    place = Layout(cache, pins.load(), Recipe())
    (cache / "x").write_text("program")
    for part in place.sets:
        for name in part.binaries:
            place.binaries.put(cache / "x", name, version=part.version, key=part.key, provider="test")
    for files in place.file_sets:
        for name in files.binaries:
            place.upstream.put(cache / "x", name, version="1", key=files.key, provider="test")
    place.upstream.put(cache / "x", LIMITS, version="", key="k", provider="test")
    for name in place.missing_archives():
        place.archives.put(cache / "x", name, version="1", key="k", provider="test")
    (place.image / "root/usr/bin").mkdir(parents=True)
    (place.image / "root/usr/bin/env").write_text("program")
    tree = machine_image.tree_hash(place.image / "root")
    write_json(place.image / "manifest.json", {"tree": tree, "packages": {"systemd": "252"}})
    return place


def test_find_names_what_is_missing(tmp_path: Path) -> None:
    """An empty cache, and one that lacks a single part, are named with the command to run."""
    with pytest.raises(SetupError, match=r"parts are missing: pause, host-local, bridge.* and 39 more") as lack:
        find(tmp_path)
    assert lack.value.fix == "Run: sudo islanding setup"
    place = complete(tmp_path)
    (place.binaries.files / "kubelet").unlink()
    with pytest.raises(SetupError, match=r"^parts are missing: kubelet\n"):
        find(tmp_path)


def test_find_gives_places_versions_and_hashes(tmp_path: Path) -> None:
    """A complete cache gives the three places and what the report needs."""
    place = complete(tmp_path)
    found = find(tmp_path)
    assert (place.binaries.files, place.image / "root", place.archives.files) == (
        found.bin_dir,
        found.image,
        found.oci_dir,
    )
    assert (found.versions["kubernetes"], found.versions["systemd (instance)"]) == ("1.36.3", "252")
    assert {"kubelet", "machine image", "nginx-1.tar"} <= set(found.hashes)


def test_damage_is_dropped_and_the_rest_stays(tmp_path: Path) -> None:
    """A changed binary and a changed file of the image go; nothing else does."""
    place = complete(tmp_path)
    assert assemble.drop_damaged(place) == []
    (place.binaries.files / "kubectl").write_text("other")
    (place.image / "root/usr/bin/env").write_text("changed")
    assert assemble.drop_damaged(place) == ["kubectl", "the machine image"]
    assert place.lacks() == ["kubectl", "machine image"]


def test_a_complete_cache_gives_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second set-up runs no step, so it asks no network and builds nothing."""
    complete(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(apt, "missing_tools", list)
    planned: list[list[Step]] = []

    class Watch(Silent):
        def plan(self, steps: Sequence[Step]) -> None:
            planned.append(list(steps))

    assert find(tmp_path) == parts.ensure(Watch(), cache=tmp_path)
    assert planned == [[]]


def test_set_up_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user is told to use sudo before anything is done."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match="needs root"):
        parts.ensure(Silent(), cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_working_folders_of_dead_set_ups_are_removed(tmp_path: Path) -> None:
    """Whatever a killed set-up left half made goes; the cache's own folders stay."""
    for name in ("work-abc/image/root", "parts"):
        (tmp_path / name).mkdir(parents=True)
    assemble.sweep(Layout(tmp_path, pins.load(), Recipe()))
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def test_finish_leaves_no_trace_of_the_building_machine(tmp_path: Path) -> None:
    """Sources, resolver and machine id of the maker are gone; masks, directories and stamps are there."""
    for name in (
        "etc/apt/sources.list.d",
        "etc/systemd/system/multi-user.target.wants",
        "usr",
        "var/lib/dbus",
        "etc/ssh",
    ):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "etc/apt/sources.list",
        "etc/apt/sources.list.d/a.sources",
        "etc/resolv.conf",
        "var/lib/dbus/machine-id",
    ):
        (tmp_path / name).write_text("of the maker")
    (tmp_path / "etc/systemd/system/multi-user.target.wants/haproxy.service").symlink_to("/lib/x")
    machine_image.finish(Recipe(), tmp_path)
    left = [p for p in tmp_path.rglob("*") if p.is_file() and not p.is_symlink() and p.read_text() == "of the maker"]
    assert left == []
    assert list((tmp_path / "etc/systemd/system/multi-user.target.wants").iterdir()) == []
    assert str((tmp_path / "etc/systemd/system/systemd-udevd.service").readlink()) == "/dev/null"
    assert (tmp_path / "etc/.updated").stat().st_mtime_ns > (tmp_path / "usr").stat().st_mtime_ns
    assert (tmp_path / "opt/islanding/bin").is_dir()


def test_image_is_made_from_given_sources_without_naming_a_mirror(tmp_path: Path) -> None:
    """The command includes each package and leaves the mirror to apt's sources, or to mmdebstrap's own default."""
    sources = tmp_path / "sources.list"
    sources.write_text("")
    alone = machine_image.command(Recipe(), tmp_path / "root", sources, [])
    sources.write_text("deb http://mirror.example/debian bookworm main\n")
    given = machine_image.command(Recipe(), tmp_path / "root", sources, [])
    assert (["bookworm", f"{tmp_path}/root"], str(sources)) == (alone[-2:], given[-1])
    assert "cloud-init" in next(word for word in alone if word.startswith("--include="))


TARGETS = """\
http://mirror.example/debian/|trixie|main|Debian
http://mirror.example/debian/|trixie-updates|main|Debian
http://mirror.example/debian/|trixie|contrib|Debian
http://mirror.example/security/|trixie-security|main|Debian
https://vendor.example/apt|nodistro|main|Vendor
http://mirror.example/debian/|sid|main|Debian
"""


def test_sources_of_another_release_are_used_for_ours() -> None:
    """The mirrors of a newer Debian give bookworm; other vendors, components and unstable are left out."""
    expected = [
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main",
    ]
    assert expected == apt.sources_for("bookworm", TARGETS)


def test_a_machine_without_debian_sources_gives_none() -> None:
    """Ubuntu's mirrors have no bookworm: mmdebstrap's default is used."""
    assert apt.sources_for("bookworm", "http://ubuntu.example|noble|main|Ubuntu\n") == []


def test_daemons_stay_off_while_packages_are_installed(tmp_path: Path) -> None:
    """Our policy stands while apt runs, goes afterwards, and one left by a killed set-up goes too."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text(apt.StartGuard.TEXT)
    with apt.StartGuard(policy):
        assert (policy.read_text().endswith("exit 101\n"), policy.stat().st_mode & 0o777) == (True, 0o755)
    assert not policy.exists()


def test_the_machines_own_policy_is_left_alone(tmp_path: Path) -> None:
    """A policy that was there before is neither changed nor removed."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text("exit 0\n")
    with apt.StartGuard(policy):
        pass
    assert policy.read_text() == "exit 0\n"


def test_without_apt_the_missing_commands_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system without apt nothing is tried; commands and Debian's package names are listed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = apt.missing_tools(lambda name: None if name in ("bgpd", "nft") else name)

    def never(argv: list[str]) -> Result:
        raise AssertionError(argv)

    with pytest.raises(SetupError, match="commands are missing: bgpd, nft") as lack:
        apt.install(missing, never)
    assert "frr nftables" in lack.value.fix


STEPS = (Step("a", "A", 10), Step("b", "B", 100), Step("c", "C", 50))


def test_time_left_follows_the_pace_of_this_machine() -> None:
    """At the expected pace the rest is what is expected; on a machine twice as slow it grows."""
    left = TimeLeft(STEPS)
    assert left.left() == 160
    left.finish(STEPS[0], 10)
    assert (left.left(), left.left(STEPS[1], 30)) == (150, 120)
    left.finish(STEPS[1], 230)
    assert left.left() == 100


@given(st.lists(st.floats(0, 1000), min_size=3, max_size=3), st.floats(0, 10_000))
def test_time_left_is_never_negative_and_ends_at_nothing(seconds: list[float], elapsed: float) -> None:
    """However long steps take, the estimate stays sensible, and after the last one nothing is left."""
    left = TimeLeft(STEPS)
    for step, taken in zip(STEPS, seconds, strict=True):
        assert left.left(step, elapsed) > 0
        left.finish(step, taken)
    assert left.left() == 0


def test_plain_progress_speaks_at_start_end_and_each_half_minute() -> None:
    """A log gets a line when a step starts and ends, and one in 30 s between, with the time left."""
    now = [0.0]
    out = io.StringIO()
    plain = Plain(out, lambda: now[0])
    plain.plan(STEPS)
    plain.start(STEPS[1])
    for now[0] in (10.0, 31.0, 40.0):
        plain.note("compiling")
    plain.finish(STEPS[1], "built")
    assert out.getvalue().splitlines() == [
        "[1/3] B (about 3 min left in all)",
        "      31 s, about 2 min left: compiling",
        "      done in 40.0 s: built",
    ]


def test_a_long_command_gives_its_last_lines_and_its_exit_code() -> None:
    """Both streams are noted line by line, and a failure keeps them."""
    seen: list[str] = []

    class Watch(Silent):
        def note(self, text: str) -> None:
            seen.append(text)

    code = "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(3)"
    result = stream([sys.executable, "-c", code], Watch(), disposable=False)
    assert (result.exit_code, seen, result.stderr) == (3, ["one", "two"], "one\ntwo\n")
    assert stream(["no-such-command"], Silent(), disposable=False).exit_code == 127


def test_an_interrupted_command_is_ended() -> None:
    """Ctrl-C while a command runs ends the command before it is passed on."""
    numbers: list[int] = []

    class Stop(Silent):
        def note(self, text: str) -> None:
            numbers.append(int(text))
            raise KeyboardInterrupt

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        stream([sys.executable, "-c", code], Stop(), disposable=False)
    with pytest.raises(ProcessLookupError):
        os.kill(numbers[0], 0)
