"""The EKS service: a cluster that the API was asked for gets a real control plane, with interfaces in its subnets.

As on AWS, the control plane's machine is the service's own, in no customer's VPC: it reaches AWS by an interface of its
own, and the cluster's VPC by network interfaces in the cluster's subnets, filtered by the cluster's security groups
(EKS user guide, "VPC and subnet requirements").
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from islanding.journal import Journal
from islanding.lab import kernel, namespaces
from islanding.lab.control_plane import PKI, PORT, ControlPlane
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

METADATA = "169.254.169.254"
_PUBLIC = "52.94.1.{}"  # the service's own addresses, one a cluster
_FILTER = """\
table inet endpoint
delete table inet endpoint
table inet endpoint {{
  chain input {{
    type filter hook input priority 0; policy accept;
    iifname "pub0" ct state established,related accept
    iifname "pub0" tcp dport {port} {accept}
    iifname "pub0" drop
  }}
}}
"""


class DataPlane(Plugs, Protocol):
    """What the service needs of the data plane."""

    def reconcile(self, reason: str) -> Any:
        """Bring the kernel to what AWS holds now."""


@dataclass
class Hosted:
    """One cluster as the service hosts it."""

    name: str
    host: str  # the machine's name, and that of its network namespace
    endpoint_name: str
    public_address: str
    ca: Authority
    group: str = ""  # id of the cluster security group
    interfaces: dict[str, str] = field(default_factory=dict)  # id -> private address
    machine: Machine | None = None


@dataclass(frozen=True)
class Timing:
    """Timers of every cluster's control plane, in seconds; AWS's cannot be set by its users."""

    node_grace: float = 50.0
    eviction: int = 300
    large_cluster_size_threshold: int = 100000  # EKS's own (docs/facts.md 3)


class EksService:
    """The clusters of one Region; `addons` gives the objects that a new cluster has from the start."""

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
        self._hosted: dict[str, Hosted] = {}
        self._lock = threading.Lock()

    # -- what others ask -------------------------------------------------------------------------------------------

    def hosts(self) -> tuple[ServiceHost, ...]:
        """The service's machines, for the data plane."""
        return tuple(ServiceHost(h.host, h.public_address) for h in list(self._hosted.values()))

    def owners(self) -> dict[str, str]:
        """Which network interface is plugged into which of the service's machines."""
        return {i: h.host for h in list(self._hosted.values()) for i in h.interfaces}

    def endpoints(self) -> tuple[ClusterEndpoint, ...]:
        """Names and addresses of the clusters' endpoints, for the resolvers."""
        found = []
        for hosted in list(self._hosted.values()):
            network = self._network(hosted.name)
            if hosted.interfaces and network is not None:
                private = tuple(hosted.interfaces.values()) if network["endpointPrivateAccess"] else ()
                public = (hosted.public_address,) if network["endpointPublicAccess"] else ()
                found.append(ClusterEndpoint(hosted.endpoint_name, network["vpcId"], private, public))
        return tuple(found)

    def running(self) -> tuple[str, ...]:
        """The names of the clusters that have a control plane."""
        return tuple(name for name, hosted in list(self._hosted.items()) if hosted.machine is not None)

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
        return Hosted(name, f"eks-{name}", endpoint, address, Authority.create(f"{name} Kubernetes CA"))

    def _create(self, name: str) -> None:
        hosted = self._hosted[name]
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
        wait_for_api(machine)
        objects = [*service_objects(), *self._addons(hosted, self._region.eks.describe(name))]
        self.admin(name, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
        self._region.activate_cluster(name, f"https://{hosted.endpoint_name}", hosted.ca.certificate_pem)
        self._plane.reconcile(f"cluster {name} is active")

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

    def _make_interfaces(self, hosted: Hosted) -> None:
        """The cluster security group and the service's network interfaces, made in the customer's account."""
        cluster = self._region.eks.describe(hosted.name)
        network = cluster["resourcesVpcConfig"]
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
        for subnet in network["subnetIds"][:2]:
            made = ec2.create_network_interface(
                SubnetId=subnet,
                Groups=[hosted.group, *network["securityGroupIds"]],
                Description=f"Amazon EKS {hosted.name}",
                TagSpecifications=[{"ResourceType": "network-interface", "Tags": [owned]}],
            )["NetworkInterface"]
            hosted.interfaces[made["NetworkInterfaceId"]] = made["PrivateIpAddress"]
        self._region.eks.set_cluster_group(hosted.name, hosted.group)
        self._plane.reconcile(f"interfaces of cluster {hosted.name}")

    def _disk(self, hosted: Hosted) -> dict[str, MachineFile]:
        cluster = self._region.eks.describe(hosted.name)
        first, *others = hosted.interfaces.values()
        timing = self._timing
        service_range = cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"]
        conf = ClusterConf.model_validate(
            {
                "name": hosted.name,
                "version": cluster["version"],
                "control_plane": "region",
                "service_cidr": service_range,
                "pod_cidr": service_range,  # not used: pods have addresses of the VPC
                "node_grace": timing.node_grace,
                "eviction": timing.eviction,
                "large_cluster_size_threshold": timing.large_cluster_size_threshold,
            }
        )
        plane = ControlPlane(
            cluster=conf,
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

    def _update(self, name: str) -> None:
        """Replace the control plane by one of the version that the API was asked for; what etcd holds stays."""
        hosted = self._hosted[name]
        machine = self._machine(name)
        machine.power_off()
        # The cluster's keys stay, or every node and pod would have to join anew: only the units say the version.
        units = {p: f for p, f in self._disk(hosted).items() if p.endswith(".service") and p.startswith("/etc/systemd")}
        machine.lay(units)
        self._power_on(hosted)
        wait_for_api(machine)
        self._region.eks.updated(name)

    def _delete(self, hosted: Hosted) -> None:
        if hosted.machine is not None:
            hosted.machine.power_off()
        ec2 = self._client("ec2")
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
        kernel.run_inside(hosted.host, ["nft", "-f", "-"], stdin=_FILTER.format(port=PORT, accept=accept))

    def _network(self, name: str) -> dict[str, Any] | None:
        known = {c["name"]: c for c in self._region.eks.all()}
        return dict(known[name]["resourcesVpcConfig"]) if name in known else None

    def _machine(self, name: str) -> Machine:
        machine = self._hosted[name].machine
        if machine is None:
            raise KeyError(f"cluster {name} has no control plane yet")
        return machine


def _emulated(wanted: str, binaries: str) -> str:
    """The version that the control plane has to emulate (KEP-4330), or nothing when it is the binaries' own."""
    own = ".".join(binaries.lstrip("v").split(".")[:2])
    return "" if wanted == own else wanted
