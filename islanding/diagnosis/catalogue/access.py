"""Access to the cluster and to instances: kubectl, IAM and X.509, SSH by a jump host."""

from __future__ import annotations

from islanding.diagnosis.catalogue.common import USER_GUIDE, text
from islanding.diagnosis.entries import Cause, Entry

_FACTS = f"docs/facts.md 1 ({USER_GUIDE})"

ACCESS = (
    Entry(
        "KUBECTL_UNAUTHORIZED",
        "authentication",
        "The API server is there and cannot establish who asks.",
        (
            Cause(
                "the caller's role or user is in neither aws-auth nor the access entries", "others can; it never could"
            ),
            Cause("the control plane cannot reach STS to check the token (a cut service link)", "nobody can by IAM"),
            Cause("the client certificate is expired or of another CA", "the identity is X.509"),
        ),
        (
            "aws sts get-caller-identity: who am I?",
            "kubectl -n kube-system get configmap aws-auth -o yaml, as somebody who can",
            "aws eks list-access-entries",
        ),
        outcomes=("UNAUTHORIZED",),
        rank=5,
    ),
    Entry(
        "KUBECTL_FORBIDDEN",
        "authorization",
        "The API server knows who asks, and no role allows it.",
        (Cause("no RoleBinding or ClusterRoleBinding, or no access policy", "kubectl auth can-i --list"),),
        ("kubectl auth whoami", "kubectl auth can-i --list"),
        outcomes=("FORBIDDEN", "ANONYMOUS"),
        rank=6,
    ),
    Entry(
        "API_UNREACHABLE",
        "Kubernetes API",
        "No packet came back from the API server's address.",
        (
            Cause(
                "the control plane's security group does not allow TCP 443 from here",
                "the text has a VPC address: a private endpoint's name resolves everywhere, its packets do not arrive",
                "private address",
            ),
            Cause(
                "public access is off or does not include this address",
                "the text has a public address; describe-cluster: publicAccessCidrs",
                "public address",
            ),
            Cause("there is no route from here to the VPC", "the host is outside: peering, VPN, jump host"),
        ),
        (
            "getent ahostsv4 HOST",
            "aws eks describe-cluster: resourcesVpcConfig",
            "aws ec2 describe-security-groups of the cluster: inbound TCP 443",
        ),
        outcomes=("API_UNREACHABLE",),
        rank=7,
    ),
    Entry(
        "API_TLS_TIMEOUT",
        "Kubernetes API",
        "Something ends TCP before the API server (a proxy), and cannot reach it.",
        (Cause("the link behind the proxy is cut", "TCP connects, TLS does not answer"),),
        ("at the proxy: can it reach the API server?",),
        outcomes=("API_TLS_TIMEOUT",),
        rank=10,
    ),
    Entry(
        "KUBECTL_NO_TOKEN",
        "authentication",
        "kubectl could not make a token on this machine; the API server was not asked.",
        (
            Cause("the role named in the kubeconfig may not be assumed", "AccessDenied in the text"),
            Cause("the aws command is missing or fails", "run the command of the kubeconfig's exec section by hand"),
        ),
        ("kubectl config view: users.exec", "aws sts get-caller-identity"),
        outcomes=("CREDENTIAL_PLUGIN_FAILED",),
        rank=8,
    ),
    Entry(
        "KUBECTL_UNKNOWN_RESOURCE",
        "Kubernetes API",
        "kubectl could not learn what the cluster offers: discovery was denied or cut off half way.",
        (
            Cause("the identity is not mapped", "aws-auth and access entries lack it"),
            Cause("the path came back in the middle of discovery", "the next call works"),
        ),
        ("kubectl api-resources", "kubectl auth whoami"),
        outcomes=("UNKNOWN_RESOURCE",),
        rank=6,
    ),
    Entry(
        "KUBECTL_ASKED_FOR_CREDENTIALS",
        "authentication",
        "The API server answered 401 while kubectl was finding out what the cluster offers.",
        (Cause("as for Unauthorized: the identity is not mapped, or nobody can check its token", "see the last line"),),
        ("aws sts get-caller-identity",),
        texts=(
            text(
                r"the server has asked for the client to provide credentials",
                "couldn't get current server API group list: the server has asked for the client to provide "
                "credentials",
                "kubectl",
                f"{_FACTS}; docs/measurements.md 4",
            ),
        ),
        rank=4,
    ),
    Entry(
        "SSH_TIMEOUT",
        "SSH",
        "No packet came back from the host.",
        (
            Cause("the security group does not allow TCP 22 from your present address", "your address changed"),
            Cause("no route: the host has no public address, or its subnet no internet gateway", "describe-instances"),
            Cause("the instance is stopped", "describe-instance-status"),
            Cause("it took the connection and does not go on: still booting, or without memory", "get-console-output"),
        ),
        (
            "aws ec2 describe-instances: State, PublicIpAddress",
            "aws ec2 describe-security-groups: inbound TCP 22",
            "aws ec2 describe-route-tables and describe-network-acls of its subnet",
        ),
        outcomes=("SSH_TIMEOUT",),
        rank=5,
    ),
    Entry(
        "SSH_JUMP_FAILED",
        "SSH",
        "The jump host let you in and could not connect to the host behind it.",
        (
            Cause(
                "the inner host's security group does not allow TCP 22 from the jump host", "describe-security-groups"
            ),
            Cause("peering or its routes are missing, one way or the other", "both VPCs' route tables"),
        ),
        ("aws ec2 describe-vpc-peering-connections: Status", "aws ec2 describe-route-tables of both VPCs"),
        outcomes=("SSH_JUMP_FAILED",),
        rank=6,
    ),
    Entry(
        "SSH_DENIED",
        "SSH",
        "The host is there and does not accept the key.",
        (Cause("another key pair, or another user name", "ec2-user for Amazon Linux; describe-instances: KeyName"),),
        ("ssh -v: which keys are offered?", "aws ec2 describe-instances: KeyName"),
        outcomes=("SSH_DENIED",),
        rank=5,
    ),
)
