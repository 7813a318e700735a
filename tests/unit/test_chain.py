"""The journal's chain: whatever is altered afterwards is found, and the first thing that is wrong is named."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding import chain, journal
from islanding.chain import Link, inspect, seal, sealed
from islanding.errors import SetupError
from islanding.journal import Journal, read


def bodies(count: int) -> list[bytes]:
    """The events of a short run, as they are before they are chained."""
    made = [
        {"v": 2, "type": "sample", "t": float(i), "wall": "w", "text": f'text {i}, "n": 1'} for i in range(count - 1)
    ]
    return [json.dumps(each).encode() for each in [*made, {"v": 2, "type": "run-finished", "t": 9.0, "wall": "w"}]]


LINES = sealed(bodies(8))


def problem(lines: Sequence[bytes]) -> str:
    """The first thing that is wrong; "" when nothing is."""
    found = inspect(lines)
    return found.problems[0] if found.problems else ""


def changed(line: bytes) -> bytes:
    """The line with another letter in its text."""
    return line.replace(b"text", b"test", 1)


def forged(lines: Sequence[bytes], after: int) -> bytes:
    """A line with a hash that fits behind line `after`."""
    stands = chain.stated(lines[after - 1]) if after else None
    return seal(b'{"v": 2, "type": "warning"}', stands or Link())[0]


def test_chain_is_the_one_in_the_document() -> None:
    """The algorithm of docs/journal.md, written down here a second time, gives the same numbers and hashes."""
    before = "0" * 64
    for number, raw in enumerate(LINES, 1):
        body, _, end = raw.rpartition(b', "hash": "')
        before = hashlib.sha256(before.encode() + body).hexdigest()

        assert (number, before) == (json.loads(raw)["n"], end[:-2].decode())
    assert inspect(LINES).head == Link(8, before)
    assert (inspect(LINES).problems, inspect(LINES).finished, inspect(LINES).chained) == ((), True, True)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([*LINES[:3], changed(LINES[3]), *LINES[4:]], "line 4 was changed, or line 3 was and its hash made anew"),
        ([changed(LINES[0]), *LINES[1:]], "line 1 was changed"),
        ([*LINES[:7], LINES[7].replace(b"finished", b"finishes")], "line 8 was changed, or line 7 was"),
        ([*LINES[:3], *LINES[4:]], "entry 4 was removed before line 4"),
        (LINES[2:], "entries 1 to 2 were removed before line 1"),
        ([*LINES[:2], LINES[7]], "entries 3 to 7 were removed before line 3"),
        (
            [*LINES[:2], LINES[3], LINES[2], *LINES[4:]],
            "lines were reordered: line 3 is entry 4, and entry 3 is line 4",
        ),
        ([LINES[7], *LINES[:7]], "lines were reordered: line 1 is entry 8, and entry 1 is line 2"),
        ([*LINES[:3], LINES[2], *LINES[3:]], "line 4 was added"),
        ([*LINES[:3], LINES[1], LINES[2], *LINES[3:]], "lines 4 to 5 were added"),
        ([*LINES, LINES[3]], "line 9 was added: it is a copy of line 4"),
        ([*LINES[:3], forged(LINES, 3), *LINES[3:]], "line 4 was added: line 5 follows from what was before"),
        ([*LINES[:3], forged(LINES, 6), *LINES[3:]], "lines were reordered"),
        ([*LINES[:3], b"{}", *LINES[3:]], "line 4 was added"),
        ([*LINES[:3], b"", *LINES[3:]], "line 4 was added: it is empty"),
        ([*LINES[:3], b'{"v": 1, "type": "warning"}', *LINES[3:]], "line 4 was added"),
        ([*LINES[:3], LINES[3][:-20], *LINES[4:]], "line 4 was changed: it has no hash, and line 5 does not"),
        ([*LINES[:7], LINES[7][:-20]], "line 8, the last, was cut off as it was written"),
    ],
)
def test_first_wrong_thing_is_named(lines: list[bytes], told: str) -> None:
    """What was changed, removed, reordered, added or cut off is said, with the line where it shows."""
    assert problem(lines).startswith(told), problem(lines)


@given(st.integers(0, len(b"\n".join(LINES)) - 1), st.integers(1, 255))
def test_each_byte_counts(position: int, difference: int) -> None:
    """A journal with any one byte changed never holds."""
    content = bytearray(b"\n".join(LINES))
    content[position] ^= difference

    assert problem(bytes(content).split(b"\n")) != ""


@given(st.lists(st.sampled_from(range(len(LINES))), max_size=12))
def test_only_the_entries_in_their_order_hold(order: list[int]) -> None:
    """Whichever entries are kept, doubled or moved: a chain holds only where they are the first ones, in order."""
    held = problem([LINES[i] for i in order]) == ""

    assert held == (order == list(range(len(order))))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_nothing_is_raised_for_any_content(lines: list[bytes]) -> None:
    """Bytes that are no journal at all are a finding too, not an error."""
    without = [line.replace(b"\n", b"") for line in lines]

    assert len(inspect([*LINES[:2], *without]).problems) >= (1 if without else 0)


def test_end_taken_away_is_a_run_that_did_not_finish(tmp_path: Path) -> None:
    """Whole lines missing at the end leave a chain that holds: what shows is that `run-finished` is not there."""
    file = tmp_path / "journal.jsonl"
    file.write_bytes(b"\n".join(LINES[:6]) + b"\n")

    assert chain.check(file) == ["the journal ends at line 6, before the run did: no run-finished"]


def test_finished_is_the_event_and_not_its_name_in_a_text() -> None:
    """A text that quotes the line does not end a run."""
    text = json.dumps({"v": 2, "type": "evidence", "text": '"type": "run-finished"', "a": {"type": "run-finished"}})

    assert inspect(sealed([text.encode()])).finished is False


def test_missing_file_is_said(tmp_path: Path) -> None:
    """A journal that is not there is the user's mistake, not a crash."""
    with pytest.raises(SetupError, match="cannot be read: No such file"):
        chain.check(tmp_path / "journal.jsonl")


