"""The history's SQLite file: opened, brought to today's version, and what is wrong with it said in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from islanding.errors import SetupError
from islanding.history.schema import APPLICATION_ID, MIGRATIONS, statements
from islanding.paths import history_file
from islanding.wait import WaitTimeout, wait_until

BUSY_SECONDS = 30.0  # how long a writer waits for another one; a run is written in milliseconds
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


class Database:
    """An open history file, for one thread; use it as a context manager.

    WAL lets readers go on while one writes. `synchronous=FULL` since a run that was recorded must still be there after
    a power cut (https://www.sqlite.org/pragma.html#pragma_synchronous: with NORMAL, WAL may lose the last commit).
    """

    def __init__(
        self, path: Path | None = None, *, migrations: Sequence[str] = MIGRATIONS, busy: float = BUSY_SECONDS
    ) -> None:
        """Open the file at `path` (default: `paths.history_file()`), made when it is missing; `busy` in seconds.

        Raises SetupError when it cannot be opened, is damaged, is of a newer version, or is not a history.
        """
        self.path = history_file() if path is None else path
        self._busy = busy
        with self._told():
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SetupError(f"cannot make the history's folder {self.path.parent}: {error.strerror}") from error
            self.connection = sqlite3.connect(self.path, timeout=busy, isolation_level=None)
            try:
                self._prepare(migrations)
            except BaseException:
                self.connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, all reads in the block from one state of the file; raises SetupError as said above."""
        with self._told(), self._transaction("BEGIN"):
            yield self.connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection in a transaction of its own: everything in the block is kept, or nothing.

        It waits for other writers (BEGIN IMMEDIATE), so that nothing read in the block is out of date when it writes.
        Raises SetupError as said above.
        """
        with self._told(), self._transaction("BEGIN IMMEDIATE"):
            yield self.connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self.connection.execute(begin)
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:  # SQLite itself rolls back on some errors, such as a full disk
                self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _prepare(self, migrations: Sequence[str]) -> None:
        version = self._version(len(migrations))
        self._to_wal()
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA foreign_keys = ON")
        if version == len(migrations):
            return
        with self._transaction("BEGIN IMMEDIATE"):
            for step in migrations[self._version(len(migrations)) :]:  # asked again: another process may have done it
                for statement in statements(step):
                    self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.connection.execute(f"PRAGMA user_version = {len(migrations)}")

    def _to_wal(self) -> None:
        """Switch to WAL; two processes that make the file at once get in each other's way, and no handler waits."""

        def switched() -> bool | sqlite3.Error:
            try:
                return bool(self.connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal")
            except sqlite3.Error as error:  # waiting mends none but these
                return False if (error.sqlite_errorname or "").startswith(_BUSY) else error

        try:
            outcome = wait_until("write-ahead logging", switched, timeout=self._busy, interval=0.02)
            if isinstance(outcome, sqlite3.Error):
                raise outcome
        except WaitTimeout as error:
            raise SetupError(
                f"{self.path}: cannot be switched to write-ahead logging",
                "It needs a local disk; name another file: ISLANDING_HISTORY=FILE.",
            ) from error

    def _version(self, known: int) -> int:
        """The file's version; raises SetupError when it is newer than `known`, or another program's file."""
        version = int(self.connection.execute("PRAGMA user_version").fetchone()[0])
        owner = int(self.connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if owner != APPLICATION_ID and (tables or version):
            raise SetupError(
                f"{self.path}: is an SQLite file of another program, not a history of runs",
                "Name another file: ISLANDING_HISTORY=FILE.",
            )
        if version > known:
            raise SetupError(
                f"{self.path}: is a history of version {version}; this islanding knows version {known}",
                "Use the islanding that wrote it or a newer one, or another file: ISLANDING_HISTORY=FILE.",
            )
        return version

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of SQLite as words: which file, what is wrong, what to do."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorname", "") or ""
            raise SetupError(*self._words(error, code)) from error

    def _words(self, error: sqlite3.Error, code: str) -> tuple[str, str]:
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return damaged(self.path, str(error))
        if code.startswith(_BUSY):
            return (
                f"{self.path}: another process has been writing to the history for {self._busy:g} s",
                "Try again when it has ended.",
            )
        if code.startswith("SQLITE_FULL"):
            return f"{self.path}: the disk is full; nothing was recorded", "Make room, then import the run again."
        if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
            return (
                f"{self.path}: the history cannot be opened or written: {error}",
                "Check its folder's permissions, or name another file: ISLANDING_HISTORY=FILE.",
            )
        return f"{self.path}: {error}", "If it is damaged, move it away: islanding history import makes it again."


def damaged(path: Path, why: str) -> tuple[str, str]:
    """What to say of a damaged history: what is wrong, and that nothing is lost while runs or bundles are there."""
    again = f"mv {path} {path}.damaged; islanding history import runs/*"
    return f"{path}: the history is damaged: {why}", f"Make it again from the runs or their bundles: {again}"
