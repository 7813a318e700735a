"""Where a run is read from: folder, journal, bundle (a zip), its name below runs/, its id in the history."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from islanding.errors import SetupError
from islanding.evidence.results import JOURNAL, load_result
from islanding.history.database import Database
from islanding.history.record import RunRecord, record_of
from islanding.history.store import load

RUNS = Path("runs")
MOST_BYTES = 1 << 30  # of a bundle's journal, unpacked: a zip of a few kilobytes may hold terabytes


@contextmanager
def opened(source: Path) -> Iterator[tuple[RunRecord, Path]]:
    """The record of the run at `source` and the journal that it was read from, which lasts as long as the block.

    `source` is a folder that holds a journal, a journal, or a bundle. Raises SetupError when it is none of them.
    """
    if source.is_file() and zipfile.is_zipfile(source):
        with tempfile.TemporaryDirectory(prefix="islanding-") as folder:
            journal = Path(folder) / JOURNAL
            _unpack(source, journal)
            yield record_of(load_result(journal), journal, source), journal
        return
    result = load_result(source)
    journal = source / JOURNAL if source.is_dir() else source
    yield record_of(result, journal), journal


def find(name: str, database: Database | None) -> RunRecord:
    """The run that a user calls `name`: a path first, then a name below runs/, then an id in the history.

    Raises SetupError when it is nowhere, or cannot be read.
    """
    path = Path(name)
    for candidate in (path, RUNS / path):
        if candidate.exists():
            with opened(candidate) as (record, _):
                return record
    if database is None:
        raise SetupError(
            f"{name}: no such folder, journal or bundle, nor a run below {RUNS}/",
            "Name the folder of a run, its bundle, or its id in the history (`islanding history`).",
        )
    try:
        return load(database, name)
    except SetupError as error:
        raise SetupError(
            f"{error.what} (and there is no such folder, journal or bundle, nor a run below {RUNS}/)", error.fix
        ) from error


def _unpack(bundle: Path, journal: Path) -> None:
    """Copy the bundle's journal, and nothing else of it, to `journal`: no name in the zip is ever used as a path."""
    try:
        with zipfile.ZipFile(bundle) as zipped:
            members = [info for info in zipped.infolist() if PurePosixPath(info.filename).name == JOURNAL]
            top = [info for info in members if info.filename.count("/") <= 1]  # at the top, or in the one folder there
            if len(top) != 1:
                raise SetupError(
                    f"{bundle}: holds {len(top) or 'no'} {JOURNAL}, but a bundle holds one",
                    "Make the bundle again from the run: `islanding report RUN`.",
                )
            with zipped.open(top[0]) as source, journal.open("wb") as target:
                written = 0
                while piece := source.read(1 << 20):  # as much as really comes out, whatever the zip's list says
                    written += len(piece)
                    if written > MOST_BYTES:
                        raise SetupError(f"{bundle}: its journal is larger than {MOST_BYTES >> 20} MiB; not read")
                    target.write(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError is zipfile's for an encrypted member, NotImplementedError for a compression that it lacks.
        raise SetupError(f"{bundle}: cannot be unpacked: {error}", "Make the bundle again from the run.") from error
