"""A bench of fake tools for faults: what is planned, in which order things happen, and that all is taken back.

The tools (nft, ip, vtysh, systemctl) are small scripts that keep a little state and write down how they were called;
what the real ones do is for tests/lab.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.journal import Journal, read
from islanding.model import AwsAccess, Cluster, Node, Place, Router, Session, Site, Timers, Workload
from islanding.sites import process_started
from islanding.undo import State, UndoLog
from islanding.undolines import encode

TOOLS = {
    "id": "echo 0",
    "setsid": ":",  # a router's timer, which nobody waits for here
    "systemctl": 'echo "systemctl $*" >>"$BENCH/calls"; exit 255',
    "python3": '[ -z "$(ls "$BENCH/tables/$AT" 2>/dev/null)" ]',  # the resolver answers unless a table drops questions
    "nft": """
if [ "$1" = list ]; then for t in "$BENCH/tables/$AT"/*; do [ -e "$t" ] && echo "table inet ${t##*/}"; done; exit 0; fi
rules=$(cat); echo "nft $AT" >>"$BENCH/calls"; [ -e "$BENCH/broken-$AT" ] && { echo "no route to $AT" >&2; exit 1; }
name=$(echo "$rules" | sed -n 's/.*table inet \\([a-z_0-9]*\\).*/\\1/p' | head -1); mkdir -p "$BENCH/tables/$AT"
case $rules in *"delete table"*) rm -f "$BENCH/tables/$AT/$name";; *) echo "$rules" >"$BENCH/tables/$AT/$name";; esac
""",
    "ip": """
case "$*" in
*"link set"*) echo "ip $*" >>"$BENCH/calls"; case $* in *down) : >"$BENCH/down";; *) rm -f "$BENCH/down";; esac;;
*"link show"*) [ -e "$BENCH/down" ] && echo '[{"flags":["BROADCAST"]}]' || echo '[{"flags":["BROADCAST","UP"]}]';;
*"-j -4 route"*) echo '[{"dst":"10.9.0.0/16","gateway":"169.254.10.1","protocol":"static","flags":[]},
 {"dst":"10.8.0.0/16","protocol":"bgp","flags":[]}]';;
*"-j "*) echo '[]';;
*) echo "ip $*" >>"$BENCH/calls";;
esac
""",
    "vtysh": """
case "$*" in
*"show bgp neighbors"*) [ -e "$BENCH/shut" ] && s='"Idle","adminShutDown":true' || s='"Established"'
 list=''; [ -e "$BENCH/has-list" ] && list='"incomingUpdatePrefixFilterList":"OURS"'
 echo "{\\"169.254.10.1\\":{\\"bgpState\\":$s,\\"hostLocal\\":\\"169.254.10.2\\",
 \\"addressFamilyInfo\\":{\\"ipv4Unicast\\":{$list}}}}";;
*"show ip route"*) for cut in shut filtered down; do [ -e "$BENCH/$cut" ] && { echo '{}'; exit 0; }; done
 echo '{"10.20.0.0/26":[{"nexthops":[{"fib":true,"ip":"169.254.10.1","interfaceName":"sl"}]}]}';;
*) echo "vtysh $*" >>"$BENCH/calls"; [ -e "$BENCH/refuses" ] && { echo "% Unknown command: whatever"; exit 0; }
 case "$*" in *"no neighbor"*shutdown*) rm -f "$BENCH/shut";; *shutdown*) : >"$BENCH/shut";;
 *"no neighbor"*prefix-list*|*OURS*) rm -f "$BENCH/filtered";; *neighbor*prefix-list*) : >"$BENCH/filtered";; esac;;
esac
""",
}


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("service-link-down", {}),
    ("interface-down", {"session": "service-link"}),
    ("silent-drop", {"session": "service-link"}),
    ("prefix-withdrawn", {}),
    ("prefix-withdrawn", {"prefixes": ["10.20.0.0/26"]}),
    ("nodes-cut-off", {"share": 0.5}),
    ("resolver-lost", {}),
]


@dataclass
class Bench:
    """A site whose places are folders of fake tools."""

    folder: Path
    site: Site
    journal: Journal

    def has(self, *, at: str, name: str) -> bool:
        return (self.folder / "tables" / at / name).exists()

    def touch(self, name: str) -> Path:
        path = self.folder / name
        path.touch()
        return path

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def events(self) -> list[str]:
        return [event.type for event in read(self.journal.path)]

    def states(self) -> list[State]:
        return [entry.state for entry in UndoLog.for_site("lab-1").read().entries]

    def orphan(self) -> None:
        """Make this process's faults look like those of a process that is dead."""
        disown(UndoLog.for_site("lab-1").path)


def disown(log: Path) -> None:
    """Let the faults in an undo log be those of a process that is dead."""
    lines = [json.loads(text) for text in log.read_text().splitlines()]
    for line in lines:
        if "owner" in line:
            line["owner"]["started"] = 1
        line.pop("crc")
    log.write_bytes(b"".join(encode({key: value for key, value in line.items() if key != "v"}) for line in lines))


def make_bench(tmp_path: Path) -> Bench:
    """Lay out the tools and a site whose supervisor is this process."""
    folder = tmp_path / "bench"
    tools = folder / "bin"
    tools.mkdir(parents=True)
    for name, body in TOOLS.items():
        (tools / name).write_text("#!/bin/sh\n" + body)
        (tools / name).chmod(0o755)

    def place(name: str, role: Any, address: str) -> Place:
        path = f"{tools}:{os.environ['PATH']}"
        return Place(name=name, role=role, address=address, env={"PATH": path, "BENCH": str(folder), "AT": name})

    home = tmp_path / "state" / "labs" / "lab-1"
    home.mkdir(parents=True)
    site = Site(
        name="mini", target="lab", id="lab-1", folder=str(home),
        cluster=Cluster(name="c", arn="arn", version="1.36", endpoint="https://api", control_plane="region",
                        control_plane_addresses=("10.0.0.10", "fd00::10"), service_cidr="10.96.0.0/16",
                        pod_cidr="10.97.0.0/16"),
        workload=Workload(name="nginx", namespace="default", replicas=3, url="http://nginx", image="nginx"),
        aws=AwsAccess(region="us-west-2", account="123456789012"),
        timers=Timers(bgp_hold=3, node_grace=16, eviction=30),
        places=(place("cnd", "router", "169.254.10.2"), place("dns", "resolver", "127.0.0.9"),
                *(place(f"w{n}", "node", f"10.20.0.1{n}") for n in (1, 2, 3))),
        routers=(Router(name="cnd", role="customer-network-device", asn=65000, place="cnd",
                        vtysh=("env", f"BENCH={folder}", str(tools / "vtysh"))),),
        sessions=(Session(name="service-link", router="cnd", neighbor="169.254.10.1", neighbor_router="outpost",
                          interface="sl", prefixes=("10.20.0.0/26",)),),
        nodes=tuple(Node(name=f"w{n}", instance_id=f"i-{n}", address=f"10.20.0.1{n}", role="worker", place=f"w{n}")
                    for n in (1, 2, 3)),
    )  # fmt: skip
    site.save(home / "site.json")
    (home / "lab.json").write_text(json.dumps({"pid": os.getpid(), "started": process_started(os.getpid())}))
    return Bench(folder, site, Journal(tmp_path / "journal.jsonl", site=site.name))
