"""What EKS makes in its customer's account for a cluster, and takes away again: security group, network interfaces."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from islanding.lab.eks_hosted import Hosted


def make_group(ec2: Any, name: str, vpc: str) -> str:
    """Make the cluster security group, whose members reach each other; returns its id.

    Name and description are AWS's own (EKS user guide, "View Amazon EKS security group requirements for clusters").
    """
    group = str(
        ec2.create_security_group(
            GroupName=f"eks-cluster-sg-{name}-{secrets.randbelow(10**9)}",
            Description="EKS created security group applied to ENI that is attached to EKS Control Plane master nodes,"
            " as well as any managed workloads.",
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": [_owned(name)]}],
        )["GroupId"]
    )
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    )
    return group


def make_interfaces(
    ec2: Any, name: str, network: Mapping[str, Any], group: str, addresses: Sequence[str] = ()
) -> dict[str, str]:
    """Make the network interfaces of a control plane in the Region, in the first two subnets; `addresses` are wanted.

    Returns the private address of each, by its id.
    """
    found = {}
    for number, subnet in enumerate(network["subnetIds"][:2]):
        made = ec2.create_network_interface(
            SubnetId=subnet,
            **({"PrivateIpAddress": addresses[number]} if number < len(addresses) else {}),
            Groups=[group, *network["securityGroupIds"]],
            Description=f"Amazon EKS {name}",
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": [_owned(name)]}],
        )["NetworkInterface"]
        found[str(made["NetworkInterfaceId"])] = str(made["PrivateIpAddress"])
    return found


def take_away(ec2: Any, hosted: Hosted) -> None:
    """Delete the network interfaces and the security group of a cluster that is no more."""
    for interface in hosted.interfaces:
        ec2.delete_network_interface(NetworkInterfaceId=interface)
    if hosted.group:
        ec2.delete_security_group(GroupId=hosted.group)


def _owned(name: str) -> dict[str, str]:
    return {"Key": f"kubernetes.io/cluster/{name}", "Value": "owned"}
