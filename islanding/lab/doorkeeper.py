"""Opens and closes the Region's doors: its listening sockets at public addresses and at the endpoints of VPCs."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from islanding.lab import namespaces
from islanding.lab.pki import Authority
from islanding.lab.region import hostnames
from islanding.lab.region.http import HttpServer
from islanding.lab.region.server import Region
from islanding.lab.vpc.door import Door, Via
from islanding.lab.vpc.doors import doors
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.state import Ec2State, Endpoint

HTTPS = 443


@dataclass(frozen=True)
class _Open:
    """A door that is open: in which namespace (its inode: names are used again), and who serves there."""

    inode: int
    server: HttpServer


class Doorkeeper:
    """Keeps the Region reachable where AWS's state says that it is, and nowhere else.

    What cannot be opened is recorded in the Region's errors, and tried again at the next `follow`.
    """

    def __init__(self, region: Region, ca: Authority, outside: Outside) -> None:
        self._region = region
        self._ca = ca
        self._outside = outside
        self._open: dict[Door, _Open] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._lock = threading.Lock()

    @property
    def open(self) -> tuple[Door, ...]:
        """The doors that are open now."""
        with self._lock:
            return tuple(self._open)

    def follow(self, state: Ec2State) -> None:
        """Open the doors that are new in `state`, and close those that are gone or whose namespace is another one."""
        self._endpoints = {endpoint.id: endpoint for endpoint in state.endpoints}
        with self._lock:
            wanted = dict.fromkeys(doors(state, self._outside))
            for door, opened in list(self._open.items()):
                if door not in wanted or opened.inode != _inode(door.netns):
                    self._open.pop(door).server.close()
            for door in wanted:
                if door not in self._open:
                    self._open_door(door)

    def close(self) -> None:
        """Close every door."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].server.close()

    def via(self, endpoint: str) -> Via:
        """The way through an endpoint as it is now, with its present policy; by the internet for an empty id."""
        found = self._endpoints.get(endpoint)
        return Via(endpoint, found.vpc, found.service, found.policy) if found else Via(endpoint)

    def _open_door(self, door: Door) -> None:
        try:
            inode = _inode(door.netns)
            listener = namespaces.listener_in(door.netns, door.address, HTTPS)
        except OSError as error:
            self._region.errors.append(f"the door {door.netns} {door.address}: {error}")
            return
        via = partial(self.via, door.endpoint) if door.endpoint else Via
        server = self._region.serve(listener, self._context(door.services), via=via, services=door.services)
        self._open[door] = _Open(inode, server)

    def _context(self, services: tuple[str, ...]) -> ssl.SSLContext:
        """TLS with a certificate for the names of these services: whoever is led to another one's door must see it."""
        if services not in self._contexts:
            names = hostnames.certificate_names(self._outside.region, services)
            self._contexts[services] = server_context(self._ca, names)
        return self._contexts[services]


def server_context(ca: Authority, names: Sequence[str], addresses: Sequence[str] = ()) -> ssl.SSLContext:
    """TLS for a server with those DNS names and IP addresses, signed by `ca`."""
    leaf = ca.issue(names[0], dns=names, ips=addresses)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the ssl module takes files only; the folder is its owner's alone
        certificate, key = Path(folder, "crt"), Path(folder, "key")
        certificate.write_bytes(leaf.certificate_pem)
        key.write_bytes(leaf.key_pem)
        context.load_cert_chain(certificate, key)
    return context


def _inode(netns: str) -> int:
    with contextlib.suppress(OSError):
        return (namespaces.NETNS / netns).stat().st_ino
    return 0
