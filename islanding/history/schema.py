"""The tables of the history, by versions: each step leads from one version of the file to the next.

A run's whole record lies in `records`, compressed; the other tables hold what is searched by, so that a question about
ten thousand runs reads few pages. Never change a step that was released: add one.
"""

from __future__ import annotations

APPLICATION_ID = 0x49534C44  # "ISLD": says whose file it is (PRAGMA application_id)

_FIRST = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    journal_sha256 TEXT NOT NULL,
    journal_bytes INTEGER NOT NULL,
    place TEXT NOT NULL,
    target TEXT NOT NULL,
    revision TEXT NOT NULL,
    started TEXT NOT NULL,
    seconds REAL NOT NULL,
    verdict TEXT NOT NULL,
    exit_code INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    counts TEXT NOT NULL,
    UNIQUE (run, journal_sha256)
);
CREATE INDEX runs_by_time ON runs (started, id);

-- A journal that went on after it was recorded: its earlier state is known, and is not recorded again.
CREATE TABLE outgrown (run TEXT, journal_sha256 TEXT, PRIMARY KEY (run, journal_sha256)) WITHOUT ROWID;

CREATE TABLE records (
    run_id INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    body BLOB NOT NULL
);

CREATE TABLE sites (
    site TEXT NOT NULL,
    verdict TEXT NOT NULL,
    started TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    cases INTEGER NOT NULL,
    PRIMARY KEY (site, verdict, started, run_id)
) WITHOUT ROWID;
CREATE INDEX sites_by_run ON sites (run_id);

CREATE TABLE subjects (
    id INTEGER PRIMARY KEY, site TEXT NOT NULL, case_name TEXT NOT NULL, UNIQUE (site, case_name)
);
CREATE TABLE setups (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
CREATE TABLE cases (
    subject_id INTEGER NOT NULL REFERENCES subjects (id),
    setup_id INTEGER NOT NULL REFERENCES setups (id),
    started TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    PRIMARY KEY (subject_id, setup_id, started, run_id, attempt)
) WITHOUT ROWID;
CREATE INDEX cases_by_run ON cases (run_id);
-- Few cases do not pass: flakes are looked for among these alone.
CREATE INDEX cases_not_passed ON cases (subject_id, setup_id) WHERE verdict IN ('fail', 'inconclusive');

CREATE TABLE requirements (
    row TEXT NOT NULL,
    verdict TEXT NOT NULL,
    started TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (row, verdict, started, run_id)
) WITHOUT ROWID;
CREATE INDEX requirements_by_run ON requirements (run_id);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL,
    case_name TEXT NOT NULL,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    UNIQUE (site, case_name, name, unit)
);
CREATE TABLE figures (
    series_id INTEGER NOT NULL REFERENCES series (id),
    started TEXT NOT NULL,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    value REAL NOT NULL,
    PRIMARY KEY (series_id, started, run_id)
) WITHOUT ROWID;
CREATE INDEX figures_by_run ON figures (run_id);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)  # step n leads to version n + 1


def statements(step: str) -> list[str]:
    """The statements of a step, so that they run in one transaction (sqlite3's executescript would commit before)."""
    plain = "\n".join(line for line in step.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in plain.split(";") if statement.strip()]
