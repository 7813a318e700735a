"""Outcomes of kubectl: what the person at the keyboard sees, from permission granted to a name that does not resolve.

An expired or foreign *client* certificate has no text of its own: the API server answers 401, and kubectl prints the
same words as for a token that could not be checked (UNAUTHORIZED). Which of the two it was is told by the identity that
was used, not by the message. CERTIFICATE_* outcomes are about the *server's* certificate.
"""

from __future__ import annotations

from islanding.outcomes.pattern import Exit, Outcome, Pattern

_IP = r"(\d[\d.]*|\[[0-9a-fA-F:]+\])"
_TRIED = "kubectl 1.32 tried by hand against a server that fails so"


def _kubectl(
    regex: str, example: str, source: str, component: str = "kubectl", ended: Exit = "not zero", node: bool = True
) -> Pattern:
    return Pattern(("kubectl", "node") if node else ("kubectl",), regex, example, component, source, ended)


ALLOWED = Outcome(
    "ALLOWED",
    ok=True,
    meaning="The API server answered and let this identity do it.",
    patterns=(
        _kubectl(r"\A", "NAME   TYPE   CLUSTER-IP", "docs/measurements.md 4 (X.509: works)", ended="zero", node=False),
    ),
)
UNAUTHORIZED = Outcome(
    "UNAUTHORIZED",
    ok=False,
    meaning="The API server is there but cannot establish who is asking: it answered 401.",
    patterns=(
        _kubectl(
            r"^error: You must be logged in to the server \(Unauthorized\)",
            "error: You must be logged in to the server (Unauthorized)",
            "docs/measurements.md 4 (discovery cache warm); docs/facts.md 1 (User Guide), 2 (the drill of 2022)",
        ),
        _kubectl(
            r"^error: You must be logged in to the server \(the server has asked for the client to provide cred",
            "error: You must be logged in to the server (the server has asked for the client to provide credentials)",
            "docs/measurements.md 4 (discovery cache cold)",
        ),
        _kubectl(
            r"^error: You must be logged in to the server \(error when creating .*: Unauthorized\)",
            'error: You must be logged in to the server (error when creating "STDIN": Unauthorized)',
            "docs/measurements.md 4 (kubectl create, 2026-11-21)",
        ),
    ),
)
ANONYMOUS = Outcome(
    "ANONYMOUS",
    ok=False,
    meaning="The API server saw no credentials at all and judged the request as system:anonymous.",
    patterns=(
        _kubectl(
            r'Error from server \(Forbidden\): .*User "system:anonymous" cannot ',
            'Error from server (Forbidden): services is forbidden: User "system:anonymous" cannot list resource '
            '"services" in API group "" in the namespace "default"',
            "Kubernetes documentation, anonymous requests",
            "kube-apiserver RBAC authorizer",
        ),
    ),
)
FORBIDDEN = Outcome(
    "FORBIDDEN",
    ok=False,
    meaning="The API server knows who is asking, and this identity may not do it.",
    patterns=(
        _kubectl(
            r'Error from server \(Forbidden\): .*User "(?!system:anonymous")[^"]+" cannot ',
            'Error from server (Forbidden): services is forbidden: User "x" cannot list resource "services" in API '
            'group "" in the namespace "default"',
            _TRIED,
            "kube-apiserver RBAC authorizer",
        ),
    ),
)
API_UNREACHABLE = Outcome(
    "API_UNREACHABLE",
    ok=False,
    meaning="No packet came back from the API server's address: the path is cut silently.",
    patterns=(
        _kubectl(
            rf"^Unable to connect to the server: dial tcp {_IP}:\d+: (connect: )?"
            r"(i/o timeout|connection timed out|no route to host|network is unreachable)",
            "Unable to connect to the server: dial tcp 10.0.1.10:6443: i/o timeout",
            "docs/measurements.md 4 (extended, direct path)",
            "kubectl, Go's net dialer",
        ),
    ),
)
API_REFUSED = Outcome(
    "API_REFUSED",
    ok=False,
    meaning="The API server's machine is there, and nothing listens on the port.",
    patterns=(
        _kubectl(
            r"^The connection to the server \S+ was refused",
            "The connection to the server 10.0.1.10:6443 was refused - did you specify the right host or port?",
            _TRIED,
        ),
        _kubectl(
            rf"^(Unable to connect to the server|error: Get .*): dial tcp {_IP}:\d+: connect: connection refused",
            "Unable to connect to the server: dial tcp 10.0.1.10:6443: connect: connection refused",
            "Go's net dialer: wording of ECONNREFUSED",
        ),
    ),
)
API_TLS_TIMEOUT = Outcome(
    "API_TLS_TIMEOUT",
    ok=False,
    meaning="Something took the TCP connection (an edge proxy), and the API server behind it never spoke TLS.",
    patterns=(
        _kubectl(
            r"^Unable to connect to the server: net/http: TLS handshake timeout",
            "Unable to connect to the server: net/http: TLS handshake timeout",
            "docs/measurements.md 4 (extended, through HAProxy); docs/facts.md 2 (the drill of 2022)",
            "kubectl, Go's net/http",
        ),
    ),
)
API_EOF = Outcome(
    "API_EOF",
    ok=False,
    meaning="Something took the TCP connection and closed it: a proxy that knows its server to be down.",
    patterns=(
        _kubectl(
            r"^(Unable to connect to the server|error: Get .*): (unexpected )?EOF",
            "Unable to connect to the server: EOF",
            "docs/measurements.md 4 (HAProxy with health checks, server down)",
            "kubectl, Go's net/http",
        ),
    ),
)
API_RESET = Outcome(
    "API_RESET",
    ok=False,
    meaning="The connection to the API server was made and then reset.",
    patterns=(
        _kubectl(
            r"^(Unable to connect to the server|error: Get .*): (read|write) tcp .*"
            r"(connection reset by peer|broken pipe)",
            'error: Get "https://127.0.0.1:34619/api?timeout=32s": read tcp 127.0.0.1:43376->127.0.0.1:34619: read: '
            "connection reset by peer - error from a previous attempt: read tcp 127.0.0.1:43364->127.0.0.1:34619: "
            "read: connection reset by peer",
            _TRIED,
            "kubectl, Go's net/http",
        ),
    ),
)
API_UNAVAILABLE = Outcome(
    "API_UNAVAILABLE",
    ok=False,
    meaning="The API server answered that it cannot serve now (503).",
    patterns=(
        _kubectl(
            r"^Error from server( \(ServiceUnavailable\))?: the server is currently unable to handle the request",
            "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
            _TRIED,
            "kube-apiserver",
        ),
    ),
)
API_NO_QUORUM = Outcome(
    "API_NO_QUORUM",
    ok=False,
    meaning="The API server answers, and its etcd has no leader or no quorum.",
    patterns=(
        _kubectl(
            r"^Error from server.*: etcdserver: (request timed out|no leader|leader changed)",
            "Error from server: etcdserver: request timed out",
            "etcd's error texts (server/v3 etcdserver errors)",
            "etcd, through kube-apiserver",
        ),
    ),
)
CERTIFICATE_EXPIRED = Outcome(
    "CERTIFICATE_EXPIRED",
    ok=False,
    meaning="The API server's own certificate is out of its time of validity.",
    patterns=(
        _kubectl(
            r"x509: certificate has expired or is not yet valid",
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate has expired or is "
            "not yet valid: current time 2026-11-21T01:00:00Z is after 2026-11-20T00:00:00Z",
            "Go's crypto/x509: CertificateInvalidError",
            "kubectl, Go's crypto/x509",
        ),
    ),
)
CERTIFICATE_UNKNOWN_AUTHORITY = Outcome(
    "CERTIFICATE_UNKNOWN_AUTHORITY",
    ok=False,
    meaning="The API server's certificate was made by a CA that the kubeconfig does not name.",
    patterns=(
        _kubectl(
            r"x509: certificate signed by unknown authority",
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown "
            "authority",
            "Go's crypto/x509: UnknownAuthorityError",
            "kubectl, Go's crypto/x509",
        ),
    ),
)
CERTIFICATE_WRONG_NAME = Outcome(
    "CERTIFICATE_WRONG_NAME",
    ok=False,
    meaning="The API server's certificate is not for the name or address that was asked for.",
    patterns=(
        _kubectl(
            r"x509: (certificate is (not )?valid for|cannot validate certificate for)",
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate is valid for "
            "api.example.test, not other.example.test",
            "Go's crypto/x509: HostnameError",
            "kubectl, Go's crypto/x509",
        ),
    ),
)
CREDENTIAL_PLUGIN_FAILED = Outcome(
    "CREDENTIAL_PLUGIN_FAILED",
    ok=False,
    meaning="kubectl could not get a token on its own machine; the API server was never asked.",
    patterns=(
        _kubectl(
            r"getting credentials: (exec|decoding)",
            "Unable to connect to the server: getting credentials: exec: executable aws failed with exit code 255",
            "client-go's exec credential plugin",
        ),
        _kubectl(
            r"^could not get token: AccessDenied",
            "could not get token: AccessDenied: Access denied",
            "docs/facts.md 1 (User Guide)",
            "aws-iam-authenticator",
        ),
    ),
)
DEADLINE = Outcome(
    "DEADLINE",
    ok=False,
    meaning="kubectl's own --request-timeout ran out before an answer came.",
    patterns=(
        _kubectl(
            r"^(Unable to connect to the server|error: Get .*): (context deadline exceeded|net/http: request canceled"
            r"( while waiting for connection)? \(Client\.Timeout exceeded)",
            "Unable to connect to the server: context deadline exceeded",
            "docs/measurements.md 4 (IAM, --request-timeout=10s)",
            "kubectl, Go's net/http",
        ),
    ),
)
UNKNOWN_RESOURCE = Outcome(
    "UNKNOWN_RESOURCE",
    ok=False,
    meaning="kubectl could not learn what the cluster offers: discovery was cut off or denied half way.",
    patterns=(
        _kubectl(
            r"^error: the server doesn't have a resource type ",
            'error: the server doesn\'t have a resource type "svc"',
            "docs/measurements.md 4 (path back in the middle of discovery); docs/facts.md 1 (User Guide)",
        ),
    ),
)
NOT_FOUND = Outcome(
    "NOT_FOUND",
    ok=False,
    meaning="The API server answered: there is no such object.",
    patterns=(
        _kubectl(
            r"^Error from server \(NotFound\): ",
            'Error from server (NotFound): nodes "w9" not found',
            "kube-apiserver status reason NotFound",
            "kube-apiserver",
        ),
    ),
)

KUBECTL = (
    ALLOWED,
    UNAUTHORIZED,
    ANONYMOUS,
    FORBIDDEN,
    API_UNREACHABLE,
    API_REFUSED,
    API_TLS_TIMEOUT,
    API_EOF,
    API_RESET,
    API_UNAVAILABLE,
    API_NO_QUORUM,
    CERTIFICATE_EXPIRED,
    CERTIFICATE_UNKNOWN_AUTHORITY,
    CERTIFICATE_WRONG_NAME,
    CREDENTIAL_PLUGIN_FAILED,
    DEADLINE,
    UNKNOWN_RESOURCE,
    NOT_FOUND,
)
