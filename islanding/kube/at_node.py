"""What is done at a node itself, by SSH as root: its units, its runtime's patience, its logs, its network plugin."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from islanding.kube.certificates import Operator
from islanding.model import Node, Place
from islanding.wait import wait_until

HOSTS = "/etc/containerd/certs.d/_default/hosts.toml"  # containerd reads it anew with each pull
CNI = "k8s-app=aws-node"


def restart(place: Place, unit: str) -> None:
    """Restart a unit and wait until it is active again; running containers stay. Raises CommandFailed."""
    place.run(["systemctl", "restart", unit], timeout=90)
    wait_until(
        f"{unit} to be active",
        lambda: place.run(["systemctl", "is-active", unit], check=False).stdout.strip() == "active",
        timeout=60,
    )


@contextmanager
def dials(place: Place, seconds: float) -> Iterator[None]:
    """Let containerd give up a dial after so many seconds, for the length of a `with` block; its own is 30.

    It tries an address one to five times in any case. A file that was there before is put back. Raises CommandFailed.
    """
    kept = f"{HOSTS}.{secrets.token_hex(4)}"
    keep = f"mkdir -p $(dirname {HOSTS}) && if [ -e {HOSTS} ]; then mv {HOSTS} {kept}; fi && cat > {HOSTS}"
    place.run(["sh", "-c", keep], stdin=f'dial_timeout = "{seconds:g}s"\n')
    try:
        yield
    finally:
        place.run(["sh", "-c", f"rm -f {HOSTS}; if [ -e {kept} ]; then mv {kept} {HOSTS}; fi"])


def log_lines(place: Place, unit: str, *words: str, since: float) -> list[str]:
    """Lines of a unit's log with all of `words`, of the last `since` seconds, oldest first. Raises CommandFailed."""
    command = ["journalctl", f"--unit={unit}", "--output=cat", "--no-pager", f"--since=-{int(since)}s"]
    return [line for line in place.run(command).stdout.splitlines() if all(word in line for word in words)]


def replace_cni(operator: Operator, node: Node) -> None:
    """Delete the network plugin's pod at a node, so that its DaemonSet makes a new one, which starts at once."""
    where = f"--field-selector=spec.nodeName={node.name}"
    operator.kubectl("delete", "pod", "-n", "kube-system", f"--selector={CNI}", where, "--grace-period=1")
