"""Probes: what really happens on sockets and in processes gets its name."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.errors import SetupError
from islanding.kube.nodes import parse_nodes, readiness
from islanding.probes import Probe, bgp, dns, kinds, load, make, probe_class
from islanding.probes.service_link import newest
from islanding.sites import process_started


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers, breaks off or ends the connection, as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append(self.client_address)  # type: ignore[attr-defined]  # it is a Server, below
        if self.path == "/broken":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        body = b"hello"
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/last":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    """A web server on this machine that notes who asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, *args: object) -> None: ...  # a reset is what was asked for


@pytest.fixture
def server() -> Iterator[Server]:
    """A running web server."""
    with Server() as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.02,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections into its backlog and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def closed_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        return int(once.getsockname()[1])


def outcome(probe: Probe) -> str:
    """The name of what one sample saw."""
    return probe.recognise(probe.sample()).name


def test_http_outcomes_are_what_really_happens(server: Server, silent: int) -> None:
    """Answer, error, reset, refusal and silence are told apart on real sockets."""
    urls = {
        server.url: "ANSWERED",
        server.url + "busy": "HTTP_ERROR",
        server.url + "broken": "HTTP_RESET",
        f"http://127.0.0.1:{closed_port()}/": "HTTP_REFUSED",
        f"http://127.0.0.1:{silent}/": "HTTP_TIMEOUT",
        "http://nobody.invalid/": "NAME_NOT_RESOLVED",
    }

    assert list(urls.values()) == [outcome(make("http", url=url, timeout=2.0)) for url in urls]


def test_http_asks_over_a_new_connection_each_time(server: Server) -> None:
    """Three samples come from three ports."""
    probe = make("http", url=server.url)
    for _ in range(3):
        probe.sample()

    assert len(set(server.seen)) == 3


def test_a_stream_keeps_its_connection(server: Server) -> None:
    """Three samples come from one port."""
    with make("http-stream", url=server.url).session() as look:
        texts = [look().text for _ in range(3)]

    assert len(set(server.seen)) == 1
    assert texts[-1] == "HTTP 200 OK: hello (request 3 of this connection)"


def test_a_stream_that_the_server_ends_in_good_order_is_not_broken(server: Server) -> None:
    """`Connection: close` is the server's right: the next sample makes a new connection."""
    probe = make("http-stream", url=server.url + "last")
    with probe.session() as look:
        outcomes = [probe.recognise(look()).name for _ in range(2)]

    assert outcomes == ["ANSWERED"] * 2
    assert len(set(server.seen)) == 2


def test_a_stream_that_goes_silent_has_stalled_and_one_that_is_reset_is_broken() -> None:
    """After a first answer: silence is STREAM_STALLED, a reset STREAM_BROKEN, and each makes a new connection."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        probe = make("http-stream", url=f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout=2.0)
        ready = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        held: list[socket.socket] = []

        def serve() -> None:
            for reset in (False, True):
                peer, _ = listening.accept()
                peer.recv(4096)
                peer.sendall(ready)
                held.append(peer)
                peer.recv(4096)
                if reset:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    peer.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with probe.session() as look:
            outcomes = [probe.recognise(look()).name for _ in range(4)]
        thread.join()
        for peer in held:
            peer.close()

    assert outcomes == ["ANSWERED", "STREAM_STALLED", "ANSWERED", "STREAM_BROKEN"]


def test_tcp_outcomes_are_what_really_happens(server: Server) -> None:
    """A listener, a closed port and a name that is none."""
    port = server.server_address[1]

    assert outcome(make("tcp", host="127.0.0.1", port=port)) == "CONNECTED"
    assert outcome(make("tcp", host="127.0.0.1", port=closed_port())) == "TCP_REFUSED"
    assert outcome(make("tcp", host="nobody.invalid", port=1)) == "NAME_NOT_RESOLVED"


@contextlib.contextmanager
def dns_server(flags: int, address: bytes = b"") -> Iterator[int]:
    """A DNS server that answers one question with these flags."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))

        def serve() -> None:
            packet, peer = udp.recvfrom(512)
            head = struct.pack(">6H", int.from_bytes(packet[:2]), flags, 1, 1 if address else 0, 0, 0)
            record = b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 60, 4) + address if address else b""
            udp.sendto(head + packet[12:] + record, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield udp.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("flags", "address", "name"),
    [
        (0x8180, bytes([10, 0, 3, 10]), "RESOLVED"),
        (0x8180, b"", "DNS_NXDOMAIN"),
        (0x8183, b"", "DNS_NXDOMAIN"),
        (0x8182, b"", "DNS_SERVER_FAILURE"),
        (0x8185, b"", "DNS_REFUSED"),
    ],
)
def test_dns_answers_have_names(flags: int, address: bytes, name: str) -> None:
    """What a server answers is told by its code."""
    with dns_server(flags, address) as port:
        probe = make("dns", hostname="api.example.test", server="127.0.0.1", port=port)

        assert outcome(probe) == name


