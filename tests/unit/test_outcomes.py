"""Outcomes: each message has one name, word for word, and an unknown one has none."""

from __future__ import annotations

from itertools import chain

import pytest

from islanding.errors import SetupError
from islanding.outcomes import KINDS, OUTCOMES, UNKNOWN, matching, named, recognise

EXAMPLES = [
    (outcome.name, kind, {"zero": 0, "not zero": 1, "killed": None}[pattern.ended], pattern.example)
    for outcome in OUTCOMES.values()
    for pattern in outcome.patterns
    for kind in pattern.kinds
]

# Word for word from what was seen; not taken from the tables, so that a change there shows here.
_RETRY = (
    'E1121 01:52:55.494855    6425 memcache.go:265] "Unhandled Error" '
    "err=\"couldn't get current server API group list: "
)
_CONNECT = "Unable to connect to the server: "
SEEN = [
    ("UNAUTHORIZED", "kubectl", "error: You must be logged in to the server (Unauthorized)"),
    (
        "UNAUTHORIZED",
        "kubectl",
        5 * f'{_RETRY}the server has asked for the client to provide credentials"\n'
        + "error: You must be logged in to the server (the server has asked for the client to provide credentials)",
    ),
    ("DEADLINE", "kubectl", _CONNECT + "context deadline exceeded"),
    ("UNKNOWN_RESOURCE", "kubectl", 'error: the server doesn\'t have a resource type "svc"'),
    ("API_UNREACHABLE", "kubectl", _CONNECT + "dial tcp 10.0.1.10:6443: i/o timeout"),
    (
        "API_UNREACHABLE",
        "kubectl",
        f'{_RETRY}Get \\"https://10.0.1.10:6443/api?timeout=32s\\": dial tcp 10.0.1.10:6443: i/o timeout"\n'
        + _CONNECT
        + "dial tcp 10.0.1.10:6443: i/o timeout",
    ),
    ("API_TLS_TIMEOUT", "kubectl", _CONNECT + "net/http: TLS handshake timeout"),
    ("API_EOF", "kubectl", _CONNECT + "EOF"),
    (
        "API_REFUSED",
        "kubectl",
        (
            f'{_RETRY}Get \\"https://127.0.0.1:1/api?timeout=32s\\": '
            'dial tcp 127.0.0.1:1: connect: connection refused"\n'
            "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?"
        ),
    ),
    ("NAME_NOT_RESOLVED", "kubectl", _CONNECT + "dial tcp: lookup nope.invalid on 10.255.255.53:53: no such host"),
    (
        "NAME_NOT_RESOLVED",
        "kubectl",
        _CONNECT
        + "dial tcp: lookup api.test on 10.0.0.2:53: read udp 10.0.0.9:4051->10.0.0.2:53: read: connection refused",
    ),
    ("NAME_NOT_RESOLVED", "kubectl", _CONNECT + "dial tcp: lookup api.test on 10.0.0.2:53: server misbehaving"),
    (
        "FORBIDDEN",
        "kubectl",
        (
            'Error from server (Forbidden): nodes is forbidden: User "jane" cannot list resource "nodes" in API group '
            '"" at the cluster scope'
        ),
    ),
    ("CREDENTIAL_PLUGIN_FAILED", "kubectl", "could not get token: AccessDenied: Access denied"),
    ("API_UNREACHABLE", "node", _CONNECT + "dial tcp 10.0.1.10:6443: i/o timeout"),
    (
        "NODE_API_UNREACHABLE",
        "node-join",
        (
            'E1122 00:39:22.286941    4196 event.go:368] "Unable to write event (may retry after sleeping)" err="Post '
            '\\"https://c.gr7.ap-northeast-1.eks.amazonaws.com/api/v1/namespaces/default/events\\": '
            'dial tcp 10.20.16.7:443: i/o timeout" event="&Event{}"'
        ),
    ),
]


@pytest.mark.parametrize(("name", "kind", "exit_code", "text"), EXAMPLES)
def test_an_example_is_its_own_outcome_and_no_other(name: str, kind: str, exit_code: int | None, text: str) -> None:
    """Patterns do not overlap: the example of each is recognised as exactly one outcome, its own."""
    assert [outcome.name for outcome in matching(kind, exit_code, text)] == [name]


@pytest.mark.parametrize(("name", "kind", "text"), SEEN)
def test_a_message_that_was_seen_has_its_name(name: str, kind: str, text: str) -> None:
    """The messages of the lab's notes are recognised word for word, and by one outcome only."""
    assert [outcome.name for outcome in matching(kind, 1, text)] == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unexpected_message_is_unknown_and_not_ok(kind: str) -> None:
    """What nobody has seen before is UNKNOWN, for every kind of probe."""
    seen = recognise(kind, 1, "flux capacitor out of phase")

    assert seen == UNKNOWN
    assert not seen.ok


def test_exit_code_0_is_allowed_whatever_kubectl_warns_of() -> None:
    """kubectl may print a failed try and then succeed: its exit code decides."""
    assert recognise("kubectl", 0, "error: You must be logged in to the server (Unauthorized)").name == "ALLOWED"


def test_two_final_messages_at_once_are_unknown() -> None:
    """A text that two outcomes claim proves nothing."""
    text = "Unable to connect to the server: EOF\nerror: You must be logged in to the server (Unauthorized)"

    assert [o.name for o in matching("kubectl", 1, text)] == ["UNAUTHORIZED", "API_EOF"]
    assert recognise("kubectl", 1, text) == UNKNOWN


def test_a_silent_resolver_is_told_apart_from_a_silent_server() -> None:
    """Both say i/o timeout; only one of them is about a name."""
    server = "Unable to connect to the server: dial tcp 10.0.0.2:6443: i/o timeout"
    lookup = "lookup a.b on 10.0.0.2:53: read udp 1.2.3.4:5->6.7.8.9:53: i/o timeout"
    resolver = f"Unable to connect to the server: dial tcp: {lookup}"

    assert [recognise("kubectl", 1, t).name for t in (server, resolver)] == ["API_UNREACHABLE", "NAME_NOT_RESOLVED"]


def test_an_impaired_service_link_is_not_connected() -> None:
    """An average below 1 means impaired, however little below."""
    texts = [f"ConnectedStatus={value:g} at x" for value in (1, 0.98, 0.5, 0)]

    assert [recognise("service-link", 0, text).name for text in texts] == ["CONNECTED", *["DISCONNECTED"] * 3]


def test_every_outcome_says_what_it_means_and_where_it_is_from() -> None:
    """Meaning, component and source are never empty, and kinds are known ones."""
    patterns = list(chain.from_iterable(outcome.patterns for outcome in OUTCOMES.values()))

    assert all(outcome.meaning.endswith(".") for outcome in OUTCOMES.values())
    assert all(p.component and p.source and set(p.kinds) <= set(KINDS) for p in patterns)


@pytest.mark.parametrize("name", ["UNKNOWN", "UNAUTHORISED"])
def test_only_known_outcomes_can_be_expected(name: str) -> None:
    """A misspelt name, and UNKNOWN itself, are refused with the list of names."""
    with pytest.raises(SetupError, match="UNAUTHORIZED"):
        named(name)
