"""The images of AWS's own registry that a node needs: VPC CNI, kube-proxy, CoreDNS, pause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from islanding.lab.images import Entry, Image

# The account of AWS's own registry in most Regions (EKS user guide, "View Amazon container image registries").
ACCOUNT = "602401143452"
VPC_CNI = "amazon-k8s-cni:v1.23.2"
VPC_CNI_INIT = "amazon-k8s-cni-init:v1.23.2"
KUBE_PROXY = "eks/kube-proxy:v1.36.3"
COREDNS = "eks/coredns:v1.15.0"
PAUSE = "eks/pause:1"

_SHELL_TOOLS = ("sh", "cat", "ls", "sleep", "ps", "ip", "nc", "env")
_IPTABLES = ("iptables", "iptables-save", "iptables-restore")
_COMMANDS = tuple(f"{prefix}{name[len('iptables') :]}" for prefix in ("iptables", "ip6tables") for name in _IPTABLES)
# Programs by their place in the image; the names on the right are those of the part sets.
_AGENT = {
    "aws-k8s-agent": "aws-k8s-agent",
    "aws-vpc-cni": "aws-vpc-cni",
    "aws-cni": "routed-eni-cni-plugin",
    "egress-cni": "egress-cni-plugin",
    "grpc-health-probe": "grpc-health-probe",
}
_INIT = ("aws-vpc-cni-init", "loopback", "host-local", "portmap")


def registry(region: str) -> str:
    """The host name of AWS's own registry in `region`."""
    return f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"


def programs() -> tuple[str, ...]:
    """The names of the built programs that the images hold."""
    return (*_AGENT.values(), *_INIT, "kube-proxy", "coredns", "pause")


def system_images(
    binaries: Mapping[str, bytes], upstream: Mapping[str, bytes], packet_filter: Sequence[Entry]
) -> tuple[Image, ...]:
    """All images, named `repository:tag` without a registry.

    `binaries` are the programs by name, `upstream` the files `10-aws.conflist` and `eni-max-pods.txt`, `packet_filter`
    the files of iptables, nft, conntrack and busybox: one layer that the CNI and kube-proxy share, as on AWS.
    """
    base = (
        *packet_filter,
        *(Entry(f"usr/bin/{tool}", link="busybox") for tool in _SHELL_TOOLS),
        *(Entry(f"usr/sbin/{name}", link="xtables-nft-multi") for name in _COMMANDS),
        Entry("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", mode=0o644),
        Entry("etc/group", b"root:x:0:\n", mode=0o644),
        *(Entry(folder) for folder in ("etc/ssl/certs", "run", "var/log")),
        Entry("var/run", link="../run"),
        Entry("tmp", mode=0o1777),
    )
    agent = (
        *(Entry(f"app/{name}", binaries[program]) for name, program in _AGENT.items()),
        *(Entry(f"app/{name}", data, mode=0o644) for name, data in upstream.items()),
    )
    init = tuple(Entry(f"init/{name}", binaries[name]) for name in _INIT)
    proxy = (Entry("usr/local/bin/kube-proxy", binaries["kube-proxy"]),)
    path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    tmp = Entry("tmp", mode=0o1777)
    return (
        Image(VPC_CNI, (base, agent), ("/app/aws-vpc-cni",), {"PATH": f"{path}:/app"}, working_dir="/app"),
        Image(VPC_CNI_INIT, ((*init, tmp),), ("/init/aws-vpc-cni-init",), {"PATH": "/init"}, working_dir="/init"),
        Image(KUBE_PROXY, (base, proxy), ("/usr/local/bin/kube-proxy",), {"PATH": path}),
        Image(COREDNS, ((Entry("coredns", binaries["coredns"]), tmp),), ("/coredns",), ports=("53/tcp", "53/udp")),
        Image(PAUSE, ((Entry("pause", binaries["pause"]),),), ("/pause",)),
    )
