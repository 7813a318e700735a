"""Bringing an Outpost's site up in the lab: routers, AWS with its stacks and cluster, workload, each step timed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from islanding.aws.provision import Provisioned, Provisioner
from islanding.journal import Journal
from islanding.lab import dns, guest, kernel, kubernetes, node, outpost_stacks, proxy, underlay
from islanding.lab.access import KEY_NAME
from islanding.lab.desk import Desk, OpenDesk
from islanding.lab.eks_hosted import Hosted, Timing
from islanding.lab.machine import MachineFile
from islanding.lab.parts.found import Parts
from islanding.lab.region.instances import InstanceState
from islanding.lab.region.metrics import LinkState
from islanding.lab.router import Router
from islanding.lab.steps import Steps
from islanding.lab.vpc.state import ServiceHost
from islanding.lab.world import World
from islanding.siteconf import Instance, SiteConf
from islanding.wait import wait_until

METRIC_INTERVAL = 1.0  # seconds; AWS publishes each minute
OPERATOR, STRANGER = "operator", "stranger"  # profiles of those at the desks
OPERATOR_ROLE, STRANGER_ROLE = "SiteOperator", "Stranger"
VIFS = {"service-link": "vif-servicelink", "local-gateway": "vif-localgateway"}
_IMAGES = "/opt/islanding/images"  # where a machine finds the images that it has from the start


class Lab:
    """A site coming up or running: everything the supervisor owns of it."""

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
        self.steps = Steps(conf.name, journal, self.logs)
        self.at = underlay.addresses(conf)
        self.local = conf.cluster.control_plane == "outpost"
        self.outpost_arn = outpost_stacks.outpost_arn(conf)
        self.routers = {c.name: Router(c, self.logs) for c in underlay.router_configs(conf)}
        self.desks: dict[str, OpenDesk] = {}
        self._pods = outpost_stacks.pod_ranges(conf)
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="bringup")
        self.world: World
        self.made: Provisioned

    # -- the steps, in order ---------------------------------------------------------------------------------------

    def up(self) -> None:
        """Bring everything up; returns when the site is ready. Raises LabError naming the step that failed."""
        aws = self._pool.submit(self._aws)
        with self.steps.step("network"):
            kernel.apply(underlay.site_plan(self.conf))
        routers = self._pool.submit(self._routers)
        with self.steps.step("desks"):
            for desk in self.conf.desks:
                self._desk(desk.name, str(self.conf.resolver.address))
        aws.result()
        with self.steps.step("AWS answers"):
            self._open()
        routers.result()
        self.world.region.feed(self.conf.outpost.id, self._links, METRIC_INTERVAL)
        with self.steps.step("stacks, cluster and access"):
            self.made = self._provision()
        with self.steps.step("workers ready"):
            kubernetes.wait_for_nodes(self)
        with self.steps.step("workload answers"):
            kubernetes.deploy_workload(self)
        self._name_logs()

    def _aws(self) -> None:
        conf = self.conf.cluster
        with self.steps.step("Region's API"):
            self.world = World(
                account=self.conf.region.account,
                region=self.conf.region.name,
                lab_id=self.id,
                folder=self.folder,
                logs=self.logs,
                parts=self.parts,
                journal=self.journal,
                profiles={OPERATOR: OPERATOR_ROLE, STRANGER: STRANGER_ROLE},
                ami=self._ami,
                timing=Timing(
                    node_grace=conf.node_grace,
                    eviction=conf.eviction,
                    large_cluster_size_threshold=conf.large_cluster_size_threshold,
                    node_status=conf.node_status,
                    node_lease=conf.node_lease,
                ),
                outside=underlay.outside(self.conf, self.outpost_arn),
                around=underlay.site_plan(self.conf),
                binds={str(self.parts.oci_dir): _IMAGES},
                seats=outpost_stacks.seats(self.conf),
                own_addons=False,
                manners=self.conf.lab.manners,
            )

    def _open(self) -> None:
        """AWS opens for business, with the site's Outpost and the key pair of its people."""
        outpost, zone = self.conf.outpost, self.conf.region.zone
        self.world.start()
        self.world.region.add_outpost(outpost.id, outpost.name, self.outpost_arn, "site", zone)
        key = self.world.access.ssh_public_key
        self.client("ec2").import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=key)

    def _routers(self) -> None:
        with self.steps.step("BGP sessions established"):
            for router in self.routers.values():
                router.start()
            wait_until(
                "all BGP sessions to be Established",
                lambda: {s for r in self.routers.values() for s in r.session_states().values()},
                timeout=kubernetes.PATIENCE,
                interval=0.1,
                done=lambda states: states == {6},
            )
            wait_until(
                "the service link to carry traffic to the Region",
                lambda: self.outpost_reaches_region(timeout=0.5),
                timeout=kubernetes.PATIENCE,
            )

    def outpost_reaches_region(self, timeout: float = 1.0) -> bool:
        """Whether the Outpost gets an answer from the Region's end of the service link: its heartbeat."""
        from islanding.lab.heartbeat import ping

        return ping(underlay.OND, underlay.TUNNEL_ENDS[1], timeout)

    def _links(self) -> LinkState:
        states = self.routers[underlay.OND].session_states()
        return LinkState(
            connected=self.outpost_reaches_region(),
            vifs={vif: states.get(session, 1) for session, vif in VIFS.items()},
            groups={VIFS["local-gateway"]: "vifgrp-localgateway"},
        )

    def _desk(self, name: str, resolver: str) -> None:
        self.desks[name] = Desk(name, self.folder / "desks" / name, resolver).open()

    def _provision(self) -> Provisioned:
        self.steps.provisioning()
        conf = outpost_stacks.stacks(self.conf)
        surroundings: dict[str, dict[str, str]] = {"key": {"name": KEY_NAME}, "edge": {}}
        provisioner = Provisioner(
            conf, self.site_folder, self.client, surroundings, self.steps.provisioned, poll=0.1, checked=False
        )
        return provisioner.provision(self._apply_as_creator)

    def _apply_as_creator(self, text: str, so_far: Provisioned) -> bool:
        """Apply YAML from the operator's desk, once the cluster can be reached from there."""
        if underlay.REGION not in self.desks:
            so_far.known["edge"] = {"user_data": proxy.encoded_user_data(self.conf, self.control_plane_addresses)}
            self._cluster_reached(so_far.known["network"]["ShellInterfaceId"])
        kubectl = [str(self.parts.bin_dir / "kubectl"), f"--kubeconfig={kubernetes.kubeconfig_path(self, OPERATOR)}"]
        return kubernetes.at_desk(self, self._first_desk, [*kubectl, "apply", "-f", "-"], stdin=text).ok

    @property
    def _first_desk(self) -> str:
        """Where aws-auth is applied: an extended cluster is reached from the LAN only when the edge's machine is up."""
        return kubernetes.OPERATOR if self.local else underlay.REGION

    def _cluster_reached(self, interface: str) -> None:
        """The site's own resolver, kubeconfigs, and somebody who sits in the Region and sees that side of a cut."""
        # It knows the cluster's endpoint by itself, as the EKS guide advises for disconnects.
        name = self.endpoint_name
        known = {name: self.control_plane_addresses}
        address = str(self.conf.resolver.address)
        dns.start(
            dns.ResolverConfig(underlay.RESOLVER, address, known, (name,), upstream=self.at.public_dns), self.logs
        )
        self.world.guests[interface] = ServiceHost(underlay.REGION, self.at.shell)
        self.world.plane.reconcile("a shell in the VPC")
        kubernetes.write_kubeconfigs(self)
        self._desk(underlay.REGION, self.at.vpc_resolver)

    def _name_logs(self) -> None:
        """Let people find a machine's logs by its name."""
        for instance in self.conf.instances:
            for kind in (".journal", ".console.log"):
                kept = self.machine_name(instance) + kind
                if (self.logs / kept).exists():
                    (self.logs / f"{instance.name}{kind}").symlink_to(kept)

    # -- what others ask -------------------------------------------------------------------------------------------

    def client(self, service: str) -> Any:
        """A boto3 client as the operator, by the runner's own path."""
        return self.world.access.client(service, OPERATOR)

    @property
    def hosted(self) -> Hosted:
        """The cluster as the EKS service hosts it."""
        return self.world.eks.hosted(self.conf.cluster.name)

    @property
    def endpoint_name(self) -> str:
        return self.hosted.endpoint_name

    @property
    def token_id(self) -> str:
        """What an IAM token for this cluster must name: a local one is known by its id, any other by its name."""
        return self.hosted.cluster_id or self.conf.cluster.name

    @property
    def control_plane_addresses(self) -> list[str]:
        return list(self.hosted.addresses)

    @property
    def workers(self) -> tuple[Instance, ...]:
        return outpost_stacks.workers(self.conf)

    def machine_name(self, instance: Instance) -> str:
        """The machine that an instance of the site is: its id, or the EKS service's own machine."""
        if instance.where == "region":
            return self.hosted.host
        return self.instance_id(instance.name)

    def instance_id(self, name: str) -> str:
        """The id of an instance by its name."""
        return next(s.id for s in self.world.region.instances() if s.name == name)

    def _ami(self, state: InstanceState) -> dict[str, MachineFile]:
        """What an instance's image holds: on a worker, container runtime, kubelet and a network of bridges for pods."""
        common = {
            "/etc/cloud/cloud.cfg.d/05_logging.cfg": MachineFile(guest.text("logging.cfg")),
            # Its local stage looks for metadata before there is a network; here the network is there from the start.
            "/etc/systemd/system/cloud-init-local.service": MachineFile(target="/dev/null"),
            "/etc/ssl/certs/ca-certificates.crt": MachineFile(self.world.aws_ca.certificate_pem),
        }
        # Two attempts and not the five that DHCP's options lead to: what fails in a cut is seen sooner.
        resolver = f"nameserver {self.at.vpc_resolver}\noptions timeout:2 attempts:2\n"
        common["/etc/resolv.conf"] = MachineFile(resolver.encode())
        if state.private_address not in self._pods:
            return common
        return {**common, **node.worker_files(self.conf.cluster, state.private_address, self._pods)}
