"""Watches: real samplers on this machine, a real server that goes away and comes back."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding.errors import InconclusiveError, SetupError
from islanding.expectations import throughout
from islanding.journal import Event, Journal, read
from islanding.model import Place, Verdict, Window
from islanding.outcomes import ANSWERED, HTTP_REFUSED
from islanding.probes import make
from islanding.sampling import Sampler, Tail, observe
from islanding.sites import process_started
from islanding.wait import wait_until
from islanding.watching import ExpectationFailed, fault_windows, watch


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with something that must not be kept."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"secret is AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")

    def log_message(self, *args: object) -> None: ...


class Web:
    """A web server that can be cut off and brought back at the same address."""

    def __init__(self) -> None:
        self.port = 0
        self.up()

    def up(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def down(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@pytest.fixture
def web() -> Iterator[Web]:
    """A running web server."""
    server = Web()
    yield server
    server.down()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of site s, case c."""
    opened = Journal(tmp_path / "journal.jsonl", site="s", case="c")
    yield opened
    opened.close()


def events(journal: Journal, type: str) -> list[Event]:
    """The events of one type."""
    return [event for event in read(journal.path) if event.type == type]


def test_a_cut_is_seen_as_it_was(web: Web, journal: Journal) -> None:
    """A real server goes and comes back: the samples say when, the gap has a length, and claims are judged."""
    with watch(None, journal, make("http", url=web.url, interval=0.05)) as seen:
        before = seen.wait_for(ANSWERED, 5)
        web.down()
        broke = seen.wait_for("HTTP_REFUSED", 5)
        web.up()
        healed = seen.wait_for(ANSWERED, 5, after=broke.end)
        seen.wait_for(ANSWERED, 5, after=healed.end)

    assert before.start < broke.start < healed.start
    seen.expect_from(HTTP_REFUSED, event=before.end, within=5, until=broke.end)
    seen.expect({"ANSWERED", "HTTP_REFUSED"})
    with pytest.raises(ExpectationFailed, match=r"expected ANSWERED throughout: \d+ of \d+ samples differ"):
        seen.expect(ANSWERED)
    with pytest.raises(ExpectationFailed, match="without an answer"):
        seen.expect_gap(0.001)
    with pytest.raises(InconclusiveError, match="no sample lies inside"):
        seen.expect(ANSWERED, window=Window(start=healed.end + 1000, end=healed.end + 1001))
    assert [e["verdict"] for e in events(journal, "expectation")] == ["pass", "pass", "fail", "fail", "inconclusive"]


def test_ticks_are_held_at_ten_a_second(web: Web, journal: Journal) -> None:
    """At 100 ms over 20 ticks: the sampler says how many it missed, and samples are where they belong."""
    with watch(None, journal, make("http", url=web.url, name="web")) as seen:
        wait_until("20 samples", lambda: len(seen.samples()) >= 20, timeout=15)
    (stopped,) = events(journal, "watch-stopped")
    starts = sorted(sample.start for sample in seen.samples())

    assert stopped["ticks"] >= 20
    assert stopped["missed"] == stopped["ticks"] - stopped["samples"] - stopped["held"] - stopped["unfinished"]
    # No tick is taken twice, whatever the machine was busy with: the first and the last may each have begun late.
    assert len(starts) <= (starts[-1] - starts[0]) / 0.1 + 2


def test_what_is_written_has_no_secrets_and_says_who_looked(web: Web, journal: Journal) -> None:
    """Samples carry site, case, watch and kind; secrets in what was seen are taken out; the spec file is gone."""
    with watch(None, journal, make("http", url=web.url, name="web")) as seen:
        seen.wait_for(ANSWERED, 5)
    (first, *_) = events(journal, "sample")
    (started,) = events(journal, "watch-started")

    assert {k: first[k] for k in ("site", "case", "watch", "probe", "ok")} == {
        "site": "s",
        "case": "c",
        "watch": "web",
        "probe": "http",
        "ok": True,
    }
    assert "wJalrXUtnFEMI" not in journal.path.read_text()
    assert (started["interval"], started["probe"]) == (0.1, "http")
    assert [path.name for path in journal.path.parent.iterdir()] == ["journal.jsonl"]


def test_a_slow_probe_does_not_blur_a_fast_one(web: Web, journal: Journal, tmp_path: Path) -> None:
    """While kubectl hangs, HTTP keeps its interval; ticks that find kubectl still busy are held back and counted."""
    slow = tmp_path / "kubectl"
    slow.write_text("#!/bin/sh\necho once\n[ -e $0.hang ] && exec sleep 60\ntouch $0.hang\n")
    slow.chmod(0o755)
    kubectl = make("kubectl", args=("get", "svc"), kubeconfig="/k", kubectl=str(slow), interval=0.2)
    with watch(None, journal, kubectl, make("http", url=web.url), drain=0) as (api, pages):
        wait_until("30 pages", lambda: len(pages.samples()) >= 30, timeout=20)
    stopped = {
        event["probe"] if "probe" in event.data else event["watch"]: event for event in events(journal, "watch-stopped")
    }
    hung = stopped[api.name]

    assert [sample.outcome for sample in api.samples()] == ["ALLOWED"]
    assert hung["unfinished"] == 1
    assert hung["held"] >= 5
    assert throughout(pages.samples(), "ANSWERED", 0.1).verdict is Verdict.PASS


