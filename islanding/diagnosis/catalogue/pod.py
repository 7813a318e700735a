"""Pods that do not start: no address, no network plugin, no room, the subnet full, a role that cannot be assumed."""

from __future__ import annotations

from islanding.diagnosis.catalogue.common import EC2_CUT, ENI_LIMIT, endpoint_checks, missing, text
from islanding.diagnosis.entries import Cause, Entry

_CNI = "Amazon VPC CNI 1.23.2"
_HAND = "tried by hand with the Amazon VPC CNI 1.23.2"
_FULL = Cause(
    "the subnet of the node's interfaces has no free address",
    "describe-subnets: AvailableIpAddressCount; ipamd.log has InsufficientFreeAddressesInSubnet",
)

POD = (
    Entry(
        "NO_ADDRESS",
        "address of a pod",
        "The network plugin's pool at this node is empty and could not be filled; the text is the same for all causes.",
        (ENI_LIMIT, EC2_CUT, _FULL),
        (
            "at the node: tail /var/log/aws-routed-eni/ipamd.log (it alone tells the causes apart)",
            "at the node: curl -s localhost:61679/v1/enis (interfaces, addresses, assigned)",
            "aws ec2 describe-subnets: AvailableIpAddressCount",
            *endpoint_checks("ec2"),
        ),
        outcomes=("NO_ADDRESS",),
        rank=7,
    ),
    Entry(
        "ENI_LIMIT_REACHED",
        "address of a pod",
        "The node has as many interfaces and addresses as its instance type may have.",
        (ENI_LIMIT,),
        (
            "aws ec2 describe-instance-types: NetworkInfo (MaximumNetworkInterfaces, Ipv4AddressesPerInterface)",
            "set kubelet's maxPods to that limit, so that the scheduler knows it",
        ),
        texts=(
            text(
                r"Skipping ENI allocation as the max ENI limit is already reached",
                "Skipping ENI allocation as the max ENI limit is already reached",
                f"{_CNI}, ipamd.log",
                _HAND,
            ),
        ),
        rank=9,
    ),
    Entry(
        "EC2_API_TIMEOUT",
        "address of a pod",
        "The network plugin cannot reach the EC2 API: running pods stay, and no new address or interface comes.",
        (missing("ec2"), EC2_CUT),
        endpoint_checks("ec2"),
        texts=(
            text(
                r"Failed to call ec2:\w+[^\n]*(?:deadline exceeded|dial tcp|timeout)",
                "Failed to call ec2:DescribeNetworkInterfaces for [eni-0abc]: operation error EC2: "
                "DescribeNetworkInterfaces, "
                "context deadline exceeded",
                f"{_CNI}, ipamd.log",
                f"{_HAND}; aws/amazon-vpc-cni-k8s, thread 1558",
            ),
            text(
                r"not able to allocate ENI[^\n]*https://ec2\.",
                "Failed to increase pool size due to not able to allocate ENI: operation error EC2: "
                "CreateNetworkInterface, "
                'Post "https://ec2.eu-west-1.amazonaws.com/": dial tcp 52.94.0.10:443: i/o timeout',
                f"{_CNI}, ipamd.log",
                _HAND,
            ),
        ),
        rank=9,
    ),
    Entry(
        "SUBNET_FULL",
        "address of a pod",
        "EC2 answered, and the subnet has no free address left.",
        (_FULL,),
        ("aws ec2 describe-subnets: AvailableIpAddressCount", "add a secondary CIDR block, or nodes in another subnet"),
        outcomes=("SUBNET_FULL",),
        rank=9,
    ),
    Entry(
        "POD_NETWORK_NOT_READY",
        "address of a pod",
        "The network plugin's daemon does not listen at this node, although the node may be Ready.",
        (
            Cause(
                "aws-node was replaced or restarted and does not come up: no way to the EC2 API",
                "ipamd.log has 'Failed to call ec2:...'; the node stays Ready by the old configuration file",
            ),
            Cause("aws-node's new image cannot be pulled", "kubectl -n kube-system get pods: ImagePullBackOff"),
        ),
        (
            "kubectl -n kube-system get pods -o wide: aws-node at that node",
            "at the node: /var/log/aws-routed-eni/ipamd.log",
            *endpoint_checks("ec2"),
        ),
        outcomes=("POD_NETWORK_NOT_READY",),
        rank=8,
    ),
    Entry(
        "MISSING_IAM_PERMISSIONS",
        "address of a pod",
        "The EC2 API was reached and refused what the network plugin asked for.",
        (
            Cause("the node's role lacks AmazonEKS_CNI_Policy", "list-attached-role-policies of the role"),
            Cause("the ec2 endpoint's policy is too narrow", "describe-vpc-endpoints: PolicyDocument of ec2"),
        ),
        ("the action stands in the text", "aws iam list-attached-role-policies", "PolicyDocument of the ec2 endpoint"),
        texts=(
            text(
                r"MissingIAMPermissions|Unauthorized operation: failed to call ec2:",
                "MissingIAMPermissions Unauthorized operation: failed to call ec2:CreateNetworkInterface due to "
                "missing "
                "permissions. Please refer to the documentation",
                f"{_CNI}, event on aws-node",
                _HAND,
            ),
        ),
        rank=9,
    ),
    Entry(
        "TOO_MANY_PODS",
        "scheduling",
        "Each node already runs as many pods as its kubelet allows (maxPods).",
        (Cause("no node has room", "kubectl describe node: Capacity pods and Non-terminated Pods"),),
        ("kubectl describe node: pods", "aws autoscaling describe-auto-scaling-groups: DesiredCapacity and MaxSize"),
        outcomes=("TOO_MANY_PODS",),
        rank=8,
    ),
    Entry(
        "POD_UNSCHEDULABLE",
        "scheduling",
        "The scheduler found no node for the pod; it counts the reasons in the text.",
        (
            Cause("nodes are not Ready (untolerated taint node.kubernetes.io/not-ready)", "kubectl get nodes"),
            Cause("no node joined at all", "'no nodes available to schedule pods'"),
        ),
        ("kubectl get nodes", "kubectl describe node: Taints and Conditions"),
        outcomes=("POD_UNSCHEDULABLE",),
        rank=6,
    ),
    Entry(
        "WEB_IDENTITY_FAILED",
        "role of a pod",
        "The pod asked STS for the role of its service account and got no answer.",
        (
            missing("sts"),
            Cause(
                "the SDK uses the global STS name, which no interface endpoint answers",
                "the text has https://sts.amazonaws.com/; set AWS_STS_REGIONAL_ENDPOINTS=regional",
            ),
        ),
        endpoint_checks("sts"),
        texts=(
            text(
                r"WebIdentityErr: failed to retrieve credentials"
                r"|AssumeRoleWithWebIdentity[^\n]*(?:i/o timeout|deadline)",
                "WebIdentityErr: failed to retrieve credentials caused by: RequestError: send request failed caused "
                "by: Post "
                '"https://sts.eu-west-1.amazonaws.com/": dial tcp 54.239.32.126:443: i/o timeout',
                "AWS SDK for Go, in a pod with a service account's role",
                "docs/facts.md 1: Karpenter's documentation, private clusters",
            ),
        ),
        rank=10,
    ),
)
