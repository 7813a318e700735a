"""The SSH configuration of a closed site: to the bastion first, from there to the operator, from there to a node."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

_LONGEST = 107  # bytes of a Unix socket's path (unix(7): 108 with the one that ends it)
_SOCKET = len("/s-255.255.255.255.0123456789abcdef")  # ssh gives it a suffix until it listens


@dataclass(frozen=True)
class Jumps:
    """The way into a closed network.

    `bastion` is its public address, `operator` a private one, `nodes` the ranges of the nodes' subnets; `command`
    (optional) makes the connection to the bastion, where it is not simply there: ssh's ProxyCommand with %h and %p.
    """

    bastion: str
    operator: str
    nodes: tuple[str, ...]
    user: str
    key: Path
    known_hosts: Path
    sockets: Path  # a folder for the shared connections
    command: str = ""

    def text(self) -> str:
        """The configuration file."""
        first = f"  ProxyCommand {self.command}\n" if self.command else ""
        patterns = " ".join(sorted({pattern for r in self.nodes for pattern in _patterns(r)}))
        common = (
            f"  User {self.user}\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n"
            # Instances come and go at the same addresses: a key is trusted when it is seen first, and kept by address.
            f"  StrictHostKeyChecking no\n  UserKnownHostsFile {self.known_hosts}\n"
            "  LogLevel ERROR\n  ConnectTimeout 10\n  BatchMode yes\n"
            "  ServerAliveInterval 5\n  ServerAliveCountMax 4\n"
        )
        # One connection to bastion and operator carries many sessions: each jump costs a key exchange.
        shared = f"  ControlMaster auto\n  ControlPath {self.sockets / 's-%h'}\n  ControlPersist 60\n"
        if len(str(self.sockets)) + _SOCKET > _LONGEST:
            shared = ""  # ssh would refuse each connection; so it takes longer
        return (
            f"Host bastion {self.bastion}\n  HostName {self.bastion}\n{first}{shared}"
            f"Host operator {self.operator}\n  HostName {self.operator}\n  ProxyJump bastion\n{shared}"
            f"Host {patterns} !{self.operator}\n  ProxyJump operator\n"
            f"Host *\n{common}"
        )


def _patterns(network: str) -> list[str]:
    """ssh's patterns for the addresses of a range, whole octets at a time: 10.1.0.0/23 is 10.1.0.* and 10.1.1.*."""
    block = IPv4Network(network)
    whole = max(8, (block.prefixlen + 7) // 8 * 8)
    if whole > 24:
        return [str(address) for address in block.hosts()]
    parts = whole // 8
    return [".".join(str(s.network_address).split(".")[:parts]) + ".*" for s in block.subnets(new_prefix=whole)]
