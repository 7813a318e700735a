"""Outcomes of a node's way into the cluster: how far it came, told from its own logs and from the cluster's view.

Phases in their order: boot, introspection (the EKS API, when endpoint and CA were not given), instance details (the EC2
API), the Kubernetes API by name and by packet, registration, network plugin, Ready (islanding.outcomes.state.READY). A
log holds the failures of earlier phases that were overcome: the latest phase that the text speaks of is the answer.
"""

from __future__ import annotations

from islanding.outcomes.pattern import Outcome, Pattern

NODE_JOIN = "node-join"

_CNI = r"cni config uninitialized|cni plugin not initialized"
_UNAUTHORIZED = (
    r"Unable to register node[^\n]*Unauthorized|Attempting to register node[^\n]*Unauthorized"
    r"|Failed to ensure lease exists[^\n]*Unauthorized|Unauthorized\"? node="
)
_ANY = r"(?:i/o timeout|context deadline exceeded|connection timed out|Client\.Timeout|TLS handshake timeout)"
_API = (
    r"(?:Unable to register node|Unable to write event|Failed to ensure lease|error getting node|Failed to watch"
    r"|failed to list|waiting for CSINode publishing|Failed to create CSR|certificate signing request)"
)
_API_SILENT = rf"{_API}[^\n]*dial tcp \d[\d.]*:\d+: {_ANY}"
_API_NAME = rf"{_API}[^\n]*dial tcp: lookup \S+"
_INSTANCE = r"operation error EC2: DescribeInstances|DescribeInstances[^\n]*(?:timeout|deadline)"
_EKS_HOST = r"https://eks\.[\w-]+\.(?:amazonaws\.com|api\.aws)"
_INTROSPECTION = (
    rf"(?:Connect|Read) timeout on endpoint URL: \"{_EKS_HOST}|Could not connect to the endpoint URL: \"{_EKS_HOST}"
    r"|operation error EKS: DescribeCluster|eks describe-cluster[^\n]*(?:timed out|timeout)"
)


def _join(regex: str, example: str, component: str, source: str, later: tuple[str, ...] = ()) -> Pattern:
    """A pattern of one phase that leaves texts alone which speak of a later phase."""
    unless = rf"\A(?!(?s:.*)(?:{'|'.join(later)}))(?s:.*)" if later else ""
    return Pattern((NODE_JOIN,), f"{unless}(?:{regex})", example, component, source)