def test_older_journal_is_not_called_altered() -> None:
    """Lines of version 1 have no chain, and what a newer islanding appends to them vouches for them."""
    old = [b'{"v": 1, "type": "warning", "text": "a"}', b'{"v": 1, "type": "run-finished"}']
    assert (inspect(old).problems, inspect(old).chained, inspect(old).finished) == ((), False, True)

    both = [*old, seal(b'{"v": 2, "type": "warning"}', inspect(old).head)[0]]
    assert problem(both) == ""
    assert problem([old[0], *both[2:]]) == "entry 2 was removed before line 2"
    assert problem([old[0].replace(b'"a"', b'"b"'), *both[1:]]) == "one of the lines 1 to 3 was changed"


# From here on: the journal as it is written.


@pytest.fixture
def book(tmp_path: Path) -> Journal:
    """A journal that is being written."""
    return Journal(tmp_path / "journal.jsonl", site="here")


def test_appended_events_are_a_chain(book: Journal) -> None:
    """What two writers of one file append holds, and is read without the chain's own fields."""
    other = book.bind(case="c")
    for text in ("a", "b", "c"):
        book.append("warning", text=text)
        other.append("warning", text=text)
    book.append("run-finished", exit_code=0)

    assert chain.check(book.path) == []
    assert [event.data for event in read(book.path)][:2] == [
        {"site": "here", "text": "a"},
        {"site": "here", "case": "c", "text": "a"},
    ]


@pytest.mark.parametrize("kept", [1, 30, -1])
def test_chain_goes_on_behind_a_line_cut_off_by_a_crash(book: Journal, kept: int) -> None:
    """The next event begins a line of its own, the damage is named, and what follows still holds."""
    book.append("warning", text="x" * 200_000)  # longer than what is read at once
    size = book.path.stat().st_size
    book.append("warning", text="torn" * 50_000)
    os.truncate(book.path, size + kept if kept > 0 else book.path.stat().st_size - 90)
    book.append("warning", text="after")
    book.append("run-finished", exit_code=0)

    assert chain.check(book.path) == [
        "line 2 was cut off as it was written; what follows is chained to what is left of it"
    ]
    assert [event.get("text", "")[:5] for event in read(book.path)] == ["xxxxx", "after", ""]
    book.path.write_bytes(book.path.read_bytes().replace(b"\n{", b"\n[", 1))
    assert "was changed" in chain.check(book.path)[0]


def test_end_of_line_alone_may_be_lost(book: Journal) -> None:
    """A line that lacks only its end is whole: the next event ends it."""
    book.append("warning", text="a")
    os.truncate(book.path, book.path.stat().st_size - 1)
    book.append("run-finished", exit_code=0)

    assert chain.check(book.path) == []


def test_journal_of_version_1_is_gone_on_with(book: Journal) -> None:
    """Events appended to an older journal vouch for its lines."""
    book.path.write_bytes(b'{"v": 1, "type": "warning", "t": 1, "wall": "w"}\n' * 3)
    book.append("run-finished", exit_code=0)

    assert chain.check(book.path) == []
    assert json.loads(book.path.read_text().splitlines()[-1])["n"] == 4


WRITER = """
import sys, threading
from pathlib import Path
from islanding.journal import Journal
book = Journal(Path(sys.argv[1]))
def write():
    for number in range(100):
        book.append("sample", watch=sys.argv[2], text="x" * (number % 7 * 40))
threads = [threading.Thread(target=write) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_chain_holds_for_many_writers_at_once(book: Journal) -> None:
    """Processes, and threads in each, that append at the same time lose nothing and break nothing."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(book.path), str(i)]) for i in range(3)]
    for _ in range(100):
        book.append("warning", text="mine")

    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    book.append("run-finished", exit_code=0)
    assert chain.check(book.path) == []
    assert len(list(read(book.path))) == 701


def test_forked_child_takes_its_turn(book: Journal) -> None:
    """A child that was forked shares the parent's open file, and with it its lock: it opens its own."""
    book.append("warning", text="before")
    child = os.fork()
    if not child:
        for _ in range(300):
            book.append("warning", text="child")
        os._exit(0)
    for _ in range(300):
        book.append("warning", text="parent")
    os.waitpid(child, 0)
    book.append("run-finished", exit_code=0)

    assert chain.check(book.path) == []


HOLDER = """
import fcntl, signal, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
signal.pause()
"""


def test_stopped_process_cannot_keep_others_from_writing(book: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the lock for too long, an event is written rather than lost, or waited for without end."""
    monkeypatch.setattr(journal, "LOCK_SECONDS", 0.05)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, book.path], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        os.kill(holder.pid, signal.SIGSTOP)
        book.append("warning", text="healed")
        holder.kill()

    assert [event["text"] for event in read(book.path)] == ["healed"]


@pytest.mark.parametrize("key", ["n", "hash"])
def test_names_of_the_chain_are_its_own(book: Journal, key: str) -> None:
    """An event cannot bring a number or a hash of its own."""
    with pytest.raises(ValueError, match=re.escape(f"reserved for the chain: {key}")):
        book.append("warning", **{key: "x"})
