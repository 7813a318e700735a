"""Chaos Toolkit actions: each fault as an action, and `undo_fault` as their rollback.

They act on the site that the configuration's `islanding_site` or ISLANDING_SITE names (a path, or a running lab's name
or id; by default the only running lab) and write to the journal that `islanding_journal` or ISLANDING_JOURNAL names (by
default a new run folder below ./runs). Each goes through the guardrails and the undo log, so that `islanding heal`
mends what a killed `chaos run` left behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaoslib.exceptions import ActivityFailed

from islanding import sites
from islanding.chaos import given
from islanding.chaos.given import activity
from islanding.errors import IslandingError
from islanding.faults import heal as healing
from islanding.faults import make
from islanding.faults.apply import apply_fault
from islanding.faults.apply import undo_fault as undo_applied
from islanding.journal import Journal
from islanding.kube.current import refreshed
from islanding.model import Site
from islanding.stopping import leave_stops, watch_stops
from islanding.undo import Owner, UndoLog

__all__ = [
    "close_subnets",
    "cut_local_gateway",
    "cut_off_nodes",
    "cut_service_link",
    "delete_peering",
    "drop_silently",
    "heal",
    "lose_resolver",
    "narrow_endpoint_policy",
    "power_off_node",
    "reboot_node",
    "remove_aws_auth_mapping",
    "remove_endpoint",
    "remove_endpoint_route_tables",
    "remove_route",
    "revoke_security_group_rules",
    "scale_group",
    "start_vif_failover_test",
    "switch_private_dns_off",
    "switch_vpc_dns_off",
    "take_interface_down",
    "terminate_instance",
    "undo_fault",
    "withdraw_prefixes",
]

SITE, JOURNAL = "ISLANDING_SITE", "ISLANDING_JOURNAL"
FAULT_SECONDS = "ISLANDING_FAULT_SECONDS"  # set by the controls, for an experiment that says how long a fault may last


@activity
def cut_service_link() -> str:
    """Shut the service link's BGP session at the router that faces the Outpost; returns the fault's id, as all do."""
    return _apply("service-link-down")


@activity
def cut_local_gateway() -> str:
    """Shut the local gateway's BGP session."""
    return _apply("local-gateway-down")


@activity
def take_interface_down(session: str = "service-link") -> str:
    """Take down the router's end of a session's link (`service-link` or `local-gateway`)."""
    return _apply("interface-down", session=session)


@activity
def drop_silently(session: str = "service-link") -> str:
    """Drop everything on a session's link (`service-link` or `local-gateway`) while the carrier stays."""
    return _apply("silent-drop", session=session)


@activity
def withdraw_prefixes(session: str = "service-link", prefixes: list[str] | None = None) -> str:
    """No longer accept `prefixes` (default: all) over a session that stays up."""
    return _apply("prefix-withdrawn", session=session, prefixes=prefixes or [])


@activity
def cut_off_nodes(nodes: list[str] | None = None, share: float | None = None) -> str:
    """Cut workers off from the control plane: those named, or a share of them (0 to 1), or all."""
    return _apply("nodes-cut-off", nodes=nodes or [], share=share)


@activity
def reboot_node(node: str) -> str:
    """Reboot a node."""
    return _apply("node-rebooted", node=node)


@activity
def power_off_node(node: str) -> str:
    """Stop a node's instance by force."""
    return _apply("node-powered-off", node=node)


@activity
def start_vif_failover_test(
    virtual_interface_id: str = "", bgp_peers: list[str] | None = None, minutes: int = 10
) -> str:
    """Have AWS take the BGP sessions of a Direct Connect virtual interface down, for `minutes` at most."""
    where = {"virtual_interface_id": virtual_interface_id, "bgp_peers": bgp_peers or []}
    return _apply("vif-failover-test", minutes=minutes, **where)


@activity
def lose_resolver(resolver: str = "") -> str:
    """Drop the questions to a resolver (may be left out where the site has one)."""
    return _apply("resolver-lost", resolver=resolver)


