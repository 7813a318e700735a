"""Running experiments: real Chaos Toolkit, real samplers, a real web server that goes away."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.chaos.claims import finding_of
from islanding.chaos.extension import ExpectSpec
from islanding.chaos.verdict import Outcome, verdict_of
from islanding.journal import Event, read
from islanding.model import Sample, Verdict, Window
from tests.unit.sites_for_tests import save_site

ACTIONS = '''
"""A web server as a process, which actions stop and start; they journal as the real actions do."""
import atexit, os, socket, subprocess, sys, time, pathlib
from islanding.chaos.actions import current_journal, current_site
from islanding.journal import Journal
from islanding.wait import wait_until

PORT = int(os.environ["WEB_PORT"])
running = []
atexit.register(lambda: down())

def listening():
    with socket.create_connection(("127.0.0.1", PORT), 1):
        return True

def up():
    running.append(subprocess.Popen([sys.executable, "-m", "http.server", str(PORT), "--bind", "127.0.0.1"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    wait_until("the web server", listening, timeout=10)

def down():
    while running:
        running[-1].kill(); running.pop().wait()

def note(type, start):
    current_journal(current_site()).append(type, fault="down", id="1", target="web", start=start, end=time.monotonic())

def cut():
    start = time.monotonic(); down(); note("fault-applied", start)

def cut_in_a_bad_moment():
    cut(); Journal(pathlib.Path(current_site().record), site="here").append("site-troubled", reason="r", lasting=False)

def undo():
    start = time.monotonic(); up(); note("fault-undone", start)

def tidy():
    # The server stays up to the end: what watches it may be in the middle of a sample.
    pathlib.Path("tidied").touch()

def answers():
    return listening()

def hang():
    import signal
    pathlib.Path("hanging").touch()
    try:
        signal.pause()
    except Exception:
        pass

def broken():
    raise RuntimeError("no such router")
'''

EXPERIMENT = """
title: A server goes away and comes back
description: By its own hand.
controls: [{name: islanding, provider: {type: python, module: islanding.chaos.controls}}]
runtime: {rollbacks: {strategy: always}}
extensions:
  - name: islanding
    site: here
    requirements: [O-09]
    watch: [{name: web, probe: http, interval: 0.05, with: {url: "http://127.0.0.1:PORT/"}}]
    expect:
EXPECT
steady-state-hypothesis:
  title: it answers
  probes: [{type: probe, name: answers, tolerance: TOLERANCE, provider: {type: python, module: acts, func: answers}}]
method:
  - {type: action, name: cut, provider: {type: python, module: acts, func: FIRST}, pauses: {after: 0.5}}
  - {type: action, name: mend, provider: {type: python, module: acts, func: undo}, pauses: {after: 0.5}}
rollbacks: [{type: action, name: tidy, provider: {type: python, module: acts, func: tidy}}]
"""
TRUE = [
    "{watch: web, outcome: ANSWERED, when: before}",
    "{watch: web, outcome: HTTP_REFUSED, when: cut}",
    "{watch: web, outcome: ANSWERED, when: after, within: 5}",
    "{watch: web, gap: 10}",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the actions' module, a running site and a port for the web server."""
    import socket

    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        port = once.getsockname()[1]
    (tmp_path / "port").write_text(str(port))
    (tmp_path / "acts.py").write_text(ACTIONS)
    (tmp_path / "record.jsonl").touch()
    save_site(tmp_path / "state" / "labs" / "here-test", name="here", record=str(tmp_path / "record.jsonl"))
    return tmp_path


def experiment(folder: Path, expect: list[str], first: str = "cut", tolerance: str = "true") -> Path:
    """Write the experiment."""
    text = EXPERIMENT.replace("PORT", (folder / "port").read_text()).replace("FIRST", first)
    text = text.replace("EXPECT", textwrap.indent("\n".join(f"- {claim}" for claim in expect), "      "))
    path = folder / "server.yaml"
    path.write_text(text.replace("TOLERANCE", tolerance))
    return path


