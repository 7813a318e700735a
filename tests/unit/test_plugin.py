"""The pytest plugin: what becomes of cases in the journal, proven by running pytest inside pytest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from islanding.journal import Event, Journal, read
from islanding.model import Site
from islanding.sites import process_started
from islanding.wait import wait_until
from tests.unit.sites_for_tests import save_site

HEAD = """
import pytest
from islanding.errors import InconclusiveError

pytestmark = [pytest.mark.site("here"), pytest.mark.requirement("O-07", "O-01")]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, in a process of its own, and write to the folder's run."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--islanding-run",
        str(folder / "run"),
        *arguments,
    ]
    environment = {**os.environ, "ISLANDING_STATE": str(folder / "state")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def finished(folder: Path) -> dict[str, Event]:
    """The last word on each case."""
    return {e["case"]: e for e in read(folder / "run" / "journal.jsonl") if e.type == "case-finished"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a pytest configuration of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[2] / "conftest.py").read_text())
    return tmp_path


def test_each_verdict_has_its_causes(folder: Path) -> None:
    """Only a claim that does not hold is a failure; what breaks elsewhere is inconclusive, and a skip says why."""
    (folder / "test_it.py").write_text(
        HEAD
        + '''
def test_holds():
    """SC: it holds. And more is told here."""

def test_does_not_hold():
    assert 1 == 2, "one is not two"

def test_cannot_tell():
    raise InconclusiveError("no samples", "look longer")

def test_crashes():
    {}["x"]

def test_is_skipped():
    pytest.skip("not on a Sunday")

@pytest.fixture
def broken():
    assert False, "ground gone"

def test_has_no_ground(broken):
    pass

@pytest.fixture
def after():
    yield
    raise RuntimeError("could not tidy up")

def test_leaves_a_mess(after):
    pass

def test_fails_and_leaves_a_mess(after):
    assert False, "was wrong"
'''
    )
    done = run(folder)
    verdicts = {
        case: (e["verdict"], e["reason"].splitlines()[0] if e["reason"] else "") for case, e in finished(folder).items()
    }

    assert verdicts == {
        "test_holds": ("pass", ""),
        "test_does_not_hold": ("fail", "one is not two"),
        "test_cannot_tell": ("inconclusive", "no samples"),
        "test_crashes": ("inconclusive", "'x'"),
        "test_is_skipped": ("skipped", "not on a Sunday"),
        "test_has_no_ground": ("inconclusive", "ground gone"),
        "test_leaves_a_mess": ("inconclusive", "could not tidy up"),
        "test_fails_and_leaves_a_mess": ("fail", "was wrong"),
    }, done.stdout
    started = next(read(folder / "run" / "journal.jsonl"))
    assert (started.type, started["title"], started["requirements"], started["site"]) == (
        "case-started",
        "SC: it holds.",
        ["O-01", "O-07"],
        "here",
    )
    assert "inconclusive" in done.stdout


def test_a_site_that_is_not_up_is_skipped_with_the_command_that_helps(folder: Path) -> None:
    """Who has no lab running is told how to start it."""
    (folder / "test_it.py").write_text(HEAD + "def test_it(site):\n    pass\n")
    run(folder)

    assert finished(folder)["test_it"]["verdict"] == "skipped"
    assert "islanding lab up here" in finished(folder)["test_it"]["reason"]


def test_what_was_seen_while_the_site_itself_failed_proves_nothing(folder: Path) -> None:
    """By the record of the site's keeper: a pass becomes inconclusive, a failure stands, and it ends when that does."""
    record = folder / "lab" / "events.jsonl"
    described = save_site(folder / "lab", name="here", record=str(record))
    Journal(record, site="here").append("site-troubled", reason="before all cases", lasting=False)
    (folder / "test_it.py").write_text(
        HEAD
        + """
from pathlib import Path
from islanding.journal import Journal

def tell(site, type, where="here", **data):
    Journal(Path(site.record), site=where).append(type, **data)

def test_before(site):
    tell(site, "site-troubled", where="elsewhere", reason="not ours", lasting=True)

def test_meanwhile(site):
    tell(site, "site-troubled", reason="RTNETLINK answers: injected", lasting=False)

def test_after(site):
    pass

def test_wrong_meanwhile(site):
    tell(site, "site-troubled", reason="RTNETLINK answers: injected", lasting=False)
    assert False, "was wrong"

def test_as_it_begins_to_last(site):
    tell(site, "site-troubled", reason="the kernel refuses all", lasting=True)

def test_while_it_lasts(site):
    pass

def test_as_it_ends(site):
    tell(site, "site-sound")

def test_when_it_is_over(site):
    pass
"""
    )
    done = run(folder, "--islanding-site", str(described))
    verdicts = {
        case: (event["verdict"], event["reason"].partition("\n")[0]) for case, event in finished(folder).items()
    }
    lasting = ("inconclusive", "site here itself failed meanwhile: the kernel refuses all")

    assert verdicts == {
        "test_before": ("pass", ""),
        "test_meanwhile": ("inconclusive", "site here itself failed meanwhile: RTNETLINK answers: injected"),
        "test_after": ("pass", ""),
        "test_wrong_meanwhile": ("fail", "was wrong"),
        "test_as_it_begins_to_last": lasting,
        "test_while_it_lasts": lasting,
        "test_as_it_ends": lasting,
        "test_when_it_is_over": ("pass", ""),
    }, done.stdout
    assert (done.returncode, done.stdout.count("INCONCLUSIVE")) == (1, 0)
    assert "4 inconclusive" in done.stdout


