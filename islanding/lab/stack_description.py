"""A running site of stacks as a `Site`: what cases, faults, probes and reports are told of it."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Any

from islanding.closedmap import closed
from islanding.lab.stacksite import CREATOR, KUBECONFIG, StackSite
from islanding.lab.vpc.outside import WORKSTATION
from islanding.model import (
    AwsAccess,
    Cluster,
    Identity,
    Node,
    Place,
    Site,
    Timers,
    Topology,
    Workload,
)

SERVICES = ("autoscaling", "cloudformation", "ec2", "eks", "logs", "s3", "sts")  # that cases and faults call
BGP_HOLD = 3.0  # no BGP in such a site; the model wants a number


def describe(lab: StackSite, *, inside: bool = False) -> Site:
    """Everything that others need to act on the site, as data.

    `inside`: as it is seen from the workstation, by the real names of AWS and by SSH to the bastion, with nothing that
    only this machine could do.
    """
    conf, made = lab.conf, lab.made
    network = lab.world.region.eks.describe(conf.cluster.name)["resourcesVpcConfig"]
    nodes = _nodes(lab)
    return Site(
        name=conf.name,
        target="lab",
        id=lab.id,
        folder=str(lab.folder),
        record=str(lab.journal.path),
        cluster=Cluster(
            name=conf.cluster.name,
            arn=f"arn:aws:eks:{conf.region.name}:{conf.region.account}:cluster/{conf.cluster.name}",
            version=conf.cluster.version,
            endpoint=made.known["cluster"]["endpoint"],
            control_plane="region",
            control_plane_addresses=tuple(lab.world.eks.hosted(conf.cluster.name).interfaces.values()),
            service_cidr=str(conf.cluster.service_cidr),
            pod_cidr=_vpc_range(lab, network["vpcId"]),
        ),
        workload=Workload(
            name=conf.workload.name,
            namespace="default",
            replicas=conf.workload.replicas,
            url=f"http://{nodes[0].address}:{conf.workload.node_port}/",
            image=made.resolved(conf.workload.image),
        ),
        aws=AwsAccess(
            region=conf.region.name,
            account=conf.region.account,
            env=_aws_environment(lab, inside=inside),
            settle=conf.lab.manners.settle,
        ),
        fault_seconds=conf.fault_seconds,
        guardrails=conf.guardrails,
        timers=Timers(bgp_hold=BGP_HOLD, node_grace=conf.lab.node_grace, eviction=conf.lab.eviction),
        places=_places(lab, nodes, inside=inside),
        nodes=nodes,
        identities=(
            Identity(
                name="operator",
                kind="iam",
                kubeconfig=KUBECONFIG,
                note="the operator's instance role, mapped by aws-auth",
            ),
            Identity(
                name=CREATOR,
                kind="iam",
                kubeconfig=str(lab.home / "creator.kubeconfig"),
                note="the cluster's creator, from the workstation through an SSH tunnel",
                place=WORKSTATION,
            ),
        ),
        topology=_topology(lab, nodes),
        facts={
            **made.facts,
            "ssh_config": _ssh_config(lab, inside=inside),
            "cluster_version": conf.cluster.version,
            "foreign_profile": lab.foreign_profile,
            "workstation_address": str(conf.lab.workstation),
            "elsewhere_address": lab.world.outside.elsewhere,
            "public_resolver": lab.world.outside.resolver,
        },
    )


def _aws_environment(lab: StackSite, *, inside: bool) -> dict[str, str]:
    access = lab.world.access
    if not inside:
        return access.runner_environment(CREATOR)
    # The real names, said aloud: whoever reads that this is a lab must not call where nothing says it is one.
    region = lab.conf.region.name
    hosts = {service: f"{service}.{region}.amazonaws.com" for service in SERVICES}
    hosts |= {"ecr": f"api.ecr.{region}.amazonaws.com", "cloudwatch": f"monitoring.{region}.amazonaws.com"}
    hosts |= {"iam": "iam.amazonaws.com"}
    return {
        **access.environment(CREATOR),
        **{f"AWS_ENDPOINT_URL_{service.upper()}": f"https://{host}" for service, host in hosts.items()},
    }


def _ssh_config(lab: StackSite, *, inside: bool) -> str:
    return str(lab.folder / ("ssh_config.workstation" if inside else "ssh_config"))


def _vpc_range(lab: StackSite, vpc: str) -> str:
    return next(v.cidrs[0] for v in lab.world.plane.state.vpcs if v.id == vpc)


def _nodes(lab: StackSite) -> tuple[Node, ...]:
    """The nodes as the cluster has them, with their instances."""
    listed = lab.world.eks.admin(lab.conf.cluster.name, "get", "nodes", "-o", "json").stdout
    found = []
    for item in json.loads(listed)["items"]:
        address = next(a["address"] for a in item["status"]["addresses"] if a["type"] == "InternalIP")
        instance = str(item["spec"].get("providerID", "")).rsplit("/", 1)[-1]
        found.append(
            Node(name=item["metadata"]["name"], instance_id=instance, address=address, role="worker", place=address)
        )
    return tuple(sorted(found, key=lambda node: IPv4Network(node.address)))


def _places(lab: StackSite, nodes: tuple[Node, ...], *, inside: bool) -> tuple[Place, ...]:
    config = _ssh_config(lab, inside=inside)
    region = {"AWS_DEFAULT_REGION": lab.conf.region.name}
    operator: dict[str, Any] = {
        "address": lab.made.resolved(lab.conf.reach.operator),
        "enter": ("ssh", "-F", config, "operator"),
        "env": region,
        "by_ssh": True,
    }
    return (
        Place(
            name=WORKSTATION,
            role="workstation",
            address=str(lab.conf.lab.workstation),
            enter=() if inside else lab.desk.enter_from_host(),
            env=lab.workstation_environment(),
        ),
        Place(
            name="bastion",
            role="bastion",
            address=lab.made.resolved(lab.conf.reach.bastion),
            enter=("ssh", "-F", config, "bastion"),
            by_ssh=True,
        ),
        Place(name="operator", role="operator", **operator),
        Place(name="client", role="client", **operator),
        *(
            Place(
                name=node.address,
                role="node",
                address=node.address,
                enter=("ssh", "-F", config, node.address, "sudo", "--"),
                by_ssh=True,
            )
            for node in nodes
        ),
    )


def _topology(lab: StackSite, nodes: tuple[Node, ...]) -> Topology:
    vpc = lab.made.facts["vpc_id"]
    names = [e.service.split(".", 3)[-1] for e in lab.world.plane.state.endpoints if e.vpc == vpc]
    return closed(str(lab.conf.lab.workstation), lab.made.resolved(lab.conf.reach.operator), nodes, names)
