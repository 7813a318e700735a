"""The running lab as a `Site`: what cases, faults, probes and reports are told of it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from islanding.lab import kubernetes, namespaces, underlay
from islanding.lab.bringup import METRIC_INTERVAL, OPERATOR, OPERATOR_ROLE, STRANGER_ROLE, VIFS
from islanding.lab.desk import SSH_CONFIG
from islanding.lab.drawing import topology
from islanding.lab.machine import SSH_USER
from islanding.model import (
    AwsAccess,
    Cluster,
    Identity,
    Node,
    Place,
    PlaceRole,
    Router,
    RouterRole,
    Session,
    SessionName,
    Site,
    Timers,
    Workload,
)

if TYPE_CHECKING:
    from islanding.lab.bringup import Lab

_ROLES: dict[RouterRole, str] = {
    "outpost-network-device": underlay.OND,
    "customer-network-device": underlay.CND,
    "region-edge": underlay.EDGE,
}


def describe(lab: Lab) -> Site:
    """Everything that others need to act on the site, as data."""
    conf = lab.conf
    config = _ssh_config(lab)
    return Site(
        name=conf.name,
        target="lab",
        id=lab.id,
        folder=str(lab.folder),
        record=str(lab.journal.path),
        outpost_arn=lab.outpost_arn,
        cluster=Cluster(
            name=conf.cluster.name,
            arn=f"arn:aws:eks:{conf.region.name}:{conf.region.account}:cluster/{conf.cluster.name}",
            version=conf.cluster.version,
            endpoint=f"https://{lab.endpoint_name}",
            control_plane=conf.cluster.control_plane,
            control_plane_addresses=tuple(lab.control_plane_addresses),
            service_cidr=str(conf.cluster.service_cidr),
            pod_cidr=str(conf.cluster.pod_cidr),
        ),
        workload=Workload(
            name=conf.workload.name,
            namespace="default",
            replicas=conf.workload.replicas,
            url=f"http://{lab.workers[0].address}:{conf.workload.node_port}/",
            image="lab.local/nginx:1",
        ),
        aws=AwsAccess(
            region=conf.region.name,
            account=conf.region.account,
            env=lab.world.access.runner_environment(OPERATOR),
            settle=conf.lab.manners.settle,
        ),
        fault_seconds=conf.fault_seconds,
        guardrails=conf.guardrails,
        timers=Timers(bgp_hold=conf.bgp.hold, node_grace=conf.cluster.node_grace, eviction=conf.cluster.eviction),
        places=_places(lab, config),
        routers=tuple(_router(lab, role, name) for role, name in _ROLES.items()),
        sessions=_sessions(lab),
        nodes=_nodes(lab),
        identities=_identities(lab),
        topology=topology(lab.conf),
        facts={
            "ssh_config": str(lab.folder / "ssh_config"),
            "outpost_id": conf.outpost.id,
            "metric_period": str(round(METRIC_INTERVAL)),
            "service_link_vif": VIFS["service-link"],
            "site_resolver": str(conf.resolver.address),
            "region_resolver": lab.at.vpc_resolver,
            "public_resolver": lab.at.public_dns,
            "large_cluster_size_threshold": str(conf.cluster.large_cluster_size_threshold),
        },
    )


def _root(lab: Lab) -> str:
    return f"/proc/{lab.pid}/root"


def _in_netns(lab: Lab, name: str) -> tuple[str, ...]:
    return ("nsenter", f"--mount=/proc/{lab.pid}/ns/mnt", f"--net={_root(lab)}{namespaces.NETNS / name}", "--")


def _places(lab: Lab, ssh_config: Path) -> tuple[Place, ...]:
    desks = [
        Place(
            name=desk.name,
            role=desk.role,
            address=str(desk.address),
            enter=lab.desks[desk.name].enter_from_host(),
            env=kubernetes.desk_environment(lab, desk.name),
        )
        for desk in lab.conf.desks
    ]
    shell = Place(
        name=underlay.REGION,
        role="region",
        address=lab.made.known["network"]["ShellAddress"],
        enter=lab.desks[underlay.REGION].enter_from_host(),
        env=kubernetes.desk_environment(lab, underlay.REGION),
    )
    routers = [Place(name=n, role="router", address="", enter=_in_netns(lab, n)) for n in _ROLES.values()]
    resolver = Place(
        name=underlay.RESOLVER,
        role="resolver",
        address=str(lab.conf.resolver.address),
        enter=_in_netns(lab, underlay.RESOLVER),
    )
    operator = lab.desks[kubernetes.OPERATOR].enter_from_host()
    roles: dict[str, PlaceRole] = {"worker": "node", "control-plane": "control-plane", "proxy": "proxy"}
    machines = [
        Place(
            name=instance.name,
            role=roles[instance.role],
            address=str(instance.address),
            enter=(*operator, "ssh", "-F", str(ssh_config), instance.name, "sudo", "--"),
            by_ssh=True,
        )
        for instance in lab.conf.instances
        if instance.where == "outpost"
    ]
    return (*desks, shell, *routers, resolver, *machines)


def _ssh_config(lab: Lab) -> Path:
    """SSH configuration files: one for the operator's desk, and one for the host with a ProxyCommand into the LAN."""
    home = lab.folder / "desks" / kubernetes.OPERATOR
    common = [
        f"  User {SSH_USER}",
        f"  IdentityFile {lab.world.access.ssh_key_file}",
        "  IdentitiesOnly yes",
        "  StrictHostKeyChecking no",
        f"  UserKnownHostsFile {home / 'known_hosts'}",
        "  LogLevel ERROR",
        "  ConnectTimeout 5",
        "  BatchMode yes",
    ]
    enter = (*_in_netns(lab, kubernetes.OPERATOR), sys.executable, "-m", "islanding.lab.pipe")
    at_desk, from_host = [], []
    for instance in lab.conf.instances:
        head = [f"Host {instance.name} {instance.address}", f"  HostName {instance.address}"]
        at_desk += [*head, *common]
        from_host += [*head, *common, f"  ProxyCommand {shlex.join(enter)} %h %p"]
    path = home / SSH_CONFIG
    path.write_text("\n".join([*at_desk, ""]))  # in place: it is mounted at the desk already
    (lab.folder / "ssh_config").write_text("\n".join([*from_host, ""]))
    return path


