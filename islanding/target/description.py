"""An adopted site as a `Site`: what was found out, in the words that cases, faults, probes and reports know; pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from islanding.accountconf import AccountConf
from islanding.closedmap import closed
from islanding.model import AwsAccess, Cluster, Node, Place, Site, Timers, Topology
from islanding.outpostmap import outpost as drawn
from islanding.target import outpost
from islanding.target.discovery import Discovered, Look
from islanding.target.outpostfacts import outpost_arn
from islanding.target.state import State

SSH_CONFIG = "ssh_config"


def describe(conf: AccountConf, state: State, access: AwsAccess, folder: Path, found: Discovered, **parts: Any) -> Site:
    """The site's description; `parts` are the fields of Site that only entering it could tell.

    They are places, nodes, identities and workload. What is not known stands in `lacking`, with the reason.
    """
    lacking = dict(found.lacking)
    if conf.has_routers:
        lacking |= outpost.lacking(conf, in_region=not state.cluster.get("outpostConfig"))
    elif conf.reach.bastion is None:
        lacking["bastion"] = f"the way in is `reach: {conf.reach.kind}`"
    return Site(
        name=conf.like,
        target="aws",
        id=site_id(conf),
        folder=str(folder),
        outpost_arn=outpost_arn(conf, state),
        cluster=_cluster(conf, state, parts["nodes"]),
        aws=access,
        fault_seconds=conf.fault_seconds,
        guardrails=conf.guardrails,
        timers=Timers(**conf.timers.model_dump()),
        routers=outpost.routers(conf, folder / SSH_CONFIG),
        sessions=outpost.sessions(conf),
        topology=_topology(conf, state, folder, parts["places"], parts["nodes"]),
        facts={
            **found.facts,
            "adopted_as": conf.name,
            "ssh_config": str(folder / SSH_CONFIG),
            "cluster_version": state.cluster["version"],
        },
        lacking=lacking,
        **parts,
    )


def site_id(conf: AccountConf) -> str:
    """The id that a site on AWS has: no two clusters share it."""
    return f"{conf.account}-{conf.region}-{conf.cluster}"


def _topology(
    conf: AccountConf, state: State, folder: Path, places: Sequence[Place], nodes: Sequence[Node]
) -> Topology:
    address = {place.name: place.address for place in places}
    if conf.has_routers:
        routers = outpost.routers(conf, folder / SSH_CONFIG)
        return drawn(address["workstation"], routers, outpost.sessions(conf), nodes, conf.region)
    endpoints = [one.service.split(".", 3)[-1] for one in Look(conf, state, ()).endpoints()]
    return closed(address["workstation"], address["operator"], nodes, endpoints)


def _cluster(conf: AccountConf, state: State, nodes: Sequence[Node]) -> Cluster:
    raw, name = state.cluster, conf.cluster
    interfaces = [i for i in state.view.interfaces if i.description == f"Amazon EKS {name}"]
    here = [i.addresses[0] for i in interfaces if i.addresses]
    there = [node.address for node in nodes if node.role == "control-plane"]  # a local cluster's own instances
    vpc = state.view.vpc(state.vpc)
    return Cluster(
        name=name,
        arn=raw["arn"],
        version=raw["version"],
        endpoint=raw["endpoint"],
        control_plane="outpost" if raw.get("outpostConfig") else "region",
        control_plane_addresses=tuple(there if raw.get("outpostConfig") else here),
        service_cidr=(raw.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr", ""),
        pod_cidr=vpc.cidrs[0] if vpc and vpc.cidrs else "",
    )
