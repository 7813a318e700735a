"""Named outcomes: what a probe saw, told from its exit code and text; an unknown message is UNKNOWN, never a pass.

Each outcome is data: a name, whether what was probed worked, its meaning, and the patterns by which it is known, each
with an example word for word, the component that prints it and the source from which it was taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from islanding.errors import SetupError
from islanding.outcomes.aws_call import AWS
from islanding.outcomes.egress import EGRESSES
from islanding.outcomes.flow import FLOW
from islanding.outcomes.join import JOIN
from islanding.outcomes.kubectl import (
    ALLOWED,
    ANONYMOUS,
    API_EOF,
    API_NO_QUORUM,
    API_REFUSED,
    API_RESET,
    API_TLS_TIMEOUT,
    API_UNAVAILABLE,
    API_UNREACHABLE,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_UNKNOWN_AUTHORITY,
    CERTIFICATE_WRONG_NAME,
    CREDENTIAL_PLUGIN_FAILED,
    DEADLINE,
    FORBIDDEN,
    KUBECTL,
    NOT_FOUND,
    UNAUTHORIZED,
    UNKNOWN_RESOURCE,
)
from islanding.outcomes.network import (
    ANSWERED,
    CONNECTED,
    DNS_NXDOMAIN,
    DNS_REFUSED,
    DNS_SERVER_FAILURE,
    DNS_TEMPORARY_FAILURE,
    DNS_TIMEOUT,
    HTTP_ERROR,
    HTTP_NO_ROUTE,
    HTTP_REFUSED,
    HTTP_RESET,
    HTTP_TIMEOUT,
    NAME_NOT_RESOLVED,
    NETWORK,
    RESOLVED,
    STREAM_BROKEN,
    STREAM_STALLED,
    TCP_NO_ROUTE,
    TCP_REFUSED,
    TCP_TIMEOUT,
)
from islanding.outcomes.pattern import KINDS, Outcome, Pattern
from islanding.outcomes.pod import POD
from islanding.outcomes.pull import PULL
from islanding.outcomes.ssh import SSHS
from islanding.outcomes.state import (
    DISCONNECTED,
    ESTABLISHED,
    NO_DATA,
    NO_SUCH_NEIGHBOR,
    NOT_ESTABLISHED,
    NOT_READY,
    PARTLY_READY,
    READY,
    STATE,
    TIME_LIMIT,
)

UNKNOWN = Outcome(
    "UNKNOWN", ok=False, meaning="A message that no pattern knows: it fails every expectation until it has a name."
)

OUTCOMES: dict[str, Outcome] = {
    outcome.name: outcome
    for outcome in (*KUBECTL, *NETWORK, *STATE, *PULL, *JOIN, *POD, *AWS, *EGRESSES, *SSHS, *FLOW, UNKNOWN)
}

_OF_KUBECTL = ("kubectl", "node")
_KLOG = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:\d\d")


def matching(kind: str, exit_code: int | None, text: str) -> tuple[Outcome, ...]:
    """Every outcome whose patterns match; more than one means that the patterns overlap."""
    message = _final_message(text) if kind in _OF_KUBECTL else text
    return tuple(outcome for outcome in OUTCOMES.values() if outcome.matches(kind, exit_code, message))


def recognise(kind: str, exit_code: int | None, text: str) -> Outcome:
    """The outcome that a probe of `kind` saw: `exit_code` (None: killed at its time limit) and the text it printed.

    UNKNOWN when nothing matches, and when more than one does: an ambiguous message proves nothing.
    """
    found = matching(kind, exit_code, text)
    return found[0] if len(found) == 1 else UNKNOWN


def named(names: str | Outcome | Iterable[str | Outcome]) -> tuple[Outcome, ...]:
    """The outcomes of those names; raises SetupError that lists the known ones for a name that does not exist.

    UNKNOWN cannot be asked for: nothing may be expected of a message that nobody understands.
    """
    asked = [names] if isinstance(names, (str, Outcome)) else list(names)
    known = []
    for item in asked:
        name = item.name if isinstance(item, Outcome) else item
        if name not in OUTCOMES or name == UNKNOWN.name:
            allowed = ", ".join(sorted(set(OUTCOMES) - {UNKNOWN.name}))
            raise SetupError(f"{name!r} is no outcome that can be expected", f"use one of: {allowed}")
        known.append(OUTCOMES[name])
    return tuple(known)


def is_ok(name: str) -> bool:
    """Whether what was probed worked, by the outcome's name; an unheard-of name did not."""
    return name in OUTCOMES and OUTCOMES[name].ok


def _final_message(text: str) -> str:
    """What a program says at the end: kubectl logs each discovery retry by klog before its one message for the user."""
    lines = [line for line in text.splitlines() if not _KLOG.match(line)]
    return "\n".join(lines) if any(line.strip() for line in lines) else text


__all__ = [
    "ALLOWED",
    "ANONYMOUS",
    "ANSWERED",
    "API_EOF",
    "API_NO_QUORUM",
    "API_REFUSED",
    "API_RESET",
    "API_TLS_TIMEOUT",
    "API_UNAVAILABLE",
    "API_UNREACHABLE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN_AUTHORITY",
    "CERTIFICATE_WRONG_NAME",
    "CONNECTED",
    "CREDENTIAL_PLUGIN_FAILED",
    "DEADLINE",
    "DISCONNECTED",
    "DNS_NXDOMAIN",
    "DNS_REFUSED",
    "DNS_SERVER_FAILURE",
    "DNS_TEMPORARY_FAILURE",
    "DNS_TIMEOUT",
    "ESTABLISHED",
    "FORBIDDEN",
    "HTTP_ERROR",
    "HTTP_NO_ROUTE",
    "HTTP_REFUSED",
    "HTTP_RESET",
    "HTTP_TIMEOUT",
    "KINDS",
    "NAME_NOT_RESOLVED",
    "NOT_ESTABLISHED",
    "NOT_FOUND",
    "NOT_READY",
    "NO_DATA",
    "NO_SUCH_NEIGHBOR",
    "OUTCOMES",
    "PARTLY_READY",
    "READY",
    "RESOLVED",
    "STREAM_BROKEN",
    "STREAM_STALLED",
    "TCP_NO_ROUTE",
    "TCP_REFUSED",
    "TCP_TIMEOUT",
    "TIME_LIMIT",
    "UNAUTHORIZED",
    "UNKNOWN",
    "UNKNOWN_RESOURCE",
    "Outcome",
    "Pattern",
    "is_ok",
    "matching",
    "named",
    "recognise",
]
