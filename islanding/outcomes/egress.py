"""Outcomes of a try to leave the network: OPEN and REFUSED mean that a packet came back, BLOCKED that none did.

`ok` says, as for every probe, that what was tried worked: a closed network is shown by BLOCKED. The texts are those of
this project's probe: TCP `connected to`, UDP and DNS `answer: `, ICMP `reply: `; `resolve: ` (NAME_NOT_RESOLVED) when a
name was to be tried.
"""

from __future__ import annotations

from islanding.outcomes.pattern import Exit, Outcome, Pattern

EGRESS = "egress"

_ERRNO = "Linux errno(3)"
_SOURCE = "islanding/probes: tries to leave the network"


def _try(regex: str, example: str, component: str = _ERRNO, ended: Exit = "not zero") -> Pattern:
    return Pattern((EGRESS,), regex, example, component, _SOURCE, ended)


OPEN = Outcome(
    "OPEN",
    ok=True,
    meaning="A host outside answered: there is a way out of the network.",
    patterns=(
        _try(
            r"^(?:connected to|answer: |reply: |HTTP \d\d\d)",
            "connected to 198.51.100.10:443",
            "the host outside",
            "zero",
        ),
    ),
)
BLOCKED = Outcome(
    "BLOCKED",
    ok=False,
    meaning="Nothing came back within the time limit: packets end in silence, as AWS ends them.",
    patterns=(
        _try(
            r"^(?:connect|query|echo|send|tcp|udp|icmp|dns): (?:timed out|no reply|\[Errno 110\])", "connect: timed out"
        ),
    ),
)
REFUSED = Outcome(
    "REFUSED",
    ok=False,
    meaning="Something on the way or at the end said no (reset, ICMP error): a packet came back, so it is not silence.",
    patterns=(
        _try(
            r"^(?:connect|query|echo|send|tcp|udp|icmp|dns): (?:\[Errno (?:104|111)\]|REFUSED|unreachable)",
            "connect: [Errno 111] Connection refused",
        ),
    ),
)
NO_ROUTE = Outcome(
    "NO_ROUTE",
    ok=False,
    meaning="The machine itself has no route, or was told by a router that there is none: the packet did not leave.",
    patterns=(
        _try(
            r"^(?:connect|query|echo|send|tcp|udp|icmp|dns): \[Errno (?:101|113|1|13)\]",
            "connect: [Errno 101] Network is unreachable",
        ),
    ),
)

EGRESSES = (OPEN, BLOCKED, REFUSED, NO_ROUTE)