def test_dns_silence_and_refusal_are_told_apart() -> None:
    """A server that says nothing, and an address where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        silence = make("dns", hostname="a.b", server="127.0.0.1", port=mute.getsockname()[1], timeout=0.2)

        assert outcome(silence) == "DNS_TIMEOUT"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    assert outcome(make("dns", hostname="a.b", server="127.0.0.1", port=port)) == "DNS_REFUSED"


def test_the_systems_resolver_knows_the_hosts_file() -> None:
    """Without a server the place's own resolver answers, as programs use it."""
    assert make("dns", hostname="localhost").sample().text == "addresses: 127.0.0.1"


@given(st.binary(max_size=80))
def test_no_dns_answer_breaks_the_probe(packet: bytes) -> None:
    """Whatever comes back from port 53 is a reading, and never an exception."""
    assert dns.answer(int.from_bytes(packet[:2]) if len(packet) > 1 else 0, packet).text


BGP_JSON = {"10.9.0.1": {"bgpState": "Idle", "lastNotificationReason": "Cease/Administrative Shutdown"}}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps({"10.9.0.1": {"bgpState": "Established", "lastResetDueTo": "Admin. shutdown"}}), "ESTABLISHED"),
        (json.dumps(BGP_JSON), "NOT_ESTABLISHED"),
        (json.dumps({"bgpNoSuchNeighbor": True}), "NO_SUCH_NEIGHBOR"),
        ("% Unknown command", "UNKNOWN"),
    ],
)
def test_bgp_states_have_names(text: str, name: str) -> None:
    """A session is established, or it is not, or the router does not know it."""
    probe = make("bgp", vtysh=["vtysh"], neighbor="10.9.0.1")

    assert probe.recognise(bgp.parse(text, "10.9.0.1")).name == name


def test_bgp_tells_the_routers_reason() -> None:
    """Why a session went down is in the text."""
    assert bgp.parse(json.dumps(BGP_JSON), "10.9.0.1").text == (
        "state=Idle lastNotificationReason=Cease/Administrative Shutdown"
    )


def node(name: str, ready: str) -> dict[str, object]:
    """A node as kubectl gives it."""
    condition = {"type": "Ready", "status": ready, "reason": "Because", "message": "of this"}
    taint = {"key": "node-role.eks-local.amazonaws.com/control-plane", "effect": "NoSchedule"}
    return {"metadata": {"name": name}, "spec": {"taints": [taint]}, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("states", "wanted", "line"),
    [
        ({"a": "True", "b": "True"}, (), "READY: a Ready=True Because; b Ready=True Because"),
        ({"a": "True", "b": "Unknown"}, ("a",), "READY: a Ready=True Because"),
        ({"a": "True", "b": "False"}, (), "PARTLY READY: a Ready=True Because; b Ready=False Because (of this)"),
        ({"a": "Unknown"}, (), "NOT READY: a Ready=Unknown Because (of this)"),
        ({}, (), "NOT READY: no nodes"),
        ({"a": "True"}, ("b",), "NOT READY: b Ready=Missing no such node"),
    ],
)
def test_node_conditions_in_one_line(states: dict[str, str], wanted: tuple[str, ...], line: str) -> None:
    """Ready, not ready, or partly; a node that is not there is not ready."""
    nodes = parse_nodes(json.dumps({"items": [node(name, ready) for name, ready in states.items()]}))

    assert readiness(nodes, wanted) == line


def test_taints_are_read() -> None:
    """Control-plane nodes on an Outpost are known by their taint."""
    (only,) = parse_nodes(json.dumps({"items": [node("cp1", "False")]}))

    assert only.taints == ("node-role.eks-local.amazonaws.com/control-plane",)


def test_the_newest_datapoint_counts() -> None:
    """Of several datapoints the latest is told; none is no data."""
    now = datetime(2026, 11, 21, tzinfo=UTC)
    points = [{"Timestamp": now, "Average": 0.0}, {"Timestamp": now - timedelta(minutes=1), "Average": 1.0}]
    probe = make("service-link", outpost_id="op-1", region="eu-north-1")

    assert newest(points, 300).text == "ConnectedStatus=0 at 2026-11-21T00:00:00+00:00"
    assert [probe.recognise(newest(some, 300)).name for some in (points, points[1:], [])] == [
        "DISCONNECTED",
        "CONNECTED",
        "NO_DATA",
    ]


def test_kubectl_runs_the_command_with_its_options(tmp_path: Path) -> None:
    """The real argument vector goes to kubectl; its standard error is the text of a failure."""
    fake = tmp_path / "kubectl"
    fake.write_text(
        '#!/bin/sh\necho "error: You must be logged in to the server (Unauthorized)" >&2\necho "$@"\nexit 1\n'
    )
    fake.chmod(0o755)
    probe = make("kubectl", args=("get", "svc"), kubeconfig="/k", kubectl=str(fake), request_timeout=10)

    assert outcome(probe) == "UNAUTHORIZED"
    assert probe.command() == "kubectl --kubeconfig=/k --request-timeout=10s get svc"