def start(folder: Path, *command: str, up: bool = True) -> subprocess.Popen[str]:
    """Start a command of the venv, with the web server up."""
    code = "import acts, runpy, sys; UP; sys.argv = sys.argv[1:]; "
    code += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    environment = {
        **os.environ,
        "ISLANDING_STATE": str(folder / "state"),
        "ISLANDING_JOURNAL": str(folder / "journal.jsonl"),
        "WEB_PORT": (folder / "port").read_text(),
        "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    return subprocess.Popen(
        [sys.executable, "-c", code.replace("UP", "acts.up()" if up else "pass"), *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, *command: str) -> tuple[int, str]:
    """Run a command to its end; exit code and what it said."""
    process = start(folder, *command)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def last(folder: Path) -> Event:
    """The case's verdict."""
    return [event for event in read(folder / "journal.jsonl") if event.type == "case-finished"][-1]


def test_three_ways_of_running_have_one_verdict(folder: Path) -> None:
    """islanding experiment run, plain chaos run and pytest say pass, from the journal."""
    path = experiment(folder, TRUE)
    (folder / "experiments").mkdir()
    collected = folder / "experiments" / "server.yaml"
    collected.write_text(path.read_text())
    (folder / "conftest.py").write_text((Path(__file__).parents[2] / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\n")
    ways = [
        ("islanding", "experiment", "run", "server.yaml"),
        ("chaostoolkit", "--no-version-check", "run", "server.yaml"),
        ("pytest", "-p", "no:cacheprovider", "experiments"),
    ]
    for way in ways:
        (folder / "journal.jsonl").unlink(missing_ok=True)
        code, said = run(folder, *way)

        assert (last(folder)["verdict"], last(folder)["reason"], code) == ("pass", "", 0), said
        assert (folder / "tidied").exists()
        claims = [e for e in read(folder / "journal.jsonl") if e.type == "expectation"]
        assert [claim["verdict"] for claim in claims] == ["pass"] * 4


@pytest.mark.parametrize(
    ("expect", "first", "tolerance", "said"),
    [
        (["{watch: web, outcome: ANSWERED, when: all}"], "cut", "true", ("fail", 1, "expected ANSWERED throughout")),
        (["{watch: web, gap: 0.2}"], "cut", "true", ("fail", 1, "without an answer")),
        (TRUE, "broken", "true", ("inconclusive", 2, "no such router")),
        (TRUE, "cut", "false", ("inconclusive", 2, "steady state was not there before")),
        (TRUE, "cut_in_a_bad_moment", "true", ("inconclusive", 2, "site here itself failed meanwhile: r")),
    ],
)
def test_what_goes_wrong_is_told(
    folder: Path, expect: list[str], first: str, tolerance: str, said: tuple[str, int, str]
) -> None:
    """A false claim fails; an action that failed, or no steady state before, leaves it open: chaos says 0 to those."""
    verdict, code, reason = said
    experiment(folder, expect, first, tolerance)
    got, output = run(folder, "islanding", "experiment", "run", "server.yaml")

    assert (last(folder)["verdict"], got) == (verdict, code), output
    assert reason in last(folder)["reason"]


def test_sigterm_inside_an_action_runs_the_rollbacks(folder: Path) -> None:
    """An action that swallows exceptions is interrupted, rollbacks run, and the verdict is inconclusive."""
    from islanding.wait import wait_until

    experiment(folder, TRUE, "hang")
    process = start(folder, "islanding", "experiment", "run", "server.yaml")
    wait_until("the action", (folder / "hanging").exists, timeout=30)
    process.terminate()
    process.communicate(timeout=30)

    assert last(folder)["verdict"] == "inconclusive"
    assert "the experiment was interrupted" in last(folder)["reason"]
    assert (folder / "tidied").exists()
    assert process.returncode != 0


def test_a_site_that_is_not_up_is_one_message(folder: Path) -> None:
    """No traceback, exit code 3."""
    path = experiment(folder, TRUE)
    path.write_text(path.read_text().replace("site: here", "site: elsewhere"))
    code, said = run(folder, "islanding", "experiment", "run", "server.yaml")

    assert code == 3
    assert "elsewhere" in said
    assert "Traceback" not in said


GOOD = {"status": "completed", "run": [{"status": "succeeded"}], "rollbacks": [{"status": "succeeded"}]}
PASS, FAIL, OPEN = (Outcome(Verdict(each), each) for each in ("pass", "fail", "inconclusive"))


@pytest.mark.parametrize(
    ("chaos", "findings", "trouble", "verdict"),
    [
        (GOOD, [PASS], "", "pass"),
        (GOOD, [PASS, FAIL, OPEN], "", "fail"),
        (GOOD, [PASS, OPEN], "", "inconclusive"),
        (GOOD, [], "", "inconclusive"),
        (GOOD, [PASS], "sampler died", "inconclusive"),
        (None, [PASS], "", "inconclusive"),
        ({**GOOD, "status": "interrupted"}, [PASS], "", "inconclusive"),
        ({**GOOD, "run": [{"status": "failed"}]}, [PASS], "", "inconclusive"),
        ({**GOOD, "rollbacks": [{"status": "failed"}]}, [PASS], "", "fail"),
        ({**GOOD, "steady_states": {"before": {"steady_state_met": False}}}, [PASS], "", "inconclusive"),
        ({**GOOD, "steady_states": {"after": {"steady_state_met": True}}}, [], "", "pass"),
        ({**GOOD, "steady_states": {"after": {"steady_state_met": False, "probes": []}}}, [PASS], "", "fail"),
        (
            {**GOOD, "steady_states": {"after": {"steady_state_met": False, "probes": [{"status": "failed"}]}}},
            [PASS],
            "",
            "inconclusive",
        ),
    ],
)
def test_the_verdict_of_an_experiment(chaos: Any, findings: list[Outcome], trouble: str, verdict: str) -> None:
    """Failures beat what is open, and what is open beats passes; nothing claimed is no pass."""
    assert verdict_of(chaos, findings, trouble).verdict.value == verdict


@given(st.sampled_from(["before", "cut", "after"]), st.booleans())
def test_a_claim_about_a_cut_that_was_not_is_open(when: Any, overlapping: bool) -> None:
    """Without a fault applied and undone, or with faults that never overlapped, claims about the cut prove nothing."""
    samples = [Sample(watch="w", probe="http", start=k, end=k + 0.1, outcome="ANSWERED", text="") for k in range(9)]
    never = (Window(start=5, end=4), Window(start=2, end=8)) if overlapping else None
    claim = ExpectSpec(watch="w", outcome=("ANSWERED",), when=when)

    assert finding_of(claim, samples, 1.0, never).verdict is Verdict.INCONCLUSIVE


def samples_of(*outcomes: str) -> list[Sample]:
    """A sample a second, each a tenth of a second long."""
    return [
        Sample(watch="w", probe="http", start=k, end=k + 0.1, outcome=outcome, text="")
        for k, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(("steady", "verdict"), [(0.0, "fail"), (1.0, "fail"), (2.0, "pass"), (2.05, "pass")])
def test_nothing_is_claimed_of_the_time_before_the_steady_state(steady: float, verdict: str) -> None:
    """What the experiment before left behind is not held against this one."""
    claim = ExpectSpec(watch="w", outcome=("ANSWERED",))
    samples = samples_of("HTTP_TIMEOUT", "HTTP_TIMEOUT", *["ANSWERED"] * 6)

    assert finding_of(claim, samples, 1.0, None, steady).verdict.value == verdict


@pytest.mark.parametrize(("outcome", "verdict"), [("ANSWERED", "pass"), ("HTTP_TIMEOUT", "fail")])
def test_a_cut_right_after_the_steady_state_has_a_look_before_it(outcome: str, verdict: str) -> None:
    """The last sample before the cut speaks for the time before, when none was taken in between."""
    claim = ExpectSpec(watch="w", outcome=("ANSWERED",), when="before")
    samples = samples_of("HTTP_TIMEOUT", outcome, *["HTTP_TIMEOUT"] * 4)
    faults = (Window(start=1.6, end=3), Window(start=1.5, end=3.5))

    assert finding_of(claim, samples, 1.0, faults, 1.2).verdict.value == verdict
