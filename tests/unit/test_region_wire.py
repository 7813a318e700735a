"""The Region's signatures against botocore's signer, and its server against peers that misbehave."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.region import signature
from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import HttpServer, Request, Response
from islanding.lab.region.operations import mutates, operation_of
from islanding.lab.region.principals import Principal
from islanding.lab.region.sts import trusts
from islanding.lab.region.trail import Trail
from islanding.wait import wait_until
from tests.unit.region_support import header_text

KEYS = Credentials("AKIAEXAMPLE", "the secret", "the token")
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=12)


def signed(method: str, path: str, query: dict[str, str], body: bytes, *, presign: bool = False) -> Request:
    """A request as botocore signs and sends it."""
    made = AWSRequest(method, f"https://eks.example{path}", params=query, data=body)
    auth = SigV4QueryAuth(KEYS, "eks", "r", expires=60) if presign else SigV4Auth(KEYS, "eks", "r")
    auth.add_auth(made)
    sent = made.prepare()
    target = sent.url.removeprefix("https://eks.example")
    headers = {name.lower(): header_text(value) for name, value in sent.headers.items()}
    raw_path, _, raw_query = target.partition("?")
    return Request(method, raw_path, raw_query, {"host": "eks.example", **headers}, body)


def passes(request: Request, secret: str = KEYS.secret_key) -> bool:
    """Whether the Region believes the request."""
    claim = signature.claim_of(request)
    assert claim is not None
    try:
        signature.check(request, claim, secret, datetime.now(UTC))
    except AwsError as error:
        if error.code != "SignatureDoesNotMatch":
            raise
        return False
    return True


@given(
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(["/", "/clusters/a", "/tags/arn%3Aaws%3Aeks", "/a%20b/c"]),
    st.dictionaries(WORDS, WORDS, max_size=3),
    st.binary(max_size=40),
)
def test_what_botocore_signs_passes_and_nothing_else(
    method: str, path: str, query: dict[str, str], body: bytes
) -> None:
    """Header signatures of any path, query and body pass; another secret or a changed body does not."""
    request = signed(method, path, query, body)
    changed = Request(request.method, request.path, request.query, request.headers, body + b"x")

    assert passes(request)
    assert not passes(request, "another secret")
    assert not passes(changed)


@given(st.dictionaries(WORDS, WORDS, max_size=3))
def test_what_botocore_presigns_passes(query: dict[str, str]) -> None:
    """Presigned URLs pass; with a changed parameter they do not."""
    request = signed("GET", "/", query, b"", presign=True)
    changed = Request("GET", "/", f"{request.query}&more=1", request.headers)

    assert passes(request)
    assert not passes(changed)


@given(st.text(max_size=80), st.text(max_size=80))
def test_nonsense_is_an_aws_error_or_nobody(header: str, query: str) -> None:
    """Whatever stands in the header or the query, the answer is a claim, None or an AWS error."""
    for value in (
        header,
        f"AWS4-HMAC-SHA256 {header}",
        f"AWS4-HMAC-SHA256 Credential={header},SignedHeaders=host,Signature=0",
    ):
        with contextlib.suppress(AwsError):
            claim = signature.claim_of(Request("GET", "/", query, {"authorization": value}))
            if claim is not None:
                signature.check(Request("GET", "/"), claim, "s", datetime.now(UTC))


FORM = {"content-type": "application/x-www-form-urlencoded"}
TARGET = {"x-amz-target": "GraniteServiceVersion20100801.GetMetricData"}


@pytest.mark.parametrize(
    ("request_", "service", "operation", "change"),
    [
        (Request("GET", "/clusters/a"), "eks", "DescribeCluster", False),
        (Request("POST", "/clusters"), "eks", "CreateCluster", True),
        (Request("POST", "/", headers=TARGET), "monitoring", "GetMetricData", False),
        (Request("POST", "/", headers=FORM, body=b"Action=RunInstances"), "ec2", "RunInstances", True),
        (Request("GET", "/", "Action=GetCallerIdentity"), "sts", "GetCallerIdentity", False),
        (Request("GET", "/nowhere"), "eks", "GET /nowhere", False),
        (Request("GET", "/x"), "no-such-service", "GET /x", False),
    ],
)
def test_operations_are_named_and_told_apart(request_: Request, service: str, operation: str, change: bool) -> None:
    """Each protocol's way of naming an operation is read, and changes are told from reads."""
    named = operation_of(request_, service)

    assert (named, mutates(named)) == (operation, change)


