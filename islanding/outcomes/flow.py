"""The outcome of counting packets at a node: the counters were read. What they say is for the case to compare."""

from __future__ import annotations

from islanding.outcomes.pattern import Outcome, Pattern

COUNTED = Outcome(
    "COUNTED",
    ok=True,
    meaning="The node's own counters were read; the text has packets and bytes by endpoint.",
    patterns=(
        Pattern(
            ("flow-counters",),
            r"\A",
            "ecr.api 12 packets 3400 bytes to, 10 packets 9100 from",
            "nft",
            "islanding/probes/flow_counters.py",
            "zero",
        ),
    ),
)

FLOW = (COUNTED,)
