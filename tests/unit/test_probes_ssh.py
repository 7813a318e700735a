"""Logging in by SSH through jumps, against real SSH servers of this process: who gets in from where."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko import common

from islanding.errors import SetupError
from islanding.probes import make


class _Login(paramiko.ServerInterface):
    """Lets one key in; `id` is what `id -un; uname -n` prints, and forwards go where they are asked to."""

    def __init__(self, key: paramiko.PKey, name: str, forwards: list[socket.socket]) -> None:
        self.key, self.name, self.forwards = key, name, forwards

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return common.AUTH_SUCCESSFUL if key == self.key else common.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        def answer() -> None:
            with contextlib.suppress(EOFError, OSError):  # a client with its answer may be gone before the farewell
                channel.sendall(f"ec2-user\n{self.name}\n".encode())
                channel.send_exit_status(0)
                channel.close()

        threading.Timer(0.05, answer).start()  # paramiko says that the command has begun once this method has returned
        return True

    def check_channel_direct_tcpip_request(self, chanid: int, origin: Any, destination: Any) -> int:
        try:
            self.forwards.append(socket.create_connection(destination, 1.0))
        except OSError:
            return common.OPEN_FAILED_CONNECT_FAILED
        return common.OPEN_SUCCEEDED


class Server:
    """An SSH server on a port of this machine."""

    def __init__(self, name: str, key: paramiko.PKey, host_key: paramiko.PKey | None = None, port: int = 0) -> None:
        self.name, self.key = name, key
        self.host_key = host_key or paramiko.ECDSAKey.generate()
        self._listening = socket.create_server(("127.0.0.1", port))
        self._transports: list[paramiko.Transport] = []
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def hop(self) -> str:
        return f"ec2-user@127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for transport in self._transports:
            transport.close()
        for each in self._sockets:
            each.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        forwards: list[socket.socket] = []
        transport = paramiko.Transport(connection)
        self._transports.append(transport)
        transport.add_server_key(self.host_key)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Login(self.key, self.name, forwards))
            while transport.is_active():
                channel = transport.accept(0.2)
                if channel is not None and forwards:
                    onward = forwards.pop()
                    self._sockets.append(onward)
                    for pair in ((channel, onward), (onward, channel)):
                        threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: Any, sink: Any) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(4096):
            sink.sendall(data)
    with contextlib.suppress(OSError, EOFError):
        sink.close()


@pytest.fixture
def key(tmp_path: Path) -> str:
    """The user's private key file."""
    path = tmp_path / "id"
    paramiko.ECDSAKey.generate().write_private_key_file(str(path))
    return str(path)


@pytest.fixture
def servers(key: str) -> Iterator[list[Server]]:
    """Bastion, operator and worker, each with the user's key."""
    own = paramiko.ECDSAKey.from_private_key_file(key)
    made = [Server(name, own) for name in ("bastion", "operator", "worker")]
    yield made
    for server in made:
        server.close()


def look(*hops: str, keys: tuple[str, ...], **parameters: Any) -> tuple[str, str]:
    """Outcome and text of one login."""
    probe = make("ssh", hops=hops, keys=keys, **parameters)
    reading = probe.sample()
    return probe.recognise(reading).name, reading.text


def test_the_last_host_is_reached_through_those_before_it(servers: list[Server], key: str) -> None:
    """Each hop is a channel of the one before; the text says who is logged in where."""
    bastion, operator, worker = (server.hop for server in servers)

    assert look(bastion, keys=(key,)) == ("LOGGED_IN", "logged in as ec2-user at bastion")
    assert look(bastion, operator, worker, keys=(key,)) == ("LOGGED_IN", "logged in as ec2-user at worker")


def test_a_host_that_greets_and_says_no_more_is_a_time_out(key: str) -> None:
    """It took the connection and never agreed on keys: paramiko's words for it name neither the time nor the host."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peers: list[socket.socket] = []

        def greet() -> None:
            peer, _ = listening.accept()
            peers.append(peer)
            peer.sendall(b"SSH-2.0-hung\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        hung = f"ec2-user@127.0.0.1:{listening.getsockname()[1]}"
        seen = look(hung, keys=(key,), timeout=2.0)
        thread.join()
        for peer in peers:
            peer.close()

    assert seen == ("SSH_TIMEOUT", f"hop 1 of 1, {hung}\nNo existing session")


def test_a_failure_names_its_hop(servers: list[Server], key: str, tmp_path: Path) -> None:
    """A key that a host does not take, a jump that leads nowhere, a port where nobody listens, and silence."""
    stranger = tmp_path / "stranger"
    paramiko.ECDSAKey.generate().write_private_key_file(str(stranger))
    bastion, operator = servers[0].hop, servers[1].hop
    with socket.create_server(("127.0.0.1", 0)) as once:
        free = once.getsockname()[1]
    nobody = f"ec2-user@127.0.0.1:{free}"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = look(f"ec2-user@127.0.0.1:{silent.getsockname()[1]}", keys=(key,), timeout=0.5)
    denied = look(bastion, operator, keys=(key, str(stranger)))
    nowhere = look(bastion, nobody, keys=(key,))
    refused = look(nobody, keys=(key,))

    assert (denied[0], denied[1].splitlines()[0]) == ("SSH_DENIED", f"hop 2 of 2, {operator}"), denied[1]
    assert (nowhere[0], nowhere[1].splitlines()[0]) == ("SSH_JUMP_FAILED", f"hop 2 of 2, {nobody}")
    assert refused == ("SSH_REFUSED", f"hop 1 of 1, {nobody}\nconnect: [Errno 111] Connection refused")
    assert mute[0] in ("SSH_CLOSED", "SSH_TIMEOUT"), mute[1]


def test_a_host_key_is_pinned_on_first_use(servers: list[Server], key: str, tmp_path: Path) -> None:
    """The second login with another host key at the same address is refused."""
    known = str(tmp_path / "known_hosts")
    bastion = servers[0]
    first = look(bastion.hop, keys=(key,), known_hosts=known)
    again = look(bastion.hop, keys=(key,), known_hosts=known)
    port = bastion.port
    bastion.close()
    servers[0] = Server("impostor", bastion.key, port=port)
    other = look(servers[0].hop, keys=(key,), known_hosts=known)

    assert (first[0], again[0], other[0]) == ("LOGGED_IN", "LOGGED_IN", "SSH_HOST_KEY")


@pytest.mark.parametrize(
    ("hops", "keys", "says"),
    [
        (("bastion",), ("/k",), "'bastion' is no hop"),
        ((), ("/k",), "0 hops and 1 keys"),
        (("a@b", "a@c", "a@d"), ("/k", "/l"), "3 hops and 2 keys"),
    ],
)
def test_a_mistake_is_told(hops: tuple[str, ...], keys: tuple[str, ...], says: str) -> None:
    """Hops and keys are checked when the probe is made."""
    with pytest.raises(SetupError, match=says):
        make("ssh", hops=hops, keys=keys)


def test_a_key_that_is_not_there_is_unknown(servers: list[Server], tmp_path: Path) -> None:
    """The harness's own mistake is never a denied login."""
    assert look(servers[0].hop, keys=(str(tmp_path / "none"),))[0] == "UNKNOWN"
