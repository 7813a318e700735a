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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from islanding.journal import Journal
from islanding.lab import eks_account, eks_local, kernel, namespaces
from islanding.lab.control_plane import PKI, PORT
from islanding.lab.eks_disks import Disks
from islanding.lab.eks_hosted import PUBLIC_FILTER, Hosted
from islanding.lab.fleet import Plugs, VpcCabling
from islanding.lab.kubernetes import KUBECTL, PATIENCE, service_objects, wait_for_api
from islanding.lab.machine import Machine, MachineFile, MachineSpec
from islanding.lab.pki import Authority
from islanding.lab.region.instances import InstanceState
from islanding.lab.region.metadata import InstanceIdentity
from islanding.lab.region.server import Region
from islanding.lab.region.sessions import OWN_ROLE
from islanding.lab.vpc.names import ClusterEndpoint
from islanding.lab.vpc.state import ServiceHost
from islanding.process import Result, run
from islanding.wait import wait_until

METADATA = "169.254.169.254"
_PUBLIC = "52.94.1.{}"  # the service's own addresses, one a cluster


class DataPlane(Plugs, Protocol):
    """What the service needs of the data plane."""

    def reconcile(self, reason: str) -> Any:
        """Bring the kernel to what AWS holds now."""


class EksService:
    """The clusters of one Region; `addons` gives the objects that a new cluster has from the start.

    For local clusters: `machine` finds the machine of an instance, and `seats` are the names and addresses that the
    site wants for the control plane's instances.
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
        disks: Disks,
        addons: Callable[[Hosted, dict[str, Any]], list[dict[str, Any]]],
        journal: Journal,
        machine: Callable[[str], Machine] | None = None,
        seats: Mapping[str, str] | None = None,
    ) -> None:
        self._lab_id = lab_id
        self._folder = folder
        self._logs = logs
        self._image = image
        self._binds = dict(binds)
        self._region = region
        self._plane = plane
        self._client = region.sessions.own_client
        self._disks = disks
        self._addons = addons
        self._journal = journal
        self._machine_of = machine
        self._seats = dict(seats or {})
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

    def disk(self, address: str, vpc: str) -> dict[str, MachineFile] | None:
        """What the service lays on the disk of an instance at that address in a VPC, if it is one of its own."""
        for hosted in list(self._hosted.values()):
            network = self._network(hosted.name) or {}
            if address in hosted.disks and network.get("vpcId") == vpc:
                return hosted.disks[address]
        return None

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
        network = self._region.eks.describe(name)["resourcesVpcConfig"]
        hosted.group = eks_account.make_group(self._client("ec2"), name, network["vpcId"])
        self._region.eks.set_cluster_group(name, hosted.group)
        if hosted.cluster_id:
            self._launch(hosted)
        else:
            self._host(hosted)
        for machine in self._machines(hosted):
            wait_for_api(machine)
        objects = [*service_objects(), *self._addons(hosted, self._region.eks.describe(name))]
        self.admin(name, "apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(objects))
        endpoint, ca = f"https://{hosted.endpoint_name}", hosted.ca.certificate_pem
        self._region.eks.activate(name, endpoint, ca, hosted.cluster_id)
        self._plane.reconcile(f"cluster {name} is active")

    def _launch(self, hosted: Hosted) -> None:
        """A local cluster's control plane: instances in the customer's subnet, set up by the service."""
        cluster = self._region.eks.describe(hosted.name)
        hosted.seats = self._seats or eks_local.seats(self._client("ec2"), cluster)
        hosted.disks = self._disks.on_outpost(hosted, cluster, self._region.eks.creator(hosted.name))
        hosted.instances = eks_local.launch(self._client, cluster, hosted.seats, hosted.group)
        wait_until("the control plane's machines", lambda: self._machines(hosted), timeout=PATIENCE, done=bool)

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
        network = self._region.eks.describe(hosted.name)["resourcesVpcConfig"]
        wanted = tuple(self._seats.values())
        made = eks_account.make_interfaces(self._client("ec2"), hosted.name, network, hosted.group, wanted)
        hosted.interfaces.update(made)
        self._plane.reconcile(f"interfaces of cluster {hosted.name}")
        machine = Machine(
            MachineSpec(hosted.host, VpcCabling(self._plane), files=self._disk_of(hosted), binds=self._binds),
            lab_id=self._lab_id,
            folder=self._folder / hosted.host,
            logs=self._logs,
            image=self._image,
            on_halt=lambda m: m.power_on(),  # the service keeps its control planes running
        )
        machine.create_disk()
        hosted.machine = machine
        self._power_on(hosted)

    def _disk_of(self, hosted: Hosted) -> dict[str, MachineFile]:
        name = hosted.name
        return self._disks.in_region(hosted, self._region.eks.describe(name), self._region.eks.creator(name))

    def _power_on(self, hosted: Hosted) -> None:
        self._machine(hosted.name).power_on()
        kernel.run_inside(hosted.host, ["ip", "addr", "replace", f"{METADATA}/32", "dev", "lo"])
        listener = namespaces.listener_in(hosted.host, METADATA, 80)
        self._region.serve_metadata(listener, lambda _address: self._identity(hosted))
        self._limit_public(hosted.name)

    def _identity(self, hosted: Hosted) -> InstanceIdentity:
        """What the service's machine is told of itself: the credentials of the service, above all.

        Its logs go to the account by the service-linked role AWSServiceRoleForAmazonEKS (EKS user guide, "Using roles
        for Amazon EKS clusters"): AmazonEKSClusterPolicy, which the cluster's own role has, says nothing of logs.
        """
        state = InstanceState(
            id=hosted.host, name=hosted.host, state="running", private_address=hosted.public_address,
            private_dns_name=f"{hosted.host}.internal", mac="02:00:00:00:00:01", subnet="", subnet_cidr="", vpc="",
            vpc_cidr="", zone=f"{self._region.region}a", instance_profile="", role=OWN_ROLE, key_name="", public_key="",
            image="", type="m5.large", launched=datetime.now(UTC), outpost_arn="", reboots=0,
        )  # fmt: skip
        return InstanceIdentity(
            state, self._region.account, self._region.region, lambda: self._region.sessions.own(hosted.host)
        )

    def _update(self, name: str) -> None:
        """Replace the control plane by one of the version that the API was asked for; what etcd holds stays."""
        hosted = self._hosted[name]
        machine = self._machine(name)
        machine.power_off()
        # The cluster's keys stay, or every node and pod would have to join anew: only the units say the version.
        disk = self._disk_of(hosted).items()
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
        eks_account.take_away(ec2, hosted)

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