@activity
def remove_endpoint(service: str = "", endpoint_id: str = "", vpc_id: str = "", type: str = "") -> str:
    """Delete a VPC endpoint (`ecr.api`, `ecr.dkr`, `s3`, ...); undone, it is made again with the same attributes."""
    return _apply("endpoint-removed", service=service, endpoint_id=endpoint_id, vpc_id=vpc_id, type=type)


@activity
def remove_endpoint_route_tables(
    service: str = "s3", route_table_ids: list[str] | None = None, endpoint_id: str = "", vpc_id: str = ""
) -> str:
    """End a gateway endpoint's association with these route tables (default: all)."""
    where = {"service": service, "endpoint_id": endpoint_id, "vpc_id": vpc_id}
    return _apply("endpoint-route-table-removed", route_table_ids=route_table_ids or [], **where)


@activity
def narrow_endpoint_policy(
    service: str = "s3",
    policy: dict[str, Any] | str = "",
    without: list[str] | None = None,
    endpoint_id: str = "",
    vpc_id: str = "",
) -> str:
    """Give an endpoint another policy, or its own without some resources (default: ECR's layer bucket)."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    where = {"service": service, "endpoint_id": endpoint_id, "vpc_id": vpc_id}
    return _apply("endpoint-policy-narrowed", policy=text, without=without or [], **where)


@activity
def switch_private_dns_off(service: str = "", endpoint_id: str = "", vpc_id: str = "") -> str:
    """Switch off an interface endpoint's private DNS."""
    return _apply("endpoint-private-dns-off", service=service, endpoint_id=endpoint_id, vpc_id=vpc_id)


@activity
def revoke_security_group_rules(
    rule_ids: list[str] | None = None,
    group: str = "",
    group_id: str = "",
    direction: str = "ingress",
    port: int | None = None,
) -> str:
    """Revoke rules by id, or those of a group (`endpoint`, `worker`, ... or an id) that let a port through."""
    where = {"group": group, "group_id": group_id, "direction": direction, "port": port}
    return _apply("security-group-rule-revoked", rule_ids=rule_ids or [], **where)


@activity
def close_subnets(subnet_ids: list[str] | None = None) -> str:
    """Give subnets (default: the workers') a network ACL that denies everything."""
    return _apply("subnet-nacl-cut", subnet_ids=subnet_ids or [])


@activity
def remove_route(destination: str = "", route_table_id: str = "") -> str:
    """Delete the route to a destination from a route table (default: the workers')."""
    return _apply("route-removed", destination=destination, route_table_id=route_table_id)


@activity
def delete_peering(peering_id: str = "", vpc_id: str = "") -> str:
    """Delete a VPC peering connection (default: the only one of the site's VPC)."""
    return _apply("peering-deleted", peering_id=peering_id, vpc_id=vpc_id)


@activity
def switch_vpc_dns_off(attribute: str = "enableDnsSupport", vpc_id: str = "") -> str:
    """Set one of a VPC's DNS attributes to false."""
    return _apply("vpc-dns-attribute-off", attribute=attribute, vpc_id=vpc_id)


@activity
def terminate_instance(instance_id: str = "", node: str = "", asg: str = "") -> str:
    """Terminate an instance of an Auto Scaling group; its rollback waits until the group has replaced it."""
    return _apply("instance-terminated", instance_id=instance_id, node=node, asg=asg)


@activity
def scale_group(by: int = 1) -> str:
    """Ask the site's Auto Scaling group for so many more instances; undone, they are terminated."""
    return _apply("group-scaled", by=by)


@activity
def remove_aws_auth_mapping(role: str = "node", arn: str = "", identity: str = "") -> str:
    """Take the mapping of the site's `node` or `operator` role, or of an ARN, out of the aws-auth ConfigMap."""
    return _apply("aws-auth-mapping-removed", role=role, arn=arn, identity=identity)