NODE_NOT_BOOTED = Outcome(
    "NODE_NOT_BOOTED",
    ok=False,
    meaning="The instance is not running, or did not get as far as its own log.",
    patterns=(
        _join(r"\ABOOT: ", "BOOT: i-0abc is pending", "EC2 DescribeInstances", "islanding/probes: phase of a join"),
    ),
)
USER_DATA_FAILED = Outcome(
    "USER_DATA_FAILED",
    ok=False,
    meaning="cloud-init ran the user data and it ended with an error of its own.",
    patterns=(
        _join(
            r"Failed to run module scripts[-_]user",
            "cc_scripts_user.py[WARNING]: Failed to run module scripts-user (scripts in "
            "/var/lib/cloud/instance/scripts)",
            "cloud-init",
            "cloud-init, config/cc_scripts_user.py",
            (_CNI, _UNAUTHORIZED, _API_SILENT, _API_NAME, _INSTANCE, _INTROSPECTION),
        ),
    ),
)
INTROSPECTION_TIMEOUT = Outcome(
    "INTROSPECTION_TIMEOUT",
    ok=False,
    meaning="The bootstrap asked the EKS API for endpoint and CA, and there is no way to the EKS API.",
    patterns=(
        _join(
            _INTROSPECTION,
            'Connect timeout on endpoint URL: "https://eks.ap-northeast-1.amazonaws.com/clusters/closed"',
            "aws eks describe-cluster (botocore), run by bootstrap.sh",
            "docs/facts.md 1: aws/containers-roadmap 745",
            (_CNI, _UNAUTHORIZED, _API_SILENT, _API_NAME, _INSTANCE),
        ),
    ),
)
INSTANCE_DETAILS_TIMEOUT = Outcome(
    "INSTANCE_DETAILS_TIMEOUT",
    ok=False,
    meaning="The bootstrap asked the EC2 API about its own instance, and there is no way to the EC2 API.",
    patterns=(
        _join(
            _INSTANCE,
            "operation error EC2: DescribeInstances, https response error StatusCode: 0, RequestID: , canceled, "
            "context "
            "deadline exceeded",
            "nodeadm",
            "docs/facts.md 1: awslabs/amazon-eks-ami 2423, 2436",
            (_CNI, _UNAUTHORIZED, _API_SILENT, _API_NAME),
        ),
    ),
)
NODE_API_NAME_NOT_RESOLVED = Outcome(
    "NODE_API_NAME_NOT_RESOLVED",
    ok=False,
    meaning="kubelet cannot turn the name of the cluster's endpoint into an address.",
    patterns=(
        _join(
            _API_NAME,
            '"Unable to register node with API server" err="Post \\"https://api.example.test/api/v1/nodes\\": dial '
            "tcp: "
            'lookup api.example.test on 10.0.0.2:53: no such host" node="w1"',
            "kubelet",
            "Go's net resolver, in kubelet",
            (_CNI, _UNAUTHORIZED, _API_SILENT),
        ),
    ),
)
NODE_API_UNREACHABLE = Outcome(
    "NODE_API_UNREACHABLE",
    ok=False,
    meaning="kubelet gets no packet back from the cluster's endpoint.",
    patterns=(
        _join(
            _API_SILENT,
            '"Unable to register node with API server" err="Post \\"https://api.example.test/api/v1/nodes\\": dial tcp '
            '10.0.1.10:443: i/o timeout" node="w1"',
            "kubelet",
            "Go's net dialer, in kubelet",
            (_CNI, _UNAUTHORIZED),
        ),
    ),
)
NODE_UNAUTHORIZED = Outcome(
    "NODE_UNAUTHORIZED",
    ok=False,
    meaning="The control plane does not know the node's role: aws-auth or an access entry lacks it.",
    patterns=(
        _join(
            _UNAUTHORIZED,
            'kubelet_node_status.go:115] "Unable to register node with API server" err="Unauthorized" node="w1"',
            "kubelet",
            "docs/facts.md 1 (User Guide, troubleshooting)",
            (_CNI,),
        ),
    ),
)
CNI_UNINITIALIZED = Outcome(
    "CNI_UNINITIALIZED",
    ok=False,
    meaning="The node is registered and stays NotReady: its network plugin has not started.",
    patterns=(
        _join(
            _CNI,
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network "
            "plugin "
            "returns error: cni plugin not initialized",
            "kubelet (text of containerd's CRI status)",
            "docs/facts.md 1 (User Guide, troubleshooting); docs/measurements.md",
        ),
    ),
)
NODE_ABSENT = Outcome(
    "NODE_ABSENT",
    ok=False,
    meaning="The cluster has no node of that instance, and nothing else was seen.",
    patterns=(
        _join(
            r"\AABSENT: ",
            "ABSENT: no node of i-0abc",
            "kubectl get nodes",
            "islanding/probes: phase of a join",
            (_CNI, _UNAUTHORIZED, _API_SILENT, _API_NAME, _INSTANCE, _INTROSPECTION, "Failed to run module scripts"),
        ),
    ),
)

JOIN = (
    NODE_NOT_BOOTED,
    USER_DATA_FAILED,
    INTROSPECTION_TIMEOUT,
    INSTANCE_DETAILS_TIMEOUT,
    NODE_API_NAME_NOT_RESOLVED,
    NODE_API_UNREACHABLE,
    NODE_UNAUTHORIZED,
    CNI_UNINITIALIZED,
    NODE_ABSENT,
)