@pytest.mark.parametrize(
    ("statements", "trusted"),
    [
        ([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::1:root"}}], True),
        ([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ["arn:aws:iam::1:role/r"]}}], True),
        ([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::2:root"}}], False),
        ([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}], False),
        ([{"Effect": "Allow", "Action": "s3:GetObject", "Principal": "*"}], False),
        (
            [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"},
                {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": "1"}},
            ],
            False,
        ),
        ([], False),
    ],
)
def test_a_trust_policy_decides(statements: list[dict[str, object]], trusted: bool) -> None:
    """Account, role and wildcard principals are known; services and other accounts do not count; Deny wins."""
    who = Principal("AKIA", "1", "arn:aws:sts::1:assumed-role/r/s", "id", "arn:aws:iam::1:role/r")

    assert trusts({"Statement": statements}, who) is trusted


class Server:
    """An HttpServer on a loopback port that echoes method and body."""

    def __init__(self, *, max_connections: int = 8) -> None:
        self.errors: list[str] = []
        self.release = threading.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.server = HttpServer(
            listener, self.echo, on_error=self.errors.append, max_connections=max_connections
        ).start()

    def echo(self, request: Request) -> Response:
        if request.path == "/fail":
            raise RuntimeError("boom")
        if request.path == "/wait":
            self.release.wait(5)
        return Response(200, (), request.method.encode() + b" " + request.body)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address[0], self.address[1], timeout=5)


@pytest.fixture
def echo() -> Iterator[Server]:
    """An echo server."""
    made = Server()
    yield made
    made.release.set()
    made.server.close()


def test_a_silent_peer_stops_nobody(echo: Server) -> None:
    """While others hold connections open without a word, a request is answered."""
    silent = [socket.create_connection(echo.address) for _ in range(5)]
    connection = echo.connect()
    connection.request("POST", "/", body=b"hello")
    body = connection.getresponse().read()
    connection.close()
    for sock in silent:
        sock.close()

    assert body == b"POST hello"


def test_beyond_the_limit_callers_wait_their_turn() -> None:
    """With all slots taken a new caller is not refused: it is served when one is free."""
    made = Server(max_connections=1)
    first, second = made.connect(), made.connect()
    first.request("GET", "/wait")
    second.request("GET", "/")
    made.release.set()
    got = first.getresponse().read()
    first.close()
    then = second.getresponse().read()
    second.close()
    made.server.close()

    assert (got, then) == (b"GET ", b"GET ")


def test_a_fault_of_ours_is_a_500_and_on_record(echo: Server) -> None:
    """An exception in the handler is told to on_error; the connection and the server live on."""
    connection = echo.connect()
    connection.request("GET", "/fail")
    status = connection.getresponse()
    status.read()
    connection.request("GET", "/")
    after = connection.getresponse().read()
    connection.close()

    assert (status.status, after) == (500, b"GET ")
    assert echo.errors == ["GET /fail: RuntimeError: boom"]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: nonsense\r\n\r\n", b"HTTP/1.1 400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"HTTP/1.1 413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n", b"HTTP/1.1 400"),
        (b"NONSENSE\r\n\r\n", b"HTTP/1.1 400"),
        (b"BREW / HTTP/1.1\r\n\r\n", b"HTTP/1.1 501"),
    ],
)
def test_a_bad_request_is_told_so(echo: Server, sent: bytes, answer: bytes) -> None:
    """Malformed requests get their status, and the next caller is served."""
    with socket.create_connection(echo.address, timeout=5) as sock:
        sock.sendall(sent)
        got = sock.recv(4096)
    connection = echo.connect()
    connection.request("GET", "/")
    after = connection.getresponse().read()
    connection.close()

    assert got.startswith(answer) or (answer == b"HTTP/1.1 400" and b"400" in got)
    assert after == b"GET "


def test_close_ends_threads_and_connections(echo: Server) -> None:
    """After close no thread of the server is left, and an open connection is closed."""
    connection = echo.connect()
    connection.request("GET", "/")
    connection.getresponse().read()
    echo.server.close()

    wait_until("threads gone", lambda: not [t for t in threading.enumerate() if t.name == "http"], timeout=3)
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    connection.close()


def test_a_full_disk_does_not_reach_the_caller(tmp_path: Path) -> None:
    """A log that cannot be written is recorded once."""
    errors: list[str] = []
    trail = Trail(tmp_path / "log", errors.append)
    trail._file.close()
    for _ in range(3):
        trail.write(
            source="", access_key_id="", principal="", service="", operation="", status=200, error="", seconds=0
        )

    assert len(errors) == 1
