"""BGP routers: FRR's zebra and bgpd in a network namespace, one object a router (docs/measurements.md 6)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.errors import LabError
from islanding.lab import vty
from islanding.lab.kernel import inside
from islanding.process import run

_DAEMONS = Path("/usr/lib/frr")
_RUNNING = Path("/var/run/frr")
_FSM = {"Idle": 1, "Connect": 2, "Active": 3, "OpenSent": 4, "OpenConfirm": 5, "Established": 6}


@dataclass(frozen=True)
class Peer:
    """An eBGP peer: its address and ASN, what the session is for, and the only prefixes announced to it.

    Outbound prefix lists on every session are needed: without them both links carry everything, the far end installs
    equal-cost paths, and cutting one link cuts nothing (docs/measurements.md 6).
    """

    address: str
    asn: int
    description: str
    announce: tuple[str, ...]


@dataclass(frozen=True)
class RouterConfig:
    """A router's BGP configuration; timers in seconds."""

    name: str
    asn: int
    router_id: str
    networks: tuple[str, ...]
    peers: tuple[Peer, ...]
    keepalive: int = 1
    hold: int = 3

    def text(self) -> str:
        """The configuration file."""
        lines = [
            f"hostname {self.name}",
            "log timestamp precision 3",
            "no ipv6 forwarding",
        ]
        for peer in self.peers:
            for n, prefix in enumerate(peer.announce, start=1):
                lines.append(f"ip prefix-list {_list_name(peer)} seq {5 * n} permit {prefix}")
        lines += [
            "ip prefix-list NOTHING seq 5 deny any",
            f"router bgp {self.asn}",
            f" bgp router-id {self.router_id}",
            " bgp log-neighbor-changes",
            " no bgp ebgp-requires-policy",
            " no bgp default ipv6-unicast",
            " no bgp network import-check",
            f" timers bgp {self.keepalive} {self.hold}",
            " coalesce-time 0",
        ]
        for peer in self.peers:
            lines += [
                f" neighbor {peer.address} remote-as {peer.asn}",
                f" neighbor {peer.address} description {peer.description}",
                f" neighbor {peer.address} timers connect 1",
                f" neighbor {peer.address} advertisement-interval 0",
            ]
        lines.append(" address-family ipv4 unicast")
        lines += [f"  network {network}" for network in self.networks]
        for peer in self.peers:
            lines += [
                f"  neighbor {peer.address} soft-reconfiguration inbound",
                f"  neighbor {peer.address} prefix-list {_list_name(peer)} out",
            ]
        return "\n".join([*lines, " exit-address-family", "exit", ""])


def _list_name(peer: Peer) -> str:
    return f"TO-{peer.description}"


class Router:
    """A running FRR router of the lab."""

    def __init__(self, config: RouterConfig, logs: Path) -> None:
        self.config = config
        self._log = logs / f"{config.name}.frr.log"

    @property
    def name(self) -> str:
        return self.config.name

    def start(self) -> None:
        """Write the configuration and start the daemons; raises LabError when FRR is not installed."""
        if not (_DAEMONS / "bgpd").exists():
            raise LabError("FRR is not installed: the lab's routers are FRR", "islanding setup")
        for base in (Path("/etc/frr"), _RUNNING):
            (base / self.name).mkdir(parents=True, exist_ok=True)
            shutil.chown(base, "frr", "frr")
            shutil.chown(base / self.name, "frr", "frr")
        folder = Path("/etc/frr") / self.name
        (folder / "vtysh.conf").touch()
        (folder / "frr.conf").write_text(self.config.text())
        for path in folder.iterdir():
            shutil.chown(path, "frr", "frr")
        self._log.touch()
        shutil.chown(self._log, "frr", "frr")  # the daemons write it as this user
        for daemon in ("zebra", "bgpd"):
            command = [
                str(_DAEMONS / daemon), "-d", "-N", self.name, "-A", "127.0.0.1",
                "-f", str(folder / "frr.conf"), "--log", f"file:{self._log}",
            ]  # fmt: skip
            run(inside(self.name, command), host=self.name)

    def show(self, command: str) -> Any:
        """bgpd's JSON answer to `show COMMAND json`; raises LabError when it does not answer."""
        return json.loads(vty.ask(_RUNNING / self.name / "bgpd.vty", f"show {command} json") or "{}")

    def session_states(self) -> Mapping[str, int]:
        """State of each session by the peer's description, as the BGP FSM's number (6: Established)."""
        peers = self.show("bgp summary").get("ipv4Unicast", {}).get("peers", {})
        described = {p.address: p.description for p in self.config.peers}
        return {described[a]: _FSM.get(state["state"], 1) for a, state in peers.items() if a in described}
