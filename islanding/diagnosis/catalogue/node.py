"""Nodes that do not join: introspection, instance details, the Kubernetes API, registration, network plugin."""

from __future__ import annotations

from islanding.diagnosis.catalogue.common import EC2_CUT, USER_GUIDE, endpoint_checks, missing, text
from islanding.diagnosis.entries import Cause, Entry

_FACTS = "docs/facts.md 1"

NODE = (
    Entry(
        "INTROSPECTION_TIMEOUT",
        "introspection",
        "The bootstrap asked the EKS API for the cluster's endpoint and CA and got no answer, so kubelet never "
        "started.",
        (
            Cause(
                "the user data does not give endpoint and CA (--apiserver-endpoint, --b64-cluster-ca; NodeConfig: "
                "apiServerEndpoint, certificateAuthority, cidr)",
                "the closed network has no eks endpoint: with these arguments the EKS API is not asked",
            ),
            missing("eks"),
        ),
        (
            "aws ec2 describe-instance-attribute --attribute userData of the instance",
            "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.eks",
            "at the node: /var/log/cloud-init-output.log",
        ),
        outcomes=("INTROSPECTION_TIMEOUT",),
        texts=(
            text(
                r'(?:Connect|Read) timeout on endpoint URL: "https://eks\.',
                'Connect timeout on endpoint URL: "https://eks.ap-southeast-1.amazonaws.com/clusters/test"',
                "the aws command (botocore)",
                "aws-quickstart/quickstart-amazon-eks, thread 450; aws/containers-roadmap, thread 745",
            ),
        ),
        rank=8,
    ),
    Entry(
        "INSTANCE_DETAILS_TIMEOUT",
        "instance details",
        "nodeadm asked the EC2 API about its own instance (for the node's name) and got no answer.",
        (missing("ec2"), EC2_CUT),
        endpoint_checks("ec2"),
        outcomes=("INSTANCE_DETAILS_TIMEOUT",),
        texts=(
            text(
                r"Fetching instance details\.\.",
                '{"level":"info","msg":"Fetching instance details.."}',
                "nodeadm (it stops after this line)",
                "awslabs/amazon-eks-ami, threads 2423, 2436, 1380",
            ),
        ),
        rank=8,
    ),
    Entry(
        "NODE_API_UNREACHABLE",
        "registration",
        "kubelet has credentials and gets no packet back from the cluster's endpoint.",
        (
            Cause(
                "the control plane's security group does not allow TCP 443 from the nodes",
                "the text has a VPC address of the cluster's subnets",
                "private address",
            ),
            Cause(
                "private access to the endpoint is off, and there is no way to the public one",
                "the text has a public address; describe-cluster: endpointPrivateAccess",
                "public address",
            ),
            Cause("a network ACL or a route between node and cluster subnets is missing", "groups are right"),
        ),
        (
            "aws eks describe-cluster: resourcesVpcConfig (endpointPrivateAccess, securityGroupIds, subnetIds)",
            "aws ec2 describe-security-groups: inbound TCP 443 from the nodes' group or subnet",
            "at the node: curl -k https://HOST/readyz",
        ),
        outcomes=("NODE_API_UNREACHABLE",),
        texts=(
            text(
                r"(?:Failed to contact API server|nodes/\S+\\?\")[^\n]*dial tcp \d[\d.]*:\d+: i/o timeout",
                "Failed to contact API server when waiting for CSINode publishing: Get "
                '"https://api.example.test/apis/storage.k8s.io/v1/csinodes/w1": dial tcp 10.0.1.10:443: i/o timeout',
                "kubelet",
                f"{USER_GUIDE} hybrid nodes",
            ),
        ),
        rank=8,
    ),
    Entry(
        "NODE_UNAUTHORIZED",
        "registration",
        "The node reached the control plane and gave its role's token, and nobody has mapped that role.",
        (
            Cause(
                "aws-auth has no mapRoles entry of the node's role (groups system:bootstrappers, system:nodes)",
                "kubectl -n kube-system get configmap aws-auth -o yaml lacks the role's ARN",
            ),
            Cause(
                "the mapped ARN has a path, or is the instance profile's",
                "aws-auth wants the role's ARN without its path",
            ),
            Cause(
                "no access entry of type EC2_LINUX, where the cluster uses access entries",
                "aws eks list-access-entries",
            ),
        ),
        (
            "kubectl -n kube-system get configmap aws-auth -o yaml",
            "aws iam get-instance-profile of the instance: which role does it have?",
            "aws eks describe-cluster: accessConfig.authenticationMode",
        ),
        outcomes=("NODE_UNAUTHORIZED",),
        rank=8,
    ),
    Entry(
        "CNI_UNINITIALIZED",
        "network plugin",
        "The node is registered and stays NotReady, because no network plugin has put its configuration there.",
        (
            Cause(
                "aws-node's image cannot be pulled: the path to the registry (ecr.api, ecr.dkr, S3) has a gap",
                "kubectl -n kube-system get pods -o wide: aws-node at that node is ErrImagePull or "
                "Init:ImagePullBackOff",
            ),
            Cause(
                EC2_CUT.missing,
                "aws-node runs and restarts; its log has 'Failed to call ec2:DescribeNetworkInterfaces'",
            ),
            Cause(
                "kube-proxy is missing, so aws-node cannot reach the API by its cluster address",
                "kube-proxy is not Running",
            ),
            Cause("the node is not authorized at all (see NODE_UNAUTHORIZED)", "kubelet's log has Unauthorized too"),
        ),
        (
            "kubectl -n kube-system get pods -o wide | grep NODE",
            "kubectl -n kube-system describe pod aws-node-...: its events, and explain them",
            "at the node: /var/log/aws-routed-eni/ipamd.log",
        ),
        outcomes=("CNI_UNINITIALIZED",),
        texts=(
            text(
                r"NetworkPluginNotReady",
                "runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:docker: network "
                "plugin is "
                "not ready: cni config uninitialized",
                "kubelet",
                f"{_FACTS} ({USER_GUIDE})",
            ),
        ),
        rank=6,
    ),
    Entry(
        "AWS_NODE_RESTARTS",
        "network plugin",
        "The network plugin's daemon does not get ready in time and is restarted.",
        (
            EC2_CUT,
            Cause(
                "with IRSA, there is no way to STS: the plugin hangs without a word",
                "ipamd.log stops after start; the sts endpoint is missing or a global STS name is used",
            ),
        ),
        ("at the node: /var/log/aws-routed-eni/ipamd.log", *endpoint_checks("ec2")),
        texts=(
            text(
                r"Container aws-node failed (?:liveness|readiness) probe|aws-node[^\n]*failed liveness probe",
                "Container aws-node failed liveness probe, will be restarted",
                "kubelet",
                "tried by hand with the Amazon VPC CNI 1.23.2; aws/amazon-vpc-cni-k8s, threads 2262, 647",
            ),
            text(
                r"failed to connect service \S*:50051\S* within|(?:Retrying waiting for|Checking for) IPAM",
                'Readiness probe failed: {"level":"info","msg":"timeout: failed to connect service \\":50051\\" '
                'within 5s"}',
                "Amazon VPC CNI, through kubelet's event",
                "aws/amazon-vpc-cni-k8s, threads 1038, 3224",
            ),
        ),
        rank=7,
    ),
    Entry(
        "NODES_FAILED_TO_JOIN",
        "registration",
        "EKS waited 15 minutes for the node group's instances to register, and none did; it does not say why.",
        (
            Cause(
                "private access to the cluster's endpoint is off", "describe-cluster: endpointPrivateAccess is false"
            ),
            Cause("any step of a join", "the instance's own log has the text"),
        ),
        ("at an instance: journalctl -u kubelet and /var/log/cloud-init-output.log, and explain what they say",),
        texts=(
            text(
                r"NodeCreationFailure|Instances failed to join the kubernetes cluster",
                "NodeCreationFailure: Instances failed to join the kubernetes cluster",
                "Amazon EKS, managed node group",
                f"{_FACTS} ({USER_GUIDE})",
            ),
        ),
        rank=3,
    ),
    Entry(
        "NODE_CA_WRONG",
        "registration",
        "The node has another cluster's CA, so it does not trust this control plane.",
        (
            Cause(
                "--b64-cluster-ca or certificateAuthority in the user data is an old or another cluster's",
                "the clusters' CAs differ",
            ),
        ),
        ("aws eks describe-cluster: certificateAuthority.data, beside what the user data gives",),
        texts=(
            text(
                r"(?:Unable to register node|Failed to watch|failed to ensure lease)[^\n]*x509: certificate signed by "
                r"unknown authority",
                '"Unable to register node with API server" err="Post \\"https://api.example.test/api/v1/nodes\\": '
                "tls: failed "
                'to verify certificate: x509: certificate signed by unknown authority"',
                "kubelet",
                "Go's crypto/x509, in kubelet",
            ),
        ),
        rank=9,
    ),
)
