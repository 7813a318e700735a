"""The places of a site that is entered by SSH from this computer, and the tunnel to its private endpoint."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from islanding.model import Place, PlaceRole


def by_ssh(config: Path, name: str, role: PlaceRole, address: str, *more: str) -> Place:
    """A place that the SSH configuration leads to by its name; `more` is put before each command there."""
    enter = ("ssh", "-F", str(config), name, *more)
    return Place(name=name, role=role, address=address, enter=enter, by_ssh=True)


def tunnelled(workstation: Place, config: Path, name: str) -> Place:
    """The user's computer, with the SOCKS proxy of the SSH configuration's host `tunnel` there before each command.

    The tunnel is one shared connection that ends by itself a minute after its last use: nobody has to end it, whoever
    needed it, a run that was killed or whoever heals after it.
    """
    ensure = f'ssh -F {shlex.quote(str(config))} tunnel true </dev/null >/dev/null 2>&1; exec "$@"'
    return workstation.model_copy(update={"name": name, "enter": ("sh", "-c", ensure, "sh")})


def free_port() -> int:
    """A port of this machine's loopback that nobody uses now."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
