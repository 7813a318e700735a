"""The commands for real accounts: what they print, and their exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from islanding import cli
from islanding.aws import calls
from islanding.errors import ExitCode
from islanding.target import sweep
from tests.unit.region_support import REGION


def run(*arguments: str) -> Result:
    """Run the command line."""
    return CliRunner().invoke(cli.main, arguments)


@pytest.fixture(autouse=True)
def account(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account in which closed-vpc stands, without the tags of what was provisioned."""
    monkeypatch.setattr(calls, "client", lambda _access, service: made.client(service))
    monkeypatch.setenv("ISLANDING_STATE", str(tmp_path / "state"))


def test_check_shows_what_is_known_and_what_is_not(made: Any, tmp_path: Path) -> None:
    """Facts, then lacks with their price; what only entering the site tells is no lack yet; nothing is written."""
    (tmp_path / "mine.yaml").write_text(made.text())
    result = run("target", "check", str(tmp_path / "mine.yaml"))

    assert result.exit_code == ExitCode.OK
    assert f"asg                      {made.site.facts['asg']}\n" in result.stdout
    assert [line for line in result.stdout.splitlines() if line.startswith(("not known", "  not covered"))] == [
        "not known: foreign_profile: nobody but the file can say it (facts: foreign_profile: ...)",
        "  not covered: test_foreign_credentials_are_refused_at_the_endpoints",
    ]
    assert not (tmp_path / "state").exists()


def test_nothing_without_tags_is_swept(made: Any) -> None:
    """A site that nobody provisioned with tags is not seen."""
    result = run("sweep", "--region", REGION)

    assert (result.exit_code, result.stdout) == (ExitCode.OK, "Nothing to sweep.\n")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stack to sweep; the list tells which were."""
    swept: list[str] = []
    one = sweep.Found("stack", "mine-workers", "mine", "20261121T120000Z", None)
    monkeypatch.setattr(sweep, "find", lambda *_: [one])

    def delete(_client: object, things: list[sweep.Found], _step: object) -> list[str]:
        swept.extend(map(str, things))
        return []

    monkeypatch.setattr(sweep, "sweep", delete)
    return swept


def test_a_dry_run_deletes_nothing(found: list[str]) -> None:
    """It says what would go."""
    result = run("sweep", "--region", REGION, "--dry-run")

    assert (result.exit_code, found) == (ExitCode.OK, [])
    assert result.stdout == "would delete: stack mine-workers (site mine, made at an unknown time)\n"


def test_what_is_left_is_a_failure(found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the reason."""
    assert run("sweep", "--region", REGION).exit_code == ExitCode.OK
    assert len(found) == 1
    monkeypatch.setattr(sweep, "sweep", lambda *_: ["stack mine-workers: refused"])
    result = run("sweep", "--region", REGION)

    assert (result.exit_code, result.stderr) == (ExitCode.FAILED, "not deleted: stack mine-workers: refused\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sweep", "--region", REGION, "--older-than", "soon"), "'soon' is no age such as 90m, 12h or 7d"),
        (("run", "--target", "aws"), "which site on AWS?"),
        (("run", "--target", "aws", "--site", "none.yaml"), "cannot read none.yaml"),
        (("target", "delete", "mine"), "nothing was provisioned as mine"),
    ],
)
def test_mistakes_are_said(arguments: tuple[str, ...], said: str) -> None:
    """With exit code 3."""
    result = run(*arguments)

    assert (result.exit_code, said in result.stderr) == (ExitCode.SETUP, True)
