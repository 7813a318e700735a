"""Bringing a site up in the lab: network, Region, control plane, nodes, workload, each step timed and journaled."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from islanding.errors import LabError
from islanding.journal import Journal
from islanding.lab import dns, guest, kernel, kubernetes, node, proxy, underlay
from islanding.lab.account import Account
from islanding.lab.control_plane import ControlPlane, private_dns_name
from islanding.lab.desk import Desk, OpenDesk
from islanding.lab.machine import SSH_USER, Machine, MachineFile, MachineSpec, Nic
from islanding.lab.parts.found import Parts
from islanding.lab.pki import Authority
from islanding.lab.router import Router
from islanding.siteconf import Instance, SiteConf
from islanding.wait import wait_until


class Lab:
    """A lab coming up or running: everything the supervisor owns."""

    def __init__(
        self, conf: SiteConf, *, site_folder: Path, lab_id: str, folder: Path, pid: int, parts: Parts, journal: Journal
    ) -> None:
        self.conf = conf
        self.site_folder = site_folder  # of site.yaml and the manifests
        self.id = lab_id
        self.folder = folder
        self.logs = folder / "logs"
        self.pid = pid  # the lab's pid 1 as the host sees it
        self.parts = parts
        self.journal = journal
        self.at = underlay.addresses(conf)
        self.aws_ca = Authority.create("islanding lab AWS CA")
        self.endpoint_name = f"{secrets.token_hex(16).upper()}.gr7.{conf.region.name}.eks.amazonaws.com"
        self.local = conf.cluster.control_plane == "outpost"
        # A local cluster is known to its authenticator by id, any other by name, as `aws eks get-token` has it.
        self.cluster_id = str(uuid.uuid4()) if self.local else ""
        self.routers = {c.name: Router(c, self.logs) for c in underlay.router_configs(conf)}
        self.desks: dict[str, OpenDesk] = {}
        self.machines: dict[str, Machine] = {}
        self.cluster_ca = Authority.create(f"{conf.cluster.name} Kubernetes CA")
        self._pool = ThreadPoolExecutor(max_workers=12, thread_name_prefix="bringup")
        self._begun = time.monotonic()
        self.account: Account

    # -- the steps, in order ---------------------------------------------------------------------------------------

    def up(self) -> None:
        """Bring everything up; returns when the site is ready. Raises LabError naming the step that failed."""
        region = self._pool.submit(self._region)
        with self.step("network"):
            kernel.apply(underlay.site_plan(self.conf))
        routers = self._pool.submit(self._routers)
        with self.step("desks and resolvers"):
            self._resolvers()
            self._desks()
        self._join(region)
        with self.step("AWS objects"):
            self.account.open_in_lab()
            self.account.create_objects(self._user_data())
        with self.step("control plane powered on"):
            self._machines()
            self._power_on(i.name for i in self.conf.instances if i.role != "worker")
        self._join(routers)
        self.account.publish_metrics()
        with self.step("control plane answers"):
            self._control_plane()
        with self.step("workers ready"):
            # Not before: a kubelet that is refused starts over, which costs more than it wins on few cores.
            self._power_on(w.name for w in self.workers)
            kubernetes.wait_for_nodes(self)
        with self.step("workload answers"):
            kubernetes.deploy_workload(self)

    @property
    def errors(self) -> list[str]:
        """What went wrong on AWS's side of the lab."""
        return self.account.region.errors

    def seconds_up(self) -> float:
        """Seconds since the bring-up began."""
        return round(time.monotonic() - self._begun, 3)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and journal it; what goes wrong inside is named by it."""
        begun = time.monotonic()
        try:
            yield
        except LabError:
            raise
        except Exception as error:
            raise LabError(
                f"bringing up {self.conf.name} failed at step {name!r}: {error}", f"logs: {self.logs}"
            ) from error
        now = time.monotonic()
        self.journal.append(
            "site-step", step=name, seconds=round(now - begun, 3), since_start=round(now - self._begun, 3)
        )

    def _join(self, future: Future[None]) -> None:
        future.result()

    def _region(self) -> None:
        with self.step("Region's API"):
            self.account = Account(self)

    def _routers(self) -> None:
        with self.step("BGP sessions established"):
            for router in self.routers.values():
                router.start()
            wait_until(
                "all BGP sessions to be Established",
                lambda: {s for r in self.routers.values() for s in r.session_states().values()},
                timeout=30,
                interval=0.1,
                done=lambda states: states == {6},
            )
            wait_until(
                "the service link to carry traffic to the Region",
                lambda: self.outpost_reaches_region(timeout=0.5),
                timeout=15,
            )

    def outpost_reaches_region(self, timeout: float = 1.0) -> bool:
        """Whether the Outpost gets an answer from the Region's end of the service link: its heartbeat."""
        from islanding.lab.heartbeat import ping

        return ping(underlay.OND, underlay.TUNNEL_ENDS[1], timeout)

    def _resolvers(self) -> None:
        conf = self.conf
        region_zone = f"{conf.region.name}.compute.internal"
        names = {name: [self.at.aws_api] for name in self._aws_names()}
        cluster = {self.endpoint_name: self.control_plane_addresses}
        internal = {f"ip-{str(i.address).replace('.', '-')}.{region_zone}": [str(i.address)] for i in conf.instances}
        zones = ("amazonaws.com", region_zone)
        for netns, address in ((underlay.REGION, self.at.vpc_resolver), (underlay.REGION, self.at.public_dns)):
            dns.start(dns.ResolverConfig(netns, address, {**names, **cluster, **internal}, zones), self.logs)
        # The site's own resolver knows the cluster's endpoint by itself, as the EKS guide advises for disconnects.
        site = dns.ResolverConfig(
            underlay.RESOLVER, str(conf.resolver.address), cluster, (self.endpoint_name,), upstream=self.at.public_dns
        )
        dns.start(site, self.logs)

    def _aws_names(self) -> tuple[str, ...]:
        from islanding.lab.region.server import host_names

        return host_names(self.conf.region.name)

    def _desks(self) -> None:
        for desk in self.conf.desks:
            made = Desk(desk.name, self.folder / "desks" / desk.name, str(self.conf.resolver.address))
            self.desks[desk.name] = made.open()
        # Somebody in the Region: sees the control plane's side of a cut.
        shell = Desk(underlay.REGION, self.folder / "desks" / underlay.REGION, self.at.vpc_resolver)
        self.desks[underlay.REGION] = shell.open()

    @property
    def token_id(self) -> str:
        """What an IAM token for this cluster must name."""
        return self.cluster_id or self.conf.cluster.name

    @property
    def control_plane_instances(self) -> tuple[Instance, ...]:
        return tuple(i for i in self.conf.instances if i.role == "control-plane")

    @property
    def control_plane_addresses(self) -> list[str]:
        return [str(i.address) for i in self.control_plane_instances]

    @property
    def workers(self) -> tuple[Instance, ...]:
        return tuple(i for i in self.conf.instances if i.role == "worker")

    def _machines(self) -> None:
        conf = self.conf
        plane = ControlPlane(
            cluster=conf.cluster,
            ca=self.cluster_ca,
            endpoint_name=self.endpoint_name,
            machines={i.name: str(i.address) for i in self.control_plane_instances},
            local=self.local,
            token_id=self.token_id,
            region=conf.region.name,
            creator_arn=self.account.creator_arn,
        )
        disks = plane.disks()
        ranges = node.pod_ranges(conf.cluster, [str(w.address) for w in self.workers])
        for instance in conf.instances:
            if instance.role == "control-plane":
                files = {**disks[instance.name], **self._own_setup(instance)}
            elif instance.role == "worker":
                files = node.worker_files(conf.cluster, str(instance.address), ranges)
            else:
                files = {}
            self.machines[instance.name] = self._machine(instance, files)
        list(self._pool.map(Machine.create_disk, self.machines.values()))

    def _own_setup(self, instance: Instance) -> dict[str, MachineFile]:
        """What cloud-init would do: control-plane machines are the service's, set up by it and not by user data."""
        name = private_dns_name(str(instance.address), self.conf.region.name).split(".")[0]
        return {
            "/etc/cloud/cloud-init.disabled": MachineFile(),
            "/etc/hostname": MachineFile(f"{name}\n".encode()),
            f"/home/{SSH_USER}/.ssh/authorized_keys": MachineFile(self.account.ssh_public_key + b"\n"),
        }

    def _power_on(self, names: Iterable[str]) -> None:
        list(self._pool.map(lambda name: self.machines[name].power_on(), names))

    def _user_data(self) -> dict[str, str]:
        join = node.JoinInfo(
            cluster=self.conf.cluster.name,
            endpoint=f"https://{self.endpoint_name}",
            ca_pem=self.cluster_ca.certificate_pem,
            cluster_id=self.cluster_id,
            local_addresses=tuple(self.control_plane_addresses) if self.local else (),
        )
        joining = {w.name: node.user_data(join) for w in self.workers}
        forwarding = {
            i.name: proxy.user_data(self.conf, self.control_plane_addresses)
            for i in self.conf.instances
            if i.role == "proxy"
        }
        return {**joining, **forwarding}

    def _machine(self, instance: Instance, files: dict[str, MachineFile]) -> Machine:
        on_outpost = instance.where == "outpost"
        subnet = self.conf.outpost.subnet if on_outpost else self.conf.region.region_subnet
        nic = Nic(
            switch_netns=underlay.OND if on_outpost else underlay.EDGE,
            switch=underlay.SUBNET_SWITCH,
            address=f"{instance.address}/{subnet.prefixlen}",
            gateway=self.at.outpost_gateway if on_outpost else self.at.region_gateway,
            mac=self.account.mac_of(instance.name),
        )
        own_name = private_dns_name(str(instance.address), self.conf.region.name)
        hosts = f"127.0.0.1 localhost\n{instance.address} {own_name} {own_name.split('.')[0]}\n"
        common = {
            "/etc/cloud/cloud.cfg.d/05_logging.cfg": MachineFile(guest.text("logging.cfg")),
            # Its local stage looks for metadata before there is a network; here the network is there from the start.
            "/etc/systemd/system/cloud-init-local.service": MachineFile(target="/dev/null"),
            "/etc/hosts": MachineFile(hosts.encode()),
            "/etc/resolv.conf": MachineFile(
                f"nameserver {self.at.vpc_resolver}\noptions timeout:2 attempts:2\n".encode()
            ),
            "/etc/ssl/certs/ca-certificates.crt": MachineFile(self.aws_ca.certificate_pem),
        }
        spec = MachineSpec(
            instance.name,
            nic,
            files={**common, **files},
            binds={str(self.parts.bin_dir): "/opt/islanding/bin", str(self.parts.oci_dir): "/opt/islanding/images"},
        )
        return Machine(
            spec,
            lab_id=self.id,
            folder=self.folder / "machines" / instance.name,
            logs=self.logs,
            image=self.parts.image,
            on_halt=self.account.machine_halted,
        )

    def _control_plane(self) -> None:
        for instance in self.control_plane_instances:
            kubernetes.wait_for_api(self.machines[instance.name])
        kubernetes.install_service_objects(self)
        self.account.activate_cluster()
        kubernetes.write_kubeconfigs(self)
        kubernetes.map_node_role(self)
