"""The log shipper's batches: what the journal says, whole lines, in order, however the pipe cuts them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.guest import ship_logs


@pytest.fixture(scope="module", autouse=True)
def at_once() -> Iterator[None]:
    """Nothing gathers: what is there is a batch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ship_logs, "PAUSE", 0.0)
        yield


@given(st.lists(st.text(max_size=20), max_size=30), st.integers(1, 60))
def test_each_entry_comes_once_and_in_order(messages: list[str], cut: int) -> None:
    """Lines cut anywhere are put together again; no batch is empty or larger than a call may be."""
    lines = b"".join(json.dumps({"MESSAGE": message}).encode() + b"\n" for message in messages)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    got = []
    with os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "wb", buffering=0) as pipe:
        batches = ship_logs.batches(reading)
        pipe.write(lines[:cut])
        if b"\n" in lines[:cut]:
            got.append(next(batches))
        pipe.write(lines[cut:])
        pipe.close()
        got += list(batches)

    assert messages == [entry["MESSAGE"] for batch in got for entry in batch]
    assert all(1 <= len(batch) <= ship_logs.BATCH for batch in got)


def test_a_long_journal_comes_in_batches() -> None:
    """CloudWatch Logs gets no more than BATCH events a call."""
    count = 2 * ship_logs.BATCH + 1
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=0):
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            pipe.write(b"{}\n" * count)
        sizes = [len(batch) for batch in ship_logs.batches(reading)]

    assert [ship_logs.BATCH, ship_logs.BATCH, 1] == sizes
