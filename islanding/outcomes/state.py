"""Outcomes of probes that read a state: BGP sessions, node conditions, the service link's metric, the time limit."""

from __future__ import annotations

from islanding.outcomes.pattern import KINDS, Outcome, Pattern

_NODE = "the Ready condition of a Kubernetes node"
_NODE_SOURCE = "docs/measurements.md 5; text: islanding/kube/nodes.py"
_FRR = "FRR 8.4, show bgp neighbors X json"
_FRR_SOURCE = "docs/measurements.md 6; text: islanding/probes/bgp.py"


READY = Outcome(
    "READY",
    ok=True,
    meaning="The control plane holds every node asked for as Ready.",
    patterns=(
        Pattern(
            ("node", "node-join"),
            r"^READY: ",
            "READY: w1 Ready=True KubeletReady",
            _NODE,
            _NODE_SOURCE,
            "zero",
        ),
    ),
)
NOT_READY = Outcome(
    "NOT_READY",
    ok=False,
    meaning="The control plane holds none of the nodes asked for as Ready (condition False or Unknown).",
    patterns=(
        Pattern(
            ("node",),
            r"^NOT READY: ",
            "NOT READY: w1 Ready=Unknown NodeStatusUnknown (Kubelet stopped posting node status.)",
            _NODE,
            _NODE_SOURCE,
            "zero",
        ),
    ),
)
PARTLY_READY = Outcome(
    "PARTLY_READY",
    ok=False,
    meaning="Of the nodes asked for some are Ready and some are not.",
    patterns=(
        Pattern(
            ("node",),
            r"^PARTLY READY: ",
            "PARTLY READY: w1 Ready=True KubeletReady; w2 Ready=Unknown NodeStatusUnknown",
            _NODE,
            _NODE_SOURCE,
            "zero",
        ),
    ),
)
ESTABLISHED = Outcome(
    "ESTABLISHED",
    ok=True,
    meaning="The BGP session is established.",
    patterns=(Pattern(("bgp",), r"^state=Established\b", "state=Established", _FRR, _FRR_SOURCE, "zero"),),
)
NOT_ESTABLISHED = Outcome(
    "NOT_ESTABLISHED",
    ok=False,
    meaning="The BGP session is in another state than Established; the text has the router's reason.",
    patterns=(
        Pattern(
            ("bgp",),
            r"^state=(?!Established\b)\w+",
            "state=Idle (Administrative Shutdown) lastNotificationReason=Cease/Administrative Shutdown",
            _FRR,
            _FRR_SOURCE,
            "zero",
        ),
    ),
)
NO_SUCH_NEIGHBOR = Outcome(
    "NO_SUCH_NEIGHBOR",
    ok=False,
    meaning="The router knows no neighbour of that address: its configuration is gone or the probe asks the wrong one.",
    patterns=(Pattern(("bgp",), r"^no such neighbor", "no such neighbor: 10.9.0.1", _FRR, _FRR_SOURCE),),
)
DISCONNECTED = Outcome(
    "DISCONNECTED",
    ok=False,
    meaning="CloudWatch says that the service link is down or impaired (average below 1).",
    patterns=(
        Pattern(
            ("service-link",),
            r"^ConnectedStatus=0(\.\d+)?\b",
            "ConnectedStatus=0 at 2026-11-21T01:51:00+00:00",
            "CloudWatch metric AWS/Outposts ConnectedStatus, average",
            "docs/facts.md 2 (Outposts metrics; the drill of 2022 saw 0)",
            "zero",
        ),
    ),
)
NO_DATA = Outcome(
    "NO_DATA",
    ok=False,
    meaning="CloudWatch has no datapoint of the metric in the time asked for.",
    patterns=(
        Pattern(
            ("service-link",),
            r"^no datapoint",
            "no datapoint of ConnectedStatus in the last 300 s",
            "CloudWatch",
            "islanding/probes/service_link.py",
        ),
    ),
)
TIME_LIMIT = Outcome(
    "TIME_LIMIT",
    ok=False,
    meaning="The probe was stopped at its own time limit, before what it ran had said anything final.",
    patterns=(
        Pattern(
            KINDS,
            r"\A",
            "stopped after 200 s",
            "the probe itself",
            "islanding/probes/base.py",
            "killed",
        ),
    ),
)

STATE = (
    READY,
    NOT_READY,
    PARTLY_READY,
    ESTABLISHED,
    NOT_ESTABLISHED,
    NO_SUCH_NEIGHBOR,
    DISCONNECTED,
    NO_DATA,
    TIME_LIMIT,
)
