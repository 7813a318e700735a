"""A router's command line played back from a recorded dialogue, behind a real SSH server on the loopback.

A dialogue is a terminal's text: a line that begins with the router's prompt is what is typed, the lines up to the next
prompt are the answer. It is played in order; the last two questions may be asked again, and are answered as before.
"""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

DIALOGUES = Path(__file__).parent / "dialogues"
_PROMPT = re.compile(r"^(?P<prompt>(?P<user>\w+@)?cnd(?:\([\w-]+\))?[#>]) ?(?P<command>.*)$")


@dataclass(frozen=True)
class Turn:
    """What the router shows before a command, the command, and what it answers."""

    prompt: str
    command: str
    answer: str


def turns(text: str) -> list[Turn]:
    """The turns of a dialogue; lines before the first prompt say where it comes from."""
    found: list[list[str]] = []
    context = ""
    for line in text.splitlines():
        match = _PROMPT.match(line)
        if line == "[edit]":  # Junos shows it above its prompt
            context = "[edit]\r\n"
        elif match:
            blank = " " if match["user"] else ""  # Junos ends its prompt with one, IOS does not
            found.append([context + match["prompt"] + blank, match["command"], ""])
            context = ""
        elif found:
            found[-1][2] += f"{line}\r\n"
    return [Turn(*one) for one in found]


class _Accepts(paramiko.ServerInterface):
    def __init__(self, password: str) -> None:
        self._password = password

    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == ("harness", self._password)
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_pty_request(self, *_: object) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return True


@dataclass
class FakeRouter:
    """The server: `typed` is what came, `unexpected` what the dialogue does not have at that point."""

    script: list[Turn]
    password: str
    typed: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._at = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._key = paramiko.ECDSAKey.generate()
        self._open: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def known_hosts(self, path: Path) -> str:
        """A file of known hosts with this server's key."""
        path.write_text(f"[127.0.0.1]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n")
        return str(path)

    def finished(self) -> bool:
        """Whether the dialogue was played to its end."""
        return self._at >= len(self.script) - 1

    def hang_up(self) -> None:
        """Close all connections, as routers do with idle ones."""
        for transport in self._open:
            transport.close()

    def close(self) -> None:
        self.hang_up()
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not end a waiting accept()
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._key)
            self._open.append(transport)
            try:
                transport.start_server(server=_Accepts(self.password))
                channel = transport.accept(timeout=2)
            except (paramiko.SSHException, EOFError, OSError):
                continue
            if channel is not None:
                self.connections += 1
                threading.Thread(target=self._talk, args=(channel,), daemon=True).start()

    def _talk(self, channel: paramiko.Channel) -> None:
        pending = b""
        try:
            channel.sendall(f"\r\n{self._turn.prompt}".encode())
            while data := channel.recv(1024):
                pending += data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                while b"\n" in pending:
                    line, _, pending = pending.partition(b"\n")
                    self._answer(channel, line.decode().strip())
        except (OSError, EOFError):
            return

    @property
    def _turn(self) -> Turn:
        return self.script[min(self._at, len(self.script) - 1)]

    def _answer(self, channel: paramiko.Channel, command: str) -> None:
        answer = ""
        if command:
            self.typed.append(command)
            again = {turn.command: turn.answer for turn in self.script[max(0, self._at - 2) : self._at]}
            if command == self._turn.command:
                answer = self._turn.answer
                self._at += 1
            elif command in again and command.startswith("show "):
                answer = again[command]
            elif command not in {"exit", "logout"}:
                self.unexpected.append(command)
                answer = f"% Unexpected: the dialogue goes on with {self._turn.command!r}\r\n"
        channel.sendall(f"{command}\r\n{answer}{self._turn.prompt}".encode())


def play(*names: str, password: str) -> FakeRouter:
    """A router that plays these dialogues one after the other."""
    script = [turn for name in names for turn in turns((DIALOGUES / f"{name}.txt").read_text())]
    # The end of one dialogue is a prompt without a command: the next one goes on from there.
    script = [turn for n, turn in enumerate(script) if turn.command or n == len(script) - 1]
    return FakeRouter(script, password)
