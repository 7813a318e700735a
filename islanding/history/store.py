"""Runs into the history and out of it: each once, by its id and the hash of its journal."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from islanding.errors import SetupError
from islanding.history.database import Database, damaged
from islanding.history.record import CaseRecord, RunRecord, Series, SiteSummary


class Added(StrEnum):
    """What became of a run that was given to the history."""

    ADDED = "recorded"
    KNOWN = "known already"
    CONTINUED = "known, its journal went on since; recorded anew"
    ANOTHER = "recorded beside another run of that id, whose journal is another one"


def add(database: Database, record: RunRecord, journal: Path) -> Added:
    """Record a run whose journal lies at `journal`; what is known already changes nothing.

    A journal only ever grows: one that begins with the journal recorded before is the same run, later (a fault healed
    by another process), and takes its place. Raises SetupError as `Database` does.
    """
    with database.reading() as connection:
        before = connection.execute(
            "SELECT id, journal_sha256, journal_bytes FROM runs WHERE run = ?", (record.run,)
        ).fetchall()
    outgrown = [
        (run_id, digest)
        for run_id, digest, size in before
        if size < record.journal_bytes and digest == _hash_of_beginning(journal, size)
    ]
    body = pack(record)
    with database.writing() as connection:
        key = (record.run, record.journal_sha256)
        for table in ("runs", "outgrown"):
            if connection.execute(f"SELECT 1 FROM {table} WHERE run = ? AND journal_sha256 = ?", key).fetchone():  # noqa: S608 - a table of ours
                return Added.KNOWN
        for run_id, digest in outgrown:
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            connection.execute("INSERT OR IGNORE INTO outgrown VALUES (?, ?)", (record.run, digest))
        others = connection.execute("SELECT count(*) FROM runs WHERE run = ?", (record.run,)).fetchone()[0]
        insert(connection, record, body)
    return Added.CONTINUED if outgrown else Added.ANOTHER if others else Added.ADDED


def insert(connection: sqlite3.Connection, record: RunRecord, body: bytes) -> None:
    """Write a run's rows in the transaction that is open; `body` is its record, compressed."""
    cursor = connection.execute(
        "INSERT INTO runs (run, journal_sha256, journal_bytes, place, target, revision, started, seconds, verdict,"
        " exit_code, complete, counts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.run, record.journal_sha256, record.journal_bytes, record.place, record.target, record.revision,
            record.started, record.seconds, record.verdict.value, record.exit_code, record.complete,
            json.dumps(record.counts, sort_keys=True),
        ),
    )  # fmt: skip
    run, started = cursor.lastrowid, record.started
    connection.execute("INSERT INTO records VALUES (?, ?)", (run, body))
    connection.executemany(
        "INSERT INTO sites VALUES (?, ?, ?, ?, ?)",
        [(site.site, site.verdict.value, started, run, sum(site.counts.values())) for site in record.sites],
    )
    connection.executemany(
        "INSERT INTO requirements VALUES (?, ?, ?, ?)",
        [(row, verdict.value, started, run) for row, (verdict, _) in record.requirements.items()],
    )
    setups = {site.site: _setup(connection, fingerprint(record, site)) for site in record.sites}
    connection.executemany(
        "INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?)",
        [
            (_subject(connection, case), setups[case.site], started, run, case.attempt, case.verdict.value)
            for case in record.cases
        ],
    )
    connection.executemany(
        "INSERT INTO figures VALUES (?, ?, ?, ?)",
        [(_series(connection, series), started, run, value) for series, value in record.figures],
    )


def load(database: Database, name: str) -> RunRecord:
    """The run of that id; `ID@HASH` (the beginning of its journal's hash) where several have the id.

    Raises SetupError when there is none, or more than one.
    """
    run, _, digest = name.partition("@")
    with database.reading() as connection:
        found = connection.execute(
            "SELECT runs.journal_sha256, records.body FROM runs JOIN records ON records.run_id = runs.id"
            " WHERE runs.run = ? AND substr(runs.journal_sha256, 1, ?) = ?",
            (run, len(digest), digest.lower()),
        ).fetchall()
    if not found:
        raise SetupError(f"{name}: the history holds no such run", "`islanding history` lists what it holds.")
    if len(found) > 1:
        names = " or ".join(f"{run}@{sha[:12]}" for sha, _ in found)
        raise SetupError(f"{name}: the history holds {len(found)} journals of that run", f"Name one: {names}.")
    return unpack(found[0][1], database.path)


def unpack(body: bytes, path: Path) -> RunRecord:
    """The record kept as `body`; raises SetupError when it is damaged."""
    try:
        return _adapter().validate_json(zlib.decompress(body))
    except (zlib.error, ValidationError) as error:
        raise SetupError(*damaged(path, "the record of a run cannot be read")) from error


def pack(record: RunRecord) -> bytes:
    """The record as it is kept."""
    return zlib.compress(_adapter().dump_json(record))


def fingerprint(record: RunRecord, site: SiteSummary) -> str:
    """What a case at `site` ran on, as one word: the same only where target, components and site are the same.

    Code that was changed since its revision may be other code each time: such a run is like no other, unless the hash
    of its files is known.
    """
    told = sorted([*(c for c in record.components if c.concerns({site.site})), *site.settings])
    known = any(component.kind == "code" and component.sha256 for component in record.components)
    own = record.journal_sha256 if record.revision.endswith("+changes") and not known else ""
    words = json.dumps([record.target, own, [[c.kind, c.name, c.version, c.sha256] for c in told]])
    return hashlib.sha256(words.encode()).hexdigest()


@cache
def _adapter() -> TypeAdapter[RunRecord]:
    return TypeAdapter(RunRecord)  # takes some milliseconds to make, and most commands need none


def _hash_of_beginning(journal: Path, size: int) -> str:
    digest = hashlib.sha256()
    with journal.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, 1 << 20))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()


def _setup(connection: sqlite3.Connection, word: str) -> int:
    return _id_of(connection, "setups", ("fingerprint",), (word,))


def _subject(connection: sqlite3.Connection, case: CaseRecord) -> int:
    return _id_of(connection, "subjects", ("site", "case_name"), (case.site, case.case))


def _series(connection: sqlite3.Connection, series: Series) -> int:
    key = (series.site, series.case, series.name, series.unit)
    return _id_of(connection, "series", ("site", "case_name", "name", "unit"), key)


def _id_of(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], key: tuple[str, ...]) -> int:
    """The id of the row of these values, which is made when it is missing."""
    where = " AND ".join(f"{column} = ?" for column in columns)
    found = connection.execute(f"SELECT id FROM {table} WHERE {where}", key).fetchone()  # noqa: S608 - names of ours
    if found is not None:
        return int(found[0])
    marks = ", ".join("?" * len(columns))
    made = connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", key)  # noqa: S608 - as above
    return int(made.lastrowid or 0)
