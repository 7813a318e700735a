"""The script inside a bundle: one page, and it works where nothing of this project is installed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from islanding.attest import verify_bundle
from islanding.attest.layout import ARCHIVE, FOLDER, SCRIPT
from tests.tamper.bundles import Made, make

SOURCE = Path(verify_bundle.__file__).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bundle, with the signer's public key beside it."""
    folder = tmp_path_factory.mktemp("run")
    made = make(folder)
    (folder / "key.pub").write_bytes(made.key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return made


def alone(made: Made, bundle: str) -> tuple[int, str]:
    """Exit code and line of the script in the bundle, in a fresh process that is told nothing by its surroundings."""
    command = [sys.executable, "-I", f"{FOLDER}/{SCRIPT}", bundle, "key.pub"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=made.folder)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_it_is_one_page() -> None:
    """At most 60 lines."""
    assert len(SOURCE.splitlines()) <= 60


def test_it_needs_cryptography_and_nothing_else() -> None:
    """Whatever else it imports is Python's own."""
    nodes = list(ast.walk(ast.parse(SOURCE)))
    names = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}

    assert names - sys.stdlib_module_names == {"cryptography"}


def test_it_says_that_a_bundle_holds(made: Made) -> None:
    """Folder and zip; the line says what the run came to."""
    assert alone(made, FOLDER) == (0, f"HOLDS: PASSED {len(made.files)} files")
    assert alone(made, ARCHIVE) == (0, f"HOLDS: PASSED {len(made.files)} files")


def test_it_says_what_is_wrong_in_one_line(made: Made) -> None:
    """A changed log is named; so is another key."""
    log = made.folder / FOLDER / "logs/edge/pytest.log"
    whole = log.read_bytes()
    log.write_bytes(b"2 passed\n")
    try:
        assert alone(made, FOLDER) == (1, "WRONG: logs/edge/pytest.log: was changed, added or removed (ValueError)")
    finally:
        log.write_bytes(whole)
