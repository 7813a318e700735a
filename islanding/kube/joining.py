"""How far an instance is on its way to being a node, as data: its phases in order, each with its time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PHASES = ("instance running", "ssh up", "bootstrap ended", "kubelet running", "registered", "network ready", "Ready")

# Runs at the instance as root: one line `key=value` for each fact, then the logs that say why it goes no further.
# systemctl and date are asked in words that systemd 219 (Amazon Linux 2) knows too.
LOOK = r"""
at() { t=$(systemctl show -p "$2" "$1" 2>/dev/null | cut -d= -f2-); [ -n "$t" ] && date -d "$t" +%s; }
echo "ssh=$(at sshd.service ActiveEnterTimestamp || at ssh.service ActiveEnterTimestamp)"
echo "cloud-init=$(cloud-init status 2>/dev/null | head -1 | cut -d' ' -f2-)"
echo "bootstrap=$(stat -c %Y /run/cloud-init/result.json 2>/dev/null)"
echo "kubelet=$(systemctl show -p ActiveState kubelet.service 2>/dev/null | cut -d= -f2-)"
echo "kubelet-since=$(at kubelet.service ActiveEnterTimestamp)"
echo "--- log"
grep -h 'Failed to run module' /var/log/cloud-init.log 2>/dev/null | tail -n 1
said() { grep -iE "$1" 2>/dev/null | tail -n 4; }
tail -n 60 /var/log/cloud-init-output.log 2>/dev/null | said 'timeout|timed out|error|failed|eks-bootstrap'
journalctl -u 'nodeadm*' -o cat --no-pager -n 40 2>/dev/null | said 'error|fetch'
journalctl -u kubelet -o cat --no-pager -n 400 2>/dev/null | said 'register node|lease exists|dial tcp'
"""


@dataclass(frozen=True)
class Instance:
    """What EC2 says: state, private address and launch time (seconds since the epoch)."""

    id: str
    state: str
    address: str = ""
    launched: float = 0.0


@dataclass(frozen=True)
class Guest:
    """What the instance itself says, by LOOK: facts by name (seconds since the epoch for times) and its log."""

    facts: Mapping[str, str]
    log: str

    def time(self, name: str) -> float | None:
        """A fact that is a time; None for one that is not there yet."""
        text = self.facts.get(name, "")
        return float(text) if text.isascii() and text.isdigit() else None


@dataclass(frozen=True)
class Member:
    """What the cluster says of the node: its name, when it came, when it was Ready, and why it is not."""

    name: str
    registered: float
    ready: float | None
    network: float | None
    reason: str
    message: str


@dataclass(frozen=True)
class Progress:
    """Seconds from launch to each phase that was reached, in order; None for a time that nobody wrote down."""

    reached: tuple[tuple[str, float | None], ...]

    @property
    def last(self) -> str:
        """The last phase reached; empty for none."""
        return self.reached[-1][0] if self.reached else ""

    def __str__(self) -> str:
        said = [name if seconds is None else f"{name} {seconds:.1f} s" for name, seconds in self.reached]
        return f"reached {self.last or 'nothing'}" + (f": {', '.join(said)}" if said else "")


def progress(instance: Instance, guest: Guest | None, member: Member | None) -> Progress:
    """How far it came, by what EC2, the instance and the cluster say; a later phase implies those before it."""
    times: dict[str, float | None] = {}
    if instance.state == "running":
        times["instance running"] = None
    if guest:
        times["ssh up"] = guest.time("ssh")
        if guest.facts.get("cloud-init") in ("done", "error", "degraded done"):
            times["bootstrap ended"] = guest.time("bootstrap")
        if guest.facts.get("kubelet") == "active":
            times["kubelet running"] = guest.time("kubelet-since")
    if member:
        times["registered"] = member.registered
        if member.network is not None:
            times["network ready"] = member.network
        if member.ready is not None:
            times["Ready"] = member.ready
    furthest = max((PHASES.index(name) for name in times), default=-1)
    seen = ((name, times.get(name)) for name in PHASES[: furthest + 1])
    return Progress(tuple((n, None if t is None else max(0.0, t - instance.launched)) for n, t in seen))


def parse_guest(text: str) -> Guest:
    """What LOOK printed."""
    facts, _, log = text.partition("--- log\n")
    pairs = (line.partition("=") for line in facts.splitlines() if "=" in line)
    return Guest({key: value for key, _, value in pairs}, log.strip())


def parse_member(nodes: str, pods: str, instance: str) -> Member | None:
    """The node of an instance, from a NodeList and the list of its network plugin's pods; None when it has none.

    Raises ValueError when a text is no list.
    """
    for node in _items(nodes):
        if str(node.get("spec", {}).get("providerID", "")).rsplit("/", 1)[-1] != instance:
            continue
        name = str(node["metadata"]["name"])
        ready = _condition(node, "Ready")
        plugins = [pod for pod in _items(pods) if pod.get("spec", {}).get("nodeName") == name]
        networks = [_condition(pod, "Ready") for pod in plugins]
        return Member(
            name=name,
            registered=_seconds(node["metadata"]["creationTimestamp"]),
            ready=_since(ready),
            network=next((time for one in networks if (time := _since(one)) is not None), None),
            reason=str(ready.get("reason", "no Ready condition")),
            message=str(ready.get("message", "")),
        )
    return None


def _items(text: str) -> list[dict[str, Any]]:
    data = json.loads(text)
    if not isinstance(data, dict) or "items" not in data:
        raise ValueError("no list")
    return list(data["items"])


def _condition(thing: dict[str, Any], type: str) -> dict[str, Any]:
    found = [one for one in thing.get("status", {}).get("conditions") or () if one.get("type") == type]
    return dict(found[0]) if found else {}


def _since(condition: dict[str, Any]) -> float | None:
    return _seconds(condition["lastTransitionTime"]) if condition.get("status") == "True" else None


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
