"""What pytest and Allure write about a case holds no secret, whatever the case raised, printed or is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from islanding.redact import REDACTED, redact
from tests.unit.test_plugin import HEAD, finished, run

KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CASES = f'''
import logging, sys
TEXT = "aws_secret_access_key = {KEY}"

class LookUpFailed(Exception):
    """One of the case's own."""

@pytest.fixture
def broken():
    raise LookUpFailed(TEXT)

def test_asserts():
    sys.stdout.write("printed: " + TEXT)
    logging.getLogger("x").warning(TEXT)
    assert "200" == TEXT, "not 200: " + TEXT

def test_raises():
    raise LookUpFailed(TEXT)

def test_fails():
    pytest.fail(TEXT)

def test_needs_it(broken):
    pass

@pytest.mark.parametrize("text", [TEXT])
def test_is_called_so(text):
    pytest.skip(text)

def test_is_harmless():
    assert 1 == 2, "one is not two"
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a pytest configuration of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[2] / "conftest.py").read_text())
    return tmp_path


def test_no_secret_in_what_pytest_and_allure_write(folder: Path) -> None:
    """Terminal, summary, captured output, Allure's results and attachments; the rest is said as it was."""
    (folder / "test_it.py").write_text(HEAD + CASES)

    # The lines of the source around a failure are shown too, and hold the secret here: hence no traceback.
    done = run(folder, "-rA", "--alluredir", str(folder / "allure"), "--tb=short")

    results = [json.loads(file.read_text()) for file in folder.glob("allure/*-result.json")]
    left = {str(file): file.read_bytes() for part in ("allure", "run") for file in (folder / part).rglob("*.*")}
    left |= {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    assert [] == [name for name, content in left.items() if KEY.encode() in content]
    assert len(finished(folder)) == 6
    messages = {each["name"]: each["statusDetails"]["message"] for each in results}
    assert messages["test_raises"] == f"test_it.LookUpFailed: aws_secret_access_key = {REDACTED}"
    assert "one is not two" in messages["test_is_harmless"]
    assert {each["name"]: each["status"] for each in results}["test_asserts"] == "failed"
    assert f"Failed: aws_secret_access_key = {REDACTED}" in done.stdout
    assert f"printed: {redact(f'aws_secret_access_key = {KEY}')}" in done.stdout
