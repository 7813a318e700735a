"""Outcomes of HTTP, DNS and TCP probes; their texts are this project's own probes', around those of Linux and glibc."""

from __future__ import annotations

from islanding.outcomes.pattern import Exit, Outcome, Pattern

_ERRNO = "Linux errno(3) as CPython prints it"
_HTTP = ("http", "http-stream")


def _http(regex: str, example: str, component: str = _ERRNO, ended: Exit = "not zero") -> Pattern:
    return Pattern(_HTTP, regex, example, component, "islanding/probes/http.py", ended)


def _stream(regex: str, example: str) -> Pattern:
    return Pattern(("http-stream",), regex, example, _ERRNO, "islanding/probes/http_stream.py")


def _dns(regex: str, example: str, component: str, ended: Exit = "not zero") -> Pattern:
    return Pattern(("dns",), regex, example, component, "islanding/probes/dns.py", ended)


def _tcp(regex: str, example: str, ended: Exit = "not zero") -> Pattern:
    return Pattern(("tcp",), regex, example, _ERRNO, "islanding/probes/tcp.py", ended)


ANSWERED = Outcome(
    "ANSWERED",
    ok=True,
    meaning="The workload answered with a status below 400.",
    patterns=(_http(r"^HTTP [123]\d\d\b", "HTTP 200 OK: Welcome to nginx!", "the workload", "zero"),),
)
HTTP_ERROR = Outcome(
    "HTTP_ERROR",
    ok=False,
    meaning="Something answered, with a status of 400 or more.",
    patterns=(
        _http(r"^HTTP [45]\d\d\b", "HTTP 503 Service Unavailable: no server is available", "the workload or a proxy"),
    ),
)
HTTP_TIMEOUT = Outcome(
    "HTTP_TIMEOUT",
    ok=False,
    meaning="No connection, or no answer over a new connection, within the probe's time limit: the path is silent.",
    patterns=(_http(r"^(connect|answer): (timed out|\[Errno 110\])", "connect: timed out"),),
)
HTTP_REFUSED = Outcome(
    "HTTP_REFUSED",
    ok=False,
    meaning="The address is there and nothing listens, or a Service has no ready endpoint.",
    patterns=(_http(r"^connect: \[Errno 111\]", "connect: [Errno 111] Connection refused"),),
)
HTTP_RESET = Outcome(
    "HTTP_RESET",
    ok=False,
    meaning="A new connection was made, then reset or closed before the answer.",
    patterns=(
        _http(r"^(connect|answer): \[Errno (104|32)\]", "answer: [Errno 104] Connection reset by peer"),
        _http(
            r"^answer: (Remote end closed connection|closed in the middle)",
            "answer: Remote end closed connection without response",
            "CPython's http.client",
        ),
    ),
)
HTTP_NO_ROUTE = Outcome(
    "HTTP_NO_ROUTE",
    ok=False,
    meaning="This machine or a router on the way said that there is no route.",
    patterns=(_http(r"^(connect|answer): \[Errno (101|113)\]", "connect: [Errno 113] No route to host"),),
)
STREAM_BROKEN = Outcome(
    "STREAM_BROKEN",
    ok=False,
    meaning="A connection that had answered before was reset or closed in the middle of a request.",
    patterns=(_stream(r"^stream: (?!timed out)", "stream: [Errno 104] Connection reset by peer"),),
)
STREAM_STALLED = Outcome(
    "STREAM_STALLED",
    ok=False,
    meaning="A connection that had answered before went silent for longer than the probe's time limit.",
    patterns=(_stream(r"^stream: timed out", "stream: timed out"),),
)
NAME_NOT_RESOLVED = Outcome(
    "NAME_NOT_RESOLVED",
    ok=False,
    meaning="The name could not be turned into an address: a failure of DNS, not of the path to the server.",
    patterns=(
        Pattern(
            ("kubectl", "node"),
            r"dial tcp: lookup \S+( on \S+)?: .*"
            r"(i/o timeout|no such host|server misbehaving|connection refused|Temporary failure in name resolution)",
            "Unable to connect to the server: dial tcp: lookup api.example.test on 10.0.0.2:53: "
            "read udp 10.0.0.9:40511->10.0.0.2:53: i/o timeout",
            "Go's net resolver, in kubectl",
            "docs/measurements.md 8; docs/facts.md 3 (User Guide: no DNS, no such host)",
        ),
        _http(r"^(connect: )?resolve: ", "resolve: [Errno -2] Name or service not known", "glibc's getaddrinfo"),
        Pattern(
            ("tcp", "egress", "ssh"),
            r"^resolve: ",
            "resolve: [Errno -3] Temporary failure in name resolution",
            "glibc's getaddrinfo",
            "islanding/probes/tcp.py",
        ),
    ),
)

