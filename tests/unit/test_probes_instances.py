"""Probes that look from an instance: what comes back on real sockets, and what the aws command says there."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.errors import SetupError
from islanding.probes import make
from islanding.probes.at_place import through
from islanding.probes.aws_call import scrubbed
from islanding.probes.base import Probe
from islanding.redact import REDACTED

# An instance is entered by ssh; here by a program that, like ssh, gets one line for a shell.
SSH = """#!/bin/sh
[ "$1" = denied ] && { echo "denied: Permission denied (publickey)." >&2; exit 255; }
shift
exec sh -c "$1"
"""


@pytest.fixture
def ssh(tmp_path: Path) -> tuple[str, ...]:
    """How the instance is entered."""
    path = tmp_path / "ssh"
    path.write_text(SSH)
    path.chmod(0o755)
    return str(path), "worker"


def outcome(probe: Probe) -> str:
    """The name of what one sample saw."""
    return probe.recognise(probe.sample()).name


@contextlib.contextmanager
def answering(kind: socket.SocketKind) -> Iterator[int]:
    """A port of this machine that answers: what it gets by datagram, an HTTP status by TCP."""
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        stop = threading.Event()
        server.settimeout(0.05)
        if kind is socket.SOCK_STREAM:
            server.listen()

        def serve() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    if kind is socket.SOCK_STREAM:
                        connection, _ = server.accept()
                        with connection:
                            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    else:
                        data, peer = server.recvfrom(512)
                        server.sendto(data, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        thread.join()


def silent() -> socket.socket:
    """A port that takes datagrams and never answers."""
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.bind(("127.0.0.1", 0))
    return held


@pytest.mark.parametrize(
    ("protocol", "kind", "says"),
    [
        ("tcp", socket.SOCK_STREAM, "connected to 127.0.0.1:"),
        ("http", socket.SOCK_STREAM, "HTTP 200 OK"),
        ("udp", socket.SOCK_DGRAM, "answer: 9 bytes from 127.0.0.1:"),
        ("dns", socket.SOCK_DGRAM, "answer: 17 bytes from 127.0.0.1:"),
    ],
)
def test_a_way_out_is_open_and_the_text_has_the_route(
    ssh: tuple[str, ...], protocol: str, kind: socket.SocketKind, says: str
) -> None:
    """By each protocol an answer is OPEN; the evidence is the route that the kernel took."""
    with answering(kind) as port:
        probe = make("egress", host="127.0.0.1", protocol=protocol, port=port, at="w1", enter=ssh, by_ssh=True)
        reading = probe.sample()

    assert (probe.recognise(reading).name, reading.text.startswith(says)) == ("OPEN", True), reading.text
    assert "127.0.0.1 dev lo" in reading.text.splitlines()[1]


def test_silence_is_blocked_and_an_answer_of_no_is_refused(ssh: tuple[str, ...]) -> None:
    """Nothing within the time limit is BLOCKED; a refusal is a packet that came back, and is told apart."""
    where: dict[str, Any] = {"host": "127.0.0.1", "at": "w1", "enter": ssh, "by_ssh": True, "wait": 0.3}
    with silent() as held:
        port = held.getsockname()[1]
        quiet = [outcome(make("egress", protocol=name, port=port, **where)) for name in ("udp", "dns")]
    refused = [outcome(make("egress", protocol=name, port=port, **where)) for name in ("tcp", "udp", "dns")]

    assert quiet == ["BLOCKED"] * 2
    assert refused == ["REFUSED"] * 3


def test_an_instance_that_cannot_be_entered_is_no_blocked_way(ssh: tuple[str, ...]) -> None:
    """ssh's own failure is UNKNOWN: it must never pass for a closed network."""
    probe = make("egress", host="127.0.0.1", at="w1", enter=(ssh[0], "denied"), by_ssh=True)

    assert probe.sample().text == "w1 cannot be entered: denied: Permission denied (publickey)."
    assert outcome(probe) == "UNKNOWN"


def test_an_unknown_protocol_is_refused() -> None:
    """A misspelt protocol is told when the probe is made."""
    with pytest.raises(SetupError, match=r"no protocol 'tpc'\n  use one of: tcp, http, udp, dns, icmp"):
        make("egress", host="10.0.0.1", protocol="tpc")