def test_a_cold_cache_is_empty_each_time(tmp_path: Path) -> None:
    """With cache cold, each call gets a folder of its own that was empty, and is gone afterwards."""
    fake = tmp_path / "kubectl"
    fake.write_text('#!/bin/sh\nfor a; do case $a in --cache-dir=*) d=${a#*=};; esac; done\necho "$d: $(ls $d)"\n')
    fake.chmod(0o755)
    probe = make("kubectl", args=("get", "svc"), kubeconfig="/k", kubectl=str(fake), cache="cold")
    texts = [probe.sample().text for _ in range(2)]

    assert len(set(texts)) == 2
    assert all(text.endswith((": ", ":")) for text in texts)


def test_a_command_that_hangs_ends_with_its_children(tmp_path: Path) -> None:
    """At its time limit kubectl and its credential plugin are killed; the outcome says so."""
    fake = tmp_path / "kubectl"
    fake.write_text("#!/bin/sh\nsleep 40 &\necho $! > $0.child\nwait\n")
    fake.chmod(0o755)
    probe = make("kubectl", args=("get", "svc"), kubeconfig="/k", kubectl=str(fake), timeout=2.0)
    before = time.monotonic()

    assert outcome(probe) == "TIME_LIMIT"
    assert process_started(int((tmp_path / "kubectl.child").read_text())) is None
    assert time.monotonic() - before < 30  # it was killed, and did not end by itself


def test_a_missing_kubectl_is_unknown_and_never_a_pass(tmp_path: Path) -> None:
    """A probe that cannot run proves nothing."""
    probe = make("kubectl", args=("get", "svc"), kubeconfig="/k", kubectl=str(tmp_path / "none"))

    assert outcome(probe) == "UNKNOWN"


def test_iam_calls_are_spaced() -> None:
    """Tokens of one second are identical, and a good one is cached: a faster probe would see the cache."""
    with pytest.raises(SetupError, match="2 s or more"):
        make("kubectl", args=("get", "svc"), kubeconfig="/k", method="iam", interval=1)


PARAMETERS: dict[str, dict[str, Any]] = {
    "kubectl": {"args": ("get", "svc"), "kubeconfig": "/k"},
    "node": {"kubeconfig": "/k", "nodes": ("w1",)},
    "http": {"url": "http://10.0.0.1/"},
    "http-stream": {"url": "http://10.0.0.1/"},
    "dns": {"hostname": "a.b"},
    "tcp": {"host": "10.0.0.1", "port": 443},
    "bgp": {"vtysh": ("vtysh",), "neighbor": "10.0.0.1"},
    "service-link": {"outpost_id": "op-1", "region": "eu-north-1"},
    "aws-call": {"args": ("ec2", "describe-instances"), "enter": ("ssh", "w1"), "by_ssh": True},
    "egress": {"host": "198.51.100.10", "protocol": "dns", "at": "w1"},
    "flow-counters": {"endpoints": ("ecr.api=10.0.0.5,10.0.1.5", "s3=52.219.0.0/24")},
    "image-pull": {"image": "r/app:v1", "kubeconfig": "/k", "node": "w1", "node_enter": ("ssh", "w1")},
    "node-join": {"instance_id": "i-1", "kubeconfig": "/k", "region": "eu-north-1", "aws_env": {"AWS_PROFILE": "a"}},
    "pod-start": {"image": "r/app:v1", "kubeconfig": "/k", "command_line": ("sleep", "60")},
    "ssh": {"hops": ("ec2-user@203.0.113.20", "ec2-user@10.0.0.9:2222"), "keys": ("/key",)},
}


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_goes_through_json_and_back(kind: str) -> None:
    """A probe is the same in another process."""
    probe = make(kind, **PARAMETERS[kind])

    assert load(json.loads(json.dumps(probe.to_json()))) == probe
    assert probe.label
    assert probe.command()
    assert probe_class(kind).kind == kind


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        ("htpp", {}, "use one of: kubectl, node, http"),
        ("tcp", {"host": "a", "prot": 1}, "no parameter 'prot'"),
        ("tcp", {"host": "a"}, "'port'"),
        ("tcp", {"host": "a", "port": 1, "interval": 0}, "above 0 s"),
        ("http", {"url": "10.0.0.1"}, "give a URL"),
    ],
)
def test_a_mistake_is_named(kind: str, parameters: dict[str, Any], says: str) -> None:
    """Unknown kinds and parameters, missing ones and impossible values are told to the user."""
    with pytest.raises(SetupError, match=says):
        make(kind, **parameters)
