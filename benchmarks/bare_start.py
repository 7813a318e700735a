"""The bare start: the parts of outpost-local started by one plain script, which the lab's bring-up is measured against.

In it: the machine's networks; moto as the Region's API over TLS; three FRR routers and their sessions; three dnsmasq;
and as bare processes, six nodes with three etcd, three kube-apiserver, controller managers, schedulers and
authenticators, six containerd and kubelet, three kube-proxy; the container images imported on each node; nginx three
times. Configuration, certificates and command lines are the lab's own. It is ready when the same holds as for the lab:
sessions established, six nodes registered, workers Ready, the workload answering at each worker's node port.

Not in it: systemd, cloud-init, sshd, the metadata service, the AWS account's objects, joining by IAM (workers get a
certificate), desks with kubeconfigs, CloudWatch metrics, the journal.
"""

from __future__ import annotations

import shlex
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from benchmarks import throwaway
from benchmarks.bare_node import BareNode
from islanding import siteconf
from islanding.lab import dns, kernel, namespaces, node, parts, underlay
from islanding.lab.control_plane import PKI, ControlPlane, kubeconfig, private_dns_name
from islanding.lab.kubernetes import service_objects
from islanding.lab.machine import MachineFile
from islanding.lab.pki import Authority
from islanding.lab.plan import Bridge, End, Link, Namespace, NetworkPlan, Route, joined
from islanding.lab.region.server import Region, host_names
from islanding.lab.router import Router
from islanding.lab.vpc.outside import AWS, INTERNET, beyond
from islanding.process import Result, run
from islanding.wait import wait_until

SITE = "outpost-local"
SWITCH = "vpc"  # of the Outpost's subnet
ENDPOINT = "0123456789ABCDEF0123456789ABCDEF.gr7.ap-northeast-1.eks.amazonaws.com"


