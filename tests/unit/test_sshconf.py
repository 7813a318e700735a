"""The SSH configuration of a closed site, as ssh itself understands it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from islanding.sshconf import Jumps

NODES = ("10.20.0.0/20", "10.20.255.0/24")


@pytest.fixture
def jumps(tmp_path: Path) -> Jumps:
    """The way into a closed network."""
    return Jumps(
        bastion="54.150.0.1",
        operator="10.20.255.4",
        nodes=NODES,
        user="ec2-user",
        key=tmp_path / "ssh.key",
        known_hosts=tmp_path / "known_hosts",
        sockets=tmp_path,
    )


def understood(jumps: Jumps, host: str) -> dict[str, str]:
    """ssh's own reading (`ssh -G`) of the configuration for a host; it connects to nothing."""
    config = jumps.key.parent / "ssh_config"
    config.write_text(jumps.text())
    shown = subprocess.run(["ssh", "-G", "-F", str(config), host], capture_output=True, text=True, check=True).stdout
    return dict(line.partition(" ")[::2] for line in shown.splitlines())


@pytest.mark.parametrize(
    ("host", "address", "jump"),
    [
        ("bastion", "54.150.0.1", None),
        ("54.150.0.1", "54.150.0.1", None),
        ("operator", "10.20.255.4", "bastion"),
        ("10.20.255.4", "10.20.255.4", "bastion"),
        ("10.20.0.7", "10.20.0.7", "operator"),
        ("10.20.15.254", "10.20.15.254", "operator"),
        ("10.20.255.9", "10.20.255.9", "operator"),
        ("10.20.16.7", "10.20.16.7", None),
    ],
)
def test_each_host_has_its_jump(jumps: Jumps, host: str, address: str, jump: str | None) -> None:
    """The operator is reached through the bastion, a node through the operator, and nothing else through anybody."""
    found = understood(jumps, host)

    assert (found["hostname"], found.get("proxyjump")) == (address, jump)


def test_who_logs_in_and_with_what(jumps: Jumps) -> None:
    """User, key and known hosts are the site's own, and nobody is asked for a password."""
    found = understood(jumps, "10.20.0.7")

    assert {
        name: found[name] for name in ("user", "identityfile", "identitiesonly", "userknownhostsfile", "batchmode")
    } == {
        "user": "ec2-user",
        "identityfile": str(jumps.key),
        "identitiesonly": "yes",
        "userknownhostsfile": str(jumps.known_hosts),
        "batchmode": "yes",
    }


def test_the_bastion_may_need_a_command(jumps: Jumps) -> None:
    """Where the bastion is not simply there, a command makes the connection to it, and to it alone."""
    way = replace(jumps, command="nc %h %p")

    assert (understood(way, "bastion").get("proxycommand"), understood(way, "operator").get("proxycommand")) == (
        "nc %h %p",
        None,
    )


def test_connections_are_shared_where_a_sockets_path_is_short_enough(jumps: Jumps) -> None:
    """A long state folder costs time and no connection: ssh refuses to connect when its socket's path is too long."""
    short = understood(replace(jumps, sockets=Path("/run/a")), "operator")
    long = understood(replace(jumps, sockets=Path("/run") / ("a" * 80)), "operator")

    assert short["controlpath"] == "/run/a/s-10.20.255.4"
    assert (short["controlmaster"], long["controlmaster"]) == ("auto", "false")
