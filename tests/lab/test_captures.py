"""Captures of packets at a site's places: what was asked for is in the file, and nothing listens afterwards."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from islanding.capturing import capture
from islanding.errors import SetupError
from islanding.journal import Event, Journal, read
from islanding.model import Site
from islanding.wait import wait_until

RUNNER = """
import sys
from pathlib import Path
from islanding.capturing import capture
from islanding.journal import Journal
from islanding.model import Site
with capture(Site.load(Path(sys.argv[1])), Journal(Path(sys.argv[2])), "client", sys.argv[3]) as held:
    print(held.reason or "listens", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A run's journal, bound to a case with a name that no file may have."""
    return Journal(tmp_path / "journal.jsonl", site="s", case="test_web[a/b c]")


def told(journal: Journal) -> Event:
    """The one event of a capture."""
    [event] = [event for event in read(journal.path) if event.type == "capture"]
    return event


def listening(expression: str) -> list[str]:
    """The processes that have this expression on their command line, but for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if expression.encode() in words and int(folder.name) != os.getpid():
            found.append(words.decode())
    return found


def test_what_passes_is_in_the_file_and_nothing_else(site: Site, journal: Journal, at: Callable[..., str]) -> None:
    """A request by HTTP is captured, one to another port is not; the journal has the file's hash and its count."""
    port = site.workload.url.rsplit(":", 1)[1].rstrip("/")
    expression = f"tcp port {port}"
    with capture(site, journal, "client", expression) as held:
        at("client", "curl", "-sS", "-o", "/dev/null", site.workload.url)
        site.place("client").run(["curl", "-sS", "--max-time", "2", "http://127.0.0.1:9"], check=False)

    event = told(journal)
    shown = subprocess.run(
        ["tcpdump", "-n", "-r", held.file], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert (held.reason, event["reason"]) == ("", "")
    assert "captures/test_web-a-b-c-client-1.pcap" == event["file"]
    assert hashlib.sha256(held.file.read_bytes()).hexdigest() == event["sha256"]
    assert (len(shown), held.file.stat().st_size) == (event["packets"], event["size"])
    assert any("Flags [S]" in line for line in shown)
    assert [] == [line for line in shown if f".{port}" not in line]
    assert [] == listening(expression)


def test_bytes_beyond_the_headers_are_not_kept(site: Site, journal: Journal, at: Callable[..., str]) -> None:
    """What a request carries may be secret."""
    with capture(site, journal, "client", "tcp") as held:
        at("client", "curl", "-sS", "-o", "/dev/null", "-H", f"X-Long: {'x' * 500}canary", site.workload.url)

    assert told(journal)["packets"] > 4
    assert b"canary" not in held.file.read_bytes()


def test_what_tcpdump_refuses_is_told_and_the_case_goes_on(site: Site, journal: Journal) -> None:
    """A misspelt filter: its reason stands where the file would."""
    with capture(site, journal, "client", "tcp prot 80") as held:
        pass

    event = told(journal)
    assert "syntax error" in event["reason"]
    assert (held.reason, event["file"], held.file.exists()) == (event["reason"], "", False)


def test_an_unknown_place_is_refused(site: Site, journal: Journal) -> None:
    """A mistake of the case's writer is one."""
    with pytest.raises(SetupError, match="nowhere"), capture(site, journal, "nowhere"):
        pass


def test_nothing_listens_when_the_runner_is_killed(site: Site, journal: Journal) -> None:
    """SIGKILL of the process that captures ends tcpdump as well."""
    expression = f"tcp port {40_000 + os.getpid() % 20_000} and host 192.0.2.77"
    argv = [sys.executable, "-c", RUNNER, f"{site.folder}/site.json", str(journal.path), expression]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    there = listening(expression)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert said == "listens\n"
    assert any("tcpdump" in words for words in there)
    wait_until("tcpdump to end", lambda: listening(expression), timeout=10, done=lambda left: not left)
