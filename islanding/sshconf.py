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
    Without a bastion the operator is reached directly, or by that command.
    """

    bastion: str
    operator: str
    nodes: tuple[str, ...]
    user: str
    key: Path
    known_hosts: Path
    sockets: Path  # a folder for the shared connections
    command: str = ""
    bastion_user: str = ""  # where it is another one than at the instances behind it
    trusted: bool = True  # whether bastion and operator may come with a new key too, as machines of a lab do
    tunnel: int = 0  # port of this machine's at which the host `tunnel` opens a SOCKS proxy at the operator

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
        shared, forwarding = self._shared("s"), self._shared("t")
        known = "" if self.trusted else "  StrictHostKeyChecking accept-new\n"
        hosts = ""
        if self.bastion:
            user = f"  User {self.bastion_user}\n" if self.bastion_user else ""
            hosts += f"Host bastion {self.bastion}\n  HostName {self.bastion}\n{user}{known}{first}{shared}"
        if self.operator:
            way = f"  HostName {self.operator}\n{known}" + ("  ProxyJump bastion\n" if self.bastion else first)
            hosts += f"Host operator {self.operator}\n{way}{shared}"
            if self.tunnel:
                forward = f"  DynamicForward 127.0.0.1:{self.tunnel}\n  ExitOnForwardFailure yes\n"
                hosts += f"Host tunnel\n{way}{forward}{forwarding}"
            hosts += f"Host {patterns} !{self.operator}\n  ProxyJump operator\n"
        return f"{hosts}Host *\n{common}"

    @property
    def shares(self) -> bool:
        """Whether connections can be shared: ssh would refuse a socket whose path is too long."""
        return len(str(self.sockets)) + _SOCKET <= _LONGEST

    def host(self, name: str, address: str, user: str, *, port: int = 22, key: str = "") -> str:
        """A machine besides these, reached straight from here; to be put before `text`. Its key may not change."""
        own = f"  IdentityFile {key}\n" if key else ""
        way = f"  HostName {address}\n  Port {port}\n  User {user}\n{own}"
        return f"Host {name}\n{way}  StrictHostKeyChecking accept-new\n{self._shared(f'{name}')}"

    def _shared(self, prefix: str) -> str:
        if not self.shares:
            return ""  # so it takes longer
        return f"  ControlMaster auto\n  ControlPath {self.sockets / f'{prefix}-%h'}\n  ControlPersist 60\n"


def _patterns(network: str) -> list[str]:
    """ssh's patterns for the addresses of a range, whole octets at a time: 10.1.0.0/23 is 10.1.0.* and 10.1.1.*."""
    block = IPv4Network(network)
    whole = max(8, (block.prefixlen + 7) // 8 * 8)
    if whole > 24:
        return [str(address) for address in block.hosts()]
    parts = whole // 8
    return [".".join(str(s.network_address).split(".")[:parts]) + ".*" for s in block.subnets(new_prefix=whole)]
