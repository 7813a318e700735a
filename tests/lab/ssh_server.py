"""An SSH server for a place of the lab that is no machine: the router, the resolver, somebody's host in the Region.

Its program is the machine image's own sshd, started by that image's loader with that image's libraries. The host needs
no SSH server for the tests, which would listen at the host's own port 22 from then on.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from islanding.lab.registry import Lab
from islanding.model import Site
from islanding.wait import wait_until

_CONFIG = """
{ports}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
SetEnv {environment}
"""
_SEPARATED = Path("/run/sshd")  # where Debian's sshd puts its child that is not root
# That child's user, whom a host without an SSH server does not have; sshd's own view of the file names it.
_USER = "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
_WITH_USERS = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'


@contextmanager
def ssh_server(lab: Lab, site: Site, name: str, key: str, folder: Path, *ports: int) -> Iterator[None]:
    """Let root in by the private `key` (a file) at the `ports` of the place `name`; `folder` is for its files alone."""
    folder.chmod(0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host"], check=True, timeout=30)
    public = subprocess.run(["ssh-keygen", "-y", "-f", key], check=True, capture_output=True, timeout=30)
    (folder / "authorized").write_bytes(public.stdout)
    environment = " ".join(f"{key}={value}" for key, value in site.place(name).env.items()) or "LANG=C.UTF-8"
    listening = "\n".join(f"Port {port}" for port in ports)
    (folder / "config").write_text(_CONFIG.format(folder=folder, environment=environment, ports=listening))
    (folder / "passwd").write_text(_users())
    made = not _SEPARATED.exists()
    _SEPARATED.mkdir(mode=0o755, exist_ok=True)
    # In the lab's PID namespace, where the router's own timers are: so sessions end with the lab, whoever holds them.
    within = ["nsenter", f"--pid=/proc/{lab.pid}/ns/pid", "--", *site.place(name).enter]
    users = ["unshare", "--mount", "sh", "-c", _WITH_USERS, "sh", str(folder / "passwd")]
    command = [*within, *users, "setpriv", "--pdeathsig", "KILL", *_sshd(lab), "-D", "-E", str(folder / "log"), "-f"]
    server = subprocess.Popen([*command, str(folder / "config")], stdin=subprocess.DEVNULL)
    try:
        wait_until(f"sshd of {name}", lambda: "Server listening" in _text(folder / "log"), timeout=10)
        yield
    finally:
        server.kill()
        server.wait(10)
        if made and _SEPARATED.exists() and not any(_SEPARATED.iterdir()):
            _SEPARATED.rmdir()


def _sshd(lab: Lab) -> list[str]:
    """The command: `-r`, as sshd would start itself again for each session, and then without the loader."""
    root = Path(json.loads((lab.folder / "request.json").read_text())["image"])
    (loader,) = (root / "usr/lib").glob("*-linux-gnu/ld-linux-*.so.*")
    program = str(root / "usr/sbin/sshd")
    return [str(loader), "--library-path", str(loader.parent), "--argv0", program, program, "-r"]


def _users() -> str:
    named = _text(Path("/etc/passwd"))
    return named if any(line.startswith("sshd:") for line in named.splitlines()) else named.rstrip("\n") + "\n" + _USER


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