def test_a_record_that_cannot_be_read_leaves_the_question_open(folder: Path) -> None:
    """What its keeper wrote is not known: nothing passes."""
    described = save_site(folder / "lab", name="here", record=str(folder / "gone.jsonl"))
    (folder / "test_it.py").write_text(HEAD + "def test_it(site):\n    pass\n")
    run(folder, "--islanding-site", str(described))

    told = finished(folder)["test_it"]
    assert (told["verdict"], "No such file" in told["reason"]) == ("inconclusive", True)


def test_fixtures_act_on_the_site_that_was_named(folder: Path) -> None:
    """Site, probes, watch, measure, evidence and physics work, and write to the journal of the case."""
    site = save_site(folder / "lab", name="here")
    (folder / "test_it.py").write_text(
        HEAD
        + """
def test_it(site, probe, watch, measure, evidence, physics, observe):
    assert site.name == "here"
    with watch(probe.tcp("127.0.0.1", 1)) as port:
        with physics("a port that stays closed"):
            port.wait_for("TCP_REFUSED", 5)
    port.expect("TCP_REFUSED")
    assert observe(probe.tcp("127.0.0.1", 1)).outcome == "TCP_REFUSED"
    evidence("said", "Bearer abcdefghijklmnopqrstuvwxyz")
    measure("lag", 1.0, "s", limit=2)

def test_too_slow(measure):
    measure("lag", 3.0, "s", limit=2)
"""
    )
    done = run(folder, "--islanding-site", str(site))
    events = [e for e in read(folder / "run" / "journal.jsonl") if e.get("case") == "test_it"]
    types = {e.type for e in events}

    assert finished(folder)["test_it"]["verdict"] == "pass", done.stdout
    assert finished(folder)["test_too_slow"]["verdict"] == "fail"
    assert types >= {"watch-started", "sample", "watch-stopped", "wait", "expectation", "evidence", "measurement"}
    assert "abcdefghijklm" not in (folder / "run" / "journal.jsonl").read_text()


def test_cases_of_other_sites_are_left_out(folder: Path) -> None:
    """With --islanding-site, a case marked with two sites runs at the one asked for."""
    (folder / "test_it.py").write_text(
        'import pytest\n@pytest.mark.site("here", "there")\n@pytest.mark.requirement("O-01")\ndef test_it(): pass\n'
    )

    run(folder, "--islanding-site", "there")

    assert set(finished(folder)) == {"test_it[there]"}


COVERING = """
import pytest

pytestmark = pytest.mark.site("here")

@pytest.mark.requirement("O-01")
def test_one(): pass

@pytest.mark.requirement("O-07", "O-01")
def test_both(): pass

@pytest.mark.requirement("O-10")
def test_another(): pass
"""
EXPERIMENT = """
version: 1.0.0
title: A port stays shut.
description: Nothing is broken here.
controls:
  - {name: islanding, provider: {type: python, module: islanding.chaos.controls}}
runtime: {rollbacks: {strategy: always}}
extensions:
  - name: islanding
    site: here
    requirements: [O-07]
    watch:
      - {name: web, probe: http}
    expect:
      - {watch: web, outcome: ANSWERED}
method:
  - type: probe
    name: workload answers
    tolerance: true
    provider: {type: python, module: islanding.chaos.probes, func: workload_answers, arguments: {within: 60}}
rollbacks:
  - type: action
    name: nothing to undo
    provider: {type: python, module: islanding.chaos.actions, func: undo_fault}
"""


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ((), {"test_one", "test_both", "test_another", "a-port"}),
        (("O-01",), {"test_one", "test_both"}),
        (("O-07",), {"test_both", "a-port"}),
        (("O-07", "O-10"), {"test_both", "test_another", "a-port"}),
        (("O-99",), set()),
    ],
)
def test_cases_of_other_requirements_are_left_out(folder: Path, rows: tuple[str, ...], kept: set[str]) -> None:
    """With --islanding-requirement, cases and experiments that cover one of the rows are kept, and no others."""
    (folder / "test_it.py").write_text(COVERING)
    (folder / "experiments").mkdir()
    (folder / "experiments" / "a-port.yaml").write_text(EXPERIMENT)
    listed = run(folder, "--collect-only", "-q", *(a for row in rows for a in ("--islanding-requirement", row)))
    names = {line.rpartition("::")[2] for line in listed.stdout.splitlines() if "::" in line}

    assert kept == names, listed.stdout


