"""What an Outpost's site has in AWS, as stacks with a cluster between them, from the site's configuration. Pure."""

from __future__ import annotations

from islanding.errors import SetupError
from islanding.lab import amis, node, underlay
from islanding.siteconf import Instance, SiteConf
from islanding.stackconf import ClusterStep, RegionConf, RoleMapping, StackConf, StacksConf

WORKERS = 5  # as many as the template of the machines has
LOG_TYPES = ("api", "authenticator", "controllerManager", "scheduler")
NODE_GROUPS = ("system:bootstrappers", "system:nodes")


def outpost_arn(conf: SiteConf) -> str:
    """The ARN of the site's Outpost."""
    return f"arn:aws:outposts:{conf.region.name}:{conf.region.account}:outpost/{conf.outpost.id}"


def seats(conf: SiteConf) -> dict[str, str]:
    """Names and addresses that the site wants for the control plane's instances, or its interfaces in the Region."""
    return {i.name: str(i.address) for i in conf.instances if i.role == "control-plane"}


def workers(conf: SiteConf) -> tuple[Instance, ...]:
    """The workers, in order."""
    return tuple(i for i in conf.instances if i.role == "worker")


def pod_ranges(conf: SiteConf) -> dict[str, str]:
    """The pods' range of each worker, by its address."""
    return dict(node.pod_ranges(conf.cluster, [str(w.address) for w in workers(conf)]))


def stacks(conf: SiteConf) -> StacksConf:
    """Network, cluster and machines; `${site.…}` and `${edge.user_data}` are known from elsewhere.

    Raises SetupError for more workers than the template has.
    """
    local = conf.cluster.control_plane == "outpost"
    return StacksConf.model_construct(  # type: ignore[call-arg]  # what only a closed network has is left out
        name=conf.name,
        kind="stacks",
        description=conf.description,
        region=RegionConf(name=conf.region.name, account=conf.region.account),
        stacks=(
            StackConf(name="network", template=conf.templates.network, parameters=network_parameters(conf)),
            StackConf(name="machines", template=conf.templates.machines, parameters=_machines(conf)),
        ),
        cluster=ClusterStep(
            name=conf.cluster.name,
            version=conf.cluster.version,
            after="network",
            role="${network.ClusterRoleArn}",
            subnets=f"${{network.{'Outpost' if local else 'Region'}SubnetId}}",
            groups="${network.ControlPlaneGroupId}",
            service_cidr=conf.cluster.service_cidr,
            outpost=outpost_arn(conf) if local else "",
            logs=LOG_TYPES,
        ),
        mappings=(
            RoleMapping(
                role="${network.NodeRoleArn}", username="system:node:{{EC2PrivateDNSName}}", groups=NODE_GROUPS
            ),
        ),
        asg="",
        facts={},
    )


def network_parameters(conf: SiteConf) -> dict[str, str]:
    """Parameters of the network's template."""
    return {
        "EnvironmentName": conf.name,
        "OutpostArn": outpost_arn(conf),
        "LocalGatewayId": underlay.local_gateway_id(conf),
        "Zone": conf.region.zone,
        "VpcCidr": str(conf.region.vpc_cidr),
        "OutpostSubnetCidr": str(conf.outpost.subnet),
        "RegionSubnetCidr": str(conf.region.region_subnet),
        "PodCidr": str(conf.cluster.pod_cidr),
        "LanCidr": str(conf.lan.cidr),
    }


def _machines(conf: SiteConf) -> dict[str, str]:
    found, ranges = workers(conf), pod_ranges(conf)
    if len(found) > WORKERS:
        raise SetupError(f"{conf.name} has {len(found)} workers; {conf.templates.machines} has {WORKERS}")
    arguments = "--apiserver-endpoint ${cluster.endpoint} --b64-cluster-ca ${cluster.certificate_authority}"
    if conf.cluster.control_plane == "outpost":
        addresses = ",".join(seats(conf).values())
        arguments += f" --enable-local-outpost true --cluster-id ${{cluster.id}} --ip-of-endpoint {addresses}"
    given = {
        "ClusterName": "${cluster.name}",
        "BootstrapArguments": arguments,
        "SubnetId": "${network.OutpostSubnetId}",
        "RouteTableId": "${network.OutpostRouteTableId}",
        "GroupId": "${network.MachineGroupId}",
        "NodeProfileName": "${network.NodeProfileName}",
        "KeyName": "${key.name}",
        "ImageId": amis.NODE,
    }
    for number, worker in enumerate(found, start=1):
        address = str(worker.address)
        own = {"Name": worker.name, "Address": address, "Pods": ranges[address]}
        given |= {f"Worker{number}{key}": value for key, value in own.items()}
    edge = next((i for i in conf.instances if i.role == "proxy"), None)
    if edge is not None:
        given |= {"EdgeName": edge.name, "EdgeAddress": str(edge.address), "EdgeUserData": "${edge.user_data}"}
    return given
