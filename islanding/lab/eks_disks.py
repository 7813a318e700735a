"""What EKS lays on the disks of a control plane's machines: in the Region on its own machine, or on an Outpost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from islanding.lab import eks_local
from islanding.lab.control_plane import ControlPlane
from islanding.lab.eks_hosted import Hosted, Timing
from islanding.lab.machine import SSH_USER, MachineFile
from islanding.siteconf import ClusterConf


@dataclass(frozen=True)
class Disks:
    """Lays out disks for the clusters of one Region.

    `aws_ca` is the CA of AWS's endpoints in PEM, `resolver` the address that answers for names in the service's own
    network, `kubernetes_version` that of the binaries (as in v1.36.3), `ssh_key` lets people look at local machines.
    """

    region: str
    aws_ca: bytes
    resolver: str
    kubernetes_version: str
    timing: Timing
    ssh_key: bytes

    def in_region(self, hosted: Hosted, cluster: Mapping[str, Any], creator: str) -> dict[str, MachineFile]:
        """The disk of the service's own machine; `creator` is the ARN of the cluster's first administrator."""
        first, *others = hosted.interfaces.values()
        plane = ControlPlane(
            cluster=self._conf(cluster, "region"),
            ca=hosted.ca,
            endpoint_name=hosted.endpoint_name,
            machines={hosted.host: first},
            local=False,
            token_id=hosted.name,
            region=self.region,
            creator_arn=creator,
            extra_addresses=(*others, hosted.public_address),
            emulated_version=_emulated(cluster["version"], self.kubernetes_version),
        )
        own = {
            "/etc/cloud/cloud-init.disabled": MachineFile(),
            "/etc/hostname": MachineFile(f"{hosted.host}\n".encode()),
            "/etc/hosts": MachineFile(f"127.0.0.1 localhost {hosted.host}\n".encode()),
            "/etc/resolv.conf": MachineFile(f"nameserver {self.resolver}\noptions timeout:2 attempts:2\n".encode()),
            "/etc/ssl/certs/ca-certificates.crt": MachineFile(self.aws_ca),
            f"/home/{SSH_USER}/.hushlogin": MachineFile(),
        }
        return {**plane.disks()[hosted.host], **own}

    def on_outpost(self, hosted: Hosted, cluster: Mapping[str, Any], creator: str) -> dict[str, dict[str, MachineFile]]:
        """The disks of a local cluster's instances, by the private address of each of `hosted.seats`."""
        plane = ControlPlane(
            cluster=self._conf(cluster, "outpost"),
            ca=hosted.ca,
            endpoint_name=hosted.endpoint_name,
            machines=hosted.seats,
            local=True,
            token_id=hosted.cluster_id,
            region=self.region,
            creator_arn=creator,
            emulated_version=_emulated(cluster["version"], self.kubernetes_version),
        )
        made = {hosted.seats[seat]: files for seat, files in plane.disks().items()}
        own = eks_local.own_files
        return {a: {**files, **own(a, self.region, self.aws_ca, self.ssh_key)} for a, files in made.items()}

    def _conf(self, cluster: Mapping[str, Any], where: str) -> ClusterConf:
        service_range = cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"]
        return ClusterConf.model_validate(
            {
                "name": cluster["name"],
                "version": cluster["version"],
                "control_plane": where,
                "service_cidr": service_range,
                "pod_cidr": service_range,  # not used: the control plane does not know the pods' addresses
                **asdict(self.timing),
            }
        )


def _emulated(wanted: str, binaries: str) -> str:
    """The version that the control plane has to emulate (KEP-4330), or nothing when it is the binaries' own."""
    own = ".".join(binaries.lstrip("v").split(".")[:2])
    return "" if wanted == own else wanted
