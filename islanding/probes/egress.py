"""A try to leave the network: TCP, HTTP, UDP, DNS or ICMP to an address on the internet, from an instance.

BLOCKED means silence until the time limit, as AWS ends packets. The text has the route that the instance's kernel took:
a packet that never left shows nothing about the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from islanding.errors import SetupError
from islanding.probes.at_place import AtPlace, look
from islanding.probes.base import Reading

PROTOCOLS = ("tcp", "http", "udp", "dns", "icmp")
_PORTS = {"tcp": 443, "http": 80, "udp": 53, "dns": 53, "icmp": 0}
_ENTERING = 15.0  # seconds for SSH through two jumps, beyond the try itself


@dataclass(frozen=True, kw_only=True)
class Egress(AtPlace):
    """Tries to reach `host`:`port` (0: the protocol's usual one) by `protocol` for `wait` seconds."""

    kind: ClassVar[str] = "egress"

    host: str
    protocol: Literal["tcp", "http", "udp", "dns", "icmp"] = "tcp"
    port: int = 0
    wait: float = 3.0
    interval: float = 5.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol not in PROTOCOLS:
            raise SetupError(f"egress probe: no protocol {self.protocol!r}", f"use one of: {', '.join(PROTOCOLS)}")

    def target(self) -> str:
        """What is probed."""
        port = self.port or _PORTS[self.protocol]
        return f"{self.protocol} {self.host}{f':{port}' if port else ''}" + (f" from {self.at}" if self.at else "")

    def command(self) -> str:
        """What a person would type."""
        port, wait = self.port or _PORTS[self.protocol], f"{self.wait:g}"
        typed = {
            "tcp": ["nc", "-vz", "-w", wait, self.host, str(port)],
            "http": ["curl", "-sSI", "--max-time", wait, f"http://{self.host}:{port}/"],
            "udp": ["nc", "-vzu", "-w", wait, self.host, str(port)],
            "dns": ["dig", "+tries=1", f"+time={wait}", "-p", str(port), f"@{self.host}", ".", "NS"],
            "icmp": ["ping", "-c", "1", "-W", wait, self.host],
        }
        return self.shown_at(typed[self.protocol])

    def sample(self) -> Reading:
        """Try once."""
        port = self.port or _PORTS[self.protocol]
        return look(self, self.protocol, self.host, port, self.wait, _ENTERING)
