"""Logging in by SSH through jump hosts, each hop a channel of the one before: who can log in from where."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from islanding.errors import SetupError
from islanding.probes.base import Probe, Reading
from islanding.probes.tcp import network_error

if TYPE_CHECKING:
    import paramiko

_HOP = re.compile(r"(?P<user>[^@\s]+)@(?P<host>[^\s:@]+)(?::(?P<port>\d+))?\Z")


class Hop(NamedTuple):
    """One host on the way."""

    user: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != 22 else "")


@dataclass(frozen=True, kw_only=True)
class SshJump(Probe):
    """Logs in at the last of `hops` (USER@HOST[:PORT]) through those before it, and runs a command there.

    `keys`: a private key file for each hop, or one for all; nothing else is tried. `known_hosts`: a file in which each
    host's key is pinned when it is first seen ("": nothing is pinned, and any key is taken).
    """

    kind: ClassVar[str] = "ssh"

    hops: tuple[str, ...]
    keys: tuple[str, ...]
    known_hosts: str = ""
    interval: float = 10.0
    timeout: float = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hops or len(self.keys) not in (1, len(self.hops)):
            raise SetupError(
                f"ssh probe: {len(self.hops)} hops and {len(self.keys)} keys", "give one key, or one for each hop"
            )
        self._hops()

    def target(self) -> str:
        """What is probed."""
        *jumps, last = self.hops
        return last + (f" through {', '.join(jumps)}" if jumps else "")

    def command(self) -> str:
        """What a person would type."""
        *jumps, last = self.hops
        return " ".join(["ssh", *(["-J", ",".join(jumps)] if jumps else []), last])

    def sample(self) -> Reading:
        """Log in once; a failure says at which hop."""
        import paramiko  # half a second: only for this probe

        logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs, with tracebacks, what it raises anyway
        deadline = time.monotonic() + self.timeout
        with contextlib.ExitStack() as opened:
            client: paramiko.SSHClient | None = None
            for number, hop in enumerate(self._hops(), 1):
                left = max(0.1, deadline - time.monotonic())
                try:
                    client = self._through(client, hop, number, left, opened)
                except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
                    return Reading(1, f"hop {number} of {len(self.hops)}, {hop}\n{_words(error)}")
            assert client is not None  # noqa: S101 - there is one hop at least
            return self._who(client, max(0.1, deadline - time.monotonic()))

    def _through(
        self, before: paramiko.SSHClient | None, hop: Hop, number: int, left: float, opened: contextlib.ExitStack
    ) -> paramiko.SSHClient:
        import paramiko

        client = paramiko.SSHClient()
        opened.callback(client.close)
        if self.known_hosts:
            Path(self.known_hosts).touch(mode=0o600)
            client.load_host_keys(self.known_hosts)
        # pinned on first use: a key that differs from the pinned one is refused by paramiko whatever the policy
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - so is pinning on first use
        sock: paramiko.Channel | socket.socket
        if before is None:
            sock = socket.create_connection((hop.host, hop.port), left)
            opened.callback(sock.close)
        else:
            transport = before.get_transport()
            if transport is None:
                raise EOFError("the jump host closed the connection")
            sock = transport.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=left)
        client.connect(
            hop.host,
            hop.port,
            hop.user,
            # loaded here: given a file, paramiko tries it as each type in turn and reports the last, not the denial
            pkey=paramiko.PKey.from_path(self.keys[number - 1] if len(self.keys) > 1 else self.keys[0]),
            sock=sock,
            timeout=left,
            banner_timeout=left * 0.8,  # before the whole is given up: its message says more
            auth_timeout=left,
            channel_timeout=left,
            allow_agent=False,
            look_for_keys=False,
        )
        return client

    def _who(self, client: paramiko.SSHClient, left: float) -> Reading:
        import paramiko

        try:
            _, out, err = client.exec_command("id -un; uname -n", timeout=left)
            user, _, host = out.read().decode(errors="replace").strip().partition("\n")
            code = out.channel.recv_exit_status()
        except (paramiko.SSHException, OSError) as error:
            return Reading(1, f"logged in, and no command runs\n{_words(error)}")
        if code:
            return Reading(code, f"logged in, and no command runs\n{err.read().decode(errors='replace').strip()}")
        return Reading(0, f"logged in as {user} at {host}")

    def _hops(self) -> list[Hop]:
        found = []
        for text in self.hops:
            parts = _HOP.match(text)
            if not parts:
                raise SetupError(f"ssh probe: {text!r} is no hop", "write USER@HOST or USER@HOST:PORT")
            found.append(Hop(parts["user"], parts["host"], int(parts["port"] or 22)))
        return found


def _words(error: Exception) -> str:
    """The error as it is known by its outcome: paramiko's own words, `connect: ...` for the system's."""
    import paramiko

    if isinstance(error, paramiko.ChannelException):
        return f"ChannelException({error.code}, {error.text!r})"
    if isinstance(error, EOFError):
        return f"Error reading SSH protocol banner: {error}"
    # paramiko's NoValidConnectionsError is an OSError too, with words of its own
    system = isinstance(error, OSError) and not isinstance(error, paramiko.SSHException)
    return network_error("connect", error) if system and isinstance(error, OSError) else str(error)
