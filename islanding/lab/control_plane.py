"""The control plane's machines: etcd, API server, controllers, scheduler and IAM authenticator as units. Pure.

What AWS does inside the EKS service is done here by laying files on the machines' disks before they boot. A local
cluster's control-plane machines run a kubelet too, and no pod network, which is why they show as NotReady there as well
(docs/facts.md 2).
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from islanding.lab import guest, node
from islanding.lab.machine import MachineFile, enabled
from islanding.lab.pki import Authority, Leaf, signing_key
from islanding.siteconf import ClusterConf

PORT = 443
PKI = "/etc/kubernetes/pki"
TAINT = "node-role.eks-local.amazonaws.com/control-plane"
_BIN = "/opt/islanding/bin"
_ETCD = "/var/lib/etcd"
_SHIP_LOGS = "/usr/local/sbin/ship-logs"
_WEBHOOK = "/var/lib/aws-iam-authenticator/webhook.kubeconfig"


@dataclass(frozen=True)
class ControlPlane:
    """A cluster's control plane: its CA, the name of its endpoint, and its machines as {name: address}."""

    cluster: ClusterConf
    ca: Authority
    endpoint_name: str
    machines: Mapping[str, str]
    local: bool
    token_id: str  # what an IAM token must name: the cluster's id when it is local, else its name
    region: str
    creator_arn: str  # the IAM identity that made the cluster: always an administrator, as on EKS
    extra_addresses: tuple[str, ...] = ()
    emulated_version: str = ""  # an older minor version whose API is served (KEP-4330); empty: the binaries' own

    @property
    def endpoint(self) -> str:
        return f"https://{self.endpoint_name}"

    @property
    def service_address(self) -> str:
        return str(self.cluster.service_cidr[1])

    def disks(self) -> dict[str, dict[str, MachineFile]]:
        """The files of every machine, by machine name."""
        shared = self._shared_files()
        etcd_ca = Authority.create("etcd")
        return {name: {**shared, **self._own_files(name, etcd_ca)} for name in self.machines}

    def kubeconfig(self, leaf: Leaf, server: str) -> bytes:
        """A kubeconfig with an embedded client certificate."""
        return kubeconfig(server, self.ca.certificate_pem, leaf)

    def _shared_files(self) -> dict[str, MachineFile]:
        private, public = signing_key()
        component = self.ca.issue
        secret: dict[str, bytes] = {
            f"{PKI}/ca.crt": self.ca.certificate_pem,
            f"{PKI}/ca.key": self.ca.key_pem,
            f"{PKI}/sa.key": private,
            f"{PKI}/sa.pub": public,
        }
        users = {
            "admin": ("islanding-admin", ["system:masters"]),
            "controller-manager": ("system:kube-controller-manager", []),
            "scheduler": ("system:kube-scheduler", []),
            "authenticator": ("aws-iam-authenticator", []),
        }
        for name, (user, groups) in users.items():
            leaf = component(user, groups, server=False, client=True)
            secret[f"{PKI}/{name}.kubeconfig"] = self.kubeconfig(leaf, f"https://127.0.0.1:{PORT}")
        kubelet_client = component("kube-apiserver", ["system:masters"], server=False, client=True)
        secret[f"{PKI}/kubelet-client.crt"] = kubelet_client.certificate_pem
        secret[f"{PKI}/kubelet-client.key"] = kubelet_client.key_pem
        files = {path: MachineFile(content, 0o600) for path, content in secret.items()}
        authenticator = {
            "clusterID": self.token_id,
            "server": {
                "mapRoles": [
                    {"roleARN": self.creator_arn, "username": "kubernetes-admin", "groups": ["system:masters"]}
                ]
            },
        }
        files["/etc/aws-iam-authenticator/config.yaml"] = MachineFile(yaml.safe_dump(authenticator).encode())
        return files

    def _own_files(self, name: str, etcd_ca: Authority) -> dict[str, MachineFile]:
        address = self.machines[name]
        server = self.ca.issue(
            "kube-apiserver",
            dns=[self.endpoint_name, "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
            ips=[*self.machines.values(), *self.extra_addresses, "127.0.0.1", self.service_address],
        )
        member = etcd_ca.issue(name, dns=[name, "localhost"], ips=[address, "127.0.0.1"], server=True, client=True)
        files = {
            f"{PKI}/apiserver.crt": MachineFile(server.certificate_pem),
            f"{PKI}/apiserver.key": MachineFile(server.key_pem, 0o600),
            f"{PKI}/etcd-ca.crt": MachineFile(etcd_ca.certificate_pem),
            f"{PKI}/etcd.crt": MachineFile(member.certificate_pem),
            f"{PKI}/etcd.key": MachineFile(member.key_pem, 0o600),
        }
        files[_SHIP_LOGS] = MachineFile(guest.text("ship_logs.py"), 0o755)
        for unit, text in self._units(name).items():
            files[f"/etc/systemd/system/{unit}.service"] = MachineFile(text.encode())
            files |= enabled(unit)
        if self.local:
            files |= self._kubelet_files(name)
        return files

    def _kubelet_files(self, name: str) -> dict[str, MachineFile]:
        address = self.machines[name]
        node_name = private_dns_name(address, self.region)
        leaf = self.ca.issue(f"system:node:{node_name}", ["system:nodes"], server=False, client=True)
        arguments = shlex.join(
            [
                f"--node-ip={address}",
                f"--hostname-override={node_name}",
                f"--kubeconfig={PKI}/kubelet.kubeconfig",
                f"--register-with-taints={TAINT}:NoSchedule",
            ]
        )
        return {
            **node.runtime_files(),
            **enabled("containerd", "kubelet"),
            f"{PKI}/kubelet.kubeconfig": MachineFile(self.kubeconfig(leaf, f"https://127.0.0.1:{PORT}"), 0o600),
            "/etc/kubernetes/kubelet/config.yaml": MachineFile(node.kubelet_config(self.cluster)),
            "/etc/eks/kubelet.env": MachineFile(f"KUBELET_ARGS={arguments}\n".encode()),
        }

    def _units(self, name: str) -> dict[str, str]:
        return {
            "etcd": _unit("etcd key-value store", self._etcd(name), kind="notify"),
            "aws-iam-authenticator": _unit(
                "IAM authenticator", self._authenticator(), before=f"mkdir -p {_WEBHOOK_DIR}"
            ),
            "kube-apiserver": _unit(
                "Kubernetes API server",
                self._apiserver(name),
                kind="notify",
                # The API server exits without the webhook's kubeconfig, which the authenticator writes:
                # docs/measurements.md 3.
                before=f"for i in $$(seq 300); do [ -s {_WEBHOOK} ] && exit 0; sleep 0.1; done; exit 1",
            ),
            "kube-controller-manager": _unit("Kubernetes controller manager", self._controller_manager()),
            "kube-scheduler": _unit("Kubernetes scheduler", self._scheduler()),
            "ship-logs": _unit("Control plane's logs to CloudWatch Logs", self._ship_logs()),
        }

    @property
    def log_group(self) -> str:
        """Where the control plane's logs go, as EKS names it."""
        return f"/aws/eks/{self.cluster.name}/cluster"

    def _ship_logs(self) -> list[str]:
        shipped = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "aws-iam-authenticator"]
        return ["/usr/bin/python3", _SHIP_LOGS, self.log_group, self.region, *shipped]

    def _etcd(self, name: str) -> list[str]:
        address = self.machines[name]
        tls = [f"--{side}{part}-file={PKI}/etcd{suffix}" for side in ("", "peer-") for part, suffix in _ETCD_FILES]
        return [
            f"{_BIN}/etcd",
            f"--name={name}",
            f"--data-dir={_ETCD}",
            "--listen-client-urls=https://127.0.0.1:2379",
            "--advertise-client-urls=https://127.0.0.1:2379",
            f"--listen-peer-urls=https://{address}:2380",
            f"--initial-advertise-peer-urls=https://{address}:2380",
            "--initial-cluster=" + ",".join(f"{n}=https://{a}:2380" for n, a in self.machines.items()),
            "--initial-cluster-state=new",
            *tls,
            "--client-cert-auth",
            "--peer-client-cert-auth",
            # On a machine whose cores are full a leader is late by more than etcd's 100 ms, and each election makes it
            # later still (docs/measurements.md 13). One to ten is the ratio of etcd's own 100 ms and 1 s.
            "--heartbeat-interval=300",
            "--election-timeout=3000",
            "--unsafe-no-fsync",  # the lab's disk outlives a power cycle of the machine, not of the host
            "--log-level=warn",
        ]

    def _authenticator(self) -> list[str]:
        return [
            f"{_BIN}/aws-iam-authenticator",
            "server",
            "--config=/etc/aws-iam-authenticator/config.yaml",
            f"--state-dir={_WEBHOOK_DIR}",
            f"--generate-kubeconfig={_WEBHOOK}",
            "--backend-mode=MountedFile,EKSConfigMap",
            f"--kubeconfig={PKI}/authenticator.kubeconfig",
        ]

    def _apiserver(self, name: str) -> list[str]:
        return [
            f"{_BIN}/kube-apiserver",
            "--etcd-servers=https://127.0.0.1:2379",
            f"--etcd-cafile={PKI}/etcd-ca.crt",
            f"--etcd-certfile={PKI}/etcd.crt",
            f"--etcd-keyfile={PKI}/etcd.key",
            f"--advertise-address={self.machines[name]}",
            f"--secure-port={PORT}",
            f"--tls-cert-file={PKI}/apiserver.crt",
            f"--tls-private-key-file={PKI}/apiserver.key",
            f"--client-ca-file={PKI}/ca.crt",
            f"--service-account-issuer={self.endpoint}",
            f"--service-account-key-file={PKI}/sa.pub",
            f"--service-account-signing-key-file={PKI}/sa.key",
            f"--service-cluster-ip-range={self.cluster.service_cidr}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            f"--kubelet-client-certificate={PKI}/kubelet-client.crt",
            f"--kubelet-client-key={PKI}/kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-admission-plugins=NodeRestriction",
            f"--authentication-token-webhook-config-file={_WEBHOOK}",
            f"--default-not-ready-toleration-seconds={self.cluster.eviction}",
            f"--default-unreachable-toleration-seconds={self.cluster.eviction}",
            *self._emulation(),
        ]

    def _controller_manager(self) -> list[str]:
        grace = f"{self.cluster.node_grace:g}s"
        return [
            f"{_BIN}/kube-controller-manager",
            f"--kubeconfig={PKI}/controller-manager.kubeconfig",
            f"--cluster-signing-cert-file={PKI}/ca.crt",
            f"--cluster-signing-key-file={PKI}/ca.key",
            f"--root-ca-file={PKI}/ca.crt",
            f"--service-account-private-key-file={PKI}/sa.key",
            "--use-service-account-credentials",
            f"--node-monitor-grace-period={grace}",
            f"--large-cluster-size-threshold={self.cluster.large_cluster_size_threshold}",
            *self._leader_election(),
            *self._emulation(),
        ]

    def _scheduler(self) -> list[str]:
        return [
            f"{_BIN}/kube-scheduler",
            f"--kubeconfig={PKI}/scheduler.kubeconfig",
            *self._leader_election(),
            *self._emulation(),
        ]

    def _emulation(self) -> list[str]:
        return [f"--emulated-version={self.emulated_version}"] if self.emulated_version else []

    def _leader_election(self) -> list[str]:
        return [] if len(self.machines) > 1 else ["--leader-elect=false"]


