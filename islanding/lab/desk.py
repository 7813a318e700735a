"""A desk on the site's LAN: the user's own tools in another network, with its own resolver, hosts file and home folder.

A desk is no machine: it is the host's file system seen from a network namespace, so that `kubectl`, `aws` and `ssh` are
the ones that a user has. A process holds its namespaces open; whoever wants to sit down enters those of that process.
(Binding them to files fails by chance on Linux 6.18: docs/measurements.md 2.)
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from islanding.lab import namespaces
from islanding.lab.kernel import inside

HOST_PROC = Path("/run/islanding/proc")  # the host's /proc: a desk's processes belong to whoever sits there


@dataclass(frozen=True)
class Desk:
    """A desk: its network namespace, its home folder on the host, its resolver's address and its hosts file."""

    name: str
    home: Path
    resolver: str
    hosts: Mapping[str, str] = field(default_factory=dict)  # name -> address

    def open(self) -> OpenDesk:
        """Make the desk and keep it until the lab ends."""
        self.home.mkdir(parents=True, exist_ok=True)
        etc = self.home / ".etc"
        etc.mkdir(exist_ok=True)
        (etc / "resolv.conf").write_text(f"nameserver {self.resolver}\noptions timeout:5 attempts:2\n")
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.hosts.items())]
        (etc / "hosts").write_text("\n".join(lines) + "\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        ssh = self.home / SSH_CONFIG
        ssh.touch()
        targets = {f"/etc/{name}": etc / name for name in _FILES} | {"/etc/ssh/ssh_config": ssh}
        # OpenSSH looks for the user's home in the password file, not in $HOME: the system's file is the desk's own.
        mounts = " && ".join(f"mount --bind {source} {target}" for target, source in targets.items())
        # Read by the shell itself, so that the number is its own, as the host's /proc gives it.
        tell = "read -r pid _ < /proc/self/stat && echo $pid && exec cat"
        script = f"{mounts} && mount --bind {HOST_PROC} /proc && hostname {self.name} && {tell}"
        holder = subprocess.Popen(
            inside(self.name, ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", script]),
            stdin=subprocess.PIPE,  # held open by this process: the holder ends when it does
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        pid = holder.stdout.readline().strip() if holder.stdout else ""
        if not pid.isdigit():
            said = holder.stderr.read().strip() if holder.stderr else ""
            raise OSError(f"desk {self.name} could not be made: {said}")
        return OpenDesk(self.name, holder, int(pid))


@dataclass(frozen=True)
class OpenDesk:
    """A desk that can be entered. `host_pid`: its holder as the host numbers it; the holder's Popen has it inside."""

    name: str
    holder: subprocess.Popen[str]
    host_pid: int

    def enter_from_host(self) -> tuple[str, ...]:
        """The argument vector by which the host enters the desk."""
        return _enter(self.host_pid)

    def enter(self) -> tuple[str, ...]:
        """The same from inside the lab."""
        return _enter(self.holder.pid)


def _enter(pid: int) -> tuple[str, ...]:
    return ("nsenter", "--target", str(pid), "--mount", "--uts", "--net", "--")


SSH_CONFIG = ".etc/ssh_config"  # below the desk's home; may be filled in later
_FILES = ("resolv.conf", "hosts", "nsswitch.conf")


def keep_host_proc() -> None:
    """Keep the host's /proc in view; must run in the lab's mount namespace before /proc is replaced."""
    HOST_PROC.mkdir(parents=True, exist_ok=True)
    namespaces.mount("/proc", str(HOST_PROC), flags=namespaces.MS_BIND)
