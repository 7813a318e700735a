"""`islanding run --dry-run`: the cases of each site as a run would choose them, and nothing else happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from islanding.aws import needs
from islanding.cli.rehearse import Planned, changes
from islanding.paths import content_dir


def dry(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder of its own, in a process of its own: it runs pytest's collection."""
    command = [sys.executable, "-m", "islanding", "run", "--dry-run", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_cases_are_listed_as_a_run_would_choose_them(tmp_path: Path) -> None:
    """By site, name and requirement; a line tells a case, its rows and what it shows; no run's folder is made."""
    done = dry(tmp_path, "--site", "closed-vpc", "-k", "bastion or closed-all", "--requirement", "C-03")

    assert done.returncode == 0, done.stderr
    site, suite, *cases, last = done.stdout.splitlines()
    assert (site, suite.rstrip()) == ("closed-vpc: 2 cases", "  access")
    assert [line.split()[:2] for line in cases] == [
        ["test_bastion_answers_its_user_alone", "C-03"],
        ["test_bastion_is_silent_to_others", "C-03"],
    ]
    assert last.startswith("Nothing was run.")
    assert [] == list(tmp_path.iterdir())


def test_nothing_left_to_run_is_inconclusive(tmp_path: Path) -> None:
    """As the run itself would be: a gate that proves nothing must not be green."""
    done = dry(tmp_path, "--site", "outpost-local", "-k", "no_such_case")

    assert (done.returncode, done.stdout.splitlines()[0]) == (2, "outpost-local: 0 cases")


def test_what_cannot_be_collected_is_told_in_pytests_words(tmp_path: Path) -> None:
    """An expression that pytest does not understand: its words, no traceback, exit code of a set-up mistake."""
    done = dry(tmp_path, "--site", "outpost-local", "-k", "a and (")

    assert done.returncode == 3
    assert "the cases of outpost-local cannot be collected" in done.stderr
    assert "Traceback" not in done.stderr


def test_changes_on_an_account_are_those_of_the_chosen_suites() -> None:
    """Only of suites with a case, only what changes something; every suite's folder is known to the table of calls."""
    pull = Planned("image_pull", "test_pull", ("C-09",), "")
    experiment = Planned("experiments", "closed-all", ("C-11",), "")

    assert "ec2:DeleteVpcEndpoints" in changes("closed-vpc", [pull])
    assert "eks:UpdateClusterVersion" not in changes("closed-vpc", [pull, experiment])
    assert "ec2:DescribeVpcs" not in changes("closed-vpc", [pull, experiment])
    assert () == changes("outpost-local", [experiment])
    assert set(needs.SUITES) <= {each.name for each in content_dir("suites").iterdir()}