def test_a_call_in_flight_at_the_end_is_waited_for(journal: Journal, tmp_path: Path) -> None:
    """Within its drain time, what began before the end of the watch is still recorded."""
    slow = tmp_path / "kubectl"
    slow.write_text("#!/bin/sh\ntouch $0.called\nexec sleep 0.5\n")
    slow.chmod(0o755)
    kubectl = make("kubectl", args=("get", "svc"), kubeconfig="/k", kubectl=str(slow), interval=60)
    with watch(None, journal, kubectl, drain=10, first_sample=0) as api:
        wait_until("the call", (tmp_path / "kubectl.called").exists, timeout=10)

    assert [sample.outcome for sample in api.samples()] == ["ALLOWED"]


def test_a_place_is_where_the_sampler_runs(journal: Journal, tmp_path: Path) -> None:
    """The sampler is started by the place's own argument vector, with its environment."""
    fake = tmp_path / "kubectl"
    fake.write_text("#!/bin/sh\necho $DESK at niceness $(nice)\n")
    fake.chmod(0o755)
    place = Place(name="desk", role="operator", address="", enter=("nice", "-n", "7"), env={"DESK": "mine"})
    probe = make("kubectl", args=("get", "svc"), kubeconfig="/k", kubectl=str(fake), interval=0.1)
    sampler = Sampler(place, journal, {"w": probe}, drain=0)
    wait_until("a sample", lambda: events(journal, "sample"), timeout=10)

    assert sampler.wait_for_end() == ""
    assert events(journal, "sample")[0]["text"].startswith("mine at niceness ")
    assert int(events(journal, "sample")[0]["text"].split()[-1]) >= 7


def test_a_sampler_that_cannot_run_is_told_at_once(journal: Journal) -> None:
    """A place that cannot be entered is an inconclusive watch with the reason, not a wait in vain."""
    place = Place(name="desk", role="operator", address="", enter=("sh", "-c", "echo no such namespace >&2; exit 4"))
    sampler = Sampler(place, journal, {"w": make("tcp", host="127.0.0.1", port=1)}, drain=0)
    with pytest.raises(InconclusiveError, match=r"(?s)ended with exit code 4.*no such namespace"):
        sampler.wait_for_first_samples(Tail(journal), timeout=10)
    assert "no such namespace" in sampler.wait_for_end()


def test_a_place_by_ssh_is_refused(journal: Journal) -> None:
    """There is no Python of ours on a node: the user is told from where to watch instead."""
    place = Place(name="w1", role="node", address="", enter=("ssh", "w1"), by_ssh=True)

    with pytest.raises(SetupError, match="reached by SSH"):
        Sampler(place, journal, {"w": make("tcp", host="127.0.0.1", port=1)}, drain=0)


def test_the_sampler_dies_with_its_runner(journal: Journal, web: Web) -> None:
    """SIGKILL of the runner leaves no sampler: its standard input ends."""
    code = (
        "import sys, signal; from pathlib import Path; from islanding.journal import Journal\n"
        "from islanding.probes import make; from islanding.watching import watch\n"
        "with watch(None, Journal(Path(sys.argv[1])), make('http', url=sys.argv[2])) as w:\n"
        "    print(w._samplers[0]._process.pid, flush=True); signal.pause()\n"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", code, str(journal.path), web.url], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    sampler = int(runner.stdout.readline())
    born = process_started(sampler)
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    runner.stdout.close()

    assert born is not None
    wait_until("the sampler's end", lambda: process_started(sampler) != born, timeout=10)
    assert events(journal, "watch-stopped")


def test_watches_of_one_name_are_told_apart(web: Web, journal: Journal) -> None:
    """A second watch of the same thing in the same case has a name of its own, and its own samples."""
    names = []
    for _ in range(2):
        with watch(None, journal, make("http", url=web.url, name="web")) as seen:
            seen.wait_for(ANSWERED, 5)
        names.append(seen.name)

    assert names == ["web", "web #2"]


def test_a_watch_with_several_probes_wants_to_know_which(web: Web, journal: Journal) -> None:
    """Claims of a watch with two lanes name the lane."""
    two = watch(None, journal, make("http", url=web.url, name="a"), make("http", url=web.url, name="b"))

    with pytest.raises(TypeError, match="2 probes"):
        two.expect(ANSWERED)
    assert two["b"].name == "b"


def test_one_look_without_a_watch(web: Web) -> None:
    """`observe` takes one sample, in the sampler's own process."""
    assert observe(None, make("http", url=web.url)).outcome == "ANSWERED"


def test_windows_of_several_faults() -> None:
    """Surely in force is where all overlap; maybe is from the first apply to the last undo."""

    def event(type: str, start: float, end: float) -> Event:
        return Event(type, end, "", {"start": start, "end": end})

    told = [
        event("fault-applied", 1, 2),
        event("fault-applied", 3, 4),
        event("fault-undone", 8, 9),
        event("fault-undone", 10, 11),
    ]

    assert fault_windows(told) == (Window(start=4, end=8), Window(start=1, end=11))
    assert fault_windows(told[:2]) is None