@activity
def undo_fault(kind: str | None = None, heal_timeout: float = 60.0) -> list[str]:
    """Undo the faults that this experiment has applied (only those of one kind), the latest first; returns their ids.

    Fails when one does not heal within `heal_timeout` seconds, and when one was undone by somebody else before (the
    watchdog at its deadline, say): what was seen after that proves nothing. Nothing to undo is no failure: an action
    that failed has undone itself.
    """
    with _acting() as (site, journal):
        return undo_mine(site, journal, kind, heal_timeout=heal_timeout)


@activity
def heal(timeout: float = 60.0) -> list[str]:
    """Undo what dead runs left at the site, as `islanding heal` does; returns a line for each."""
    with _acting() as (site, _):
        done = healing.heal(site.id, timeout=timeout)
        failed = [one.text for one in done if one.outcome is healing.Outcome.FAILED]
        if failed:
            raise IslandingError("\n".join(failed))
    return [f"{one.outcome}: {one.text}" for one in done]


def undo_mine(site: Site, journal: Journal, kind: str | None = None, *, heal_timeout: float = 60.0) -> list[str]:
    """Undo what this process has applied to the site, the latest first, and return their ids.

    Raises IslandingError with all that did not heal, and with what somebody else ended before.
    """
    undone: list[str] = []
    log, me = UndoLog.for_site(site.id), Owner.me()
    record = log.read()
    early = [entry for entry in record.entries if entry.owner == me and entry.is_ended_by_others]
    failed = [f"{entry.kind} ({entry.target}) was ended before its rollback, by {entry.by}" for entry in early]
    for entry in reversed(record.open):
        if entry.owner != me or kind not in (None, entry.kind):
            continue
        try:
            applied = healing.from_record(entry)
            by_us = replace(applied, site=given.now.get().access(applied.site))
            undo_applied(by_us, journal, log, heal_timeout=heal_timeout)
            undone.append(entry.id)
            leave_stops(site.id)
        except IslandingError as error:  # the others have to be undone too
            failed.append(str(error))
    if failed:
        raise IslandingError("\n".join(failed))
    return undone


def current_site() -> Site:
    """The site that an experiment acts on; raises IslandingError when none or several fit."""
    name = given.now.get().configuration.get(given.SITE_KEY) or os.environ.get(SITE) or None
    return refreshed(given.now.get().access(sites.load(sites.find(name))))


def current_journal(site: Site) -> Journal:
    """The journal of this run, bound to the site; a new run folder is made, and named to later callers, without one."""
    if named := given.now.get().configuration.get(given.JOURNAL_KEY):
        os.environ.setdefault(JOURNAL, str(Path(named).absolute()))
    if not os.environ.get(JOURNAL):
        folder = Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-chaos-{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[JOURNAL] = str((folder / "journal.jsonl").absolute())
    case = os.environ.get("ISLANDING_CASE")  # set by the controls while an experiment runs
    return Journal(Path(os.environ[JOURNAL]), site=site.name, **({"case": case} if case else {}))


def _apply(kind: str, **params: Any) -> str:
    if plan := given.planner.get():
        plan(make(kind, **params))
        return ""
    with _acting() as (site, journal):
        seconds = os.environ.get(FAULT_SECONDS)
        longest = float(seconds) if seconds else None
        watch_stops(site, journal)  # until it is undone
        try:
            return apply_fault(site, make(kind, **params), journal, max_seconds=longest).id
        except BaseException:
            leave_stops(site.id)
            raise


@contextmanager
def _acting() -> Iterator[tuple[Site, Journal]]:
    """Site and journal; a failure goes, in words, into the journal, where the verdict is read, and to Chaos Toolkit."""
    try:
        site = current_site()
        journal = current_journal(site)
    except IslandingError as error:
        raise ActivityFailed(str(error)) from error
    try:
        yield site, journal
    except IslandingError as error:
        journal.append("warning", text=str(error))
        raise ActivityFailed(str(error)) from error
    finally:
        journal.close()
