"""`python -m benchmarks.effects`: how soon each fault is felt, and how soon its undo is, by packets on a path.

Each fault is applied and undone on a running site while a loop at a place tries the path that it closes, ten times a
second. Felt is the first attempt that fails, counted from the beginning of applying; recovered is the first that gets
through, counted from the order to undo. An attempt counts from its beginning.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

from benchmarks.figure import Say, load
from islanding import faults
from islanding.aws import group
from islanding.aws.calls import call
from islanding.errors import IslandingError
from islanding.faults.apply import apply_fault, undo_fault
from islanding.journal import Journal
from islanding.lab import launch
from islanding.model import Site
from tests.lab import reach, test_cuts

FEELS_IN = 60.0  # seconds: silent-drop is felt at once, a node's power by its cable
HEALS_IN = 150.0  # a node that boots


@dataclass(frozen=True)
class Row:
    """A fault made for a site, and the path that it closes; `returns` is false where undo brings another path."""

    name: str
    fault: Callable[[Site], faults.Fault]
    path: Callable[[Site], reach.Path]
    returns: bool = True


@dataclass(frozen=True)
class Times:
    """One fault and its undo, in seconds; `recovered` counts from the order to undo, `healed` from its end."""

    applied: float
    felt: float
    undone: float
    recovered: float | None
    healed: float


def _of_cut(name: str) -> Row:
    cut = test_cuts.CUTS[name]
    return Row(name, cut.fault, lambda site: test_cuts.paths(site)[cut.closes[0]])


def _registry(site: Site) -> str:
    return f"{site.aws.account}.dkr.ecr.{site.aws.region}.amazonaws.com"


def _from_node(name: str, command: Callable[[Site], tuple[str, ...]]) -> Callable[[Site], reach.Path]:
    return lambda site: reach.Path(name, site.workers[0].place, command(site))


def _to_registry(site: Site) -> tuple[str, ...]:
    return reach.tcp(_registry(site), 443)


def _to_s3(site: Site) -> tuple[str, ...]:
    return reach.tcp(f"s3.{site.aws.region}.amazonaws.com", 443)


def _name(site: Site) -> tuple[str, ...]:
    return ("timeout", "1", "getent", "ahostsv4", _registry(site))


def _token(site: Site) -> tuple[str, ...]:
    image = f"{_registry(site)}/closed/web:1"
    asked = {"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest", "image": image}
    plugin = "PATH=$PATH:/opt/islanding/bin timeout 10 ecr-credential-provider"
    return ("sh", "-c", f"echo '{json.dumps(asked)}' | {plugin}")


def _workload(site: Site) -> reach.Path:
    return reach.Path("client to workload", "client", reach.curl(site.workload.url))


def _without_route(site: Site) -> faults.Fault:
    table = site.facts["operator_route_table_id"]
    [found] = call(site, "ec2", "describe_route_tables", {"RouteTableIds": [table]})["RouteTables"]
    route = next(one for one in found["Routes"] if one.get("VpcPeeringConnectionId"))
    return faults.make("route-removed", route_table_id=table, destination=route["DestinationCidrBlock"])


def _to_operator(site: Site) -> reach.Path:
    return reach.Path("bastion to operator", "bastion", reach.tcp(site.place("operator").address, 22))


def _kubectl(_: Site) -> reach.Path:
    return reach.Path("kubectl as operator", "operator", ("kubectl", "get", "svc", "--request-timeout=5s"))


ROWS: dict[str, tuple[Row, ...]] = {
    "outpost-local": tuple(map(_of_cut, test_cuts.CUTS)),
    "closed-vpc": (
        Row("endpoint-removed", lambda _: faults.make("endpoint-removed", service="ecr.dkr"),
            _from_node("node to registry", _to_registry)),
        Row("endpoint-private-dns-off", lambda _: faults.make("endpoint-private-dns-off", service="ecr.dkr"),
            _from_node("node to registry", _to_registry)),
        Row("endpoint-route-table-removed", lambda _: faults.make("endpoint-route-table-removed"),
            _from_node("node to S3", _to_s3)),
        Row("endpoint-policy-narrowed", lambda _: faults.make("endpoint-policy-narrowed", service="ecr.api"),
            _from_node("node's registry token", _token)),
        Row("security-group-rule-revoked",
            lambda _: faults.make("security-group-rule-revoked", group="endpoint", port=443),
            _from_node("node to registry", _to_registry)),
        Row("subnet-nacl-cut",  # seen from outside: a loop in the subnet could not tell
            lambda site: faults.make(
                "subnet-nacl-cut", subnet_ids=(group.subnet_of(site, site.workers[0].instance_id),)),
            _workload),
        Row("vpc-dns-attribute-off", lambda _: faults.make("vpc-dns-attribute-off"),
            _from_node("node's resolver", _name)),
        Row("route-removed", _without_route, _to_operator),
        Row("peering-deleted", lambda _: faults.make("peering-deleted"), _to_operator),
        Row("aws-auth-mapping-removed",
            lambda _: faults.make("aws-auth-mapping-removed", role="operator", identity="creator"), _kubectl),
        Row("instance-terminated", lambda site: faults.make("instance-terminated", node=site.workers[0].name),
            _workload, returns=False),
    ),
}  # fmt: skip


def times(site: Site, row: Row, journal: Journal) -> Times:
    """Apply and undo one fault, and see it felt and gone."""
    path = row.path(site)
    with reach.watching(site, path) as seen:
        applied = apply_fault(site, row.fault(site), journal, heal_timeout=HEALS_IN)
        felt = seen(path.name).await_first(False, applied.start, FEELS_IN)
        undo = time.monotonic()
        healed = undo_fault(applied, journal, heal_timeout=HEALS_IN)
        undone = time.monotonic() - undo - healed
        back = seen(path.name).await_first(True, undo, HEALS_IN) - undo if row.returns else None
    return Times(applied.end - applied.start, felt - applied.start, undone, back, healed)


def table(found: Iterable[tuple[str, Row, str, list[Times]]]) -> str:
    """The table in Markdown: site, fault, path, and medians with least and most of the rounds."""
    head = ("fault", "site", "path", "applied", "first effect", "undone", "first recovery", "healed after undo")
    rows = [head, tuple("---" for _ in head)]
    for site, row, path, seen in found:
        columns = zip(*(astuple(one) for one in seen), strict=True)
        rows.append((row.name, site, path, *map(_told, columns)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _told(values: Iterable[float | None]) -> str:
    seen = [value for value in values if value is not None]
    if not seen:
        return "–"
    return f"{median(seen):.2f}" + (f" ({min(seen):.2f} to {max(seen):.2f})" if len(seen) > 1 else "")


def measure(name: str, rounds: int, folder: Path, say: Say) -> list[tuple[str, Row, str, list[Times]]]:
    """The rows of one site, in a lab of its own."""
    found = []
    lab = launch.up(name)
    try:
        site = Site.load(lab.site_file)
        journal = Journal(folder / f"{name}.jsonl", site=site.name)
        for row in ROWS[name]:
            seen = [times(site, row, journal) for _ in range(rounds if row.returns else 1)]
            say(f"{name}: {row.name}: {seen}; load average {load():.1f}")
            found.append((name, row, row.path(site).name, seen))
    finally:
        launch.down(lab)
    return found


def main() -> int:
    """Bring the sites up one after the other, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.effects", description=__doc__.split("\n\n")[0])
    parser.add_argument("--site", action="append", choices=tuple(ROWS), help="only this one; repeatable")
    parser.add_argument("--rounds", type=int, default=3, help="of each fault (default 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = [
                one
                for name in options.site or ROWS
                for one in measure(name, options.rounds, Path(folder), lambda text: print(text, file=sys.stderr))
            ]
        except IslandingError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    print(table(found), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
