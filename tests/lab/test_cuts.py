"""Each fault on a real site: what it closes, what it leaves open, and that all is open again, proven by packets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as File

import pytest

from islanding.faults import (
    Fault,
    InterfaceDown,
    LocalGatewayDown,
    NodePoweredOff,
    NodeRebooted,
    NodesCutOff,
    PrefixWithdrawn,
    ResolverLost,
    ServiceLinkDown,
    SilentDrop,
)
from islanding.faults.apply import cut
from islanding.journal import Journal, read
from islanding.model import Site
from tests.lab.reach import Path, curl, tcp, watching

AWS_API = "198.51.100.10"


@dataclass(frozen=True)
class Cut:
    """A fault made for a site, the paths that it closes and some that it must not touch."""

    fault: Callable[[Site], Fault]
    closes: tuple[str, ...]
    spares: tuple[str, ...] = ()


REGION_AWAY = {"closes": ("Outpost to Region", "control plane to STS"), "spares": ("client to workload",)}
LAN_AWAY = {"closes": ("client to workload",), "spares": ("Outpost to Region",)}
CUTS = {
    "service-link-down": Cut(lambda _: ServiceLinkDown(), **REGION_AWAY),
    "interface-down": Cut(lambda _: InterfaceDown("service-link"), **REGION_AWAY),
    "silent-drop": Cut(lambda _: SilentDrop("service-link"), **REGION_AWAY),
    "prefix-withdrawn": Cut(lambda _: PrefixWithdrawn("service-link"), **REGION_AWAY),
    "local-gateway-down": Cut(lambda _: LocalGatewayDown(), **LAN_AWAY),
    "interface-down-lgw": Cut(lambda _: InterfaceDown("local-gateway"), **LAN_AWAY),
    "silent-drop-lgw": Cut(lambda _: SilentDrop("local-gateway"), **LAN_AWAY),
    "prefix-withdrawn-lgw": Cut(lambda _: PrefixWithdrawn("local-gateway"), **LAN_AWAY),
    "resolver-lost": Cut(lambda _: ResolverLost(), ("operator to DNS",), ("client to workload", "Outpost to Region")),
    "nodes-cut-off": Cut(
        lambda site: NodesCutOff(nodes=(site.workers[2].name,)),
        ("last worker to control plane",),
        ("first worker to control plane", "client to last worker", "client to workload"),
    ),
    "node-rebooted": Cut(lambda site: NodeRebooted(site.workers[2].name), ("client to last worker",)),
    "node-powered-off": Cut(
        lambda site: NodePoweredOff(site.workers[2].name), ("client to last worker",), ("client to first worker",)
    ),
}


def paths(site: Site) -> dict[str, Path]:
    """The paths of the site that the cuts concern."""
    first, last = site.workers[0], site.workers[2]
    api = f"https://{site.cluster.control_plane_addresses[0]}/readyz"
    sts = f"sts.{site.aws.region}.amazonaws.com"
    host = site.cluster.endpoint.removeprefix("https://")
    known = (
        Path("Outpost to Region", "ond", curl(f"https://{AWS_API}/", "--insecure")),
        Path("control plane to STS", "cp-1", curl(f"https://{sts}/", "--resolve", f"{sts}:443:{AWS_API}")),
        Path("client to workload", "client", curl(site.workload.url)),
        Path("operator to DNS", "operator", ("timeout", "1", "getent", "ahostsv4", host)),
        Path("first worker to control plane", first.place, curl(api, "--insecure")),
        Path("last worker to control plane", last.place, curl(api, "--insecure")),
        Path("client to first worker", "client", tcp(first.address, 22)),
        Path("client to last worker", "client", tcp(last.address, 22)),
    )
    return {path.name: path for path in known}


@pytest.mark.parametrize("name", CUTS)
def test_a_cut_closes_what_it_says_and_heals(site: Site, name: str, tmp_path: File) -> None:
    """While the fault holds, its paths are closed and the others open; afterwards all are open again."""
    this, known = CUTS[name], paths(site)
    journal = Journal(tmp_path / "journal.jsonl", site=site.name)
    with watching(site, *(known[path] for path in (*this.closes, *this.spares))) as seen:
        with cut(site, this.fault(site), journal) as applied:
            closed = [seen(path).await_first(False, applied.start) - applied.start for path in this.closes]
        undone = next(event for event in read(journal.path) if event.type == "fault-undone")
        healed = next(event for event in read(journal.path) if event.type == "fault-healed")
        opened = [seen(path).await_first(True, undone["start"]) - undone["start"] for path in this.closes]
        kept = {path: seen(path).failures(applied.start, undone["end"] + healed["seconds"]) for path in this.spares}
    report = [
        f"{p}: closed after {c:.2f} s, open {o:.2f} s after undo"
        for p, c, o in zip(this.closes, closed, opened, strict=True)
    ]
    sys.stdout.write(f"\n{name}: {'; '.join(report)}; healed after {healed['seconds']:.2f} s\n")
    assert {path: [] for path in this.spares} == kept
