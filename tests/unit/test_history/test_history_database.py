"""The history's file: versions, damage, other programs' files, and writers that come at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.history import queries
from islanding.history.database import Database
from islanding.history.schema import APPLICATION_ID, MIGRATIONS

WRITERS, RUNS_EACH = 4, 6
WRITE = """
import sys
from pathlib import Path
from islanding.history.database import Database
from islanding.history.sources import opened
from islanding.history.store import add
sys.stdin.readline()  # all begin at once
for folder in sys.argv[1:]:
    with Database() as database, opened(Path(folder)) as (record, journal):
        print(add(database, record, journal).name)
"""


def test_writers_at_once_lose_nothing(runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes make the file and write to it at the same time; every run is in it, once."""
    path = tmp_path / "shared.sqlite"
    monkeypatch.setenv("ISLANDING_HISTORY", str(path))
    names = [[f"run-{w}-{n}" for n in range(RUNS_EACH)] for w in range(WRITERS)]
    shared = str(runs.write("shared", 99.0))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, *(str(runs.write(name, w + n / 100)) for n, name in enumerate(own)), shared],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for w, own in enumerate(names)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].split() for process in processes]

    assert [0] * WRITERS == [process.returncode for process in processes]
    assert [["ADDED"] * RUNS_EACH] * WRITERS == [words[:-1] for words in said]
    assert ["ADDED", *["KNOWN"] * (WRITERS - 1)] == sorted(words[-1] for words in said)
    with Database(path) as database:
        listed = [run.run for run in queries.runs(database, limit=None)]
        assert sorted(["shared", *(name for own in names for name in own)]) == sorted(listed)
        assert [("ok",)] == database.connection.execute("PRAGMA integrity_check").fetchall()


def test_reader_and_writer_do_not_wait_for_each_other(runs) -> None:
    """A report that reads for long keeps no run from being recorded, and sees one state of the file throughout."""
    runs.recorded("a")
    with Database() as reader, Database(busy=0.1) as writer:
        with reader.reading() as connection:
            before = connection.execute("SELECT run FROM runs").fetchall()
            with writer.writing() as other:
                other.execute("DELETE FROM runs")
            after = connection.execute("SELECT run FROM runs").fetchall()

        assert [("a",)] == before == after
        assert [] == queries.runs(reader)


def test_writer_that_waits_too_long_says_so(runs) -> None:
    """Another process that holds the file is named as the reason."""
    with (
        Database(busy=0.05) as other,
        runs.database.writing(),
        pytest.raises(SetupError, match=r"another process has been writing to the history for 0\.05 s"),
        other.writing(),
    ):
        pass


def test_failed_write_leaves_nothing(runs) -> None:
    """A transaction that breaks off is undone whole."""
    runs.recorded("a")

    def broken() -> None:
        with runs.database.writing() as connection:
            connection.execute("DELETE FROM runs")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert ["a"] == [run.run for run in queries.runs(runs.database)]


def test_newer_version_is_refused(tmp_path: Path) -> None:
    """A file of a newer islanding is left alone, with both versions said."""
    path = tmp_path / "new.sqlite"
    with Database(path, migrations=(*MIGRATIONS, "CREATE TABLE later (x);")):
        pass
    before = path.read_bytes()

    with pytest.raises(SetupError, match="version 2; this islanding knows version 1") as refused:
        Database(path)
    assert "newer one" in refused.value.fix
    assert before == path.read_bytes()


def test_older_version_is_brought_up(runs, tmp_path: Path) -> None:
    """A file of an older version keeps its runs and gets what is new."""
    runs.recorded("a")
    with Database(runs.database.path, migrations=(*MIGRATIONS, "ALTER TABLE runs ADD COLUMN later TEXT;")) as newer:
        assert [("a", None)] == newer.connection.execute("SELECT run, later FROM runs").fetchall()
        assert (2,) == newer.connection.execute("PRAGMA user_version").fetchone()


def test_migration_that_fails_changes_nothing(runs) -> None:
    """A step that breaks off in its middle leaves the file as it was, of the old version."""
    runs.recorded("a")
    broken = "ALTER TABLE runs ADD COLUMN later TEXT; CREATE TABLE runs (x);"
    with pytest.raises(SetupError, match="table runs already exists"):
        Database(runs.database.path, migrations=(*MIGRATIONS, broken))

    with Database(runs.database.path) as again:
        columns = [row[1] for row in again.connection.execute("PRAGMA table_info(runs)")]
        assert "later" not in columns
        assert ["a"] == [run.run for run in queries.runs(again)]


@pytest.mark.parametrize("damage", ["text", "head", "tail", "middle"])
def test_damage_is_said_with_what_to_do(runs, damage: str) -> None:
    """A damaged file is no traceback: it says how the history is made again."""
    for number in range(30):
        runs.recorded(f"run-{number:02}", number)
    path = runs.database.path
    runs.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    runs.database.connection.close()
    whole = path.read_bytes()
    page = 4096
    spoilt = {
        "text": b"this is no database at all, and long enough to be read as one" * 20,
        "head": b"\0" * page + whole[page:],
        "tail": whole[: len(whole) // 2],
        "middle": whole[:page] + os.urandom(len(whole) - page),
    }[damage]
    path.write_bytes(spoilt)

    def ask() -> None:
        with Database(path) as database:
            queries.runs(database, limit=None)
            queries.requirements(database)

    with pytest.raises(SetupError, match="the history is damaged") as said:
        ask()
    assert "islanding history import runs/*" in said.value.fix


def test_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """An SQLite file that is no history is refused before anything is written to it."""
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()

    with pytest.raises(SetupError, match="of another program"):
        Database(path)
    assert before == path.read_bytes()


@pytest.mark.parametrize("kind", ["folder", "below a file"])
def test_place_that_cannot_hold_a_file(tmp_path: Path, kind: str) -> None:
    """A place where no file can be made is named, with the variable that changes it."""
    (tmp_path / "file").write_text("")
    path = tmp_path if kind == "folder" else tmp_path / "file" / "history.sqlite"

    with pytest.raises(SetupError, match=r"cannot (be opened|make)"):
        Database(path)


def test_file_says_whose_it_is(runs) -> None:
    """The application id marks a history, so that no other file is taken for one."""
    assert (APPLICATION_ID,) == runs.database.connection.execute("PRAGMA application_id").fetchone()
