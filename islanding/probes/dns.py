"""DNS: a name asked of one server (which tells silence from refusal), or of a place's own resolver and hosts file."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import ClassVar

from islanding.errors import SetupError
from islanding.probes.at_place import AtPlace, look
from islanding.probes.base import Reading
from islanding.probes.tcp import network_error

_RCODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_A, _IN = 1, 1


@dataclass(frozen=True, kw_only=True)
class Dns(AtPlace):
    """The IPv4 address of `hostname`: asked of `server` by UDP, or, without one, by getaddrinfo as programs do.

    getaddrinfo honours /etc/hosts and /etc/resolv.conf of the place, and so cannot be held to `timeout`: glibc's own
    limits count (5 s, two attempts a server). Where it is entered by SSH, that place's resolver answers.
    """

    kind: ClassVar[str] = "dns"

    hostname: str
    server: str = ""
    port: int = 53
    interval: float = 0.5
    timeout: float = 2.0
    overlap: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.enter and self.server:
            raise SetupError(
                f"dns probe of {self.hostname}: a server and a place that is entered by a command",
                "leave out the server: the place asks its own resolver",
            )

    def target(self) -> str:
        """What is probed."""
        if self.at:
            return f"{self.hostname} at {self.at}"
        return f"{self.hostname} at {self.server}" if self.server else self.hostname

    def command(self) -> str:
        """What a person would type."""
        if self.server:
            return f"dig +tries=1 +time={self.timeout:g} -p {self.port} @{self.server} {self.hostname}"
        return self.shown_at(["getent", "ahostsv4", self.hostname])

    def sample(self) -> Reading:
        """Ask once."""
        if self.enter:
            return look(self, "resolve", self.hostname, 0, self.timeout, 0.0)
        return self._ask_server() if self.server else self._ask_system()

    def _ask_system(self) -> Reading:
        try:
            found = socket.getaddrinfo(self.hostname, None, socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            return Reading(1, network_error("resolve", error))
        return Reading(0, "addresses: " + ", ".join(sorted({str(entry[4][0]) for entry in found})))

    def _ask_server(self) -> Reading:
        number = int.from_bytes(os.urandom(2))
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(self.timeout)
                udp.connect((self.server, self.port))  # connected, so that an ICMP refusal comes back as an error
                udp.send(query(number, self.hostname))
                return answer(number, udp.recv(4096))
        except OSError as error:
            return Reading(1, network_error("query", error))


def query(number: int, hostname: str) -> bytes:
    """A DNS query (RFC 1035, 4.1) for the A record of `hostname`, recursion desired."""
    labels = b"".join(bytes([len(part)]) + part for part in hostname.rstrip(".").encode("idna").split(b"."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", _A, _IN)


def answer(number: int, packet: bytes) -> Reading:
    """What a DNS answer says: the A records, no address, or the server's error code."""
    try:
        echoed, flags, questions, answers = struct.unpack_from(">4H", packet)
        if echoed != number:
            return Reading(1, f"answer to another question: {echoed}")
        rcode = flags & 0xF
        if rcode:
            return Reading(1, f"query: {_RCODES.get(rcode, f'rcode {rcode}')}")
        offset = 12
        for _ in range(questions):
            offset = _skip_name(packet, offset) + 4
        found = []
        for _ in range(answers):
            offset = _skip_name(packet, offset)
            kind, _class, _ttl, length = struct.unpack_from(">2HIH", packet, offset)
            offset += 10
            if kind == _A and length == 4:
                found.append(str(IPv4Address(packet[offset : offset + 4])))
            offset += length
    except (struct.error, IndexError, ValueError):
        return Reading(1, f"answer cut short after {len(packet)} bytes")
    return Reading(0, "addresses: " + ", ".join(found)) if found else Reading(1, "query: no address")


def _skip_name(packet: bytes, offset: int) -> int:
    while (length := packet[offset]) != 0:
        if length & 0xC0 == 0xC0:
            return offset + 2
        offset += 1 + length
    return offset + 1