def test_a_requirement_that_cannot_be_one_is_refused(folder: Path) -> None:
    """A slip in the id does not end as a run of nothing."""
    (folder / "test_it.py").write_text(COVERING)
    done = run(folder, "--islanding-requirement", "O7")

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--islanding-requirement O7" in done.stderr


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        ('@pytest.mark.site("here")', "no requirement"),
        ('@pytest.mark.requirement("O-01")', "no site"),
        ('@pytest.mark.site("here")\n@pytest.mark.requirement("O1")', "'O1' is no requirement's id"),
    ],
)
def test_a_case_without_its_marks_is_refused(folder: Path, marks: str, says: str) -> None:
    """A case says where it runs and what it covers, or nothing runs."""
    (folder / "test_it.py").write_text(f"import pytest\n{marks}\ndef test_it(): pass\n")
    done = run(folder)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert says in done.stderr
    assert not (folder / "run").exists()


def test_the_harness_own_tests_write_no_journal(folder: Path) -> None:
    """A test without marks is no case: no run folder appears."""
    (folder / "test_it.py").write_text("def test_it(): pass\n")

    assert run(folder).returncode == 0
    assert not (folder / "run").exists()


def test_sigterm_lets_a_case_clean_up(folder: Path) -> None:
    """SIGTERM unwinds the case as Ctrl-C does, and the journal says that it was broken off."""
    (folder / "test_it.py").write_text(
        HEAD
        + """
import signal, pathlib
def test_it():
    try:
        pathlib.Path("ready").touch()
        signal.pause()
    finally:
        pathlib.Path("undone").touch()
"""
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--islanding-run", str(folder / "run")]
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    wait_until("the case", (folder / "ready").exists, timeout=20)
    assert process_started(running.pid)
    running.send_signal(signal.SIGTERM)
    running.wait(20)

    assert (folder / "undone").exists()
    assert finished(folder)["test_it"]["verdict"] == "inconclusive"
    assert "SIGTERM" in finished(folder)["test_it"]["reason"]


def test_the_host_fixture_is_ours(folder: Path) -> None:
    """pytest-testinfra has a fixture of the same name; a case gets the one that knows the site's nodes."""
    site = save_site(folder / "lab", name="here")
    (folder / "ssh").write_text("Host w1\n  HostName 127.0.0.1\n")
    described = json.loads(site.read_text())
    described["facts"] = {"ssh_config": str(folder / "ssh")}
    site.write_text(json.dumps(described))
    (folder / "test_it.py").write_text(HEAD + 'def test_it(host):\n    assert "w1" in repr(host("w1"))\n')
    done = run(folder, "--islanding-site", str(site))

    assert finished(folder)["test_it"]["verdict"] == "pass", done.stdout


def test_what_a_site_lacks_is_not_covered(folder: Path) -> None:
    """A case that asks for a fact or an identity that nobody could find out is skipped with the reason, others run."""
    described = save_site(folder / "lab", name="here")
    lacking = {"bucket": "none names the endpoint", "creator": "nobody may"}
    Site.load(described).model_copy(update={"lacking": lacking}).save(described)
    (folder / "test_it.py").write_text(
        HEAD
        + """
def test_fact(site):
    site.facts["bucket"]

@pytest.fixture
def who(site):
    return site.identity("creator")

def test_identity(who):
    pass

def test_other(site):
    assert "bucket" not in site.facts
"""
    )
    done = run(folder, "--islanding-site", str(described))
    cases = finished(folder)

    assert done.returncode == 0, done.stdout
    assert {name: event["verdict"] for name, event in cases.items()} == {
        "test_fact": "skipped",
        "test_identity": "skipped",
        "test_other": "pass",
    }
    assert "not covered: there is no bucket at this site: none names the endpoint" in cases["test_fact"]["reason"]
