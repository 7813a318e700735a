"""What makes a machine a node: runtime, kubelet, kube-proxy as units, and the user data that joins it. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from islanding.lab import guest
from islanding.lab.machine import MachineFile
from islanding.siteconf import ClusterConf


@dataclass(frozen=True)
class JoinInfo:
    """What a node's user data must say: cluster, endpoint URL, CA (PEM), and addresses of a local control plane."""

    cluster: str
    endpoint: str
    ca_pem: bytes
    cluster_id: str = ""  # of a local cluster
    local_addresses: tuple[str, ...] = ()


def user_data(join: JoinInfo) -> str:
    """The user data of a self-managed worker, as the EKS guide gives it (docs/facts.md 1)."""
    command = [
        "/etc/eks/bootstrap.sh",
        join.cluster,
        f"--apiserver-endpoint {join.endpoint}",
        f"--b64-cluster-ca {base64.b64encode(join.ca_pem).decode()}",
    ]
    if join.local_addresses:
        command += [
            "--enable-local-outpost true",
            f"--cluster-id {join.cluster_id}",
            f"--ip-of-endpoint {','.join(join.local_addresses)}",
        ]
    return "#!/bin/bash\nset -e\n" + " \\\n  ".join(command) + "\n"


def runtime_files() -> dict[str, MachineFile]:
    """containerd with its configuration, as every machine with pods has it."""
    return {
        "/etc/containerd/config.toml": MachineFile(guest.text("containerd.toml")),
        "/etc/systemd/system/containerd.service": MachineFile(guest.text("containerd.service")),
        "/etc/systemd/system/kubelet.service": MachineFile(guest.text("kubelet.service")),
        "/etc/crictl.yaml": MachineFile(b"runtime-endpoint: unix:///run/containerd/containerd.sock\n"),
    }


def kubelet_config(cluster: ClusterConf | None = None) -> bytes:
    """The kubelet's configuration file; intervals in seconds come from the site, Kubernetes' own without one.

    `failCgroupV1`, `oomScoreAdj` and the eviction thresholds are what a kubelet needs inside a machine that shares its
    host's disk and may run on cgroup v1 (docs/measurements.md 3).
    """
    timers = cluster and {
        "nodeStatusUpdateFrequency": f"{cluster.node_status:g}s",
        "nodeLeaseDurationSeconds": cluster.node_lease,
    }
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        # An EKS node is known by its role's token all its life, and has no client certificate: join.sh says otherwise
        # for a local cluster.
        "rotateCertificates": cluster is not None,
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "oomScoreAdj": 0,
        **(timers or {}),
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "nodefs.available": "0%",
            "imagefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.inodesFree": "0%",
            "memory.available": "50Mi",
        },
        "resolvConf": "/etc/resolv.conf",
    }
    return yaml.safe_dump(config).encode()


def bootstrap_files() -> dict[str, MachineFile]:
    """The bootstrap script, and what it does at its end."""
    return {f"/etc/eks/{name}": MachineFile(guest.text(name), 0o755) for name in ("bootstrap.sh", "join.sh")}