def _router(lab: Lab, role: RouterRole, name: str) -> Router:
    shell = (*_in_netns(lab, name), "vtysh", "-N", name)
    return Router(name=name, role=role, asn=lab.routers[name].config.asn, place=name, vtysh=shell)


def _sessions(lab: Lab) -> tuple[Session, ...]:
    ond, _, edge = (lab.routers[n].config for n in (underlay.OND, underlay.CND, underlay.EDGE))
    announced = {p.description: p.announce for p in ond.peers}
    interfaces: dict[SessionName, str] = {"service-link": "sl", "local-gateway": "lgw"}
    near = [
        Session(
            name=name,
            router=underlay.CND,
            neighbor=underlay.peer_addresses(name)[0],
            neighbor_router=underlay.OND,
            interface=interface,
            prefixes=announced[name],
        )
        for name, interface in interfaces.items()
    ]
    wan = Session(
        name="wan",
        router=underlay.CND,
        neighbor=underlay.peer_addresses("wan")[1],
        neighbor_router=underlay.EDGE,
        interface="wan",
        prefixes=edge.peers[0].announce,
    )
    return (*near, wan)


def _nodes(lab: Lab) -> tuple[Node, ...]:
    local = lab.conf.cluster.control_plane == "outpost"
    return tuple(
        Node(
            name=kubernetes.node_name(lab, str(i.address)),
            instance_id=lab.instance_id(i.name),
            address=str(i.address),
            role=i.role,
            place=i.name,
        )
        for i in lab.conf.instances
        if i.role == "worker" or (i.role == "control-plane" and local)
    )


def _identities(lab: Lab) -> tuple[Identity, ...]:
    known: list[tuple[str, Literal["iam", "x509"], str]] = [
        ("operator", "iam", f"the cluster's creator: a session of {OPERATOR_ROLE}"),
        ("stranger", "iam", f"a session of {STRANGER_ROLE}, which the cluster does not map"),
        ("operator-by-proxy", "iam", "the creator again, through the proxy at the Outpost's edge"),
        ("expired", "x509", "an administrator whose client certificate has expired"),
    ]
    return tuple(
        Identity(name=name, kind=kind, kubeconfig=str(kubernetes.kubeconfig_path(lab, name)), note=note)
        for name, kind, note in known
        if kubernetes.kubeconfig_path(lab, name).exists()
    )
