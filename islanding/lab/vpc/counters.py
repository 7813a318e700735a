"""Flow counters of VPC endpoints, read from the routers' named counters."""

from __future__ import annotations

import json
from typing import Any

from islanding.lab import kernel
from islanding.lab.vpc import filters, labels
from islanding.lab.vpc.index import Index


def read_counters(index: Index) -> dict[str, tuple[int, int]]:
    """(packets, bytes) that have passed each endpoint of all VPCs, both ways, by endpoint id.

    Raises CommandFailed when a router is not there.
    """
    found: dict[str, tuple[int, int]] = {}
    for vpc in index.vpcs:
        endpoints = sorted({endpoint for endpoint, _ in filters.endpoint_ports(index, vpc)})
        if not endpoints:
            continue
        listed = kernel.run_inside(vpc, ["nft", "-j", "list", "counters", "table", "inet", "flows"]).stdout
        items: list[dict[str, Any]] = json.loads(listed)["nftables"]
        by_name = {c["name"]: (int(c["packets"]), int(c["bytes"])) for i in items if (c := i.get("counter"))}
        for endpoint in endpoints:
            found[endpoint] = by_name.get(labels.word("flow", endpoint), (0, 0))
    return found
