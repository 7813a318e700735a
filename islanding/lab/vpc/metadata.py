"""The metadata service at its link-local address in each VPC: opened with the VPC, closed with it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Protocol

from islanding.errors import LabError
from islanding.lab.namespaces import NETNS, listener_in
from islanding.lab.vpc.index import Index
from islanding.lab.vpc.outside import METADATA, OutpostLink
from islanding.lab.vpc.state import Ec2State


class Served(Protocol):
    """A server that runs until it is closed."""

    def close(self) -> None:
        """Stop serving."""


class VpcMetadata:
    """The metadata services of a lab's VPCs.

    `serve(listener, vpc)` serves on a listening socket, which it owns from then on, for the instances of one VPC: two
    VPCs may have the same addresses.
    """

    def __init__(self, serve: Callable[[socket.socket, str], Served], outposts: tuple[OutpostLink, ...] = ()) -> None:
        self._serve = serve
        self._outposts = outposts
        self._open: dict[str, tuple[int, Served]] = {}  # by namespace: its inode, and the server
        self._lock = threading.Lock()

    def follow(self, state: Ec2State) -> None:
        """Serve in each VPC that there is; raises LabError that names those in which it could not be done."""
        with self._lock:
            wanted = {vpc.id: vpc.id for vpc in state.vpcs}
            wanted |= {part.netns: part.vpc for part in Index(state, self._outposts).parts.values()}
            for netns, (inode, server) in list(self._open.items()):
                if netns not in wanted or inode != _inode(netns):
                    server.close()
                    del self._open[netns]
            failures = []
            for netns in sorted(wanted.keys() - self._open.keys()):
                try:
                    server = self._serve(listener_in(netns, METADATA, 80), wanted[netns])
                    self._open[netns] = (_inode(netns), server)
                except OSError as error:
                    failures.append(f"{netns}: {error}")
            if failures:
                raise LabError(f"no metadata service in {'; '.join(failures)}")

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for _, server in self._open.values():
                server.close()
            self._open.clear()


def _inode(netns: str) -> int:
    return (NETNS / netns).stat().st_ino if (NETNS / netns).exists() else 0