def ami_files(region: str, aws_ca: bytes, max_pods: bytes = b"") -> dict[str, MachineFile]:
    """What the AMI of an instance has on its disk: all that joins it to a cluster when its user data says so.

    `aws_ca`: the certificate (PEM) by which AWS's host names are known; `max_pods`: the table of pods by instance type
    (eni-max-pods.txt of the VPC CNI). Images come from the registry, network plugin and kube-proxy from DaemonSets.
    """
    unit = "/etc/systemd/system"
    config = guest.text("containerd-registry.toml").replace(b"@REGION@", region.encode())
    executable = {
        "/etc/eks/containerd/pull-sandbox-image.sh": "pull-sandbox-image.sh",
        "/opt/aws/bin/cfn-signal": "cfn-signal",
    }
    plain = {
        f"{unit}/sandbox-image.service": "sandbox-image.service",
        f"{unit}/nodeadm.service": "nodeadm.service",
        f"{unit}/containerd.service.d/10-registry.conf": "containerd-registry.conf",
        "/etc/eks/image-credential-provider/config.json": "image-credential-provider.json",
        "/etc/cloud/cloud.cfg.d/05_logging.cfg": "logging.cfg",
        "/usr/lib/python3/dist-packages/DataSourceNitro.py": "nitro.py",
    }
    return {
        **runtime_files(),
        **bootstrap_files(),
        **{path: MachineFile(guest.text(name), 0o755) for path, name in executable.items()},
        **{path: MachineFile(guest.text(name)) for path, name in plain.items()},
        "/usr/bin/nodeadm": MachineFile(b"#!/usr/bin/python3\n" + guest.text("nodeadm.py"), 0o755),
        "/etc/containerd/config.toml": MachineFile(config),
        "/etc/eks/kubelet-config.yaml": MachineFile(kubelet_config()),
        "/etc/eks/eni-max-pods.txt": MachineFile(max_pods),
        "/etc/ssl/certs/ca-certificates.crt": MachineFile(aws_ca),
        "/etc/cloud/cloud.cfg.d/10_datasource.cfg": MachineFile(b"datasource_list: [Nitro]\n"),
        f"{unit}/cloud-init.target.wants/nodeadm.service": MachineFile(target=f"{unit}/nodeadm.service"),
        # Its local stage looks for metadata before there is a network; here the network is there from the start.
        f"{unit}/cloud-init-local.service": MachineFile(target="/dev/null"),
    }


def instance_files(private_dns_name: str, address: str, resolv_conf: bytes) -> dict[str, MachineFile]:
    """What an instance has of its own at its first boot: its name among its hosts, and what DHCP told it of DNS."""
    short, _, _ = private_dns_name.partition(".")
    hosts = f"127.0.0.1 localhost\n{address} {private_dns_name} {short}\n"
    return {"/etc/hosts": MachineFile(hosts.encode()), "/etc/resolv.conf": MachineFile(resolv_conf)}


def pod_ranges(cluster: ClusterConf, nodes: Sequence[str]) -> Mapping[str, str]:
    """A /24 of the pod range for each node, in order; raises ValueError when the range is too small."""
    subnets = list(cluster.pod_cidr.subnets(new_prefix=24))[1:] if cluster.pod_cidr.prefixlen < 24 else []
    if len(subnets) < len(nodes):
        raise ValueError(f"pod range {cluster.pod_cidr} is too small for {len(nodes)} nodes")
    return {node: str(subnet) for node, subnet in zip(nodes, subnets, strict=False)}


def worker_files(cluster: ClusterConf, address: str, workers: Mapping[str, str]) -> dict[str, MachineFile]:
    """The disk of a worker at `address`; `workers` maps each worker's address to its pod range."""
    bridge = {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": workers[address]}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    proxy = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": "/var/lib/kubelet/kubeconfig"},
        "clusterCIDR": str(cluster.pod_cidr),
        "hostnameOverride": "@NODE@",
        # A machine may not set the host's conntrack limits.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    routes = "".join(f"{pods} {node}\n" for node, pods in workers.items() if node != address)
    return {
        **runtime_files(),
        **bootstrap_files(),
        "/etc/eks/kubelet-config.yaml": MachineFile(kubelet_config(cluster)),
        "/etc/eks/kube-proxy.yaml": MachineFile(yaml.safe_dump(proxy).encode()),
        "/etc/eks/pod-routes": MachineFile(routes.encode()),
        "/etc/systemd/system/kube-proxy.service": MachineFile(guest.text("kube-proxy.service")),
        "/etc/systemd/system/pod-routes.service": MachineFile(guest.text("pod-routes.service")),
        "/etc/cni/net.d/10-pods.conflist": MachineFile(json.dumps(bridge).encode()),
    }
