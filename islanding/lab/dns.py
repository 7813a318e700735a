"""DNS for each place: dnsmasq as a resolver, and a question asked of one."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from islanding.errors import LabError
from islanding.lab.kernel import inside
from islanding.process import run

_TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "TXT": 16, "AAAA": 28}
NO_ERROR, NO_SUCH_NAME = 0, 3  # RFC 1035, 4.1.1


@dataclass(frozen=True)
class ResolverConfig:
    """A resolver: where it listens, the names that it knows, the zones that are its own, and where it asks on.

    A zone must be named as one's own, or the AAAA question of a name with only an A record is refused
    (docs/measurements.md 8).
    """

    netns: str
    address: str
    records: Mapping[str, Sequence[str]] = field(default_factory=dict)  # name -> IPv4 addresses
    zones: tuple[str, ...] = ()
    upstream: str = ""

    def text(self, folder: Path) -> str:
        """The configuration file."""
        lines = [
            "no-resolv", "no-hosts", "bind-interfaces", "cache-size=0",
            f"listen-address={self.address}", "except-interface=lo", "log-queries=extra",
            f"log-facility={folder / (self.name + '.log')}", "user=root", "local-ttl=5",
        ]  # fmt: skip
        lines += [f"local=/{zone}/" for zone in self.zones]
        lines += [f"host-record={name},{a}" for name, addresses in sorted(self.records.items()) for a in addresses]
        # Without an upstream nothing else exists: "no such name", where dnsmasq by itself would refuse the question.
        lines.append(f"server={self.upstream}" if self.upstream else "local=/#/")
        return "\n".join([*lines, ""])

    @property
    def name(self) -> str:
        return f"dns-{self.netns}-{self.address}"


def start(config: ResolverConfig, folder: Path) -> None:
    """Start a resolver; it is gone with the lab. Raises LabError when the port is taken, with dnsmasq's own words."""
    path = Path("/run/islanding") / f"{config.name}.conf"
    path.write_text(config.text(folder))
    pid = path.with_suffix(".pid")
    result = run(inside(config.netns, ["dnsmasq", f"--conf-file={path}", f"--pid-file={pid}"]), check=False)
    if not result.ok:
        raise LabError(f"the resolver at {config.address} did not start: {result.stderr.strip()}")


@dataclass(frozen=True)
class Answer:
    """What a resolver said: its code (0: no error, 3: no such name) and the data of the answers, in their order.

    Data is an address, a name or a text, by the answer's own type.
    """

    code: int
    data: tuple[str, ...] = ()


def ask(sock: socket.socket, server: tuple[str, int], name: str, kind: str = "A", timeout: float = 1.0) -> Answer:
    """Ask a resolver one question over a UDP socket; raises OSError (TimeoutError: no answer in `timeout` seconds)."""
    number = secrets.token_bytes(2)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    question = labels + b"\0" + struct.pack(">HH", _TYPES[kind], 1)
    sock.settimeout(timeout)
    sock.sendto(number + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + question, server)
    while True:
        reply = sock.recv(4096)
        if reply[:2] == number and len(reply) >= 12:  # an answer to an earlier question may still come in
            return _read(reply, 12 + len(question))


def _read(reply: bytes, at: int) -> Answer:
    flags, _, count = struct.unpack(">HHH", reply[2:8])
    found = []
    for _ in range(count):
        _, at = _name(reply, at)
        kind, _, _, length = struct.unpack(">HHIH", reply[at : at + 10])
        at += 10
        raw = reply[at : at + length]
        if kind in (_TYPES["A"], _TYPES["AAAA"]):
            found.append(socket.inet_ntop(socket.AF_INET if kind == _TYPES["A"] else socket.AF_INET6, raw))
        elif kind == _TYPES["TXT"]:
            found.append(raw[1 : 1 + raw[0]].decode("ascii", "replace") if raw else "")
        else:
            found.append(_name(reply, at)[0])
        at += length
    return Answer(flags & 15, tuple(found))


def _name(reply: bytes, at: int) -> tuple[str, int]:
    """A name, which may end with a pointer to an earlier one, and where the text goes on after it."""
    labels: list[str] = []
    after = 0
    for _ in range(128):  # a pointer may lead in a circle
        length = reply[at]
        if length >= 0xC0:
            after = after or at + 2
            at = (length & 0x3F) << 8 | reply[at + 1]
        elif length == 0:
            break
        else:
            labels.append(reply[at + 1 : at + 1 + length].decode("ascii", "replace"))
            at += 1 + length
    return ".".join(labels), after or at + 1
