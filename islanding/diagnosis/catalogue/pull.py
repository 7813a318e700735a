"""Image pulls: token (ecr.api) and manifest (ecr.dkr), each with the text of its failure."""

from __future__ import annotations

from islanding.diagnosis.catalogue.common import (
    ACL,
    GROUP,
    PRIVATE_DNS,
    endpoint_checks,
    missing,
    text,
)
from islanding.diagnosis.entries import Cause, Entry

PULL = (
    Entry(
        "PULL_TOKEN_TIMEOUT",
        "token",
        "The node's credential provider got no answer from the ECR API, so it has no token for the registry.",
        (missing("ecr.api"), PRIVATE_DNS, GROUP, ACL),
        endpoint_checks("ecr.api"),
        outcomes=("PULL_TOKEN_TIMEOUT",),
        texts=(
            text(
                r"api\.ecr\.[\w-]+\.amazonaws\.com[^\n]*(?:Client\.Timeout exceeded|i/o timeout)",
                'RequestError: send request failed caused by: Post "https://api.ecr.eu-west-1.amazonaws.com/": '
                "net/http: "
                "request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                "AWS SDK for Go, in the ECS agent",
                "docs/facts.md 1; aws/amazon-ecs-agent, thread 2235",
            ),
        ),
        rank=9,
    ),
    Entry(
        "PULL_TOKEN_DENIED",
        "token",
        "The ECR API was reached and did not give a token.",
        (
            Cause(
                "the endpoint policy of ecr.api does not allow ecr:GetAuthorizationToken",
                "the text says 'because no VPC endpoint policy allows'",
            ),
            Cause(
                "the node's role lacks ecr:GetAuthorizationToken (AmazonEC2ContainerRegistryPullOnly or ReadOnly)",
                "the text says 'because no identity-based policy allows', or names no policy",
            ),
        ),
        (
            "read what follows 'because' in the text: it names the kind of policy",
            "aws ec2 describe-vpc-endpoints: PolicyDocument of ecr.api",
            "aws iam list-attached-role-policies of the node's role",
        ),
        outcomes=("PULL_TOKEN_DENIED",),
        rank=9,
    ),
    Entry(
        "NO_INSTANCE_ROLE",
        "token",
        "The program found no credentials of a role at the instance metadata service, so it could not sign its call.",
        (
            Cause("the instance has no instance profile", "describe-instances shows no IamInstanceProfile"),
            Cause(
                "the metadata service's hop limit is 1 and the caller is a pod of its own network",
                "the same call works on the node itself",
            ),
        ),
        (
            "aws ec2 describe-instances: IamInstanceProfile, MetadataOptions (HttpTokens, HttpPutResponseHopLimit)",
            "at the node, with a token: curl http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        ),
        texts=(
            text(
                r"no EC2 IMDS role found",
                "operation error ECR: GetAuthorizationToken, get identity: get credentials: failed to refresh cached "
                "credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, request canceled, context "
                "deadline exceeded",
                "AWS SDK for Go v2",
                "ElementTech/kube-arch-scheduler, thread 5; awslabs/amazon-ecr-credential-helper, thread 381",
            ),
        ),
        rank=10,
    ),
    Entry(
        "PULL_NO_CREDENTIALS",
        "token",
        "The runtime pulled without a token: the credential provider gave none, and what the event says of a missing "
        "repository is only the registry's answer to somebody unknown.",
        (
            Cause(
                "there is no way to the ECR API (ecr.api endpoint, its group, network ACL or private DNS)",
                "kubelet's log has 'error execing credential provider plugin' shortly before",
            ),
            Cause(
                "kubelet has no credential provider for this registry's name",
                "kubelet's log says nothing of a plugin: look at --image-credential-provider-config",
            ),
            Cause("the node's role may not call ecr:GetAuthorizationToken", "the plugin's error has AccessDenied"),
        ),
        ("at the node: journalctl -u kubelet | grep -i 'credential provider'", *endpoint_checks("ecr.api")),
        outcomes=("PULL_NO_CREDENTIALS",),
        texts=(
            text(
                r"manifests/\S+: no basic auth credentials",
                "Error response from daemon: Get https://602401143452.dkr.ecr.eu-west-1.amazonaws.com/v2/eks/pause/"
                "manifests/3.1: no basic auth credentials",
                "Docker engine, through kubelet",
                "kubernetes/kubernetes, thread 76125 (a closed VPC)",
            ),
        ),
        rank=7,
    ),
    Entry(
        "PULL_TOKEN_EXPIRED",
        "token",
        "The registry was reached with a token that is older than its 12 hours.",
        (
            Cause(
                "no new token could be fetched after the old one ran out: no way to the ECR API any more",
                "a fresh `aws ecr get-login-password` at the node fails too",
            ),
            Cause("a static pull secret was never renewed", "the pod uses imagePullSecrets"),
        ),
        ("aws ecr get-login-password at the node", "kubectl get pod -o yaml: imagePullSecrets"),
        outcomes=("PULL_TOKEN_EXPIRED",),
        rank=8,
    ),
    Entry(
        "PULL_MANIFEST_TIMEOUT",
        "manifest",
        "The registry's address did not answer when the image's manifest was asked for; the token was there.",
        (missing("ecr.dkr"), PRIVATE_DNS, GROUP, ACL),
        endpoint_checks("ecr.dkr"),
        outcomes=("PULL_MANIFEST_TIMEOUT",),
        texts=(
            text(
                r"Get https://\S+\.dkr\.ecr\.\S+/v2/: net/http: request canceled while waiting for connection",
                "CannotPullContainerError: Error response from daemon: Get "
                "https://111122223333.dkr.ecr.eu-west-1.amazonaws"
                ".com/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while "
                "awaiting "
                "headers)",
                "Docker engine",
                "aws/amazon-ecs-agent, thread 2235",
            ),
        ),
        rank=8,
    ),
    Entry(
        "PULL_MANIFEST_FORBIDDEN",
        "manifest",
        "The registry, or the endpoint before it, answered 403 to the question for the manifest.",
        (
            Cause(
                "the endpoint policy of ecr.dkr does not allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer",
                "describe-vpc-endpoints: PolicyDocument; the same pull works where there is no such endpoint",
            ),
            Cause("the repository's policy or the node's role does not allow the pull", "the policy allows all"),
        ),
        (
            "aws ec2 describe-vpc-endpoints: PolicyDocument of ecr.dkr",
            "aws ecr get-repository-policy",
            "aws iam list-attached-role-policies of the node's role",
        ),
        outcomes=("PULL_MANIFEST_FORBIDDEN",),
        rank=8,
    ),
    Entry(
        "PULL_BLOB_TIMEOUT",
        "manifest",
        "The registry gave the manifest and then fell silent, before it could send the node to S3 for a layer.",
        (Cause("the way to ecr.dkr broke in the middle of the pull", "the next pull fails at the manifest"),),
        endpoint_checks("ecr.dkr"),
        outcomes=("PULL_BLOB_TIMEOUT",),
        rank=8,
    ),
    Entry(
        "IMAGE_NOT_FOUND",
        "manifest",
        "The registry was reached with a good token and has no such repository or tag.",
        (
            Cause("the image was never pushed to this registry", "aws ecr describe-images does not list the tag"),
            Cause("the name is another account's or Region's", "compare account and Region in the name"),
        ),
        ("aws ecr describe-images --repository-name NAME --image-ids imageTag=TAG",),
        outcomes=("IMAGE_NOT_FOUND",),
        rank=8,
    ),
    Entry(
        "PULL_BACKING_OFF",
        "pull",
        "kubelet only says that it waits before the next try. The cause stands in an earlier event.",
        (Cause("any of the steps of a pull", "the event 'Failed to pull image' has the text"),),
        ("kubectl describe pod: the event 'Failed to pull image', and explain that text",),
        outcomes=("PULL_BACKING_OFF",),
        texts=(
            text(
                r"Back-off pulling image|ImagePullBackOff|ErrImagePull",
                "Error: ImagePullBackOff",
                "kubelet",
                "kubernetes/kubernetes, pkg/kubelet/images",
            ),
        ),
        rank=1,
    ),
)
