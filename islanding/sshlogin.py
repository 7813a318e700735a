"""The way into a closed site as its SSH configuration has it: the hops and keys by which a person logs in."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from islanding.model import Site
from islanding.process import run


@dataclass(frozen=True)
class Login:
    """Hops (USER@HOST) from the user's own computer to a host, and the private key file for them."""

    hops: tuple[str, ...]
    keys: tuple[str, ...]


def login(site: Site, *hosts: str) -> Login:
    """How to log in at the last of `hosts` (names or addresses in the site's SSH configuration) through the others.

    Raises CommandFailed when ssh cannot read the configuration, NotCoveredError for a hop that the site lacks.
    Source of what is asked: ssh(1), option -G.
    """
    for host in hosts:
        site.require(host)
    told = [_settings(site, host) for host in hosts]
    hops = tuple(f"{one['user']}@{one['hostname']}" for one in told)
    return Login(hops, (told[-1]["identityfile"],))


def _settings(site: Site, host: str) -> dict[str, str]:
    said = run(["ssh", "-G", "-F", site.facts["ssh_config"], host]).stdout
    settings: dict[str, str] = {}
    for line in said.splitlines():
        key, _, value = line.partition(" ")
        settings.setdefault(key, shlex.split(value)[0] if value.startswith('"') else value)
    return settings
