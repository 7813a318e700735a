"""What a fault could leave behind, looked at: the account by AWS's API, the lab's kernel state, processes."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.aws.calls import call
from islanding.lab.registry import Lab
from islanding.model import Site
from islanding.undo import UndoLog
from islanding.wait import WaitTimeout, wait_until

# Ids that AWS gives anew to a rule, an association or an endpoint that is put back, and what counts the time
_NEW_EACH_TIME = re.compile(r"\b(sgr|aclassoc|rtbassoc|vpce|eni|eni-attach|pcx)-[0-9a-f]+")
_RESOLVERS_PORT = re.compile(r"set 53\d\d\b")  # behind a VPC's resolver; the next one when it is started again
_TIMES = {"CreationTimestamp", "AttachTime", "LaunchTime", "ResponseMetadata", "LastUpdated", "NextToken"}
YOUNG = 5.0  # seconds: a process of the lab that is younger may be one of a moment
_LISTED = (
    "describe_security_group_rules",
    "describe_security_groups",
    "describe_network_acls",
    "describe_route_tables",
    "describe_vpc_endpoints",
    "describe_vpc_peering_connections",
    "describe_network_interfaces",
    "describe_instances",
)
_DNS = ("enableDnsSupport", "enableDnsHostnames")
# Of every network namespace of the lab: filters without counters, links, rules, and routes that no router learned
_OF_NAMESPACE = r"""
nft -s list ruleset
ip -o link | sed -E 's/^[0-9]+: //; s/@[^:]*//; s/ (mtu|qdisc) .* state / state /; s/ mode .*//'
ip rule
ip route show table all | grep -v -e 'proto bgp' -e '^fe80' -e '^ff00' -e '^local' -e '^broadcast' -e '^multicast'
true
"""
# A namespace is named by its least address
_KERNEL = r"""
seen=
for process in /proc/[0-9]*; do
  net=$(readlink "$process/ns/net") || continue
  case " $seen " in *" $net "*) continue ;; esac
  seen="$seen $net"
  host=$(nsenter --net="$process/ns/net" ip -o -4 addr show scope global | awk '{print $4}' | sort | head -1)
  nsenter --net="$process/ns/net" sh -c "$1" 2>&1 | sed "s,^,at ${host:-nowhere}: ,"
done
"""


@dataclass(frozen=True)
class World:
    """A site at rest, as sorted lines of text, each said of its account, kernel or processes."""

    account: tuple[str, ...]
    kernel: tuple[str, ...]
    routers: tuple[str, ...]
    processes: tuple[str, ...]
    record: tuple[str, ...]  # faults that the undo log holds open

    def differences(self, other: World) -> list[str]:
        """What is otherwise in `other`, as lines of a diff; empty when nothing is."""
        found = []
        for kind in ("account", "kernel", "routers", "processes", "record"):
            lines = difflib.unified_diff(getattr(self, kind), getattr(other, kind), lineterm="", n=0)
            found += [f"{kind}: {line}" for line in lines if not line.startswith(("---", "+++", "@@"))]
        return found


def look(site: Site, lab: Lab, strays: Callable[[], list[str]]) -> World:
    """The site as it is now; `strays` lists processes that a run may have left outside of the lab."""
    return World(
        account=tuple(sorted(_account(site))),
        kernel=tuple(sorted(_kernel(lab))),
        routers=tuple(_routers(site)),
        processes=tuple(sorted([*_lab_processes(lab), *strays()])),
        record=tuple(f"{entry.kind} {entry.state}" for entry in UndoLog.for_site(site.id).read().open),
    )


def at_rest(now: Callable[[], World]) -> World:
    """The site once two looks at it are alike, longer apart than what makes a process a long-lived one."""
    looks: list[World] = []

    def look_again() -> bool:
        looks.append(now())
        return looks[-1:] == looks[-2:-1]

    wait_until("the site to be at rest", look_again, timeout=120, interval=YOUNG + 1)
    return looks[-1]


def settled(before: World, now: Callable[[], World], timeout: float) -> list[str]:
    """What is still otherwise than `before` when the site has had `timeout` seconds to come to rest."""
    try:
        wait_until("the site to be as before", lambda: not before.differences(now()), timeout=timeout, interval=0.2)
    except WaitTimeout:
        return before.differences(now())
    return []


def _account(site: Site) -> list[str]:
    found = []
    for operation in _LISTED:
        reply = call(site, "ec2", operation, {})
        found += [f"{operation}: {line}" for line in _lines(reply)]
    for vpc in call(site, "ec2", "describe_vpcs", {})["Vpcs"]:
        for name in _DNS:
            reply = call(site, "ec2", "describe_vpc_attribute", {"VpcId": vpc["VpcId"], "Attribute": name})
            found += [f"{name}: {line}" for line in _lines(reply)]
    return found


def _lines(reply: dict[str, Any]) -> list[str]:
    """Each thing that the reply lists, in one line, without what is new each time."""
    parts = [
        part
        for key, value in reply.items()
        if key not in _TIMES
        for part in (value if isinstance(value, list) else [{key: value}])
    ]
    return [_NEW_EACH_TIME.sub(r"\1-*", json.dumps(_ordered(part), default=str)) for part in parts]


def _ordered(value: Any) -> Any:
    """Without times, and with every list in an order that says nothing."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value) if key not in _TIMES}
    if isinstance(value, list):
        return sorted(map(_ordered, value), key=lambda one: _NEW_EACH_TIME.sub("", json.dumps(one, default=str)))
    return value


def _kernel(lab: Lab) -> list[str]:
    inside = ["nsenter", f"--target={lab.pid}", "--mount", "--pid", "sh", "-c", _KERNEL, "sh", _OF_NAMESPACE]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=True)
    return [_RESOLVERS_PORT.sub("set <a port>", line.rstrip()) for line in done.stdout.splitlines() if line.strip()]


def _routers(site: Site) -> list[str]:
    found = []
    for router in site.routers:
        argv = router.vtysh[router.vtysh.index("vtysh") :]
        place = site.place(router.place)
        shown = place.run([*argv, "-c", "show running-config", "-c", "show bgp summary json"]).stdout
        config, _, summary = shown.partition("\nend\n")
        found += [f"{router.name}: {line}" for line in config.splitlines()]
        peers = json.loads(summary or "{}").get("ipv4Unicast", {}).get("peers", {})
        found += [f"{router.name}: {peer} {state['state']} {state['pfxRcd']}" for peer, state in sorted(peers.items())]
    return found


def _lab_processes(lab: Lab) -> list[str]:
    """How many there are of each of the lab's long-lived processes; those of a moment are left out."""
    found: Counter[str] = Counter()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"islanding-{lab.id}" not in (folder / "cgroup").read_text():
                continue
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if uptime - int(fields[19]) / 100 > YOUNG:
            found[name] += 1
    return [f"{count} x {name}" for name, count in sorted(found.items())]
