"""Which labs there are, who is alive, and what may be swept: told from files and processes alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from islanding.errors import LabError
from islanding.lab import cgroups, registry


@pytest.fixture(autouse=True)
def no_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups are looked for in an empty folder, so that no real one is touched."""
    root = tmp_path / "cgroup"
    root.mkdir()
    monkeypatch.setattr(cgroups, "ROOT", root)
    return root


def live(site: str) -> Path:
    """The folder of a lab whose first process is this one."""
    with registry.newborn(site) as folder:
        registry.write_record(folder, pid=os.getpid(), guard=os.getpid())
    return folder


def dead(site: str) -> Path:
    """The folder of a lab whose process id belongs to another process by now."""
    folder = live(site)
    record = json.loads((folder / "lab.json").read_text())
    (folder / "lab.json").write_text(json.dumps({**record, "started": record["started"] - 1}))
    return folder


def test_a_lab_is_alive_as_long_as_its_first_process() -> None:
    """Told by process id and start time, as ids are used again."""
    alive, gone = live("one"), dead("two")
    assert {alive.name: True, gone.name: False} == {lab.id: lab.alive for lab in registry.all_labs()}


def test_only_dead_labs_are_swept_and_their_logs_are_kept() -> None:
    """The live one stays; the dead one's logs are found where `kept_logs` says."""
    alive, gone = live("one"), dead("two")
    (gone / "logs" / "supervisor.log").write_text("last words")
    assert [gone.name] == registry.sweep()
    assert [alive.name] == [lab.id for lab in registry.all_labs()]
    assert "last words" == (registry.kept_logs(gone) / "supervisor.log").read_text()


def test_a_lab_being_born_is_not_swept() -> None:
    """From the first moment that its folder can be seen until its maker is through, or dead."""
    with registry.newborn("site") as folder:
        assert [] == registry.sweep()
        assert folder.exists()
    assert [folder.name] == registry.sweep()
    assert not folder.exists()


def test_only_so_many_logs_are_kept() -> None:
    """The newest of them."""
    gone = Path()
    for _ in range(registry.KEPT_LOGS + 3):
        gone = dead("site")
        (gone / "logs" / "supervisor.log").write_text("x")
        registry.sweep()
    kept = list(registry.kept_logs(gone).parent.iterdir())
    assert registry.KEPT_LOGS == len(kept)
    assert registry.kept_logs(gone) in kept


def test_a_lab_is_found_by_site_or_id() -> None:
    """Or by nothing when it is the only one."""
    folder = live("outpost-local")
    assert {folder.name} == {registry.find(name).id for name in ("outpost-local", folder.name, None)}


def test_a_lab_that_is_not_up_is_answered_with_those_that_are() -> None:
    """And with the command that brings it up."""
    folder = live("outpost-local")
    with pytest.raises(LabError) as caught:
        registry.find("outpost-extended")
    assert f"no lab 'outpost-extended' is up; up now: outpost-local ({folder.name})" == caught.value.what
    assert "bring one up: islanding lab up outpost-extended" == caught.value.fix


def test_two_labs_of_one_site_are_told_apart_by_id() -> None:
    """The site's name alone is refused."""
    first, second = live("outpost-local"), live("outpost-local")
    with pytest.raises(LabError, match="more than one lab fits"):
        registry.find("outpost-local")
    assert [first.name, second.name] == [registry.find(f.name).id for f in (first, second)]


def test_a_damaged_record_is_a_dead_lab() -> None:
    """A record cut off by a full disk keeps nobody from sweeping."""
    folder = live("site")
    (folder / "lab.json").write_text('{"id":')
    assert [folder.name] == registry.sweep()


def test_groups_of_labs_that_nobody_knows_are_swept(no_groups: Path) -> None:
    """Empty ones: a group with processes in it belongs to a lab of another state folder."""
    for name, processes in (("empty", ""), ("busy", "42\n")):
        group = no_groups / "pids" / f"islanding-{name}"
        group.mkdir(parents=True)
        (group / "cgroup.procs").write_text(processes)
    (no_groups / "pids" / "islanding-empty" / "cgroup.procs").unlink()  # a real one cannot be, and need not be, removed
    assert ["empty"] == registry.sweep()
    assert not (no_groups / "pids" / "islanding-empty").exists()
    assert (no_groups / "pids" / "islanding-busy").exists()


def test_a_group_is_made_in_every_hierarchy(no_groups: Path) -> None:
    """On v1, where several controllers may be one folder by another name; cpusets are filled in first."""
    for controller in ("cpuset", "memory"):
        (no_groups / controller).mkdir()
    for limit, value in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (no_groups / "cpuset" / limit).write_text(value)
    (no_groups / "cpu").symlink_to("memory")
    made = cgroups.create("abc", "core")
    assert {"cpuset/islanding-abc/core", "memory/islanding-abc/core"} == {
        str(folder.relative_to(no_groups)) for folder in made
    }
    cgroups.create("abc", "machine-a")
    (no_groups / "memory" / "islanding-abc" / "machine-a" / "kubepods").mkdir()
    for folder in cgroups.remains("abc", "machine-a"):  # a real group's files need not be removed
        for file in folder.glob("cpuset.*"):
            file.unlink()
    cgroups.remove("abc", "machine-a")
    assert ([], 2) == (cgroups.remains("abc", "machine-a"), len(cgroups.remains("abc", "core")))
    assert 2 == len(cgroups.remains("abc"))
    cgroups.remove("abc")
    assert [] == cgroups.remains("abc")


def test_memory_is_what_the_kernel_counts_as_resident(no_groups: Path) -> None:
    """`total_rss` of the lab's group on v1, `anon` on v2."""
    for root, key in ((no_groups / "memory", "total_rss"), (no_groups, "anon")):
        folder = root / "islanding-abc"
        folder.mkdir(parents=True)
        (folder / "memory.stat").write_text(f"cache 1\n{key} 4096\n")
    assert (1, 4096) == (cgroups.version(), cgroups.rss_bytes("abc"))
    (no_groups / "cgroup.controllers").write_text("memory pids")
    assert (2, 4096) == (cgroups.version(), cgroups.rss_bytes("abc"))