_WEBHOOK_DIR = "/var/lib/aws-iam-authenticator"
_ETCD_FILES = (("cert", ".crt"), ("key", ".key"), ("trusted-ca", "-ca.crt"))


def private_dns_name(address: str, region: str) -> str:
    """The name that EC2 gives an instance, which EKS uses as the node's name."""
    return f"ip-{address.replace('.', '-')}.{region}.compute.internal"


def kubeconfig(server: str, ca_pem: bytes, leaf: Leaf) -> bytes:
    """A kubeconfig with everything embedded."""

    def b64(data: bytes) -> str:
        return base64.b64encode(data).decode()

    user = {"client-certificate-data": b64(leaf.certificate_pem), "client-key-data": b64(leaf.key_pem)}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": {"server": server, "certificate-authority-data": b64(ca_pem)}}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
            "current-context": "context",
        }
    ).encode()


def _unit(description: str, command: Sequence[str], *, kind: str = "exec", before: str = "") -> str:
    start = f"ExecStartPre=/bin/sh -c '{before}'\n" if before else ""
    return f"""\
[Unit]
Description={description}
After=network.target
StartLimitIntervalSec=0

[Service]
Type={kind}
Environment=PATH={_BIN}:/usr/sbin:/usr/bin:/sbin:/bin
{start}ExecStart={shlex.join(command)}
Restart=always
RestartSec=300ms
TimeoutStartSec=120
TimeoutStopSec=5

[Install]
WantedBy=multi-user.target
"""
