"""Samples made small without losing what matters: stretches of one outcome, and the distinct texts that users saw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from islanding.evidence.record import UNKNOWN, Message, Observation, State, Stretch

_DIGITS = re.compile(r"\d+")
_HOLE_INTERVALS = 3.0  # a pause of more than three intervals between two samples is a hole, and is drawn as one
_HOLE_MINIMUM = 1.0  # seconds; below it a pause is the scheduler's and cannot be seen in a drawing


def state_of(outcome: str, ok: object) -> State:
    """Whether a sample is good, bad or unknown: by `ok`; UNKNOWN, and a sample without `ok`, are unknown."""
    if outcome == UNKNOWN or not isinstance(ok, bool):
        return "unknown"
    return "good" if ok else "bad"


def stretches(samples: Sequence[Observation], interval: float) -> list[Stretch]:
    """Merge neighbouring samples (sorted by start) of the same outcome; a hole in sampling ends a stretch."""
    merged: list[Stretch] = []
    hole = max(_HOLE_MINIMUM, _HOLE_INTERVALS * interval)
    for sample in samples:
        last = merged[-1] if merged else None
        if last and (last.outcome, last.state) == (sample.outcome, sample.state) and sample.start - last.end <= hole:
            last.end = max(last.end, sample.end)
            last.count += 1
            last.slowest = max(last.slowest, sample.end - sample.start)
        else:
            merged.append(
                Stretch(
                    sample.start,
                    sample.end,
                    sample.outcome,
                    sample.state,
                    1,
                    sample.end - sample.start,
                    sample.text,
                )
            )
    return merged


def clipped(merged: Sequence[Stretch]) -> list[Stretch]:
    """The stretches as drawn: where samples overlap, a later one of another outcome ends the stretch before it.

    A slow failure that was begun before the link was back must not lie over the answers that came after.
    """
    ends = [*(following.start for following in merged[1:]), float("inf")]
    return [replace(stretch, end=min(stretch.end, end)) for stretch, end in zip(merged, ends, strict=True)]


def messages(watches: Iterable[tuple[str, Sequence[Observation]]]) -> list[Message]:
    """The distinct texts of samples by watch and outcome, in the order first seen.

    Texts that differ only in digits (times, ports, durations) are one message, shown in its first exact wording.
    """
    found: dict[tuple[str, str, State, str], Message] = {}
    exact: dict[tuple[str, str, State, str], set[str]] = {}
    for watch, samples in watches:
        for sample in samples:
            text = sample.text.strip()
            if not text:
                continue
            key = (watch, sample.outcome, sample.state, _DIGITS.sub("0", text))
            known = found.get(key)
            if known is None:
                found[key] = Message(watch, sample.outcome, sample.state, text, sample.start, sample.start)
                exact[key] = {text}
                continue
            known.count += 1
            known.last = max(known.last, sample.start)
            if text not in exact[key]:
                exact[key].add(text)
                known.variants += 1
    return sorted(found.values(), key=lambda message: message.first)
