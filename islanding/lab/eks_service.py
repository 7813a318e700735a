"""The EKS service: a cluster that the API was asked for gets a real control plane, with interfaces in its subnets.

As on AWS, the control plane's machine is the service's own, in no customer's VPC: it reaches AWS by an interface of its
own, and the cluster's VPC by network interfaces in the cluster's subnets, filtered by the cluster's security groups
(EKS user guide, "VPC and subnet requirements").
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from islanding.journal import Journal
from islanding.lab import eks_local, kernel, namespaces
from islanding.lab.control_plane import PKI, PORT, ControlPlane
from islanding.lab.eks_hosted import PUBLIC_FILTER, Hosted, Timing
from islanding.lab.fleet import Plugs, VpcCabling
from islanding.lab.kubernetes import KUBECTL, service_objects, wait_for_api
from islanding.lab.machine import SSH_USER, Machine, MachineFile, MachineSpec
from islanding.lab.pki import Authority
from islanding.lab.region.instances import InstanceState
from islanding.lab.region.metadata import InstanceIdentity
from islanding.lab.region.server import Region
from islanding.lab.vpc.names import ClusterEndpoint
from islanding.lab.vpc.state import ServiceHost
from islanding.process import Result, run
from islanding.siteconf import ClusterConf
from islanding.wait import wait_until

METADATA = "169.254.169.254"
_PUBLIC = "52.94.1.{}"  # the service's own addresses, one a cluster


class DataPlane(Plugs, Protocol):
    """What the service needs of the data plane."""

    def reconcile(self, reason: str) -> Any:
        """Bring the kernel to what AWS holds now."""


class EksService:
    """The clusters of one Region; `addons` gives the objects that a new cluster has from the start.

    For local clusters: `machine` finds the machine of an instance, `seats` are the names and addresses that the site
    wants for the control plane's instances, and `ssh_key` lets its people look at them.
    """

    def __init__(
        self,
        *,
        lab_id: str,
        folder: Path,
        logs: Path,
        image: Path,
        binds: Mapping[str, str],
        region: Region,
        plane: DataPlane,
        client: Callable[[str], Any],
        aws_ca: bytes,
        resolver: str,
        kubernetes_version: str,
        addons: Callable[[Hosted, dict[str, Any]], list[dict[str, Any]]],
        journal: Journal,
        timing: Timing | None = None,
        machine: Callable[[str], Machine] | None = None,
        seats: Mapping[str, str] | None = None,
        ssh_key: bytes = b"",
    ) -> None:
        self._lab_id = lab_id
        self._folder = folder
        self._logs = logs
        self._image = image
        self._binds = dict(binds)
        self._region = region
        self._plane = plane
        self._client = client
        self._aws_ca = aws_ca
        self._resolver = resolver
        self._version = kubernetes_version  # of the binaries, as in v1.36.3
        self._addons = addons
        self._journal = journal
        self._timing = timing or Timing()
        self._machine_of = machine
        self._seats = dict(seats or {})
        self._ssh_key = ssh_key
        self._hosted: dict[str, Hosted] = {}
        self._lock = threading.Lock()

    # -- what others ask -------------------------------------------------------------------------------------------

    def hosts(self) -> tuple[ServiceHost, ...]:
        """The service's machines, for the data plane."""
        return tuple(ServiceHost(h.host, h.public_address) for h in list(self._hosted.values()) if not h.cluster_id)

    def owners(self) -> dict[str, str]:
        """Which network interface is plugged into which of the service's machines."""
        return {i: h.host for h in list(self._hosted.values()) for i in h.interfaces}

    def endpoints(self) -> tuple[ClusterEndpoint, ...]:
        """Names and addresses of the clusters' endpoints, for the resolvers."""
        found = []
        for hosted in list(self._hosted.values()):
            network = self._network(hosted.name)
            if hosted.addresses and network is not None:
                private = hosted.addresses if network["endpointPrivateAccess"] else ()
                public = (hosted.public_address,) if network["endpointPublicAccess"] else ()
                found.append(ClusterEndpoint(hosted.endpoint_name, network["vpcId"], private, public))
        return tuple(found)

    def running(self) -> tuple[str, ...]:
        """The names of the clusters that have a control plane."""
        return tuple(name for name, hosted in list(self._hosted.items()) if self._machines(hosted))

    def hosted(self, name: str) -> Hosted:
        """The cluster of that name; raises KeyError when there is none."""
        return self._hosted[name]

    def admin(self, name: str, *arguments: str, stdin: str = "", timeout: float = 60.0) -> Result:
        """Run kubectl as the service itself, on the control plane's machine."""
        machine = self._machine(name)
        command = [KUBECTL, f"--kubeconfig={PKI}/admin.kubeconfig", *arguments]
        return run(machine.argv(command), stdin=stdin, timeout=timeout, host=machine.name)

    # -- following the API -----------------------------------------------------------------------------------------

    def follow(self, service: str, operation: str) -> None:
        """Act on a call of the EKS API that has changed something; returns at once, the work is done in threads."""
        if service != "eks":
            return
        clusters = {c["name"]: c for c in self._region.eks.all()}
        with self._lock:
            new = [c for n, c in clusters.items() if n not in self._hosted and c["status"] == "CREATING"]
            gone = [h for n, h in self._hosted.items() if n not in clusters]
            for cluster in new:
                self._hosted[cluster["name"]] = self._begin(cluster["name"])
            for hosted in gone:
                del self._hosted[hosted.name]
        for cluster in new:
            self._thread(self._create, cluster["name"])
        for hosted in gone:
            self._thread(self._delete, hosted)
        if operation == "UpdateClusterConfig":
            for name in clusters:
                self._limit_public(name)
        if operation == "UpdateClusterVersion":
            for name, cluster in clusters.items():
                if cluster["status"] == "UPDATING":
                    self._thread(self._update, name)

    def _thread(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=self._guarded, args=(work, *arguments), name=work.__name__, daemon=True).start()

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception as error:
            name = arguments[0] if isinstance(arguments[0], str) else arguments[0].name
            self._region.errors.append(f"EKS service, {work.__name__.strip('_')} {name}: {error}")
            if name in self._hosted:
                self._region.eks.fail(name, str(error))

    def _begin(self, name: str) -> Hosted:
        token = secrets.token_hex(16).upper()
        endpoint = f"{token}.gr7.{self._region.region}.eks.amazonaws.com"
        taken = {h.public_address for h in self._hosted.values()}
        address = next(a for a in map(_PUBLIC.format, range(10, 250)) if a not in taken)
        cluster = self._region.eks.describe(name)
        local = str(cluster.get("id", "")) if cluster.get("outpostConfig") else ""
        ca = Authority.create(f"{name} Kubernetes CA")
        return Hosted(name, f"eks-{name}", endpoint, address, ca, cluster_id=local)

    def _create(self, name: str) -> None:
        hosted = self._hosted[name]
        with contextlib.suppress(self._client("logs").exceptions.ResourceAlreadyExistsException):
            self._client("logs").create_log_group(logGroupName=f"/aws/eks/{name}/cluster")
        self._make_group(hosted)
        if hosted.cluster_id:
            self._launch(hosted)
        else:
            self._host(hosted)
        for machine in self._machines(hosted):
            wait_for_api(machine)
        objects = [*service_objects(), *self._addons(hosted, self._region.eks.describe(name))]
        self.admin(name, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
        endpoint, ca = f"https://{hosted.endpoint_name}", hosted.ca.certificate_pem
        self._region.activate_cluster(name, endpoint, ca, hosted.cluster_id)
        self._plane.reconcile(f"cluster {name} is active")

    def _launch(self, hosted: Hosted) -> None:
        """A local cluster's control plane: instances in the customer's subnet, set up by the service."""
        cluster = self._region.eks.describe(hosted.name)
        hosted.seats = self._seats or eks_local.seats(self._client("ec2"), cluster)
        plane = ControlPlane(
            cluster=self._conf(cluster, "outpost"),
            ca=hosted.ca,
            endpoint_name=hosted.endpoint_name,
            machines=hosted.seats,
            local=True,
            token_id=hosted.cluster_id,
            region=self._region.region,
            creator_arn=self._region.eks.creator(hosted.name),
            emulated_version=_emulated(cluster["version"], self._version),
        )
        for seat, files in plane.disks().items():
            address = hosted.seats[seat]
            own = eks_local.own_files(address, self._region.region, self._aws_ca, self._ssh_key)
            hosted.disks[address] = {**files, **own}
        hosted.instances = eks_local.launch(self._client, cluster, hosted.seats, hosted.group)
        wait_until("the control plane's machines", lambda: self._machines(hosted), timeout=60, done=bool)

    def disk(self, address: str, vpc: str) -> dict[str, MachineFile] | None:
        """What the service lays on the disk of an instance at that address in a VPC, if it is one of its own."""
        for hosted in list(self._hosted.values()):
            network = self._network(hosted.name) or {}
            if address in hosted.disks and network.get("vpcId") == vpc:
                return hosted.disks[address]
        return None

    def _machines(self, hosted: Hosted) -> list[Machine]:
        """The control plane's machines; none while any of them is not made yet."""
        if not hosted.cluster_id:
            return [hosted.machine] if hosted.machine else []
        try:
            return [self._machine_of(i) for i in hosted.instances] if self._machine_of else []
        except KeyError:
            return []

    def _host(self, hosted: Hosted) -> None:
        """A control plane in the Region: a machine of the service's own."""
        self._make_interfaces(hosted)
        machine = Machine(
            MachineSpec(hosted.host, VpcCabling(self._plane), files=self._disk(hosted), binds=self._binds),
            lab_id=self._lab_id,
            folder=self._folder / hosted.host,
            logs=self._logs,
            image=self._image,
            on_halt=lambda m: m.power_on(),  # the service keeps its control planes running
        )
        machine.create_disk()
        hosted.machine = machine
        self._power_on(hosted)

    def _power_on(self, hosted: Hosted) -> None:
        self._machine(hosted.name).power_on()
        kernel.run_inside(hosted.host, ["ip", "addr", "replace", f"{METADATA}/32", "dev", "lo"])
        listener = namespaces.listener_in(hosted.host, METADATA, 80)
        self._region.serve_metadata(listener, lambda _address: self._identity(hosted))
        self._limit_public(hosted.name)

    def _identity(self, hosted: Hosted) -> InstanceIdentity:
        """What the service's machine is told of itself: the cluster role's credentials, above all."""
        cluster = self._region.eks.describe(hosted.name)
        role = str(cluster["roleArn"]).rsplit("/", 1)[-1]
        state = InstanceState(
            id=hosted.host, name=hosted.host, state="running", private_address=hosted.public_address,
            private_dns_name=f"{hosted.host}.internal", mac="02:00:00:00:00:01", subnet="", subnet_cidr="", vpc="",
            vpc_cidr="", zone=f"{self._region.region}a", instance_profile="", role=role, key_name="", public_key="",
            image="", type="m5.large", launched=datetime.now(UTC), outpost_arn="", reboots=0,
        )  # fmt: skip
        return InstanceIdentity(
            state, self._region.account, self._region.region, lambda: self._region.session_of(role, hosted.host)
        )

    def _make_group(self, hosted: Hosted) -> None:
        """The cluster security group, made in the customer's account."""
        network = self._region.eks.describe(hosted.name)["resourcesVpcConfig"]
        ec2 = self._client("ec2")
        owned = {"Key": f"kubernetes.io/cluster/{hosted.name}", "Value": "owned"}
        hosted.group = ec2.create_security_group(
            GroupName=f"eks-cluster-sg-{hosted.name}-{secrets.randbelow(10**9)}",
            Description="EKS created security group applied to ENI that is attached to EKS Control Plane master nodes,"
            " as well as any managed workloads.",
            VpcId=network["vpcId"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": [owned]}],
        )["GroupId"]
        ec2.authorize_security_group_ingress(
            GroupId=hosted.group,
            IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": hosted.group}]}],
        )
        self._region.eks.set_cluster_group(hosted.name, hosted.group)

    def _make_interfaces(self, hosted: Hosted) -> None:
        """The service's network interfaces, made in the customer's account."""
        network = self._region.eks.describe(hosted.name)["resourcesVpcConfig"]
        ec2 = self._client("ec2")
        owned = {"Key": f"kubernetes.io/cluster/{hosted.name}", "Value": "owned"}
        wanted = list(self._seats.values())
        for number, subnet in enumerate(network["subnetIds"][:2]):
            made = ec2.create_network_interface(
                SubnetId=subnet,
                **({"PrivateIpAddress": wanted[number]} if number < len(wanted) else {}),
                Groups=[hosted.group, *network["securityGroupIds"]],
                Description=f"Amazon EKS {hosted.name}",
                TagSpecifications=[{"ResourceType": "network-interface", "Tags": [owned]}],
            )["NetworkInterface"]
            hosted.interfaces[made["NetworkInterfaceId"]] = made["PrivateIpAddress"]
        self._plane.reconcile(f"interfaces of cluster {hosted.name}")

    def _disk(self, hosted: Hosted) -> dict[str, MachineFile]:
        cluster = self._region.eks.describe(hosted.name)
        first, *others = hosted.interfaces.values()
        plane = ControlPlane(
            cluster=self._conf(cluster, "region"),
            ca=hosted.ca,
            endpoint_name=hosted.endpoint_name,
            machines={hosted.host: first},
            local=False,
            token_id=hosted.name,
            region=self._region.region,
            creator_arn=self._region.eks.creator(hosted.name),
            extra_addresses=(*others, hosted.public_address),
            emulated_version=_emulated(cluster["version"], self._version),
        )
        own = {
            "/etc/cloud/cloud-init.disabled": MachineFile(),
            "/etc/hostname": MachineFile(f"{hosted.host}\n".encode()),
            "/etc/hosts": MachineFile(f"127.0.0.1 localhost {hosted.host}\n".encode()),
            "/etc/resolv.conf": MachineFile(f"nameserver {self._resolver}\noptions timeout:2 attempts:2\n".encode()),
            "/etc/ssl/certs/ca-certificates.crt": MachineFile(self._aws_ca),
            f"/home/{SSH_USER}/.hushlogin": MachineFile(),
        }
        return {**plane.disks()[hosted.host], **own}

    def _conf(self, cluster: Mapping[str, Any], where: str) -> ClusterConf:
        service_range = cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"]
        return ClusterConf.model_validate(
            {
                "name": cluster["name"],
                "version": cluster["version"],
                "control_plane": where,
                "service_cidr": service_range,
                "pod_cidr": service_range,  # not used: the control plane does not know the pods' addresses
                **asdict(self._timing),
            }
        )

    def _update(self, name: str) -> None:
        """Replace the control plane by one of the version that the API was asked for; what etcd holds stays."""
        hosted = self._hosted[name]
        machine = self._machine(name)
        machine.power_off()
        # The cluster's keys stay, or every node and pod would have to join anew: only the units say the version.
        disk = self._disk(hosted).items()
        units = {p: f for p, f in disk if p.startswith("/etc/systemd") and p.endswith(".service") and not f.target}
        machine.lay(units)
        self._power_on(hosted)
        wait_for_api(machine)
        self._region.eks.updated(name)

    def _delete(self, hosted: Hosted) -> None:
        if hosted.machine is not None:
            hosted.machine.power_off()
        ec2 = self._client("ec2")
        if hosted.instances:
            ec2.terminate_instances(InstanceIds=hosted.instances)
        self._plane.reconcile(f"cluster {hosted.name} is deleted")
        for interface in hosted.interfaces:
            ec2.delete_network_interface(NetworkInterfaceId=interface)
        if hosted.group:
            ec2.delete_security_group(GroupId=hosted.group)

    def _limit_public(self, name: str) -> None:
        """Let the internet in at the public endpoint, as far as the cluster's configuration does."""
        network = self._network(name)
        hosted = self._hosted.get(name)
        if network is None or hosted is None or hosted.machine is None:
            return
        ranges = ", ".join(network["publicAccessCidrs"]) if network["endpointPublicAccess"] else ""
        accept = f"ip saddr {{ {ranges} }} accept" if ranges else "drop"
        kernel.run_inside(hosted.host, ["nft", "-f", "-"], stdin=PUBLIC_FILTER.format(port=PORT, accept=accept))

    def _network(self, name: str) -> dict[str, Any] | None:
        known = {c["name"]: c for c in self._region.eks.all()}
        return dict(known[name]["resourcesVpcConfig"]) if name in known else None

    def _machine(self, name: str) -> Machine:
        machines = self._machines(self._hosted[name])
        if not machines:
            raise KeyError(f"cluster {name} has no control plane yet")
        return machines[0]


def _emulated(wanted: str, binaries: str) -> str:
    """The version that the control plane has to emulate (KEP-4330), or nothing when it is the binaries' own."""
    own = ".".join(binaries.lstrip("v").split(".")[:2])
    return "" if wanted == own else wanted