def test_a_name_is_looked_up_by_the_instances_own_resolver(ssh: tuple[str, ...]) -> None:
    """The outcomes are those of any look-up; a server cannot be named for an instance."""
    where: dict[str, Any] = {"at": "w1", "enter": ssh, "by_ssh": True, "timeout": 20.0}

    assert outcome(make("dns", hostname="localhost", **where)) == "RESOLVED"
    assert outcome(make("dns", hostname="nobody.invalid", **where)) in ("DNS_NXDOMAIN", "DNS_TEMPORARY_FAILURE")
    with pytest.raises(SetupError, match="leave out the server"):
        make("dns", hostname="localhost", server="10.0.0.2", **where)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1, max_size=4))
def test_a_place_gets_the_command_word_for_word(words: list[str]) -> None:
    """What a model's Place would run is what a probe runs there."""
    from islanding.model import Place

    for by_ssh in (True, False):
        place = Place(name="w1", role="node", address="", enter=("ssh", "w1"), by_ssh=by_ssh, env={"A": "b c"})

        assert through(("ssh", "w1"), words, by_ssh=by_ssh, env={"A": "b c"}) == place.argv(words)


AWS_SAID = [
    ("exit 0", "OK"),
    ('echo "Connect timeout on endpoint URL: \\"https://ec2.r.amazonaws.com/\\"" >&2; exit 255', "AWS_TIMEOUT"),
    (
        'echo "An error occurred (UnauthorizedOperation) when calling the X operation: no" >&2; exit 255',
        "AWS_ACCESS_DENIED",
    ),
    ('echo "Unable to locate credentials. You can configure" >&2; exit 255', "AWS_NO_CREDENTIALS"),
    ('echo "Could not connect to the endpoint URL: \\"https://ec2.invalid/\\"" >&2; exit 255', "AWS_NAME_NOT_RESOLVED"),
    ('echo "Could not connect to the endpoint URL: \\"https://localhost/\\"" >&2; exit 255', "AWS_NOT_CONNECTED"),
    ("sleep 20", "TIME_LIMIT"),
]


@pytest.mark.parametrize(("script", "name"), AWS_SAID, ids=[name for _, name in AWS_SAID])
def test_an_aws_call_has_its_name(tmp_path: Path, ssh: tuple[str, ...], script: str, name: str) -> None:
    """The command's exit code 255 is not taken for ssh's; a name that does not resolve is told from a refusal."""
    fake = tmp_path / "aws"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    timeout = 0.5 if name == "TIME_LIMIT" else 20.0
    call = make("aws-call", args=("ec2", "describe-x"), aws=str(fake), at="w1", enter=ssh, by_ssh=True, timeout=timeout)

    assert outcome(call) == name


def test_an_aws_call_is_bounded(tmp_path: Path, ssh: tuple[str, ...]) -> None:
    """Connect and read limits, one attempt and the Region are given to the command."""
    fake = tmp_path / "aws"
    fake.write_text('#!/bin/sh\necho "$AWS_MAX_ATTEMPTS $*"\n')
    fake.chmod(0o755)
    call = make("aws-call", args=("sts", "get-caller-identity"), region="r-1", aws=str(fake), enter=ssh, by_ssh=True)

    assert call.sample().text == (
        "1 sts get-caller-identity --region r-1 --cli-connect-timeout 5 --cli-read-timeout 5 --output json"
    )


def test_a_call_that_never_got_there_is_unknown(tmp_path: Path, ssh: tuple[str, ...]) -> None:
    """ssh's own failure is not a failure of AWS."""
    call = make("aws-call", args=("ec2", "describe-x"), at="w1", enter=(ssh[0], "denied"), by_ssh=True)

    assert outcome(call) == "UNKNOWN"


@given(st.text(st.sampled_from("abcXYZ019+/="), min_size=12))
def test_no_secret_of_an_answer_is_shown(secret: str) -> None:
    """Tokens and keys go by the names of their fields, at any depth; the rest stays."""
    answer = (
        f'{{"authorizationData": [{{"authorizationToken": "{secret}", "proxyEndpoint": "https://1.dkr"}}],'
        f' "Credentials": {{"SecretAccessKey": "{secret}", "SessionToken": "{secret}"}}, "KeyMaterial": "{secret}"}}'
    )
    shown = scrubbed(answer)

    assert secret not in shown
    assert shown.count(REDACTED) == 4
    assert "https://1.dkr" in shown
