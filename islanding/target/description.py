"""An adopted site as a `Site`: what was found out, in the words that cases, faults, probes and reports know; pure."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from islanding.accountconf import AccountConf, RouterConf, SessionConf
from islanding.closedmap import closed
from islanding.model import AwsAccess, Cluster, Router, Session, Site, Timers
from islanding.target.discovery import Discovered, Look
from islanding.target.state import State

BGP_HOLD = 90.0  # seconds that AWS's side proposes (Direct Connect user guide, virtual interfaces)
SSH_CONFIG = "ssh_config"


def describe(conf: AccountConf, state: State, access: AwsAccess, folder: Path, found: Discovered, **parts: Any) -> Site:
    """The site's description; `parts` are the fields of Site that only entering it could tell.

    They are places, nodes, identities and workload. What is not known stands in `lacking`, with the reason.
    """
    lacking = dict(found.lacking)
    if conf.reach.bastion is None:
        lacking["bastion"] = f"the way in is `reach: {conf.reach.kind}`"
    endpoints = [one.service.split(".", 3)[-1] for one in Look(conf, state, ()).endpoints()]
    address = {place.name: place.address for place in parts["places"]}
    return Site(
        name=conf.like,
        target="aws",
        id=site_id(conf),
        folder=str(folder),
        outpost_arn=conf.outpost_arn
        or next(iter((state.cluster.get("outpostConfig") or {}).get("outpostArns", ())), ""),
        cluster=_cluster(conf, state),
        aws=access,
        fault_seconds=conf.fault_seconds,
        guardrails=conf.guardrails,
        timers=Timers(bgp_hold=BGP_HOLD, node_grace=conf.timers.node_grace, eviction=conf.timers.eviction),
        routers=tuple(_router(one, folder) for one in conf.routers),
        sessions=tuple(_session(one) for one in conf.sessions),
        topology=closed(address["workstation"], address["operator"], parts["nodes"], endpoints),
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


def router_hosts(conf: AccountConf) -> str:
    """The part of the SSH configuration that leads to the routers, straight from this computer."""
    return "".join(f"Host {one.name}\n  HostName {one.address}\n  User {one.user}\n" for one in conf.routers)


def _cluster(conf: AccountConf, state: State) -> Cluster:
    raw, name = state.cluster, conf.cluster
    interfaces = [i for i in state.view.interfaces if i.description == f"Amazon EKS {name}"]
    vpc = state.view.vpc(state.vpc)
    return Cluster(
        name=name,
        arn=raw["arn"],
        version=raw["version"],
        endpoint=raw["endpoint"],
        control_plane="outpost" if raw.get("outpostConfig") else "region",
        control_plane_addresses=tuple(i.addresses[0] for i in interfaces if i.addresses),
        service_cidr=(raw.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr", ""),
        pod_cidr=vpc.cidrs[0] if vpc and vpc.cidrs else "",
    )


def _router(conf: RouterConf, folder: Path) -> Router:
    # ssh joins its arguments into one line for the shell there: each has to be quoted once more.
    line = f'exec ssh -F {shlex.quote(str(folder / SSH_CONFIG))} {conf.name} "${{*@Q}}"'
    shell = ("bash", "-c", line, "bash", *shlex.split(conf.vtysh))
    return Router(name=conf.name, role=conf.role, asn=conf.asn, place=conf.name, vtysh=shell)


def _session(conf: SessionConf) -> Session:
    return Session(
        name=conf.name,
        router=conf.router,
        neighbor=str(conf.neighbor),
        neighbor_router=conf.neighbor_router,
        interface=conf.interface,
        prefixes=tuple(map(str, conf.prefixes)),
    )
