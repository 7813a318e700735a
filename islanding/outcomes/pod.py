"""Outcomes of starting a pod: scheduled or not, given an address or not, its image pulled or not, running.

The text is what `kubectl describe pod` shows: the scheduler's and kubelet's events.
"""

from __future__ import annotations

from islanding.outcomes.pattern import Exit, Outcome, Pattern

POD_START = "pod-start"

_NO_ADDRESS = r"failed to assign an IP address to container"
_IPAMD = r"ipamd\.sock: connect: connection refused|127\.0\.0\.1:50051: connect: connection refused"
_SUBNET = r"InsufficientFreeAddressesInSubnet|InsufficientCidrBlocks|InsufficientFreeAddresses"
_LAB = "tried by hand with the Amazon VPC CNI 1.23.2"


def _pod(regex: str, example: str, component: str, source: str, ended: Exit = "not zero") -> Pattern:
    return Pattern((POD_START,), regex, example, component, source, ended)


RUNNING = Outcome(
    "RUNNING",
    ok=True,
    meaning="The pod runs and its containers are ready.",
    patterns=(_pod(r"\A", "Running 1/1 10.0.2.40", "kubelet", "islanding/probes", "zero"),),
)
NO_ADDRESS = Outcome(
    "NO_ADDRESS",
    ok=False,
    meaning="The network plugin had no address for the pod: the node's limit, a full subnet, or no way to the EC2 API.",
    patterns=(
        _pod(
            rf"\A(?!(?s:.*)(?:{_SUBNET}))(?s:.*){_NO_ADDRESS}",
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
            '"4f": plugin '
            'type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container',
            "Amazon VPC CNI 1.23.2, through kubelet's event",
            _LAB,
        ),
    ),
)
SUBNET_FULL = Outcome(
    "SUBNET_FULL",
    ok=False,
    meaning="EC2 says that the subnet has no free address left.",
    patterns=(
        _pod(
            _SUBNET,
            "InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses to satisfy "
            "the "
            "request.",
            "EC2, through the Amazon VPC CNI's log",
            "EC2 API reference, client error codes",
        ),
    ),
)
POD_NETWORK_NOT_READY = Outcome(
    "POD_NETWORK_NOT_READY",
    ok=False,
    meaning="The node's network plugin does not run: no pod that needs an address can start there.",
    patterns=(
        _pod(
            rf"{_IPAMD}|network is not ready: container runtime network not ready",
            'Failed to create pod sandbox: plugin type="aws-cni" name="aws-cni" failed (add): add cmd: Error '
            "received from "
            'AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = "transport: Error '
            "while "
            'dialing: dial unix /var/run/aws-node/ipamd.sock: connect: connection refused"',
            "Amazon VPC CNI 1.23.2, through kubelet's event",
            _LAB,
        ),
    ),
)
TOO_MANY_PODS = Outcome(
    "TOO_MANY_PODS",
    ok=False,
    meaning="The scheduler found no node with room: each has as many pods as its kubelet's limit (maxPods).",
    patterns=(
        _pod(
            r"nodes are available:[^\n]*\d+ Too many pods",
            "0/2 nodes are available: 2 Too many pods. preemption: 0/2 nodes are available: 2 No preemption victims "
            "found "
            "for incoming pod.",
            "kube-scheduler",
            "kubernetes/kubernetes, pkg/scheduler/framework/plugins/noderesources",
        ),
    ),
)
POD_UNSCHEDULABLE = Outcome(
    "POD_UNSCHEDULABLE",
    ok=False,
    meaning="The scheduler found no node for the pod, for another reason than the number of pods.",
    patterns=(
        _pod(
            r"\A(?!(?s:.*)Too many pods)(?s:.*)(?:nodes are available:|no nodes available to schedule pods)",
            "0/2 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
            "kube-scheduler",
            "kubernetes/kubernetes, pkg/scheduler/framework/types.go (FitError)",
        ),
    ),
)
POD_IMAGE_NOT_PULLED = Outcome(
    "POD_IMAGE_NOT_PULLED",
    ok=False,
    meaning="The pod is at its node and has its address; its image does not come.",
    patterns=(
        _pod(
            r"ImagePullBackOff|ErrImagePull|Failed to pull image|Back-off pulling image",
            'Failed to pull image "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1": failed to resolve image',
            "kubelet",
            "kubernetes/kubernetes, pkg/kubelet/images",
        ),
    ),
)
POD_CRASHED = Outcome(
    "POD_CRASHED",
    ok=False,
    meaning="The container started and ended: a failure of the program in it.",
    patterns=(
        _pod(
            r"CrashLoopBackOff|Back-off restarting failed container",
            "Back-off restarting failed container app in pod web-1_default(4f)",
            "kubelet",
            "kubernetes/kubernetes, pkg/kubelet",
        ),
    ),
)

POD = (
    RUNNING,
    NO_ADDRESS,
    SUBNET_FULL,
    POD_NETWORK_NOT_READY,
    TOO_MANY_PODS,
    POD_UNSCHEDULABLE,
    POD_IMAGE_NOT_PULLED,
    POD_CRASHED,
)
