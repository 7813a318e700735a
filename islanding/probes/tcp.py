"""TCP reachability: a connection is made to an address and port, and closed."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import ClassVar

from islanding.probes.base import Probe, Reading


@dataclass(frozen=True, kw_only=True)
class Tcp(Probe):
    """Connects to `host`:`port`, anew each time."""

    kind: ClassVar[str] = "tcp"

    host: str
    port: int
    interval: float = 0.5
    timeout: float = 2.0
    overlap: int = 5

    def target(self) -> str:
        """What is probed."""
        return f"{self.host}:{self.port}"

    def command(self) -> str:
        """What a person would type."""
        return f"nc -vz -w {self.timeout:g} {self.host} {self.port}"

    def sample(self) -> Reading:
        """Connect and close; the text names the phase (resolve, connect) and the system's error."""
        try:
            with socket.create_connection((self.host, self.port), timeout=self.timeout) as connection:
                address, port = connection.getpeername()[:2]
            return Reading(0, f"connected to {address}:{port}")
        except OSError as error:
            return Reading(1, network_error("connect", error))


def network_error(phase: str, error: OSError) -> str:
    """The text of a network error: `phase: timed out`, `phase: [Errno N] message`, or `resolve: ...` for a name."""
    if isinstance(error, socket.gaierror):
        return f"resolve: {error}"
    return f"{phase}: timed out" if isinstance(error, TimeoutError) and error.errno is None else f"{phase}: {error}"
