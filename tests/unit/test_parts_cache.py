"""The cache: entries are whole or not there, damage is found, and one set-up works at a time."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.lab.parts.cache import Shelf, file_hash, lock, read_json, write_json


def shelf_with(folder: Path, **contents: str) -> Shelf:
    """A shelf that holds files of these contents."""
    shelf = Shelf(folder / "shelf")
    for name, text in contents.items():
        source = folder / f"source-{name}"
        source.write_text(text)
        shelf.put(source, name, version="1", key="k", provider="test")
    return shelf


def test_what_is_put_is_present_whole_and_executable(tmp_path: Path) -> None:
    """A file put into the cache is found again by the cheap and by the full check, and can be run."""
    shelf = shelf_with(tmp_path, kubelet="program")
    item = shelf.items()["kubelet"]
    assert (
        shelf.present(item),
        shelf.damaged(),
        (shelf.files / "kubelet").stat().st_mode & 0o777,
    ) == (True, [], 0o755)


def test_a_flipped_byte_with_the_old_time_is_found_by_the_full_check(tmp_path: Path) -> None:
    """The cheap check cannot see a changed byte of the same size and time; the hash does."""
    shelf = shelf_with(tmp_path, kubelet="program", ctr="other")
    target, item = shelf.files / "kubelet", shelf.items()["kubelet"]
    target.write_text("prograM")
    os.utime(target, ns=(item.mtime_ns, item.mtime_ns))
    assert (shelf.present(item), [bad.name for bad in shelf.damaged()]) == (True, ["kubelet"])


def test_a_missing_or_cut_file_fails_the_cheap_check(tmp_path: Path) -> None:
    """A file that is gone, or of another size, is not present."""
    shelf = shelf_with(tmp_path, kubelet="program", ctr="other")
    items = shelf.items()
    (shelf.files / "kubelet").unlink()
    (shelf.files / "ctr").write_text("oth")
    assert [shelf.present(items["kubelet"]), shelf.present(items["ctr"])] == [False, False]


def test_drop_takes_out_file_and_entry(tmp_path: Path) -> None:
    """A dropped entry is neither listed nor on disk; the others stay."""
    shelf = shelf_with(tmp_path, kubelet="program", ctr="other")
    shelf.drop("kubelet")
    assert (list(shelf.items()), [path.name for path in shelf.files.iterdir()]) == (["ctr"], ["ctr"])


def test_a_broken_manifest_is_an_empty_cache(tmp_path: Path) -> None:
    """A manifest that cannot be read means that nothing is there, never a traceback."""
    shelf = shelf_with(tmp_path, kubelet="program")
    results = []
    for text in ("", "{", "[]", '{"items": {"kubelet": {"name": "x"}}}', '{"items": 3}'):
        (shelf.folder / "manifest.json").write_text(text)
        results.append(shelf.items())
    assert results == [{}] * 5


def test_archives_may_lie_in_a_folder_below(tmp_path: Path) -> None:
    """A name with a folder in it is stored there, without leaving partial files."""
    shelf = shelf_with(tmp_path)
    (tmp_path / "x").write_text("image")
    shelf.put(tmp_path / "x", "withheld/uncached-1.tar", version="", key="k", provider="test", mode=0o644)
    assert sorted(str(p.relative_to(shelf.files)) for p in shelf.files.rglob("*")) == [
        "withheld",
        "withheld/uncached-1.tar",
    ]


def test_json_is_written_whole_and_read_leniently(tmp_path: Path) -> None:
    """What is written is read back; a file that is not there, or no object, reads as empty."""
    write_json(tmp_path / "a.json", {"tree": "x"})
    (tmp_path / "b.json").write_text("[1]")
    found = [read_json(tmp_path / name) for name in ("a.json", "b.json", "c.json")]
    assert found == [{"tree": "x"}, {}, {}]


def test_hash_of_a_file_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """A missing file has no hash."""
    assert None is file_hash(tmp_path / "none")


def _hold(cache: str, ready: Event, done: Event) -> None:
    with lock(Path(cache)):
        ready.set()
        done.wait(10)


def test_a_second_set_up_is_told_which_process_is_at_work(tmp_path: Path) -> None:
    """While one process holds the cache, another gets a message with its number; afterwards the cache is free."""
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path), ready, done))
    holder.start()
    assert ready.wait(10)
    with pytest.raises(SetupError, match=rf"another set-up \(process {holder.pid}\)"), lock(tmp_path):
        pass
    done.set()
    holder.join(10)
    with lock(tmp_path):
        pass