class BareStart:
    """The parts of one site, started with as little around them as can be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.path = siteconf.find(SITE)
        self.conf = siteconf.load(self.path)
        self.at = underlay.addresses(self.conf)
        self.parts = parts.find()
        self.ca = Authority.create("Kubernetes CA")
        self.plane = {i.name: str(i.address) for i in self.conf.instances if i.role == "control-plane"}
        self.workers = {i.name: str(i.address) for i in self.conf.instances if i.role == "worker"}
        self.pool = ThreadPoolExecutor(max_workers=8)
        self.marks: dict[str, float] = {}
        self._begun = time.monotonic()

    def up(self) -> None:
        """Start everything and wait until the site is ready."""
        region = self.pool.submit(self.region)
        kernel.apply(joined([underlay.site_plan(self.conf), self.switch()]))
        routers = self.pool.submit(self.routers)
        names = {name: [self.at.aws_api] for name in host_names(self.conf.region.name)}
        places = (
            (AWS, self.at.public_dns),
            (underlay.RESOLVER, str(self.conf.resolver.address)),
        )
        for netns, address in places:
            dns.start(dns.ResolverConfig(netns, address, names, ("amazonaws.com",)), self.logs)
        self.start_nodes(self.control_plane_files())
        for name, address in self.plane.items():
            self.answers(f"https://{address}/readyz", "--insecure", place=name)
        self.mark("control plane answers")
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(service_objects()))
        self.start_nodes({name: self.worker_files(name) for name in self.workers})
        self.nodes_ready()
        self.mark("workers ready")
        routers.result()
        region.result()
        self.workload()
        self.mark("workload answers")

    def switch(self) -> NetworkPlan:
        """The Outpost's subnet as a plain switch, in the place of a VPC, and its way to the Region."""
        subnet = self.conf.outpost.subnet
        return NetworkPlan(
            bridges=(Bridge(underlay.OND, SWITCH, (f"{subnet[1]}/{subnet.prefixlen}",)),),
            routes=(
                Route(underlay.EDGE, str(subnet), via=underlay.TUNNEL_ENDS[0]),
                beyond(INTERNET, str(subnet), underlay.EDGE_PORT),
            ),
        )

    def mark(self, name: str) -> None:
        """Note how many seconds after the start something was there."""
        self.marks[name] = round(time.monotonic() - self._begun, 2)

    def region(self) -> None:
        """Moto, warm, at the Region's address."""
        region = Region(self.conf.region.account, self.conf.region.name, self.logs / "region.jsonl")
        region.warm().join()
        authority = Authority.create("AWS CA")
        leaf = authority.issue("aws", dns=host_names(self.conf.region.name))
        certificate, key = self.folder / "api.crt", self.folder / "api.key"
        certificate.write_bytes(leaf.certificate_pem)
        key.touch(mode=0o600)
        key.write_bytes(leaf.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        there = wait_until("the Region's network", (namespaces.NETNS / AWS).exists, timeout=10)
        if there:
            listener = wait_until(
                "the Region's address",
                lambda: namespaces.listener_in(AWS, self.at.aws_api, 443),
                timeout=10,
            )
            region.serve(listener, context)

    def routers(self) -> None:
        """FRR, until every session is established."""
        routers = [Router(config, self.logs) for config in underlay.router_configs(self.conf)]
        for router in routers:
            router.start()
        wait_until(
            "BGP sessions",
            lambda: {state for router in routers for state in router.session_states().values()},
            timeout=30,
            interval=0.1,
            done=lambda states: states == {6},
        )

    def control_plane_files(self) -> dict[str, dict[str, MachineFile]]:
        """The lab's own files for the control plane's machines."""
        plane = ControlPlane(
            cluster=self.conf.cluster,
            ca=self.ca,
            endpoint_name=ENDPOINT,
            machines=self.plane,
            local=True,
            token_id=self.conf.cluster.name,
            region=self.conf.region.name,
            creator_arn=f"arn:aws:iam::{self.conf.region.account}:role/Creator",
        )
        return plane.disks()

    def worker_files(self, name: str) -> dict[str, MachineFile]:
        """The lab's own files for a worker, and what its bootstrap script would have written."""
        address = self.workers[name]
        ranges = node.pod_ranges(self.conf.cluster, [*self.workers.values()])
        files = node.worker_files(self.conf.cluster, address, ranges)
        own = self.node_name(address)
        leaf = self.ca.issue(f"system:node:{own}", ["system:nodes"], server=False, client=True)
        arguments = f"--node-ip={address} --hostname-override={own} --kubeconfig=/var/lib/kubelet/kubeconfig"
        proxy = files["/etc/eks/kube-proxy.yaml"].content.replace(b"@NODE@", own.encode())
        config = kubeconfig(f"https://{ENDPOINT}", self.ca.certificate_pem, leaf)
        return {
            **files,
            f"{PKI}/ca.crt": MachineFile(self.ca.certificate_pem),
            "/var/lib/kubelet/kubeconfig": MachineFile(config, 0o600),
            "/etc/kubernetes/kubelet/config.yaml": files["/etc/eks/kubelet-config.yaml"],
            "/etc/kubernetes/kube-proxy.yaml": MachineFile(proxy),
            "/etc/eks/kubelet.env": MachineFile(f"KUBELET_ARGS={arguments}\n".encode()),
        }

    def node_name(self, address: str) -> str:
        """The node's name in the cluster."""
        return private_dns_name(address, self.conf.region.name)

    def start_nodes(self, files: dict[str, dict[str, MachineFile]]) -> None:
        """Plug nodes in and start their parts."""
        list(self.pool.map(self._start_node, files, files.values()))

    def _start_node(self, name: str, files: dict[str, MachineFile]) -> None:
        address = {**self.plane, **self.workers}[name]
        prefix = self.conf.outpost.subnet.prefixlen
        mac = "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
        port = End(underlay.OND, f"p-{name}"[:15], bridge=SWITCH)
        inside = End(name, "eth0", addresses=(f"{address}/{prefix}",), mac=mac)
        default = Route(name, "default", via=str(self.conf.outpost.subnet[1]))
        kernel.apply(NetworkPlan(namespaces=(Namespace(name),), links=(Link(port, inside),), routes=(default,)))
        own = self.node_name(address)
        hosts = [f"127.0.0.1 localhost\n{address} {own}", *(f"{a} {ENDPOINT}" for a in self.plane.values())]
        common = {
            "/etc/hosts": MachineFile("\n".join([*hosts, ""]).encode()),
            "/etc/resolv.conf": MachineFile(f"nameserver {self.at.public_dns}\n".encode()),
        }
        binds = {str(self.parts.bin_dir): "/opt/islanding/bin", str(self.parts.oci_dir): "/opt/islanding/images"}
        bare = BareNode(name, self.folder.name, self.folder / "machines" / name, self.logs, self.parts.image, binds)
        bare.start({**common, **files})

    def answers(self, url: str, *options: str, place: str = "client") -> None:
        """Wait until a URL answers at a place."""
        wait_until(
            url,
            lambda: run(kernel.inside(place, ["curl", "-sf", "-m", "2", *options, url]), check=False).ok,
            timeout=120,
            interval=0.1,
        )

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 130, check: bool = True) -> Result:
        """Kubectl as administrator, in the network of the first control-plane node."""
        name = next(iter(self.plane))
        config = self.folder / "machines" / name / "upper" / PKI.lstrip("/") / "admin.kubeconfig"
        command = [str(self.parts.bin_dir / "kubectl"), f"--kubeconfig={config}", *arguments]
        return run(kernel.inside(name, command), stdin=stdin, timeout=timeout, check=check)

    def nodes_ready(self) -> None:
        """Wait until all six are registered and the workers Ready."""
        wanted = {f"node/{self.node_name(a)}" for a in (*self.plane.values(), *self.workers.values())}
        wait_until(
            "nodes to register",
            lambda: set(self.kubectl("get", "nodes", "-o", "name").stdout.split()),
            timeout=120,
            interval=0.3,
            done=lambda there: wanted <= there,
        )
        ready = [f"node/{self.node_name(a)}" for a in self.workers.values()]
        self.kubectl("wait", "--for=condition=Ready", *ready, "--timeout=120s")

    def workload(self) -> None:
        """Apply the site's manifest and wait until it answers at each worker."""
        workload = self.conf.workload
        wait_until(
            "the default service account",
            lambda: self.kubectl("get", "serviceaccount", "default", "--ignore-not-found", "-o", "name").stdout,
            timeout=60,
        )
        self.kubectl("apply", "-f", "-", stdin=(self.path.parent / workload.manifest).read_text())
        self.kubectl("rollout", "status", f"deployment/{workload.name}", "--timeout=120s")
        for address in self.workers.values():
            self.answers(f"http://{address}:{workload.node_port}/")


def main() -> None:
    """`python -m benchmarks.bare_start FOLDER`, in namespaces of its own."""
    folder = Path(sys.argv[1])
    throwaway.prepare(folder)
    sys.stderr.write(f"bare start: {shlex.join(sys.argv)}\n")
    bare = BareStart(folder)
    bare.up()
    throwaway.report(**bare.marks)


if __name__ == "__main__":
    main()
