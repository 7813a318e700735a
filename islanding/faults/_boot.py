"""Telling one boot of a machine from the next, by SSH: shared by the faults that restart machines."""

from __future__ import annotations

from islanding.faults._fault import Health
from islanding.faults._plan import FaultError
from islanding.model import Node, Site

# The kernel's boot id changes with a real reboot. Where machines share a kernel it may not; then the start time of
# their own pid 1 does (field 22 of /proc/1/stat; pid 1's name, in brackets, is cut off first).
_BOOT = 'read -r id </proc/sys/kernel/random/boot_id; read -r stat </proc/1/stat; set -- ${stat##*)}; echo "$id ${20}"'


def node_of(site: Site, name: str) -> Node:
    """The site's node of that name; raises FaultError naming those that it has."""
    try:
        return site.node(name)
    except KeyError as unknown:
        raise FaultError(f"{site.name} has {unknown.args[0]}") from unknown


def boot_of(site: Site, node: Node) -> str:
    """What names the node's present boot; raises CommandFailed when it does not answer."""
    return site.place(node.place).run(["sh", "-c", _BOOT], timeout=5.0).stdout.strip()


def answers(site: Site, node: Node) -> Health:
    """Whether the node can be logged in to."""
    result = site.place(node.place).run(["true"], timeout=5.0, check=False)
    return Health(result.ok, f"{node.name} {'answers' if result.ok else 'does not answer'}")
