"""AWS in a lab: the Region with its data plane, its doors and resolvers, and the services that make machines."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from islanding.journal import Journal
from islanding.lab import addons, elsewhere, node
from islanding.lab.access import PATIENT, PROMPT, Access
from islanding.lab.amis import IMAGES
from islanding.lab.distribution import Distribution
from islanding.lab.doorkeeper import Doorkeeper
from islanding.lab.eks_disks import Disks
from islanding.lab.eks_hosted import Hosted, Timing
from islanding.lab.eks_service import EksService
from islanding.lab.fleet import Fleet
from islanding.lab.keeper import Keeper
from islanding.lab.machine import MachineFile
from islanding.lab.node_lifecycle import NodeLifecycle
from islanding.lab.parts.found import Parts
from islanding.lab.pki import Authority
from islanding.lab.plan import NetworkPlan
from islanding.lab.region import mends
from islanding.lab.region.http import HttpServer
from islanding.lab.region.instances import InstanceState
from islanding.lab.region.manners.choice import Choice
from islanding.lab.region.mends import prefix_lists
from islanding.lab.region.server import Region, host_names
from islanding.lab.vpc import names
from islanding.lab.vpc.metadata import VpcMetadata
from islanding.lab.vpc.outside import AWS, Outside
from islanding.lab.vpc.reconciler import DataPlane
from islanding.lab.vpc.resolvers import Resolvers
from islanding.lab.vpc.state import Ec2State, ServiceHost
from islanding.manners import said
from islanding.siteconf import MannersConf

BINARIES = "/opt/islanding/bin"  # where an instance finds the parts' programs
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"  # who makes a site may do all that makes it
FOLLOWED = frozenset({"ec2", "cloudformation", "autoscaling", "eks", "route53", "elasticloadbalancing"})


class World:
    """One account's AWS in one Region, inside a lab's namespaces.

    `profiles` maps the profiles of the lab's users to roles; `ami` gives what an instance's image lays on its disk.
    `outside` and `around` are the network around the VPCs, which is there already; `binds` are further folders of the
    host that machines have. `seats` names the instances of a local cluster's control plane, with their addresses.
    `manners`: how AWS treats its callers. Without `own_addons` a new cluster has no network plugin, kube-proxy and
    CoreDNS: its nodes' image brings them.
    """

    def __init__(
        self,
        *,
        account: str,
        region: str,
        lab_id: str,
        folder: Path,
        logs: Path,
        parts: Parts,
        journal: Journal,
        profiles: dict[str, str],
        ami: Callable[[InstanceState], dict[str, MachineFile]],
        timing: Timing | None = None,
        outside: Outside | None = None,
        around: NetworkPlan | None = None,
        binds: Mapping[str, str] | None = None,
        seats: Mapping[str, str] | None = None,
        own_addons: bool = True,
        manners: MannersConf | None = None,
    ) -> None:
        self.outside = outside or Outside(region=region)
        self.guests: dict[str, ServiceHost] = {}  # people's places in a VPC, by their network interface
        self._own_addons = own_addons
        self.aws_ca = Authority.create("islanding lab AWS CA")
        self.keeper = Keeper(journal)
        self.region = Region(account, region, logs / "region.jsonl", self.keeper.trouble)
        chosen = manners or MannersConf()
        self.region.behave(Choice(**chosen.model_dump()))
        if chosen.on:
            journal.append("warning", text=f"the lab's AWS has a real account's manners: {said(chosen)}")
        self.parts = parts
        limits = {name: (kind.interfaces, kind.addresses) for name, kind in parts.limits.items()}
        mends.install(account, region, limits, IMAGES)
        self._warming = self.region.warm()
        self._ami = ami
        self._public = names.public_names(
            region, self.outside.api, self.outside.s3[0], {elsewhere.NAME: self.outside.elsewhere}
        )
        self.metadata = VpcMetadata(self._serve_metadata, self.outside.outposts)
        self.access = Access(
            self.region,
            self.aws_ca,
            folder / "aws",
            names=(*host_names(region), self.outside.api),
            tools=parts.bin_dir,
            attempts=PATIENT if chosen.on else PROMPT,
        )
        self.creator = next(iter(profiles))
        for profile, role in profiles.items():
            self.region.seed.create_role(role, policies=[ADMINISTRATOR] if profile == self.creator else [])
        self.access.write_credentials(profiles)
        binds = {str(parts.bin_dir): BINARIES, **(binds or {})}
        self.plane = DataPlane(
            account,
            region,
            self.outside,
            services=lambda: (*self.eks.hosts(), *self.guests.values()),
            owners=lambda: {**self.eks.owners(), **{i: host.name for i, host in self.guests.items()}},
            around=around,
            on_error=self.region.errors.append,
        )
        self.keeper.watch(self.plane)
        self.resolvers = Resolvers(folder / "dns", logs)
        self.doors = Doorkeeper(self.region, self.aws_ca, self.outside)
        self.distribution = Distribution(
            self.region,
            self.outside,
            binary=parts.bin_dir / "registry",
            ca_file=self.access.ca_file,
            folder=folder / "registry",
            log=logs / "registry.log",
        )
        self.fleet = Fleet(
            lab_id=lab_id,
            folder=folder / "machines",
            logs=logs,
            image=parts.image,
            binds=binds,
            plane=self.plane,
            instances=self.region.instances,
            files=self._instance_files,
            halted=self._halted,
            errors=self.region.errors.append,
        )
        self.eks = EksService(
            lab_id=lab_id,
            folder=folder / "machines",
            logs=logs,
            image=parts.image,
            binds=binds,
            region=self.region,
            plane=self.plane,
            disks=Disks(
                region=self.region.region,
                aws_ca=self.aws_ca.certificate_pem,
                resolver=self.outside.resolver,
                kubernetes_version=parts.versions["kubernetes"],
                timing=timing or Timing(),
                ssh_key=self.access.ssh_public_key,
            ),
            addons=self._addons,
            journal=journal,
            machine=self.fleet.machine,
            seats=seats,
        )
        self.lifecycle = NodeLifecycle(instances=self.region.instances, clusters=self.eks.running, admin=self.eks.admin)

    def start(self) -> None:
        """Open for business: from now on the kernel, names, doors and machines follow what the API is asked for."""
        self._warming.join()
        prefix_lists.publish(self.region.account, self.region.region, self.outside.prefix_lists)
        self.plane.on_plan(self._follow_names)
        self.plane.on_plan(self.metadata.follow)
        self.plane.on_plan(self.doors.follow)
        self.plane.reconcile("start")
        self.strangers = elsewhere.serve(self.aws_ca, self.outside.elsewhere, self.region.errors.append)
        self.distribution.start()
        self.distribution.publish(self.parts.images.values())
        self.region.after_mutation(self._mutated)

    # -- following -------------------------------------------------------------------------------------------------

    def _mutated(self, service: str, operation: str) -> None:
        if service not in FOLLOWED:
            return
        self.eks.follow(service, operation)
        self.plane.reconcile(f"{service}:{operation}")
        if service == "eks":
            self._follow_names(self.plane.state)
        self.lifecycle.follow()  # first: a new instance may have the address, and the node name, of one that is gone
        self.fleet.follow()

    def _follow_names(self, state: Ec2State) -> None:
        everybody = (AWS, self.outside.resolver)
        wanted = names.resolvers(state, self.region.region, self._public, self.eks.endpoints(), everybody)
        self.resolvers.follow((*wanted, elsewhere.resolver(wanted[-1], self.outside.elsewhere)))

    def _serve_metadata(self, listener: socket.socket, vpc: str) -> HttpServer:
        return self.region.serve_metadata(listener, lambda address: self.region.identity(address, vpc))

    # -- machines --------------------------------------------------------------------------------------------------

    def _instance_files(self, state: InstanceState) -> dict[str, MachineFile]:
        vpc = next(v for v in self.plane.state.vpcs if v.id == state.vpc)
        own = self.eks.disk(state.private_address, state.vpc)
        told = names.resolv_conf(vpc, self.region.region)
        return {
            **node.instance_files(state.private_dns_name, state.private_address, told),
            **(self._ami(state) if own is None else own),
        }

    def _halted(self, instance: str) -> None:
        """An instance that powered itself off is stopped, as on EC2."""
        self.region.sessions.own_client("ec2").stop_instances(InstanceIds=[instance])

    def _addons(self, hosted: Hosted, cluster: dict[str, Any]) -> list[dict[str, Any]]:
        if not self._own_addons:
            return []
        service_range = str(cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"])
        return addons.all_objects(
            self.parts.manifests,
            region=self.region.region,
            endpoint=f"https://{hosted.endpoint_name}",
            cluster=hosted.name,
            vpc=str(cluster["resourcesVpcConfig"]["vpcId"]),
            cluster_ip=cluster_dns(service_range),
        )


def cluster_dns(service_range: str) -> str:
    """The address of a cluster's DNS service: the tenth of its range, as on EKS."""
    return str(IPv4Network(service_range)[10])