RESOLVED = Outcome(
    "RESOLVED",
    ok=True,
    meaning="The name has an address.",
    patterns=(_dns(r"^addresses: \S", "addresses: 10.0.3.10", "the resolver", "zero"),),
)
DNS_TIMEOUT = Outcome(
    "DNS_TIMEOUT",
    ok=False,
    meaning="The DNS server that was asked did not answer in time.",
    patterns=(_dns(r"^query: timed out", "query: timed out", _ERRNO),),
)
DNS_NXDOMAIN = Outcome(
    "DNS_NXDOMAIN",
    ok=False,
    meaning="DNS answered that the name does not exist, or that it has no address.",
    patterns=(
        _dns(r"^query: (NXDOMAIN|no address)", "query: NXDOMAIN", "the DNS server (rcode 3)"),
        _dns(r"^resolve: \[Errno -(2|5)\]", "resolve: [Errno -2] Name or service not known", "glibc's getaddrinfo"),
    ),
)
DNS_REFUSED = Outcome(
    "DNS_REFUSED",
    ok=False,
    meaning="Nothing listens at the DNS server's address, or it refuses the question (rcode 5).",
    patterns=(
        _dns(r"^query: (\[Errno 111\]|REFUSED)", "query: [Errno 111] Connection refused", _ERRNO),
        _dns(r"^query: \[Errno (101|113)\]", "query: [Errno 101] Network is unreachable", _ERRNO),
    ),
)
DNS_SERVER_FAILURE = Outcome(
    "DNS_SERVER_FAILURE",
    ok=False,
    meaning="The DNS server could not find out, for instance because its forwarder is cut off (rcode 2).",
    patterns=(_dns(r"^query: (SERVFAIL|rcode \d+)", "query: SERVFAIL", "the DNS server"),),
)
DNS_TEMPORARY_FAILURE = Outcome(
    "DNS_TEMPORARY_FAILURE",
    ok=False,
    meaning="The system's resolver gave up; it does not say whether the server was silent, refused or failed.",
    patterns=(
        _dns(
            r"^resolve: \[Errno -(3|4)\]",
            "resolve: [Errno -3] Temporary failure in name resolution",
            "glibc's getaddrinfo",
        ),
    ),
)

CONNECTED = Outcome(
    "CONNECTED",
    ok=True,
    meaning="A TCP connection was made; for a service link: CloudWatch says that it is up.",
    patterns=(
        _tcp(r"^connected to ", "connected to 10.0.3.10:443", "zero"),
        Pattern(
            ("service-link",),
            r"^ConnectedStatus=1\b(?!\.)",
            "ConnectedStatus=1 at 2026-11-21T01:50:00+00:00",
            "CloudWatch metric AWS/Outposts ConnectedStatus, average",
            "docs/facts.md 2 (Outposts metrics: an average below 1 is impaired)",
            "zero",
        ),
    ),
)
TCP_TIMEOUT = Outcome(
    "TCP_TIMEOUT",
    ok=False,
    meaning="No answer to the connection request: the path is silent.",
    patterns=(_tcp(r"^connect: (timed out|\[Errno 110\])", "connect: timed out"),),
)
TCP_REFUSED = Outcome(
    "TCP_REFUSED",
    ok=False,
    meaning="The address is there and nothing listens.",
    patterns=(_tcp(r"^connect: \[Errno (111|104)\]", "connect: [Errno 111] Connection refused"),),
)
TCP_NO_ROUTE = Outcome(
    "TCP_NO_ROUTE",
    ok=False,
    meaning="This machine or a router on the way said that there is no route.",
    patterns=(_tcp(r"^connect: \[Errno (101|113)\]", "connect: [Errno 101] Network is unreachable"),),
)

NETWORK = (
    ANSWERED,
    HTTP_ERROR,
    HTTP_TIMEOUT,
    HTTP_REFUSED,
    HTTP_RESET,
    HTTP_NO_ROUTE,
    STREAM_BROKEN,
    STREAM_STALLED,
    NAME_NOT_RESOLVED,
    RESOLVED,
    DNS_TIMEOUT,
    DNS_NXDOMAIN,
    DNS_REFUSED,
    DNS_SERVER_FAILURE,
    DNS_TEMPORARY_FAILURE,
    CONNECTED,
    TCP_TIMEOUT,
    TCP_REFUSED,
    TCP_NO_ROUTE,
)
