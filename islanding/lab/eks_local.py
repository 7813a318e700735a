"""A local cluster's control plane: instances on the Outpost in the customer's subnet, launched and set up by EKS.

EKS user guide, "Create local Amazon EKS clusters on AWS Outposts": three instances, which the service replaces; the
customer sees them but does not set them up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from typing import Any

from islanding.lab import amis
from islanding.lab.machine import SSH_USER, MachineFile

SIZE = 3


def seats(ec2: Any, cluster: Mapping[str, Any]) -> dict[str, str]:
    """Names and free addresses for the instances, the subnet's last ones first."""
    subnet = cluster["resourcesVpcConfig"]["subnetIds"][0]
    cidr = IPv4Network(ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["CidrBlock"])
    mine = [{"Name": "subnet-id", "Values": [subnet]}]
    interfaces = ec2.describe_network_interfaces(Filters=mine)["NetworkInterfaces"]
    taken = {a["PrivateIpAddress"] for i in interfaces for a in i["PrivateIpAddresses"]}
    free = [a for n in range(2, cidr.num_addresses - 4) if (a := str(cidr[-n])) not in taken]
    return {f"{cluster['name']}-control-plane-{n}": address for n, address in enumerate(free[:SIZE], start=1)}


def launch(
    client: Callable[[str], Any], cluster: Mapping[str, Any], wanted: Mapping[str, str], group: str
) -> list[str]:
    """Launch the instances with the cluster's role, in its groups and in `group`; returns their ids."""
    name, network = cluster["name"], cluster["resourcesVpcConfig"]
    iam, ec2 = client("iam"), client("ec2")
    profile = f"eks-local-{name}"
    iam.create_instance_profile(InstanceProfileName=profile)
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=cluster["roleArn"].rsplit("/", 1)[-1])
    found = []
    for seat, address in wanted.items():
        tags = {"Name": seat, "islanding:faults": "allowed", f"kubernetes.io/cluster/{name}": "owned"}
        answer = ec2.run_instances(
            ImageId=amis.NODE,
            InstanceType=cluster["outpostConfig"]["controlPlaneInstanceType"],
            MinCount=1,
            MaxCount=1,
            SubnetId=network["subnetIds"][0],
            PrivateIpAddress=address,
            SecurityGroupIds=[group, *network["securityGroupIds"]],
            IamInstanceProfile={"Name": profile},
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
        )
        found.append(str(answer["Instances"][0]["InstanceId"]))
    return found


def own_files(address: str, region: str, aws_ca: bytes, ssh_key: bytes) -> dict[str, MachineFile]:
    """What a machine has besides the control plane: no cloud-init, since it is the service that sets it up."""
    name = f"ip-{address.replace('.', '-')}.{region}.compute.internal"
    return {
        "/etc/hostname": MachineFile(f"{name}\n".encode()),
        "/etc/cloud/cloud-init.disabled": MachineFile(),
        "/etc/ssl/certs/ca-certificates.crt": MachineFile(aws_ca),
        f"/home/{SSH_USER}/.ssh/authorized_keys": MachineFile(ssh_key + b"\n"),
    }
